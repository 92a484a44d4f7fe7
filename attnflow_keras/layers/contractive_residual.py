"""Residual layers that are invertible because their branch is a contraction."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.bijectors import ContractiveResidual as Bijector
from attnflow_keras.core.checks import check_integer, check_number
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.networks.contractive import ContractiveNet
from attnflow_keras.ops import log_det_series
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

# Arguments as they stand in a configuration.
OWN = ("terms", "probes", "certain_terms", "survival", "tolerance", "seed")


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ContractiveResidual(FlowLayer):
    """``y = x + g(x)`` with a contraction g (i-ResNet, arXiv:1811.00995; Residual Flow).

    The log-determinant is a power series in g's Jacobian J. Outside of training it is truncated
    after ``terms`` terms, with an error of at most ``D L^(terms+1) / ((terms+1) (1-L))`` nats for D
    dimensions and ``L = branch.lipschitz``. Traces are exact with ``probes=None``, at D products
    with J per term; otherwise they are estimated with random sign vectors. In training the
    log-determinant is an unbiased estimate from one vector and a random number of terms, see
    :func:`attnflow_keras.ops.log_det_series.roulette`, with the noise of the step.

    The inverse is a fixed-point iteration, see the bijector of the same name.

    >>> layer = layers.ContractiveResidual(networks.ContractiveConvNet(width=8))
    >>> x = np.ones((2, 4, 4, 3), "float32")
    >>> y, log_det = layer(x)
    >>> back, _ = layer(y, inverse=True)
    >>> bool(np.allclose(back, x, atol=1e-4))
    True

    Args:
        branch: g.
        terms: terms of the series outside of training.
        probes: number of sign vectors per trace outside of training; None for exact traces.
        certain_terms: number of terms that are always computed in training.
        survival: probability of each further term; the variance of the estimate is finite if it is
            above the square of J's norm.
        tolerance: relative tolerance of the inverse; by default 16 units of rounding.
        seed: seed of the probes, if the flow provides none that depend on the image.
        **kwargs: arguments of :class:`FlowLayer`; the layer takes no condition.
    """

    takes_noise = True

    def __init__(
        self,
        branch: ContractiveNet,
        terms: int = 20,
        probes: int | None = None,
        certain_terms: int = 2,
        survival: float = 0.5,
        tolerance: float | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(branch, ContractiveNet):
            raise ValueError(
                "branch must be a ContractiveNet, such as ContractiveConvNet of "
                f"attnflow_keras.networks; got {type(branch).__name__}"
            )
        if self.condition_channels:
            raise ValueError(
                "condition_channels must be 0, ContractiveResidual takes no condition; got "
                f"{self.condition_channels}"
            )
        self.branch = branch
        self.terms = check_integer("terms", terms)
        self.probes = check_integer("probes", probes, none=True)
        self.certain_terms = check_integer("certain_terms", certain_terms, 0)
        self.survival = check_number("survival", survival, "(0, 1)")
        self.tolerance = check_number("tolerance", tolerance, "(0, 1)", none=True)
        self.seed = check_integer("seed", seed, 0)

    def build_map(self, shape: tuple[int, int, int]) -> None:
        if not self.branch.built:  # a deserialized one is
            self.branch.build((None, *shape))
        self.any_size = self.branch.any_size

    @property
    def caveat(self) -> str | None:
        if self.probes is None:
            return None
        return (
            "the log-determinant is an estimate from random vectors, and so is every score of "
            "the flow; probes=None has exact traces"
        )

    def transform(
        self, x: Tensor, condition: Any, inverse: bool, noise: Any = None
    ) -> tuple[Tensor, Tensor]:
        bijector = self._bijector(noise)
        return bijector.inverse_and_log_det(x) if inverse else bijector.forward_and_log_det(x)

    def _bijector(self, noise: Any) -> Bijector:
        """The layer's map; ``noise`` is that of a training step, or :class:`ImageSigns`."""

        def log_det(branch: Any, x: Tensor) -> Tensor:
            if isinstance(noise, StepNoise):
                return log_det_series.roulette(branch, x, noise, self.certain_terms, self.survival)
            exact = self.probes is None
            probes = log_det_series.unit_vectors(x) if exact else self._signs(x, noise)
            return log_det_series.truncated(branch.linear_at(x), probes, self.terms, exact)

        return Bijector(self.branch.branch(), self.branch.lipschitz, log_det, self.tolerance)

    def _signs(self, x: Tensor, noise: Any) -> Tensor:
        if noise is not None:
            return ops.stack([noise.signs(ops.shape(x), x.dtype) for _ in range(self.probes)])
        return log_det_series.fixed_signs(self.seed, self.probes, x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "branch": keras.saving.serialize_keras_object(self.branch),
            **{name: getattr(self, name) for name in OWN},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ContractiveResidual":
        config = dict(config)
        config["branch"] = keras.saving.deserialize_keras_object(config["branch"])
        return cls(**config)
