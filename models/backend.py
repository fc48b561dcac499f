"""What differs between the backends that Keras runs on; everything else is `keras.ops`."""

from __future__ import annotations

from typing import Any

import keras


def compiled(function: Any) -> Any:
    """The function as a graph of the backend in use."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        fix_order_of_sums()
        return tf.function(function, reduce_retracing=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def make_deterministic(seed: int, ops: bool = True) -> None:
    """Seeds of Python, NumPy and the backend, and a fixed order of sums.

    ops: TensorFlow's deterministic operations too. Keras compiles nothing by XLA while they are on, and a
    step takes twice as long; dense networks on a CPU give the same bytes without them, in every process.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if ops:
            tf.config.experimental.enable_op_determinism()
    fix_order_of_sums()


def fix_order_of_sums() -> None:
    """The same bytes in every process, whether it trains or only scores.

    TensorFlow's graph optimiser orders sums by addresses: weights and scores would differ in their last bits
    from process to process. Without it a step takes the same time.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
