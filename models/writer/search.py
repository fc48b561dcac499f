"""Which search suits this machine and this network."""

from __future__ import annotations

from models.backend import has_gpu
from models.writer.beams import Decoding
from models.writer.decode import USUAL, Decoder
from models.writer.host_decode import HostDecoder, suits
from models.writer.model import Transformer


def searcher(model: Transformer, decoding: Decoding = USUAL) -> Decoder | HostDecoder:
    """Graphs on a GPU, and for a latent z or a copy gate; else NumPy and compiled loops."""
    if has_gpu() or not suits(model):
        return Decoder(model, decoding)
    return HostDecoder(model, decoding)
