"""A trained writer: network, tokenizer and plan, from facts to candidate texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.writer.clean import FORMS, PLACEHOLDER, Pair, Plan, Source, agree, restore, slot_values, source
from models.writer.contexts import Contexts
from models.writer.prototypes import Prototype, Prototypes, from_json, to_json
from models.writer.rules import LANGUAGES
from models.writer.text import units
from models.writer.tokenizer import BEGIN, PAD, Tokenizer
from models.writer.verify import Brief

if TYPE_CHECKING:
    from models.writer.decode import Decoder
    from models.writer.host_decode import HostDecoder
    from models.writer.model import Transformer

BATCHES = (16, 32, 64, 128)
NAMED = {0, 1}  # of `Contexts.group`: words, and what names the product
NETWORK_FILES = ("weights.npz", "config.json")
FILES = (*NETWORK_FILES, "tokenizer.json", "plan.json", "contexts.json", "prototypes.json")


class Writer:
    """Loaded once; Keras is imported when the network is first asked for. `texts`: what it remembers."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        plan: Plan,
        grams: Iterable[Sequence[int]],
        files: dict[str, bytes],
        texts: Sequence[Prototype] = (),
    ) -> None:
        self.tokenizer, self.plan, self.texts, self._files = tokenizer, plan, texts, files
        self.contexts = Contexts(grams, self._groups(), self._alike())

    @staticmethod
    def of(model: Transformer, tokenizer: Tokenizer, plan: Plan, pairs: Sequence[Pair]) -> Writer:
        """`pairs`: what it has learnt from."""
        from models.writer.model import to_files

        writer = Writer(tokenizer, plan, [], to_files(model), [Prototype.of(p) for p in pairs])
        encoded = (tokenizer.encode(p.target) for p in pairs)
        writer.contexts = Contexts.of(encoded, writer.contexts.group, writer.contexts.alike)
        return writer

    def to_files(self) -> dict[str, bytes]:
        """Everything the writer is, by file name: weights as npz, the rest as JSON."""
        plan = json.dumps(asdict(self.plan) | {"forms": FORMS}, ensure_ascii=False, sort_keys=True).encode()
        contexts = json.dumps(self.contexts.grams).encode()
        tokenizer = self.tokenizer.to_json().encode()
        texts = json.dumps(to_json(self.texts), ensure_ascii=False).encode()
        return {
            **self._files,
            "tokenizer.json": tokenizer,
            "plan.json": plan,
            "contexts.json": contexts,
            "prototypes.json": texts,
        }

    @staticmethod
    def from_files(files: dict[str, bytes]) -> Writer:
        """A writer from `to_files`; `ValueError` where it was taught other placeholders than this code's."""
        tokenizer = Tokenizer.from_json(files["tokenizer.json"].decode())
        network = {name: files[name] for name in NETWORK_FILES}
        told = json.loads(files["plan.json"])
        if told.pop("forms", None) != FORMS:
            raise ValueError("plan.json: not of this code's placeholders")
        plan = Plan(**told)
        grams, texts = (json.loads(files[f"{name}.json"]) for name in ("contexts", "prototypes"))
        return Writer(tokenizer, plan, grams, network, from_json(texts))

    @cached_property
    def sizes(self) -> dict[str, Any]:
        """Of the network, by the names of `ModelConfig`."""
        return dict(json.loads(self._files["config.json"]))

    @cached_property
    def model(self) -> Transformer:
        from models.writer.model import from_files

        return from_files(self._files)

    @cached_property
    def decoder(self) -> Decoder | HostDecoder:
        from models.writer.search import searcher

        return searcher(self.model)

    def ask(self, brief: Brief) -> Source:
        """What the network is given of a product: the attributes that people mention most."""
        return source(brief, self.plan.choose(brief))

    def candidates(
        self, briefs: Sequence[Brief], track: Callable[[Iterator[Any]], Iterator[Any]] = iter
    ) -> list[list[str]]:
        """Texts for every product, best first, in the order given; all briefs are of one language.

        Those come first that tell most of what was asked for; of them, what people wrote for products that
        are alike, then the likelier ones.
        """
        from models.writer.decode import Constraints, batches
        from models.writer.encode import encode_source, pad_sources, padded

        if not briefs:
            return []
        phrases = self._banned(briefs[0].masked)
        forms = [dict(slot_values(b)) for b in briefs]
        asked = [self.ask(b) for b in briefs]
        sources = [encode_source(s, self.tokenizer) for s in asked]
        texts: list[list[str]] = [[] for _ in briefs]
        for chunk in track(batches([len(s) for s in sources], BATCHES[-1])):
            # Few shapes: a short batch is filled up with its first product.
            rows = chunk + [chunk[0]] * (padded(len(chunk), BATCHES) - len(chunk))
            allowed = np.stack([self._allowed(forms[i]) for i in rows])
            batch = pad_sources([sources[i] for i in rows])
            found = self.decoder.search(batch, Constraints(allowed, phrases, self.contexts))
            for i, beams in zip(chunk, found, strict=False):
                remembered = self._remembered(briefs[i], asked[i], forms[i])
                drafts = sorted(
                    [*remembered, *map(self.tokenizer.decode, beams)], key=self._told, reverse=True
                )
                written = (restore(agree(draft, forms[i]), forms[i]).strip() for draft in drafts)
                texts[i] = list(dict.fromkeys(t for t in written if t))
        return texts

    def _remembered(self, brief: Brief, asked: Source, forms: dict[str, str]) -> list[str]:
        """Texts with placeholders of products that are alike."""
        own = frozenset(u for s in brief.evidence.facts.strings() for u in units(s))
        return list(self._prototypes[asked.language].find(asked, forms, own))

    def _told(self, draft: str) -> int:
        """How many of the attributes that were asked for a text with placeholders tells."""
        slots = (self._specials.get(p) for p in PLACEHOLDER.findall(draft))
        groups = {int(self.contexts.group[token]) for token in slots if token is not None}
        return len(groups - NAMED)

    @cached_property
    def _prototypes(self) -> dict[str, Prototypes]:
        return {name: Prototypes(t for t in self.texts if t.language == name) for name in LANGUAGES}

    def _groups(self) -> NDArray[np.int32]:
        """0 for words, 1 for name, brand and kind, one number for all forms of an attribute's value."""
        group = np.zeros(len(self.tokenizer), np.int32)
        numbers: dict[str, int] = {}
        for slot, token in self._specials.items():
            name = slot[3:-1] if slot[1:3] in ("v:", "l:", "n:") else ""
            group[token] = 2 + numbers.setdefault(name, len(numbers)) if name else 1
        return group

    def _alike(self) -> NDArray[np.int32]:
        """Which number of a title it is, first or third, is no matter to what may stand beside it."""
        found = np.arange(len(self.tokenizer), dtype=np.int32)
        numbers = [token for slot, token in self._specials.items() if slot.startswith("⟦t:")]
        found[numbers] = min(numbers, default=0)
        return found

    def _allowed(self, forms: Iterable[str]) -> NDArray[np.bool_]:
        """Words, and the placeholders that this product has a value for; no bytes, no control tokens, and no
        digits: a number is a value, or stands in one or in the title.
        """
        allowed = self._words.copy()
        for slot in forms:
            if slot in self._specials:
                allowed[self._specials[slot]] = True
        return allowed

    @cached_property
    def _specials(self) -> dict[str, int]:
        return {s: self.tokenizer.special(s) for s in self.tokenizer.specials}

    @cached_property
    def _words(self) -> NDArray[np.bool_]:
        words = np.ones(len(self.tokenizer), bool)
        words[[PAD, BEGIN]] = False
        words[list(self.tokenizer.byte_ids)] = False
        words[list(self._specials.values())] = False
        words[[i for d in "0123456789" for i in self.tokenizer.encode(d)]] = False
        return words

    def _banned(self, phrases: Iterable[str]) -> list[list[int]]:
        """Banned phrases as the tokenizer cuts them: at the start of a text, and behind a space."""
        found = {}
        for phrase in phrases:
            for form in (phrase, phrase.capitalize(), f" {phrase}", f" {phrase.capitalize()}"):
                ids = self.tokenizer.encode(form)
                if not any(i in self.tokenizer.byte_ids for i in ids):
                    found[tuple(ids)] = list(ids)
        return list(found.values())
