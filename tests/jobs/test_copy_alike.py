"""What the report says of alike descriptions is found in a moment, however large the groups are."""

from __future__ import annotations

import time

from jobs.copy_alike import _Findings
from models.writer.alike import Shelf


def test_large_groups_of_alike_texts_are_noted_in_a_moment() -> None:
    """No time in the square of a group's size: one wording may hold a whole category."""
    size = 20_000
    shelf = Shelf(0.8, size)
    shelf.families = [str(i) for i in range(2 * size + 1)]
    # Two chains, the larger one last, so that its pairs stand behind those of the other.
    links = [*range(size - 1), *range(size, 2 * size)]
    shelf.pairs = [(i, i + 1, 0.9) for i in links]
    rows = [{"block": 0, "product_id": f"p{i}", "rank": 0} for i in range(2 * size + 1)]
    found = _Findings("en")
    start = time.thread_time()
    found._note("Mugs", rows, shelf, 1)
    assert time.thread_time() - start < 2
    assert [(n, pair[0]) for n, _, pair, _ in found.largest] == [
        (size + 1, (0, f"p{size}", 0)),
        (size, (0, "p0", 0)),
    ]
