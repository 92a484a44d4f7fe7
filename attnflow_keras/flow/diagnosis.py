"""Layer-by-layer diagnosis of a flow on images."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from keras import ops, tree

from attnflow_keras.core import noise
from attnflow_keras.core.exactness import EXACT
from attnflow_keras.flow.diagnosis_report import FlowDiagnosis, LayerDiagnosis
from attnflow_keras.layers import Chain, FlowLayer
from attnflow_keras.layers.chain import at_leaves
from attnflow_keras.layers.flow_layer import merge_statistics
from attnflow_keras.ops.numerics import LN2

__all__ = ["FlowDiagnosis", "LayerDiagnosis"]

Tensor = Any

BATCH_SIZE = 64
HALF_LEVEL = EXACT / 256


class DiagnosisMixin:
    """Adds :meth:`diagnose` to a flow."""

    def diagnose(
        self,
        images: Any,
        condition: Any = None,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> FlowDiagnosis:
        """Measure every layer while the flow encodes images, decodes them, and samples.

        Layers run one by one, not as a compiled function: some seconds for 64 images.

        Args:
            images: ``(n, h, w, c)``, uint8 or float; a few dozen are enough.
            condition: condition or its features, for a conditional flow.
            seed: seed of the dequantization noise and of the latents to sample from.
            progress: called with the number of finished layer calls and their total number.

        Returns:
            One row per layer with its round-trip error, condition number and log-scales; metrics of
            the whole flow; and the first layer with NaN or Inf in its output.

        Raises:
            ValueError: a wrong shape or dtype, NaN in float images, a condition missing or not
                expected.
        """
        return _Diagnosis(self, progress).run(images, condition, seed)


class _Tally:
    """Running measurements of one layer, over all of its calls."""

    def __init__(self, layer: FlowLayer) -> None:
        self.layer = layer
        self.log_det = 0.0
        self.images = 0
        self.output: dict[str, Any] = {}
        self.round_trip = 0.0
        self.statistics: dict[str, Any] = {}
        self.encode_finite = True
        self.decode_finite = True

    def encode(self, x: Tensor, condition: Any, y: Tensor, log_det: Tensor) -> None:
        output, shares = np.asarray(y), np.asarray(log_det, dtype="float64")
        self.log_det += float(shares.sum())
        self.images += len(shares)
        both = (float(output.min()), float(output.max()))
        self.output = merge_statistics(self.output, {"range": both})
        try:
            found = self.layer.statistics(x, condition)
        except NotImplementedError:  # a layer with a transform of its own
            found = {}
        self.statistics = merge_statistics(self.statistics, found)
        if not (_finite(output) and _finite(shares)):
            self.encode_finite = False
            self.round_trip = math.nan
            return
        back, inverse = self.layer(y, condition=condition, inverse=True)
        self.decode(back, inverse)
        error = float(np.abs(np.asarray(back, "float64") - np.asarray(x, "float64")).max())
        self.round_trip = float(np.maximum(self.round_trip, error))

    def decode(self, x: Tensor, log_det: Tensor) -> None:
        self.decode_finite &= _finite(x) and _finite(log_det)

    def row(self, path: str, num_dims: int) -> LayerDiagnosis:
        return LayerDiagnosis(
            path=path,
            kind=type(self.layer).__name__,
            log_det=self.log_det / self.images / (num_dims * LN2),
            output_range=self.output["range"],
            round_trip_error=self.round_trip,
            condition_number=self.statistics.get("condition_number"),
            log_scale=self.statistics.get("log_scale"),
            component_log_scale=self.statistics.get("component_log_scale"),
            log_scale_bound=self.layer.log_scale_bound,
            negative_determinants=self.statistics.get("negative_determinants"),
            caveat=self.layer.caveat,
            encode_finite=self.encode_finite,
            decode_finite=self.decode_finite,
            damaged_weights=tuple(damaged_weights(self.layer, path)),
        )


class _Diagnosis:
    """One diagnosis of a flow."""

    def __init__(self, flow: Any, progress: Callable[[int, int], None] | None) -> None:
        self.flow = flow
        self.progress = progress
        self.paths = {id(layer): path for path, layer in leaf_layers(flow)}
        self.tallies: dict[str, _Tally] = {}  # in the order of encode
        self.first: dict[str, str | None] = {"encode": None, "decode": None}
        self.calls = 0
        self.total = 0

    def run(self, images: Any, condition: Any, seed: int) -> FlowDiagnosis:
        flow = self.flow
        images = flow._as_images(images)
        # Float images count as dequantized ones.
        x = np.asarray(ops.convert_to_numpy(flow._as_floats(images, seed)))
        rng = noise.generator(seed, noise.LATENTS)
        drawn = noise.normal_latents(rng, len(x), list(flow.latent_shapes))
        starts = range(0, len(x), BATCH_SIZE)
        self.total = 2 * len(self.paths) * len(starts)

        bits: list[float] = []
        errors = []
        samples: dict[str, Any] = {}
        for start in starts:
            part = slice(start, start + BATCH_SIZE)
            given = None
            if condition is not None:
                given = tree.map_structure(lambda c, p=part: c[p], condition)
            score, error, decoded = self._batch(x[part], [z[part] for z in drawn], given)
            bits += score
            errors.append(error)
            both = (float(decoded.min()), float(decoded.max()))
            samples = merge_statistics(samples, {"range": both})
        error = np.concatenate(errors)
        return FlowDiagnosis(
            name=flow.name,
            dtype=str(flow.variable_dtype),
            images=len(x),
            layers=tuple(
                tally.row(path, flow.num_dims)
                for path, tally in self.tallies.items()
                if tally.images
            ),
            bits_per_dim=float(np.mean(bits)),
            round_trip_error=float(error.max()),
            # Not below rather than above: NaN is wrong too.
            wrong_levels=int((~(error < HALF_LEVEL)).sum()),
            inexact_images=tuple(
                int(i)
                for i in np.flatnonzero(~(error < HALF_LEVEL).reshape(len(error), -1).all(axis=1))
            ),
            sample_range=samples["range"],
            samples_finite=all(map(math.isfinite, samples["range"])),
            non_finite_encode=self.first["encode"],
            non_finite_decode=self.first["decode"],
            damaged_weights=self._all_damaged(),
        )

    def _batch(
        self, x: np.ndarray, drawn: list[np.ndarray], condition: Any
    ) -> tuple[list[float], np.ndarray, np.ndarray]:
        """Bits per dimension, round-trip errors and samples of one batch."""
        flow = self.flow
        features = flow._features(condition)
        walk, visit = flow.multi_scale, at_leaves(self._visit)
        inputs = ops.convert_to_tensor(x, dtype=flow.variable_dtype)
        latents, log_det = walk.encode(inputs, features, visit)
        if flow.scores_latents():
            log_prob = flow.traced_log_prob_of(latents, log_det)
        else:
            log_prob = flow.traced_log_prob(inputs, features)
        codes = [np.asarray(z) for z in latents]
        # Encoded images and samples go through decode together, unless NaN in the first
        # would hide where the second go wrong.
        sound = all(map(_finite, codes))
        if sound:
            drawn = [np.concatenate(pair) for pair in zip(codes, drawn, strict=True)]
            if features is not None:
                features = tree.map_structure(lambda f: ops.concatenate([f, f]), features)
        noisy = tuple(ops.convert_to_tensor(z, dtype=flow.variable_dtype) for z in drawn)
        decoded = np.asarray(walk.decode(noisy, features, visit), dtype="float64")
        offset = 8.0 * flow.float_dims / flow.num_dims
        bits = offset - np.asarray(log_prob, dtype="float64") / (flow.num_dims * LN2)
        back, samples = (decoded[: len(x)], decoded[len(x) :]) if sound else (math.nan, decoded)
        return bits.tolist(), np.abs(back - x.astype("float64")), samples

    def _all_damaged(self) -> tuple[str, ...]:
        leaves = list(leaf_layers(self.flow))
        names = [name for path, layer in leaves for name in damaged_weights(layer, path)]
        inside = {id(weight) for _, layer in leaves for weight in layer.weights}
        others = [w for w in self.flow.weights if id(w) not in inside and not _finite(w)]
        return (*names, *(weight.path for weight in others))

    def _visit(
        self, layer: FlowLayer, x: Tensor, condition: Any, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        """Call one layer and record its output."""
        y, log_det = layer(x, condition=condition, inverse=inverse)
        path = self.paths[id(layer)]
        tally = self.tallies.setdefault(path, _Tally(layer))
        if inverse:
            tally.decode(y, log_det)
        else:
            tally.encode(x, condition, y, log_det)
        direction = "decode" if inverse else "encode"
        if self.first[direction] is None and not (_finite(y) and _finite(log_det)):
            self.first[direction] = path
        self.calls += 1
        if self.progress is not None:
            self.progress(min(self.calls, self.total), self.total)
        return y, log_det


def leaf_layers(owner: Any) -> Iterator[tuple[str, FlowLayer]]:
    """The invertible layers of a flow or a chain with their paths; chains are expanded."""
    if isinstance(owner, Chain):
        children = dict(zip(owner.order, owner.steps(), strict=True))
    else:
        children = owner.multi_scale.named_layers()
    for name, layer in children.items():
        if isinstance(layer, Chain):
            yield from ((f"{name}.{path}", leaf) for path, leaf in leaf_layers(layer))
        else:
            yield name, layer


def damaged_weights(layer: FlowLayer, path: str) -> Iterator[str]:
    """Names of the layer's weights that hold NaN or Inf, after the layer's path."""
    for weight in layer.weights:
        if not _finite(weight):
            yield f"{path}/{weight.path.rsplit(f'{layer.name}/', 1)[-1]}"


def _finite(x: Any) -> bool:
    return bool(np.isfinite(np.asarray(ops.convert_to_numpy(x))).all())
