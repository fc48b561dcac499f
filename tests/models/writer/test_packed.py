"""Products with packed weights are products, whatever the sizes, and row by row."""

from __future__ import annotations

import numpy as np
import pytest

from models.writer.packed import COLUMNS, ROWS, pack


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("inner", [1, 7, 384])
@pytest.mark.parametrize("outer", [1, COLUMNS - 1, COLUMNS, COLUMNS + 1, 5 * COLUMNS + 3])
@pytest.mark.parametrize("rows", [1, 2, 3, ROWS - 1, ROWS, ROWS + 1, 4 * ROWS + 5])
def test_a_product_is_that_of_numpy(rows: int, inner: int, outer: int) -> None:
    x, weights = drawn(rows, inner), drawn(inner, outer)
    (packed,) = pack(weights)
    wanted = x.astype(np.float64) @ weights.astype(np.float64)
    np.testing.assert_allclose(packed.under(x), wanted, atol=2e-7 * inner, rtol=1e-6)


def test_weights_packed_together_keep_apart() -> None:
    arrays = [drawn(5, 3), drawn(9, 2 * COLUMNS), drawn(3, COLUMNS + 2)]
    for weights, packed in zip(arrays, pack(*arrays), strict=True):
        x = drawn(4, len(weights))
        np.testing.assert_allclose(packed.under(x), x @ weights, atol=1e-5)
        assert packed.panels.ctypes.data % 64 == 0


def test_the_bits_of_a_row_do_not_depend_on_the_others() -> None:
    x, (packed,) = drawn(6 * ROWS + 5, 96), pack(drawn(96, 3 * COLUMNS + 1))
    together = packed.under(x)
    for low in range(len(x)):
        for rows in (1, 3, ROWS):
            assert (packed.under(x[low : low + rows]) == together[low : low + rows]).all()
