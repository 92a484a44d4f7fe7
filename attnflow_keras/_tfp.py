"""The one module that imports TensorFlow Probability.

TFP has one build of its bijectors for each array library. Everything else in the
package takes ``tfb`` and ``tfd`` from here, so that the backend is picked once.
"""

import keras

if keras.backend.backend() == "jax":
    from tensorflow_probability.substrates.jax import bijectors as tfb
    from tensorflow_probability.substrates.jax import distributions as tfd
else:
    from tensorflow_probability import bijectors as tfb
    from tensorflow_probability import distributions as tfd

__all__ = ["tfb", "tfd"]
