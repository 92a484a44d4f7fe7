"""What a network must be to give a layer its parameters."""

from typing import Any

import keras

Tensor = Any


class Conditioner(keras.layers.Layer):
    """Base of the networks of couplings and of other layers that have one.

    It maps ``(n, h, w, c)`` to ``(n, h, w, out_channels)``. The layer that owns it sets
    ``out_channels`` and builds it. A subclass gives ``call``, and :meth:`build_network` instead
    of ``build``; one that draws noise in training, such as dropout, has a ``noise`` argument in
    its ``call``, which :attr:`takes_noise` declares.

    >>> class Linear(networks.Conditioner):
    ...     def build_network(self, shape):
    ...         self.kernel = self.add_weight((shape[-1], self.out_channels), "zeros")
    ...
    ...     def call(self, x):
    ...         return keras.ops.matmul(x, self.kernel)
    >>> layer = layers.AffineCoupling(Linear())
    >>> y, log_det = layer(np.ones((2, 4, 4, 6), "float32"))

    Args:
        out_channels: channels of the output; the layer sets it before it builds the network.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    # Whether maps of another height and width than at build time can pass.
    any_size = True

    # Whether it draws noise in training; only then it is called with ``noise=``.
    takes_noise: Any = False

    def __init__(self, out_channels: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.out_channels: Any = out_channels

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs ``(n, h, w, c)``."""
        if self.out_channels is None:
            raise ValueError(f"{self.name}: out_channels must be set before the network is built")
        self.build_network(tuple(input_shape))
        self.built = True

    def build_network(self, shape: Any) -> None:
        """Create the weights for inputs ``(n, h, w, c)`` and the ``out_channels`` known by now."""
        raise NotImplementedError(f"{type(self).__name__} does not define build_network")

    def adapt(self, x: Tensor) -> None:
        """Set what a network sets from a batch of inputs, if it does."""

    def start_at(self, vector: Any) -> None:
        """Let the network give this vector, float ``(out_channels,)``, for any input at first."""
        raise NotImplementedError(f"{type(self).__name__} does not define start_at")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:3], self.out_channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "out_channels": self.out_channels}
