"""CSV lines that open a quoted field and do not close it: the sign of fields with line breaks."""

from __future__ import annotations

import numpy as np

QUOTE, LINE_END = b'"', b"\n"
# Lines with an odd number of quotes that are looked at one by one; what comes after is taken to be alike.
MOST_ODD = 10_000
# Bytes of an unfinished line that are kept; of a longer one the rest is not looked at.
MOST_BYTES = 16 << 20


class OpenQuotes:
    """Counts them while a file streams by. `lines`: how many were looked through; `opened`: how many of these
    are such lines; `first`: the number of the first, from 1.

    delimiter: as the file's bytes have it.
    """

    def __init__(self, delimiter: bytes) -> None:
        self.delimiter = delimiter
        self.lines = self.opened = self.first = 0
        self._odd = 0
        self._rest: list[bytes] = []
        self._kept = 0

    def feed(self, block: bytes) -> None:
        """The next bytes of the file; empty at its end."""
        cut = block.rfind(LINE_END) + 1 if block else 0
        if block and not cut:
            self._keep(block)
            return
        whole = b"".join((*self._rest, block[:cut] or LINE_END))
        self._rest, self._kept = [], 0
        self._keep(block[cut:])
        if self._odd < MOST_ODD:
            if QUOTE in whole:
                self._look(whole)
            self.lines += whole.count(LINE_END)

    def _keep(self, rest: bytes) -> None:
        if rest and self._kept < MOST_BYTES:
            self._rest.append(rest)
            self._kept += len(rest)

    def _look(self, whole: bytes) -> None:
        marks = np.frombuffer(whole, np.uint8)
        ends = np.flatnonzero(marks == LINE_END[0])
        starts = np.append(0, ends[:-1] + 1)
        quotes = np.add.reduceat(marks == QUOTE[0], starts, dtype=np.int64)
        for number in np.flatnonzero(quotes % 2):
            if self._odd >= MOST_ODD:
                return
            self._odd += 1
            if opens(whole[starts[number] : ends[number]], self.delimiter):
                self.opened += 1
                self.first = self.first or self.lines + int(number) + 1


def opens(line: bytes, delimiter: bytes) -> bool:
    """Whether a field of the line begins with a quote that nothing closes: `1,"tea` does, `1,5" pipe` not."""
    at = 0
    while True:
        if line[at : at + 1] == QUOTE:
            at = line.find(QUOTE, at + 1)
            while at >= 0 and line[at + 1 : at + 2] == QUOTE:
                at = line.find(QUOTE, at + 2)
            if at < 0:
                return True
        at = line.find(delimiter, at)
        if at < 0:
            return False
        at += len(delimiter)
