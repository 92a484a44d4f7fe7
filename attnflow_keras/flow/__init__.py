"""What every flow can do: train, score, encode, decode, save, diagnose.

:class:`Flow` is exported by :mod:`attnflow_keras.models`, beside the models that subclass it.
"""

import attnflow_keras._quiet_import  # noqa: F401
