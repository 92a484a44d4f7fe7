"""Flow++: mixture couplings with attention, and variational dequantization."""

import math
from typing import Any

import keras
import numpy as np

from attnflow_keras import layers
from attnflow_keras.core import arrays, noise
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.core.image_map import BATCH_SIZE
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow.dequantizer import Dequantizer
from attnflow_keras.flow.flow import Flow
from attnflow_keras.networks import GatedAttentionNet
from attnflow_keras.ops.step_noise import StepNoise
from attnflow_keras.priors import StandardPrior

Tensor = Any

DEQUANTIZATIONS = ("variational", "uniform")


@keras.saving.register_keras_serializable(package="attnflow_keras")
class FlowPlusPlus(Flow):
    """Flow++ (arXiv:1902.00275): mixture-CDF couplings with gated convolutions and attention.

    After a logit come ``couplings[0]`` steps on even and odd columns, then, on the squeezed map,
    ``couplings[1]`` on channel halves and ``couplings[2]`` on columns. A step is actnorm, 1x1
    convolution, :class:`MixtureCoupling` with a :class:`GatedAttentionNet`, and a swap of the
    halves. No channels leave before the end.

    **Scores of uint8 images are lower bounds** of the log-probability. With
    ``dequantization="variational"`` the noise is drawn from a flow given the image, which is
    trained with the model, and the bound is ``log p(image + noise) - log q(noise | image)`` for
    one draw. :meth:`importance_bits_per_dim` computes the tighter bound from several draws; report
    the two separately. Scores of float images are densities, and :meth:`dequantize` always adds
    uniform noise.

    >>> options = {"width": 8, "blocks": 1, "heads": 2, "components": 2}
    >>> flow = models.FlowPlusPlus((4, 4, 1), couplings=(1, 1, 1), **options)
    >>> flow.sample(1, seed=0).shape
    (1, 4, 4, 1)

    Args:
        image_shape: ``(height, width, channels)``; an even height, a width divisible by 4.
        width: hidden channels of the networks.
        blocks: blocks of a coupling's network.
        heads: heads of its attention.
        components: logistics of a mixture.
        couplings: couplings on columns, on channels of the squeezed map, on its columns.
        dropout: rate in training.
        margin: of the logit, see :class:`Logit`.
        dequantization: ``"variational"`` or ``"uniform"``.
        dequantizer_width: hidden channels of the noise's flow.
        dequantizer_couplings: its couplings.
        dequantizer_blocks: blocks of their networks.
        **kwargs: arguments of :class:`Flow`.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        width: int = 96,
        blocks: int = 10,
        heads: int = 4,
        components: int = 32,
        couplings: tuple[int, int, int] = (4, 2, 3),
        dropout: float = 0.2,
        margin: float = 0.05,
        *,
        dequantization: str = "variational",
        dequantizer_width: int = 96,
        dequantizer_couplings: int = 4,
        dequantizer_blocks: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, **kwargs)
        height, columns, _ = self.float_shape
        if height % 2 or columns % 4:
            raise ValueError(
                "image_shape must have an even height and a width divisible by 4; got "
                f"{self.float_shape}"
            )
        counts = list(couplings) if isinstance(couplings, list | tuple) else []
        if len(counts) != 3:
            raise ValueError(f"couplings must be three numbers; got {couplings!r}")
        for number in counts:
            check_integer("couplings", number, 0)
        self._config = {
            "width": width,
            "blocks": blocks,
            "heads": heads,
            "components": components,
            "couplings": plain(counts),
            "dropout": dropout,
            "margin": margin,
            "dequantization": check_choice("dequantization", dequantization, DEQUANTIZATIONS),
            "dequantizer_width": dequantizer_width,
            "dequantizer_couplings": dequantizer_couplings,
            "dequantizer_blocks": dequantizer_blocks,
        }
        self.dequantizer: Dequantizer | None = None
        if dequantization == "variational":
            self.dequantizer = Dequantizer(
                dequantizer_width,
                dequantizer_couplings,
                dequantizer_blocks,
                heads,
                components,
                dropout,
                input_bound=self.input_bound,
                dtype=self.dtype_policy,
            )
            self.not_exported = (
                "its scores of uint8 images need the flow of the noise, which the graphs of an "
                "export lack; dequantization='uniform' has none"
            )
        self.build()

    def _build_levels(self) -> None:
        super()._build_levels()
        if self.dequantizer is not None:
            self.dequantizer.build((None, *self.float_shape))

    def make_levels(self) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        policy = self.dtype_policy
        first, channels, last = self._config["couplings"]
        parts: dict[str, layers.FlowLayer] = {
            "logit": layers.Logit(self._config["margin"], dtype=policy),
            "split": layers.SplitColumns(dtype=policy),
            **self._steps("columns", first, 0),
            "merge": layers.SplitColumns(merge=True, dtype=policy),
            "squeeze": layers.Squeeze(dtype=policy),
            **self._steps("channels", channels, 1000),
            "split_squeezed": layers.SplitColumns(dtype=policy),
            **self._steps("squeezed_columns", last, 2000),
            "merge_squeezed": layers.SplitColumns(merge=True, dtype=policy),
        }
        return [(layers.Chain(parts, dtype=policy), StandardPrior(dtype=policy))]

    def _steps(self, kind: str, count: int, number: int) -> dict[str, layers.FlowLayer]:
        policy, config = self.dtype_policy, self._config
        found: dict[str, layers.FlowLayer] = {}
        for i in range(count):
            network = GatedAttentionNet(
                config["width"],
                config["blocks"],
                config["heads"],
                config["dropout"],
                out_scale=0.1,
                dtype=policy,
            )
            found[f"{kind}_{i + 1}"] = layers.Chain(
                {
                    "actnorm": layers.ActNorm(dtype=policy),
                    "conv1x1": layers.InvertibleConv1x1(
                        init="identity", seed=self.seed + number + i, dtype=policy
                    ),
                    "coupling": layers.MixtureCoupling(network, config["components"], dtype=policy),
                    "flip": layers.FlipHalves(dtype=policy),
                },
                dtype=policy,
            )
        return found

    def traced_dequantized(
        self, image: Tensor, u: Tensor, noise: StepNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Float images, and what the noise adds to the bound of their log-probability."""
        if self.dequantizer is None:
            return super().traced_dequantized(image, u, noise)
        middle = checks.float_images(image, 0.5, self.variable_dtype)
        u, log_det = self.dequantizer(middle, u, noise=noise)
        return checks.float_images(image, u, self.variable_dtype), log_det

    def log_prob(
        self,
        images: Any,
        condition: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
        progress: Any = None,
    ) -> Any:
        """As :meth:`Flow.log_prob`; of uint8 images a lower bound from one draw of the noise."""
        if self.dequantizer is None or not arrays.is_uint8(arrays.as_array(images)):
            return super().log_prob(images, condition, seed, batch_size, progress)
        check_integer("batch_size", batch_size)
        self._checked(condition)
        image = self.preprocess.expand(np.asarray(self._as_images(images)))
        rng = noise.generator(seed, noise.DEQUANTIZATION)
        u = noise.uniform_noise(rng, image.shape).astype(self.variable_dtype)

        def bound(image: Tensor, u: Tensor) -> Tensor:
            x, gained = self.traced_dequantized(image, u)
            return self.traced_log_prob(x) + gained

        found = self._compiled_methods.run("bound", bound, (image, u), batch_size, progress)
        return found - self.float_dims * math.log(256.0)

    def bits_per_dim(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Flow.bits_per_dim`; of uint8 images an upper bound from one draw."""
        return super().bits_per_dim(*args, **kwargs)

    def importance_bits_per_dim(
        self, images: Any, samples: int = 16, seed: int = 0, batch_size: int = BATCH_SIZE
    ) -> np.ndarray:
        """Importance-weighted bits per dimension, ``(n,)``: a tighter bound from several draws.

        ``-log(mean over draws of p(image + noise) / q(noise | image)) / (D ln 2)``, at most
        :meth:`bits_per_dim` on average, and the same for one draw. Flow++ reports it with 4,096.

        Args:
            images: uint8 ``(n, h, w, c)``.
            samples: draws of noise for each image.
            seed: seed of the first draw; the others have those that follow.
            batch_size: maximum batch size.

        Raises:
            ValueError: float images, which need no noise; otherwise as :meth:`log_prob`.
        """
        check_integer("samples", samples)
        check_integer("seed", seed, 0)
        if not arrays.is_uint8(arrays.as_array(images)):
            raise ValueError("images must be uint8, float images need no noise; got floats")
        bounds = np.stack(
            [
                np.asarray(self.log_prob(images, seed=seed + i, batch_size=batch_size), "float64")
                for i in range(samples)
            ]
        )
        largest = bounds.max(axis=0)
        mean = largest + np.log(np.exp(bounds - largest).mean(axis=0))
        return -mean / (self.num_dims * math.log(2.0))
