"""The writer's second backend: a local keras-hub preset, whose adapters are trained and kept in the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jobs.errors import BadInput
from jobs.lake.store import Store
from jobs.night import Night
from jobs.settings import Settings
from models.writer.clean import Pair
from models.writer.judge import Numbers, frequency_loss
from models.writer.preset import ADAPTERS, FILES, PresetError, PresetWriter, check_installed, preset_hash
from models.writer.verify import Brief

Pairs = Sequence[tuple[Pair, Brief]]


@contextmanager
def as_bad_input() -> Iterator[None]:
    """What is wrong with a preset is wrong with the settings: exit code 2, one sentence."""
    try:
        yield
    except PresetError as error:
        raise BadInput(str(error)) from error


def base_hash(settings: Settings) -> str:
    """Hash of the preset that the settings name; "" where the backend is another. Raises `BadInput`."""
    if settings.writer_backend != "preset":
        return ""
    if not settings.writer_preset:
        raise BadInput(
            "backend 'preset' needs the folder of a keras-hub preset: --preset DIR, or the setting "
            "NIGHTSHELF_WRITER_PRESET"
        )
    with as_bad_input():
        check_installed()
        return preset_hash(settings.writer_preset)


def is_kept(store: Store, where: str) -> bool:
    """Whether the model kept there is a preset's adapters."""
    return store.exists(f"{where}/{ADAPTERS}")


def load(store: Store, where: str, folder: str) -> PresetWriter:
    """The writer kept there, on the preset in the folder; `BadInput` where that is not its base."""
    with as_bad_input():
        check_installed()
        return PresetWriter.from_files({name: store.read(f"{where}/{name}") for name in FILES}, folder)


def fit(night: Night, pairs: Pairs, start: PresetWriter | None) -> tuple[PresetWriter, list[float]]:
    """Train adapters on the pairs; from those of `start` with half the steps."""
    from models.writer.preset_train import train_preset

    s = night.settings
    steps = max(1, s.writer_steps // 2) if start else s.writer_steps
    with as_bad_input():
        return train_preset(
            s.writer_preset,
            pairs,
            steps,
            s.writer_batch,
            s.seed,
            start=start,
            track=lambda items: night.track(items, "fine-tuning the writer", steps),
        )


def losses(night: Night, writer: PresetWriter, known: Pairs, held: Pairs) -> Numbers:
    """Held-out cross-entropy per token, in nats: the model's, and that of word frequencies."""
    from models.writer.preset_train import token_loss

    learnt, asked = ([writer.base.target(p.text) for p, _ in part] for part in (known, held))
    loss = token_loss(writer, held, night.settings.writer_batch)
    floor = frequency_loss(learnt, asked, writer.base.vocabulary)
    return {"loss": round(loss, 4), "frequency_loss": round(floor, 4)}
