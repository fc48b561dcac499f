"""What differs between the backends that Keras runs on; everything else is `keras.ops`."""

from __future__ import annotations

from typing import Any

import keras


def compiled(function: Any) -> Any:
    """The function as a graph of the backend in use."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

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
        # TensorFlow's graph optimiser orders sums by addresses: weights would differ in their last bits from
        # process to process. Without it a step takes the same time.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
