"""The writer's network as others run it, with the same weights: keras-hub, a bare loop, CTranslate2.

Each function gives a `Run`: called, it writes every source `length` tokens long and returns them
(texts, length). Nothing but `END` is barred, so that all texts are equally long.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.backend import compiled
from models.writer.encode import Sources
from models.writer.model import NEVER, Block, Transformer, inputs
from models.writer.tokenizer import BEGIN, END, PAD

Ints = NDArray[np.int32]
Run = Callable[[], Ints]


def loop(model: Transformer, sources: Sources, length: int) -> Run:
    """Greedy search as one writes it first: the whole text through the decoder for every token."""
    whole = compiled(lambda given: ops.argmax(model(given)[:, :, 3:], axis=-1) + 3)

    def run() -> Ints:
        given = np.full((len(sources), length + 1), PAD, np.int32)
        given[:, 0] = BEGIN
        for time in range(length):
            given[:, time + 1] = np.asarray(whole(inputs(sources, given[:, :length])))[:, time]
        return given[:, 1:]

    return run


class KerasHub:
    """An encoder-decoder of keras-hub's layers with their caches, sampled by keras-hub's samplers."""

    def __init__(self, model: Transformer, sources: Sources, length: int, xla: bool) -> None:
        from keras_hub import layers

        c = model.config
        self.model, self.sources, self.length, self.xla = model, sources, length, xla
        options = {"activation": "gelu", "layer_norm_epsilon": 1e-5, "normalize_first": True}
        self.encoder = [layers.TransformerEncoder(c.hidden, c.heads, **options) for _ in model.encoder]
        self.decoder = [layers.TransformerDecoder(c.hidden, c.heads, **options) for _ in model.decoder]
        wide = (None, None, c.width)
        for layer, block in zip(self.encoder, model.encoder, strict=True):
            layer.build(wide)
            _copy_block(layer, block, c.heads)
        for layer, block in zip(self.decoder, model.decoder, strict=True):
            layer.build(wide, wide)
            _copy_block(layer, block, c.heads)

    def greedy(self) -> Run:
        from keras_hub import samplers

        return self._run(samplers.GreedySampler())

    def beam(self, beams: int) -> Run:
        from keras_hub import samplers

        return self._run(samplers.BeamSampler(num_beams=beams), beams)

    def _run(self, sampler: Any, beams: int = 1) -> Run:
        import tensorflow as tf

        write = tf.function(lambda *s: self._write(sampler, beams, *s), jit_compile=self.xla, autograph=False)
        s = self.sources
        return lambda: np.asarray(write(s.token, s.place, s.group))[:, 1:]

    def _write(self, sampler: Any, beams: int, token: Any, place: Any, group: Any) -> Any:
        model, c, count = self.model, self.model.config, token.shape[0]
        x = model.embedding(token) * c.width**0.5 + model.places(place)
        for layer in self.encoder:
            x = layer(x, padding_mask=group > 0)
        memory, real = model.last[0](x), group > 0
        empty = (count, 2, self.length, c.heads, c.width // c.heads)
        caches = [ops.zeros(empty) for _ in self.decoder]
        # The sampler repeats these caches for its beams; what else a step needs is repeated here.
        crosses = [ops.repeat(self._crossed(layer, memory), beams, axis=0) for layer in self.decoder]
        memory, real = ops.repeat(memory, beams, axis=0), ops.repeat(real, beams, axis=0)
        barred = ops.where(ops.arange(c.vocabulary) < 3, NEVER, 0.0)

        def following(prompt: Any, cache: Any, index: Any) -> tuple[Any, None, Any]:
            last = ops.slice(prompt, [0, index - 1], [prompt.shape[0], 1])
            x, kept = model.embed_target(last, index - 1), []
            for layer, own, cross in zip(self.decoder, cache, crosses, strict=True):
                x, own, _ = layer(
                    x, memory, encoder_padding_mask=real,
                    self_attention_cache=own, self_attention_cache_update_index=index - 1,
                    cross_attention_cache=cross,
                )  # fmt: skip
                kept.append(own)
            words = ops.matmul(model.last[1](x), ops.transpose(model.embedding.embeddings))
            return words[:, 0, :] + barred, None, kept

        prompt = ops.concatenate(
            [ops.full((count, 1), BEGIN, "int32"), ops.zeros((count, self.length), "int32")], axis=1
        )
        return sampler(next=following, prompt=prompt, cache=caches, index=1)

    def _crossed(self, layer: Any, memory: Any) -> Any:
        cross = layer._cross_attention_layer
        return ops.stack([cross._key_dense(memory), cross._value_dense(memory)], axis=1)


def _copy_block(layer: Any, block: Block, heads: int) -> None:
    _copy_attention(layer._self_attention_layer, block.attention, heads)
    norms = [layer._self_attention_layer_norm, layer._feedforward_layer_norm]
    if block.cross is not None:
        _copy_attention(layer._cross_attention_layer, block.cross, heads)
        norms.insert(1, layer._cross_attention_layer_norm)
    for norm, ours in zip(norms, block.norms, strict=True):
        norm.set_weights(ours.get_weights())
    layer._feedforward_intermediate_dense.set_weights(block.feed.up.get_weights())
    layer._feedforward_output_dense.set_weights(block.feed.down.get_weights())


def _copy_attention(layer: Any, ours: Any, heads: int) -> None:
    width = ours.heads * ours.size
    for dense, own in (
        (layer._query_dense, ours.query), (layer._key_dense, ours.key), (layer._value_dense, ours.value)
    ):  # fmt: skip
        kernel = np.asarray(own.kernel).reshape(width, heads, ours.size)
        dense.set_weights([kernel, np.zeros((heads, ours.size), np.float32)])
    kernel = np.asarray(ours.out.kernel).reshape(heads, ours.size, width)
    layer._output_dense.set_weights([kernel, np.zeros(width, np.float32)])


def ctranslate2(model: Transformer, sources: Sources, length: int, beams: int, threads: int) -> Run:
    """CTranslate2 in float32; all sources must have their pairs in the same places."""
    import ctranslate2 as library

    words = _words(model.config.vocabulary)
    with tempfile.TemporaryDirectory() as folder:
        spec = exported(model, sources.place[0], length, words)
        spec.validate()
        spec.optimize(quantization=None)
        spec.save(folder)
        translator = library.Translator(folder, device="cpu", compute_type="float32", intra_threads=threads)
    texts = [[words[i] for i in row] for row in sources.token]
    number = {word: i for i, word in enumerate(words)}

    def run() -> Ints:
        found = translator.translate_batch(
            texts, beam_size=beams, length_penalty=1.0, min_decoding_length=length,
            max_decoding_length=length, max_batch_size=0, suppress_sequences=[[words[PAD]], [words[BEGIN]]],
        )  # fmt: skip
        return np.array([[number[word] for word in one.hypotheses[0]] for one in found], np.int32)

    return run


def _words(vocabulary: int) -> list[str]:
    words = [f"t{i}" for i in range(vocabulary)]
    words[PAD], words[BEGIN], words[END] = "<blank>", "<s>", "</s>"
    return words


def exported(model: Transformer, places: Ints, length: int, words: list[str]) -> Any:
    """The network as a specification of CTranslate2."""
    from ctranslate2.specs import common_spec, transformer_spec

    class Spec(transformer_spec.TransformerSpec):  # type: ignore[misc]
        pass

    c = model.config
    spec = Spec.from_config(
        (c.encoder_blocks, c.decoder_blocks), c.heads, pre_norm=True, activation=common_spec.Activation.GELU
    )
    table = np.asarray(model.embedding.embeddings)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = table
    spec.decoder.projection.weight = table
    spec.encoder.position_encodings.encodings = np.asarray(model.places.embeddings)[places]
    spec.decoder.position_encodings.encodings = np.asarray(model.times.embeddings)[: length + 1]
    for part, blocks, norm in ((spec.encoder, model.encoder, 0), (spec.decoder, model.decoder, 1)):
        _set_norm(part.layer_norm, model.last[norm])
        for layer, block in zip(part.layer, blocks, strict=True):
            _set_block(layer, block)
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.add_source_bos = spec.config.add_source_eos = False
    return spec


def _set_block(layer: Any, block: Block) -> None:
    own = block.attention
    _set_norm(layer.self_attention.layer_norm, block.norms[0])
    layer.self_attention.linear[0].weight = _joined(own.query, own.key, own.value)
    layer.self_attention.linear[1].weight = _joined(own.out)
    if block.cross is not None:
        _set_norm(layer.attention.layer_norm, block.norms[1])
        parts = (block.cross.query,), (block.cross.key, block.cross.value), (block.cross.out,)
        for linear, layers in zip(layer.attention.linear, parts, strict=True):
            linear.weight = _joined(*layers)
    _set_norm(layer.ffn.layer_norm, block.norms[-1])
    for linear, dense in ((layer.ffn.linear_0, block.feed.up), (layer.ffn.linear_1, block.feed.down)):
        linear.weight, linear.bias = _joined(dense), np.asarray(dense.bias)


def _joined(*layers: Any) -> Any:
    return np.ascontiguousarray(np.concatenate([np.asarray(one.kernel).T for one in layers]))


def _set_norm(spec: Any, norm: keras.layers.LayerNormalization) -> None:
    spec.gamma, spec.beta = np.asarray(norm.gamma), np.asarray(norm.beta)
