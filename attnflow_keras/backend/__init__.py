"""What differs between Keras' backends; everything else is written in ``keras.ops``.

The modules ``on_tensorflow`` and ``on_jax`` define the same names. Import these from here:

- ``tfb``, ``tfd``: TensorFlow Probability's bijectors and distributions for the backend.
- ``FIXED_BATCH``: whether compiled functions always take a fixed batch.
- ``READS_BY_TF_DATA``: whether ``fit`` reads Python's data sources through tf.data.
- ``SEED_DTYPE``: dtype of random seeds in a graph.
- ``start_values()``: context in which flows draw the start values of their weights.
- ``check_dtype(name)``: refuse a dtype policy that the backend cannot compute in as it is set up.
- ``jit_compile(wanted)``: what to give to ``keras.Model.compile``.
- ``compile_function``, ``is_traced``, ``runs_eagerly``: see ``flow/compiled.py``.
- ``repeat``, ``scan``: loops of a graph, see ``ops/loops.py``.
- ``mean``, ``floor``, ``tanh``, ``arctanh``, ``sinh``, ``arcsinh``, ``LayerNormalization``: those
  of Keras, exact in float64 too.
- ``step_in(optimizer, variables)``: the step number inside a training step, if it is an argument.
- ``replicas()``: replicas that work on one batch together.
- ``devices``: the module ``jax_devices`` or ``tensorflow_devices``, see ``training/devices.py``.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from attnflow_keras.backend import on_tensorflow as _backend
elif keras.backend.backend() == "jax":
    from attnflow_keras.backend import on_jax as _backend  # type: ignore[no-redef]
else:
    raise ImportError(
        "Keras' backend must be tensorflow or jax; got "
        f"{keras.backend.backend()}: set KERAS_BACKEND before Keras is imported"
    )

tfb, tfd = _backend.tfb, _backend.tfd

FIXED_BATCH = _backend.FIXED_BATCH
READS_BY_TF_DATA = _backend.READS_BY_TF_DATA
SEED_DTYPE = _backend.SEED_DTYPE

start_values = _backend.start_values
check_dtype = _backend.check_dtype
jit_compile = _backend.jit_compile
compile_function = _backend.compile_function
is_traced = _backend.is_traced
runs_eagerly = _backend.runs_eagerly
repeat = _backend.repeat
scan = _backend.scan
mean, floor = _backend.mean, _backend.floor
tanh, arctanh = _backend.tanh, _backend.arctanh
sinh, arcsinh = _backend.sinh, _backend.arcsinh
LayerNormalization = _backend.LayerNormalization
step_in = _backend.step_in
replicas = _backend.replicas
devices = _backend.devices
