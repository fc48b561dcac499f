"""A pretrained language model as the writer: a local keras-hub preset with adapters fine-tuned for the shop.

The base stays where it is, and is never changed: what is kept of a trained
writer are its low-rank adapters, by variable path, and the hash of the base
that they belong to. This module imports Keras only when the model is asked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.writer.clean import Pair, Plan, Source, source
from models.writer.text import clean_string, units
from models.writer.verify import Brief, covers

if TYPE_CHECKING:
    from models.writer.preset_base import Base
    from models.writer.preset_search import BeamSearch

ADAPTERS = "adapters.npz"
FILES = (ADAPTERS, "adapters.json", "plan.json")
RANK = 8
BATCHES = (4, 8, 16)
INSTALL = "pip install 'nightshelf[preset]'"
# How a prompt names what is no attribute; another language than these is prompted in English words.
LABELS = {
    "en": {"name": "name", "kind": "kind", "brand": "brand"},
    "zh": {"name": "名称", "kind": "类别", "brand": "品牌"},
}
_KEYS = {"base", "rank", "task"}

Adapters = dict[str, NDArray[np.float32]]


class PresetError(Exception):
    """A preset that cannot be used: one sentence that says what is wrong and how to mend it."""


def check_installed() -> None:
    """`PresetError` where the optional extra is not installed; imports nothing."""
    try:
        found = importlib.util.find_spec("keras_hub")
    except ValueError:
        found = None
    if found is None:
        raise PresetError(f"backend 'preset' needs keras-hub, which is not installed: {INSTALL}")


@dataclass(frozen=True)
class About:
    """What adapters belong to: hash of the base, rank, and the base's class (such as `GPT2CausalLM`)."""

    base: str
    rank: int
    task: str


def preset_hash(folder: str | Path) -> str:
    """SHA-256 over a preset's configs, vocabulary and weights, by path inside the folder.

    Its metadata (date and version of the tool that saved it) and notes for people are left out. Raises
    `PresetError` where the folder is no preset.
    """
    root = Path(folder).expanduser()
    if not (root / "config.json").is_file():
        raise PresetError(
            f"preset '{folder}': no folder with a config.json; give the folder that keras-hub's "
            "save_to_preset() wrote"
        )
    found = hashlib.sha256()
    for file in sorted(p for p in root.rglob("*") if p.is_file()):
        name = file.relative_to(root).as_posix()
        if name == "metadata.json" or not (name.endswith((".json", ".h5")) or name.startswith("assets/")):
            continue
        state = file.stat()
        content = _file_hash(file, state.st_size, state.st_mtime_ns)
        found.update(f"{name}\0{content}\n".encode())
    return found.hexdigest()


@lru_cache(maxsize=1024)
def _file_hash(file: Path, size: int, changed: int) -> str:
    """Weights are gigabytes: a file that has not changed is read once a process."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def prompt(asked: Source, brief: Brief) -> str:
    """Attributes as one line of text: what the language model reads of a product."""
    labels = LABELS.get(asked.language, LABELS["en"])
    parts = [asked.language]
    for name, value in asked.pairs:
        slot = name.strip("⟦⟧")
        said = {"name": brief.shown.title, "brand": brief.shown.brand}.get(slot, value)
        parts.append(f"{labels.get(slot) or slot.removeprefix('v:')}: {said}")
    return "; ".join(parts) + "\n"


def fitting_prompt(asked: Source, brief: Brief, fits: Callable[[str], bool]) -> str:
    """The prompt, without the last attributes where it would be too long for the model."""
    pairs = asked.pairs
    text = prompt(asked, brief)
    while len(pairs) > 1 and not fits(text):
        pairs = pairs[:-1]
        text = prompt(Source(asked.language, pairs), brief)
    return text


class PresetWriter:
    """The same interface as `models.writer.writer.Writer`: candidates for briefs, and files."""

    def __init__(self, folder: str | Path, about: About, plan: Plan, adapters: Adapters) -> None:
        self.folder, self.about, self.plan, self.adapters = Path(folder), about, plan, adapters
        self._searches: dict[tuple[str, ...], BeamSearch] = {}

    @cached_property
    def base(self) -> Base:
        """The base model; one is shared by all writers of a process that have the same."""
        from models.writer.preset_base import open_base

        return open_base(self.folder, self.about.base, self.about.rank)

    def to_files(self) -> dict[str, bytes]:
        """Adapters as npz by variable path (never pickled), the rest as JSON; nothing of the base."""
        buffer = io.BytesIO()
        np.savez(buffer, **{path: self.adapters[path] for path in sorted(self.adapters)})  # type: ignore[arg-type]
        about = json.dumps(asdict(self.about), sort_keys=True).encode()
        plan = json.dumps(asdict(self.plan), ensure_ascii=False, sort_keys=True).encode()
        return {ADAPTERS: buffer.getvalue(), "adapters.json": about, "plan.json": plan}

    @staticmethod
    def from_files(files: dict[str, bytes], folder: str | Path) -> PresetWriter:
        """A writer from `to_files`, on the base in the folder.

        Raises `PresetError` where the folder holds another base or none, `ValueError` for broken files.
        """
        told = json.loads(files["adapters.json"])
        if not isinstance(told, dict) or set(told) != _KEYS:
            raise ValueError("adapters.json: not of this code")
        about = About(**told)
        _expect(about, folder)
        with np.load(io.BytesIO(files[ADAPTERS]), allow_pickle=False) as stored:
            adapters = {path: stored[path] for path in stored.files}
        return PresetWriter(folder, about, Plan(**json.loads(files["plan.json"])), adapters)

    def ask(self, brief: Brief) -> Source:
        """What the model is asked to tell of a product: the attributes that people mention most."""
        return source(brief, self.plan.choose(brief))

    def candidates(
        self, briefs: Sequence[Brief], track: Callable[[Iterator[Any]], Iterator[Any]] = iter
    ) -> list[list[str]]:
        """Texts for every product, best first, in the order given; all briefs are of one language."""
        from models.writer.decode import batches
        from models.writer.encode import padded

        if not briefs:
            return []
        self.base.use(self.adapters)
        search = self._search(briefs[0].masked)
        asked = [self.ask(b) for b in briefs]
        prompts = [fitting_prompt(s, b, self.base.fits) for s, b in zip(asked, briefs, strict=True)]
        encoded = self.base.encode(prompts)
        texts: list[list[str]] = [[] for _ in briefs]
        for chunk in track(batches([e.length for e in encoded], BATCHES[-1])):
            # Few shapes: a short batch is filled up with its first product.
            rows = chunk + [chunk[0]] * (padded(len(chunk), BATCHES) - len(chunk))
            found = self.base.search([encoded[i] for i in rows], search)
            for i, beams in zip(chunk, found, strict=False):
                written = (clean_string(self.base.decode(ids)) for ids in beams)
                texts[i] = _most_told(written, asked[i])
        return texts

    def _search(self, masked: tuple[str, ...]) -> BeamSearch:
        """The search that never writes these phrases; its graph is kept."""
        from models.writer.preset_search import BeamSearch

        if masked not in self._searches:
            base = self.base
            self._searches[masked] = BeamSearch(base.never, base.ends, base.phrases(masked), base.max_new)
        return self._searches[masked]


def _expect(about: About, folder: str | Path) -> None:
    """`PresetError` unless the folder holds the base that the adapters were trained on."""
    wanted = f"the writer's adapters belong to a {about.task} preset with hash {about.base[:12]}"
    how = "give its folder by --preset or NIGHTSHELF_WRITER_PRESET, or train a new writer"
    if not str(folder):
        raise PresetError(f"{wanted}, and no preset is given: {how}")
    found = preset_hash(folder)
    if found != about.base:
        raise PresetError(f"{wanted}, and '{folder}' holds another one, {found[:12]}: {how}")


def _most_told(written: Iterable[str], asked: Source) -> list[str]:
    """Texts without repeats: those first that tell most of what was asked for, then the likelier ones."""
    values = [v for name, v in asked.pairs if name.startswith("⟦v:")]

    def told(text: str) -> int:
        said = units(text)
        return sum(covers(said, v) for v in values)

    return sorted(dict.fromkeys(t for t in written if t), key=lambda t: -told(t))


def prompts_of(pairs: Sequence[tuple[Pair, Brief]], fits: Callable[[str], bool]) -> list[str]:
    """Training prompts: only what the text says, so that the model learns to say all that it is given."""
    return [fitting_prompt(pair.source, brief, fits) for pair, brief in pairs]
