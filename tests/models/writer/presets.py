"""Tiny presets with random weights, saved as keras-hub saves the pretrained ones; no network is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tokenizers

WIDTH = 32
LENGTH = 192  # tokens that the models have places for
SPECIALS = {"causal": ["<|endoftext|>"], "seq2seq": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]}
Lesson = tuple[str, str]  # prompt, text


def make(kind: str, folder: Path, lessons: Sequence[Lesson], steps: int = 0, seed: int = 1) -> Path:
    """A decoder-only preset (`causal`: GPT-2) or an encoder-decoder (`seq2seq`: BART) in the folder.

    steps: so long the random weights are trained on the lessons, by keras-hub's own means: a base that knows
    the language is what adapters are made for.
    """
    keras.utils.set_random_seed(seed)
    words, merges = vocabulary([t for pair in lessons for t in pair], SPECIALS[kind])
    lm = (_causal if kind == "causal" else _seq2seq)(words, merges)
    if steps:
        rate = keras.optimizers.schedules.CosineDecay(8e-3, steps)
        lm.compile(optimizer=keras.optimizers.Adam(rate, global_clipnorm=1.0), jit_compile=False)
        rng = np.random.default_rng(seed)
        for _ in range(steps):
            lm.train_on_batch(packed(kind, [lessons[i] for i in rng.integers(len(lessons), size=16)]))
    lm.save_to_preset(str(folder))
    return folder


def packed(kind: str, batch: Sequence[Lesson]) -> Any:
    """Lessons as keras-hub's own preprocessors take them."""
    if kind == "causal":
        return [prompt + text for prompt, text in batch]
    return {"encoder_text": [p for p, _ in batch], "decoder_text": [t for _, t in batch]}


def _causal(words: dict[str, int], merges: list[str]) -> Any:
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary=words, merges=merges)
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer=tokenizer, sequence_length=LENGTH)
    backbone = keras_hub.models.GPT2Backbone(**_sizes(words))
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def _seq2seq(words: dict[str, int], merges: list[str]) -> Any:
    tokenizer = keras_hub.models.BartTokenizer(vocabulary=words, merges=merges)
    preprocessor = keras_hub.models.BartSeq2SeqLMPreprocessor(
        tokenizer=tokenizer, encoder_sequence_length=LENGTH, decoder_sequence_length=LENGTH
    )
    backbone = keras_hub.models.BartBackbone(**_sizes(words))
    return keras_hub.models.BartSeq2SeqLM(backbone=backbone, preprocessor=preprocessor)


def vocabulary(
    texts: Iterable[str], specials: list[str], size: int = 600
) -> tuple[dict[str, int], list[str]]:
    """Byte-pair vocabulary and merges learnt from the texts; every byte is in it."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=specials,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = json.loads(tokenizer.to_str())["model"]
    return found["vocab"], [" ".join(pair) for pair in found["merges"]]


def _sizes(words: dict[str, int]) -> dict[str, Any]:
    return {
        "vocabulary_size": len(words), "num_layers": 1, "num_heads": 2, "hidden_dim": WIDTH,
        "intermediate_dim": 2 * WIDTH, "max_sequence_length": LENGTH, "dropout": 0.0,
    }  # fmt: skip
