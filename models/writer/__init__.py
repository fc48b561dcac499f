"""From a product's attributes to its copy, in English and in Chinese, with facts that hold.

`text` and `facts` say what a product is known for; `rules` and `verify` judge
a text against it; `clean` makes training pairs of what people wrote;
`tokenizer`, `model`, `train` and `decode` are the network; `template` writes
where it fails; `write` puts them in a row. `preset` is a pretrained model in
the network's place, with `preset_base`, `preset_search` and `preset_train`.
Only those three, `model`, `train` and `decode` import Keras, and the others
import them only inside the functions that need it.
"""
