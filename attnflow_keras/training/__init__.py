"""Training runs: recipes, data order, checkpoints, curves."""

from typing import TYPE_CHECKING, Any

from attnflow_keras.training.recipe import Recipe

if TYPE_CHECKING:
    from attnflow_keras.training.devices import on_devices
    from attnflow_keras.training.run import train

__all__ = ["Recipe", "on_devices", "train"]


def __getattr__(name: str) -> Any:
    # The command line shows a recipe's settings without importing TensorFlow.
    if name == "train":
        import attnflow_keras._quiet_import  # noqa: F401
        from attnflow_keras.training.run import train

        return train
    if name == "on_devices":
        from attnflow_keras.training.devices import on_devices

        return on_devices
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
