"""Settings that had other names in files of earlier versions."""

from typing import Any

RENAMED = {
    "mode_steps": "zero_latent_steps",
    "mode_weight": "zero_latent_weight",
    "mode_rate": "zero_latent_rate",
}


def with_current_names(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a recipe, a run or a compiled flow under the names of this version.

    >>> with_current_names({"mode_steps": 250, "seed": 0})
    {'zero_latent_steps': 250, 'seed': 0}
    """
    return {RENAMED.get(name, name): value for name, value in settings.items()}
