"""What differs between the backends that Keras runs on; everything else is `keras.ops`."""

from __future__ import annotations

from typing import Any

import keras


def compiled(function: Any, any_size: bool = False, xla: bool = False) -> Any:
    """The function as a graph of the backend in use.

    any_size: one graph for arguments of all sizes, where the backend has such graphs; all arguments are
    arrays, or lists and tuples of them, whose ranks, types and nesting are those of the first call.
    xla: compiled anew for every size, which takes seconds, and faster from then on; the default of JAX.
    """
    if keras.backend.backend() == "tensorflow":
        fix_order_of_sums()
        options = {"jit_compile": True} if xla else {}
        if any_size:
            return _Graph(function, options)
        return _graph(function, reduce_retracing=True, **options)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def has_gpu() -> bool:
    """Whether the backend in use sees a GPU."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "gpu")
    return False


class _Graph:
    """A TensorFlow function that is traced once, at its first call, for every size."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        self._function, self._options = function, options
        self._traced: Any = None

    def __call__(self, *args: Any) -> Any:
        if self._traced is None:
            import tensorflow as tf

            specs = tf.nest.map_structure(
                lambda a: tf.TensorSpec([None] * len(a.shape), keras.backend.standardize_dtype(a.dtype)), args
            )
            options = {"input_signature": specs, "autograph": False, **self._options}
            self._traced = _graph(self._function, **options)
        return self._traced(*args)


def _graph(function: Any, **options: Any) -> Any:
    import tensorflow as tf

    return tf.function(function, **options)


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
