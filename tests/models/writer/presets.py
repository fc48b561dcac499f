"""Tiny presets with random weights, saved as keras-hub saves the pretrained ones; no network is asked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

WIDTH = 32
LENGTH = 256  # tokens that the models have places for
SPECIALS = {"gpt2": ["<|endoftext|>"], "bart": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]}


def vocabulary(texts: Iterable[str], specials: list[str], size: int = 600) -> tuple[dict[str, int], list[str]]:
    """Byte-pair vocabulary and merges learnt from the texts; every byte is in it."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = json.loads(tokenizer.to_str())["model"]
    return found["vocab"], [" ".join(pair) for pair in found["merges"]]


def causal(folder: Path, texts: Iterable[str], seed: int = 1, **sizes: Any) -> Path:
    """A decoder-only preset (GPT-2) in the folder."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(seed)
    words, merges = vocabulary(texts, SPECIALS["gpt2"])
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary=words, merges=merges)
    backbone = keras_hub.models.GPT2Backbone(**_sizes(len(words), sizes))
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer=tokenizer, sequence_length=LENGTH)
    keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor).save_to_preset(str(folder))
    return folder


def seq2seq(folder: Path, texts: Iterable[str], seed: int = 1, **sizes: Any) -> Path:
    """An encoder-decoder preset (BART) in the folder."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(seed)
    words, merges = vocabulary(texts, SPECIALS["bart"])
    tokenizer = keras_hub.models.BartTokenizer(vocabulary=words, merges=merges)
    backbone = keras_hub.models.BartBackbone(**_sizes(len(words), sizes))
    preprocessor = keras_hub.models.BartSeq2SeqLMPreprocessor(
        tokenizer=tokenizer, encoder_sequence_length=LENGTH, decoder_sequence_length=LENGTH
    )
    keras_hub.models.BartSeq2SeqLM(backbone=backbone, preprocessor=preprocessor).save_to_preset(str(folder))
    return folder


def _sizes(words: int, changes: dict[str, Any]) -> dict[str, Any]:
    sizes = {
        "num_layers": 2, "num_heads": 2, "hidden_dim": WIDTH, "intermediate_dim": 2 * WIDTH,
        "max_sequence_length": LENGTH, "dropout": 0.0,
    }  # fmt: skip
    return {"vocabulary_size": words, **sizes, **changes}
