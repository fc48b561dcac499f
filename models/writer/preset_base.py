"""The base of a preset writer: loaded once, frozen, with low-rank adapters (LoRA; Hu et al. 2021).

`CausalLM` continues the prompt; `Seq2SeqLM` reads it with its encoder. Both are
seen here as *source* tokens (empty for the first kind), a *prefix* that the
decoder is given, and what is to be written behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.backend import fix_order_of_sums
from models.writer.encode import Ints, padded
from models.writer.preset import Adapters, PresetError, preset_hash

MAX_PROMPT, MAX_NEW = 256, 160  # tokens
# Lengths that batches are padded to: every length is a shape to trace.
LENGTHS = (32, 64, 96, 128, 192, 256, 320, 416)
# Seq2SeqLM first: keras-hub derives it from CausalLM.
_TEXT_INPUTS = {
    "Seq2SeqLM": {"encoder_token_ids", "encoder_padding_mask", "decoder_token_ids", "decoder_padding_mask"},
    "CausalLM": {"token_ids", "padding_mask"},
}


@dataclass(frozen=True)
class Encoded:
    """A prompt as tokens: what the encoder reads (none for a `CausalLM`), and what the decoder is given."""

    source: list[int]
    prefix: list[int]

    @property
    def length(self) -> int:
        return max(len(self.source), len(self.prefix))


class Base:
    """A language model of keras-hub whose weights are frozen, and the adapters that are not."""

    def __init__(self, lm: Any, kind: str, digest: str, rank: int) -> None:
        self.lm, self.kind, self.digest, self.rank = lm, kind, digest, rank
        # Taken off the model, which would run it on what is already tokens.
        self.preprocessor, self.tokenizer = lm.preprocessor, lm.preprocessor.tokenizer
        lm.preprocessor = None
        lm.compile(optimizer=None, loss=None, weighted_metrics=None, sampler="greedy", jit_compile=False)
        fix_order_of_sums()
        self.variables = _adapters(lm, rank)
        own = getattr(lm.backbone, "max_sequence_length", None)
        self.places: int = own or self.preprocessor.sequence_length
        self.max_new = min(MAX_NEW, self.places // 2)
        self.max_prompt = min(MAX_PROMPT, self.places - (self.max_new if kind == "CausalLM" else 0))
        second = getattr(self.tokenizer, "end_token2_id", None)
        self.ends = [t for t in (self.tokenizer.end_token_id, second) if t is not None]
        self._functions: dict[Any, Any] = {}
        self._in_use: Adapters | None = None

    @property
    def task(self) -> str:
        return type(self.lm).__name__

    @property
    def vocabulary(self) -> int:
        return int(self.lm.backbone.token_embedding.input_dim)

    @property
    def never(self) -> NDArray[np.bool_]:
        """(vocabulary,): control tokens other than the end, and rows of the embedding without a token."""
        out = np.zeros(self.vocabulary, bool)
        out[[t for t in self.tokenizer.special_token_ids if t is not None]] = True
        out[self.tokenizer.vocabulary_size() :] = True
        out[self.ends] = False
        return out

    def start_adapters(self, seed: int) -> None:
        """Adapters that change nothing yet: A at random, B zero."""
        for number, path in enumerate(sorted(self.variables)):
            variable = self.variables[path]
            first = path.endswith("_a")
            start = keras.initializers.HeUniform(seed + number) if first else keras.initializers.Zeros()
            variable.assign(start(variable.shape, dtype=variable.dtype))
        self._in_use = None

    def read_adapters(self) -> Adapters:
        return {path: np.array(ops.convert_to_numpy(v)) for path, v in self.variables.items()}

    def use(self, adapters: Adapters) -> None:
        """Put a writer's adapters into the model; `PresetError` where they are of another one."""
        if self._in_use is adapters:
            return
        shapes = {path: tuple(v.shape) for path, v in self.variables.items()}
        if {path: a.shape for path, a in adapters.items()} != shapes:
            raise PresetError(f"the stored adapters do not fit the {self.task} preset: train a new writer")
        for path, variable in self.variables.items():
            variable.assign(adapters[path])
        self._in_use = adapters

    def fits(self, prompt: str) -> bool:
        """Whether the model has places for the prompt and its two control tokens."""
        return bool(len(self.tokens(prompt)) + 2 <= self.max_prompt)

    def tokens(self, text: str) -> list[int]:
        return [int(t) for t in self.tokenizer([text])[0]]

    def target(self, text: str) -> list[int]:
        return [*self.tokens(text), self.ends[0]]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.detokenize([list(ids)])[0]) if ids else ""

    def encode(self, prompts: Sequence[str]) -> list[Encoded]:
        """Prompts with the control tokens that this kind of model expects."""
        texts = list(prompts)
        if self.kind == "CausalLM":
            out = self.preprocessor.generate_preprocess(texts, sequence_length=self.max_prompt)
            return [Encoded([], row) for row in _rows(out, "")]
        out = self.preprocessor.generate_preprocess(
            {"encoder_text": texts, "decoder_text": [""] * len(texts)},
            encoder_sequence_length=self.max_prompt,
            decoder_sequence_length=8,
        )
        sources, prefixes = _rows(out, "encoder_"), _rows(out, "decoder_")
        return [Encoded(s, p) for s, p in zip(sources, prefixes, strict=True)]

    def phrases(self, banned: Sequence[str]) -> list[list[int]]:
        """Banned phrases as the tokenizer cuts them: at the start of a text, and behind a space."""
        found: dict[tuple[int, ...], None] = {}
        for phrase in banned:
            for form in (phrase, phrase.capitalize(), f" {phrase}", f" {phrase.capitalize()}"):
                ids = tuple(self.tokens(form))
                if ids and not set(ids) & set(self.tokenizer.special_token_ids):
                    found[ids] = None
        return [list(ids) for ids in found]

    def inputs(self, encoded: Sequence[Encoded], decoder: Ints, real: NDArray[np.bool_]) -> dict[str, Any]:
        """The model's inputs for decoder tokens (batch, length), and where they are real."""
        if self.kind == "CausalLM":
            return {"token_ids": decoder, "padding_mask": real}
        longest = max(len(e.source) for e in encoded)
        source, mask = self._pad([e.source for e in encoded], self._padded(longest))
        return {
            "encoder_token_ids": source,
            "encoder_padding_mask": mask,
            "decoder_token_ids": decoder,
            "decoder_padding_mask": real,
        }

    def training_batch(
        self, encoded: Sequence[Encoded], targets: Sequence[list[int]]
    ) -> tuple[dict[str, Any], Ints, NDArray[np.float32]]:
        """Inputs, wanted tokens and weights (batch, length): one for what is to be written, end included."""
        rows = [[*e.prefix, *t] for e, t in zip(encoded, targets, strict=True)]
        length = self._padded(max(map(len, rows)) - 1)
        tokens, real = self._pad(rows, length + 1)
        place = np.arange(length)
        starts = np.array([len(e.prefix) - 1 for e in encoded])
        weight = (place >= starts[:, None]) & real[:, 1:]
        # The last token of a row is wanted, never given.
        given = self.inputs(encoded, tokens[:, :-1], real[:, 1:])
        return given, tokens[:, 1:], weight.astype(np.float32)

    def search(self, encoded: Sequence[Encoded], sampler: Any) -> list[list[list[int]]]:
        """For every prompt, the token lists that the search found, best first, without the end token."""
        longest = padded(max(len(e.prefix) for e in encoded), LENGTHS) if self.kind == "CausalLM" else 8
        longest = min(longest, self.max_prompt)
        decoder, real = self._pad([e.prefix for e in encoded], longest + self.max_new)
        given = {k: ops.convert_to_tensor(v) for k, v in self.inputs(encoded, decoder, real).items()}
        self.lm.sampler = sampler  # read when the graph is traced
        if sampler not in self._functions:
            self.lm.generate_function = None
            self._functions[sampler] = self.lm.make_generate_function()
        out = self._functions[sampler](given, stop_token_ids=None)
        key = "token_ids" if self.kind == "CausalLM" else "decoder_token_ids"
        written = ops.convert_to_numpy(out[key]).reshape(len(encoded), sampler.beams, -1)
        found = [[[int(t) for t in beam if t >= 0] for beam in beams] for beams in written]
        return [[beam for beam in beams if beam] for beams in found]

    def _padded(self, length: int) -> int:
        return min(padded(length, LENGTHS), self.places)

    def _pad(self, rows: Sequence[Sequence[int]], length: int) -> tuple[Ints, NDArray[np.bool_]]:
        out = np.full((len(rows), length), self.tokenizer.pad_token_id or 0, np.int32)
        real = np.zeros((len(rows), length), bool)
        for i, row in enumerate(rows):
            kept = row[:length]
            out[i, : len(kept)] = kept
            real[i, : len(kept)] = True
        return out, real


def _rows(out: dict[str, Any], part: str) -> list[list[int]]:
    tokens, real = (np.asarray(out[f"{part}{name}"]) for name in ("token_ids", "padding_mask"))
    return [[int(t) for t in row[seen.astype(bool)]] for row, seen in zip(tokens, real, strict=True)]


def open_base(folder: str | Path, digest: str, rank: int) -> Base:
    """The base in the folder, whose hash is `digest`; loaded once a process. Raises `PresetError`."""
    return _load(str(Path(folder).expanduser().resolve()), digest, rank)


@lru_cache(maxsize=1)
def _load(folder: str, digest: str, rank: int) -> Base:
    if preset_hash(folder) != digest:
        raise PresetError(f"preset '{folder}': its files have changed since they were read")
    kind, task = _task(folder)
    try:
        # Keras loads configs in safe mode unless a process switches it off: nothing unpickled, no code run.
        lm = task.from_preset(folder)
    except (ValueError, TypeError, LookupError, OSError, ImportError, AttributeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise PresetError(f"preset '{folder}': keras-hub cannot load it: {first}") from error
    _check_text_only(lm, kind, folder)
    return Base(lm, kind, digest, rank)


def _task(folder: str) -> tuple[str, Any]:
    """`CausalLM` or `Seq2SeqLM`, with its class of keras-hub, by the class of the preset's backbone."""
    models = keras_hub.models
    try:
        config = json.loads((Path(folder) / "config.json").read_bytes())
        name = config["class_name"] if "registered_name" in config else ""
    except (ValueError, LookupError, TypeError) as error:
        raise PresetError(f"preset '{folder}': its config.json is no preset's") from error
    for kind in _TEXT_INPUTS:
        task = getattr(models, kind)
        if any(getattr(c.backbone_cls, "__name__", None) == name for c in _subclasses(task)):
            return kind, task
    raise PresetError(f"preset '{folder}': '{name}' is no CausalLM or Seq2SeqLM of keras-hub")


def _subclasses(task: Any) -> Iterator[Any]:
    for found in task.__subclasses__():
        yield found
        yield from _subclasses(found)


def _check_text_only(lm: Any, kind: str, folder: str) -> None:
    inputs = set(lm.input) if isinstance(lm.input, dict) else set()
    if inputs != _TEXT_INPUTS[kind] or lm.preprocessor is None:
        raise PresetError(f"preset '{folder}': a {type(lm).__name__} reads more than text: not supported")


def _adapters(lm: Any, rank: int) -> dict[str, Any]:
    """Enable LoRA on the layers that the backbone names; everything else is frozen. Variables by path."""
    try:
        lm.backbone.enable_lora(rank)
    except (ValueError, NotImplementedError) as error:
        raise PresetError(f"LoRA does not go with this {type(lm).__name__} preset: {error}") from error
    for variable in lm.trainable_variables:
        # Keras freezes a layer's kernel, not its bias.
        variable.trainable = "lora" in variable.name
    found = {v.path: v for v in lm.trainable_variables}
    if not found or len(found) != len(lm.trainable_variables):
        raise PresetError(f"a {type(lm).__name__} preset has no layers for LoRA that have names of their own")
    return found
