"""The attentions as models choose them: one a step, at one of four positions."""

from typing import Any

from attnflow_keras import layers
from attnflow_keras.core.checks import check_choice
from attnflow_keras.flow.arguments import check_options
from attnflow_keras.layers.masks import MASKS

ATTENTIONS: dict[Any, Any] = {"imap": layers.IMapAttention, "itrans": layers.ITransAttention}
POSITIONS = (1, 2, 3, 4)
# What models set themselves, so that the options can't.
OWN = ("mask", "heads", "grid", "seed", "condition_channels")


def check_attention(
    attention: Any, position: Any, mask: Any, heads: Any, options: dict[str, Any] | None
) -> None:
    """Raise ValueError for a wrong choice, or for options of an attention that is not there."""
    check_choice("attention", attention, (None, *ATTENTIONS))
    check_choice("position", position, POSITIONS)
    check_choice("mask", mask, MASKS)
    if attention != "itrans" and heads != 1:
        raise ValueError(f"heads is an option of attention='itrans'; got heads={heads}")
    if attention is None and options:
        raise ValueError(f"attention_options need an attention; got {options}")
    check_options("attention_options", options, ATTENTIONS.get(attention), OWN)


def with_attention(
    parts: dict[str, layers.FlowLayer],
    config: dict[str, Any],
    grid: tuple[int, int],
    seed: int,
    **own: Any,
) -> dict[str, layers.FlowLayer]:
    """The layers of a step with the attention among them.

    Args:
        parts: the layers in order: actnorm, 1x1 convolution, and couplings, after all of which
            position 4 lies.
        config: the model's ``attention`` (None, ``"imap"`` or ``"itrans"``), ``position`` (1 before
            actnorm, 2 after it, 3 after the 1x1 convolution, 4 at the end), ``mask``, ``heads`` and
            ``attention_options``.
        grid: grid of iTrans at this level.
        seed: seed of a random mask.
        **own: arguments of the attention that the model sets itself.
    """
    attention, position = config["attention"], config["position"]
    if attention is None:
        return parts
    options = {"mask": config["mask"], "seed": seed, **config["attention_options"], **own}
    if attention == "itrans":
        options |= {"heads": config["heads"], "grid": grid}
    ordered = list(parts.items())
    place = position - 1 if position < 4 else len(ordered)
    ordered.insert(place, ("attention", ATTENTIONS[attention](**options)))
    return dict(ordered)
