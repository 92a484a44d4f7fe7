"""MultiScale: encode and decode through the levels of a flow."""

from typing import Any, NamedTuple

from keras import ops

from attnflow_keras.layers.chain import Apply, adapting, calling
from attnflow_keras.layers.flow_layer import FlowLayer

Tensor = Any
Shape = tuple[int, int, int]


class Level(NamedTuple):
    """The layers of one level.

    Args:
        steps: the layers applied to the map.
        prior: maps the channels that leave the flow here to standard normals; None for a level
            where all channels continue.
    """

    steps: FlowLayer
    prior: FlowLayer | None


class LevelShapes(NamedTuple):
    """Shapes ``(h, w, c)`` at one level.

    Args:
        steps: shape of the steps' output.
        latent: shape of the latent; None at a level without a prior.
    """

    steps: Shape
    latent: Shape | None


class MultiScale:
    """Levels of a multi-scale flow (RealNVP, arXiv:1605.08803, section 3.6).

    After every level with a prior, except the last, the second half of the channels leaves as a
    latent and the first half continues. The prior is conditioned on the first half if it has
    ``condition_channels``, or on the condition if it ``reads_condition``. The last level must have
    a prior.

    This is a plain object: Keras tracks and saves the layers as attributes of their flow, under
    the names ``level_1``, ``prior_1`` and so on. Encoding, decoding, initialization and diagnosis
    all go through it; ``apply`` determines what is done at each layer.

    >>> multi_scale = layers.MultiScale([(layers.Squeeze(), priors.StandardPrior())])
    >>> multi_scale.build((4, 4, 3))
    ((2, 2, 12),)
    >>> latents, log_det = multi_scale.encode(np.zeros((2, 4, 4, 3), "float32"))
    >>> tuple(multi_scale.decode(latents).shape)
    (2, 4, 4, 3)

    >>> first = (layers.Squeeze(), priors.GaussianPrior(condition_channels=2))
    >>> second = (layers.ActNorm(), priors.StandardPrior())
    >>> multi_scale = layers.MultiScale([first, second])
    >>> multi_scale.build((4, 4, 1))
    ((2, 2, 2), (2, 2, 2))
    >>> latents, log_det = multi_scale.encode(np.ones((3, 4, 4, 1), "float32"))
    >>> image = multi_scale.decode(latents)

    Args:
        levels: ``(steps, prior)`` for each level, from the image to the top.
        shift: a layer before the first level, which gets the last part of the condition; or None.
    """

    def __init__(self, levels: list[Any], shift: FlowLayer | None = None) -> None:
        self.levels = [Level(*level) for level in levels]
        self.shift = shift
        self.shapes: list[LevelShapes] = []  # of each level, once built
        if not self.levels or self.levels[-1].prior is None:
            raise ValueError("levels must be at least one, and the last must have a prior")

    def named_layers(self) -> dict[str, FlowLayer]:
        """Name -> layer, in the order of encode."""
        found = {} if self.shift is None else {"shift": self.shift}
        for i, (steps, prior) in enumerate(self.levels, start=1):
            found[f"level_{i}"] = steps
            if prior is not None:
                found[f"prior_{i}"] = prior
        return found

    def build(self, shape: Shape) -> tuple[Shape, ...]:
        """Build all layers for images ``(h, w, c)``; returns the shapes of the latents."""
        if self.shift is not None:
            self.shift.build((None, *shape))
        self.shapes = []
        for i, (steps, prior) in enumerate(self.levels):
            steps.build((None, *shape))
            height, width, channels = shape = steps.output_map_shape(shape)
            if prior is None:
                self.shapes.append(LevelShapes(shape, None))
                continue
            kept = self._kept(channels, i)
            latent = (height, width, channels - kept)
            prior.build((None, *latent))
            self.shapes.append(LevelShapes(shape, latent))
            shape = (height, width, kept)
        return tuple(shapes.latent for shapes in self.shapes if shapes.latent is not None)

    def encode(
        self, x: Tensor, features: Any = None, apply: Apply | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Latents and log-determinant of a map.

        Args:
            x: ``(n, h, w, c)``.
            features: the layers' condition: one tensor for all levels, or a tuple with one for
                each level, followed by that of the shift if there is one.
            apply: called for the steps and the prior of each level as ``apply(layer, x,
                condition, inverse)``; returns the output and the log-determinant. By default it
                calls the layer.
        """
        apply = apply or calling()
        latents = []
        total: Tensor = 0.0
        if self.shift is not None:
            x, log_det = apply(self.shift, x, features[-1], False)
            total = total + log_det
        for i, (steps, prior) in enumerate(self.levels):
            condition = _of_level(features, i)
            x, log_det = apply(steps, x, _taken(steps, condition), False)
            total = total + log_det
            if prior is None:
                continue
            kept = self._kept(x.shape[-1], i)
            x, z = (x[..., :kept], x[..., kept:]) if kept else (None, x)
            eps, log_det = apply(prior, z, _taken(prior, condition, x), False)
            total = total + log_det
            latents.append(eps)
        return tuple(latents), total

    def decode(self, latents: Any, features: Any = None, apply: Apply | None = None) -> Tensor:
        """Map of latents, the inverse of :meth:`encode`; same arguments."""
        apply = apply or calling()
        x = None
        left = list(latents)
        for i, (steps, prior) in reversed(list(enumerate(self.levels))):
            condition = _of_level(features, i)
            if prior is not None:
                z, _ = apply(prior, left.pop(), _taken(prior, condition, x), True)
                x = z if x is None else ops.concatenate([x, z], axis=-1)
            x, _ = apply(steps, x, _taken(steps, condition), True)
        if self.shift is not None:
            x, _ = apply(self.shift, x, features[-1], True)
        return x

    def adapt(self, x: Tensor, features: Any = None) -> None:
        """Initialize every layer from one batch, in order."""
        self.encode(x, features, adapting)

    def _kept(self, channels: int, level: int) -> int:
        """How many channels continue after a level with a prior."""
        return channels // 2 if level < len(self.levels) - 1 else 0


def _of_level(features: Any, level: int) -> Any:
    if not isinstance(features, tuple):
        return features
    return features[0] if len(features) == 1 else features[level]


def _taken(layer: FlowLayer, condition: Any, kept: Tensor | None = None) -> Any:
    """The condition of a layer; for a prior, possibly the channels that continue."""
    if not layer.condition_channels:
        return None
    return condition if kept is None or layer.reads_condition else kept
