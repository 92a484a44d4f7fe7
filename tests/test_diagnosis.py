"""What flow.diagnose says of a flow, and how it finds damage."""

import dataclasses
import json

import numpy as np
import pytest

from attnflow_keras import layers
from attnflow_keras.bijectors import FlowBijector
from attnflow_keras.flow.diagnosis import leaf_layers
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.models import Flow
from tests.conftest import make_tiny_flow
from tests.helpers import perturb


def test_rows_follow_encode_and_add_up(tiny_flow, tiny_images):
    perturb(tiny_flow, 0.05)
    images = tiny_images[:70]  # more than a batch
    calls = []
    report = tiny_flow.diagnose(images, seed=3, progress=lambda *call: calls.append(call))
    paths = [row.path for row in report.layers]
    step = ["actnorm", "conv1x1", "coupling", "attention", "flip"]
    assert paths == [
        "level_1.squeeze",
        *(f"level_1.step_1.{name}" for name in step),
        "prior_1",
        "level_2.squeeze",
        *(f"level_2.step_1.{name}" for name in step),
        "prior_2",
    ]
    assert sorted(paths) == sorted(path for path, _ in leaf_layers(tiny_flow))
    assert calls[-1] == (4 * len(paths), 4 * len(paths))
    assert report.images == 70
    assert report.ok
    assert report.first_non_finite is None
    assert report.wrong_levels == 0
    assert 0 < report.round_trip_error < 1e-3
    assert report.dtype == "float32"
    bits = np.asarray(tiny_flow.bits_per_dim(images, seed=3)).mean()
    assert report.bits_per_dim == pytest.approx(bits, abs=1e-5)
    log_det = np.asarray(tiny_flow.encode(tiny_flow.dequantize(images, seed=3))[1]).mean()
    assert sum(row.log_det for row in report.layers) == pytest.approx(
        log_det / (64 * np.log(2)), abs=1e-5
    )
    coupling = report.layers[paths.index("level_1.step_1.coupling")]
    assert coupling.kind == "MixtureCoupling"
    assert coupling.log_scale_bound == 2.0
    assert coupling.component_log_scale is not None
    conv = report.layers[paths.index("level_1.step_1.conv1x1")]
    kernel = np.asarray(tiny_flow.level_1.step_1.conv1x1.bijector().kernel())
    assert conv.condition_number == pytest.approx(np.linalg.cond(kernel.astype("float64")))
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [row["path"] for row in content["layers"]] == paths
    text = str(report)
    assert all(path in text for path in paths)
    assert text.endswith("sound")


def test_float_images_and_tensors_are_taken_as_they_are(tiny_flow, tiny_images):
    x = tiny_flow.dequantize(tiny_images[:4], seed=5)
    a, b = tiny_flow.diagnose(x), tiny_flow.diagnose(tiny_images[:4], seed=5)
    assert a.bits_per_dim == b.bits_per_dim
    with pytest.raises(ValueError, match="images must have shape"):
        tiny_flow.diagnose(x[:, :4])


@pytest.mark.parametrize("policy", ["float64", "mixed_float16"])
def test_policies(policy, tiny_images):
    flow = make_tiny_flow(attention="itrans", dtype=policy)
    flow.adapt(tiny_images)
    report = flow.diagnose(tiny_images[:4])
    assert report.ok
    assert report.dtype == ("float64" if policy == "float64" else "float32")
    assert report.round_trip_error < (1e-9 if policy == "float64" else 1e-3)
    attention = next(row for row in report.layers if row.kind == "ITransAttention")
    assert 1 < attention.condition_number <= 19


def test_preprocessed_images(tiny_images):
    flow = make_tiny_flow(preprocess={"pad": 2, "replicate": 3})
    flow.adapt(tiny_images)
    report = flow.diagnose(tiny_images[:4])
    assert report.ok
    bits = np.asarray(flow.bits_per_dim(tiny_images[:4])).mean()
    assert report.bits_per_dim == pytest.approx(bits, abs=1e-4)


def test_the_backbone_of_the_paper(tiny_images):
    flow = make_tiny_flow(
        prior="autoregressive",
        prior_options={"width": 4},
        conditioner="gated_attention",
        conditioner_options={"blocks": 1, "heads": 2},
    )
    flow.adapt(tiny_images)
    report = flow.diagnose(tiny_images[:4])
    assert report.ok
    assert report.layers[-1].kind == "AutoregressivePrior"
    assert -5 < report.layers[-1].log_scale[0] <= report.layers[-1].log_scale[1] < 5
    flow.prior_2.moments.bias.assign([np.nan, 0.0])
    report = flow.diagnose(tiny_images[:4])
    assert (report.non_finite_encode, report.non_finite_decode) == ("prior_2", "prior_2")


MIDDLE = {
    "actnorm": "log_scale",
    "conv1x1": "lower",
    "coupling": "conv_out/kernel",
    "attention": "kernel",
}


@pytest.mark.parametrize(
    ("layer", "value"), [*((layer, np.nan) for layer in sorted(MIDDLE)), ("attention", np.inf)]
)
def test_damaged_weights_are_named_in_both_directions(tiny_images, layer, value):
    flow = make_tiny_flow(steps=[1, 3])
    flow.adapt(tiny_images)
    damaged = getattr(flow.level_2.step_2, layer)
    weight = next(w for w in damaged.weights if w.path.endswith(MIDDLE[layer]))
    values = np.array(weight)
    values[..., -1] = value
    weight.assign(values)
    report = flow.diagnose(tiny_images[:4])
    path = f"level_2.step_2.{layer}"
    row = next(row for row in report.layers if row.path == path)
    assert len(report.damaged_weights) == 1
    assert report.damaged_weights[0].startswith(f"{path}/")
    assert report.damaged_weights[0].endswith(MIDDLE[layer])
    assert row.damaged_weights == report.damaged_weights
    assert not report.ok
    assert path in report.problem
    assert f"warning: {path}: NaN or Inf" in str(report)
    json.dumps(report.to_dict(), allow_nan=False)
    # A bound or a gate swallows some infinities; then the weight is named all the same.
    if np.isnan(value):
        assert report.first_non_finite == path
        assert report.non_finite_encode == path
        assert report.non_finite_decode == path
        assert not row.encode_finite
        assert not row.decode_finite
        before = report.layers[: report.layers.index(row)]
        assert all(row.encode_finite for row in before)


def test_a_bad_matrix_and_a_log_scale_at_its_bound_are_warned_of(tiny_flow, tiny_images):
    step = tiny_flow.level_1.step_1
    step.conv1x1.log_diag.assign([7.0, -7.0, 0.0, 0.0])
    step.actnorm.log_scale.assign([40.0, 0.0, 0.0, 0.0])
    report = tiny_flow.diagnose(tiny_images[:4])
    rows = {row.path: row for row in report.layers}
    conv = " ".join(rows["level_1.step_1.conv1x1"].warnings)
    assert "condition number" in conv
    assert "at its bound, 11.97 of 12" in " ".join(rows["level_1.step_1.actnorm"].warnings)
    assert "round-trip error" in str(report)
    assert "condition" not in " ".join(rows["level_2.step_1.conv1x1"].warnings)
    assert report.wrong_levels > 0
    assert "grey levels" in report.problem


class Rounding(FlowBijector):
    """Gives back whole numbers only: a layer whose inverse loses the grey levels."""

    def forward_and_log_det(self, x):
        return x, 0.0 * x[:, 0, 0, 0]

    def inverse_and_log_det(self, y):
        return np.round(np.asarray(y)), 0.0 * y[:, 0, 0, 0]


class Lossy(FlowLayer):
    def bijector(self, condition=None):
        return Rounding("rounding")


class Own(FlowLayer):
    """A layer with a transform of its own and no bijector."""

    def transform(self, x, condition, inverse):
        return x, 0.0 * x[:, 0, 0, 0]


class Small(Flow):
    def __init__(self, first, **kwargs):
        super().__init__((4, 4, 1), **kwargs)
        self.first = first
        self.build()

    def make_levels(self):
        self.extra = self.add_weight((2,), "zeros", name="extra")
        return [(layers.Chain({"own": Own(), "deep": layers.Chain({"last": self.first})}), Own())]


def test_a_new_layer_needs_no_code_of_its_own(tiny_images):
    images = tiny_images[:3, 2:6, 2:6]
    report = Small(layers.ActNorm()).diagnose(images)
    assert [row.path for row in report.layers] == ["level_1.own", "level_1.deep.last", "prior_1"]
    assert [row.log_scale for row in report.layers] == [None, (0.0, 0.0), None]
    assert report.ok


def test_damage_outside_of_the_layers_is_named(tiny_images):
    flow = Small(layers.ActNorm())
    flow.extra.assign([0.0, np.nan])
    report = flow.diagnose(tiny_images[:3, 2:6, 2:6])
    assert report.first_non_finite is None
    assert report.damaged_weights == (flow.extra.path,)
    assert "extra" in report.problem


def test_a_layer_that_loses_grey_levels_is_named(tiny_images):
    images = tiny_images[:3, 2:6, 2:6]
    report = Small(Lossy()).diagnose(images)
    assert not report.ok
    assert report.first_non_finite is None
    assert report.wrong_levels > 0
    assert "level_1.deep.last" in report.problem
    assert report.to_dict()["problem"] == report.problem


def test_forms_that_are_no_flow_are_not_called_sound(tiny_images):
    flow = make_tiny_flow(attention="itrans", attention_options={"form": "paper"})
    flow.adapt(tiny_images[:32])
    attention = flow.level_1.step_1.attention
    report = flow.diagnose(tiny_images[:32])
    row = next(row for row in report.layers if row.kind == "ITransAttention")
    x = np.random.default_rng(0).normal(size=(50, *attention.map_shape)).astype("float32")
    found = attention.statistics(x)["negative_determinants"]
    signs = np.linalg.slogdet(np.asarray(attention.mixing_matrix(x * kept_mask(attention))))[0]
    assert found == pytest.approx((signs < 0).mean())
    assert row.negative_determinants is not None
    assert 0 <= row.negative_determinants <= 1
    assert any("form='paper' is not a flow" in text for text in report.caveats)
    assert str(report).splitlines()[-1] != "sound"
    assert report.to_dict()["caveats"] == list(report.caveats)


def test_both_signs_of_a_determinant_are_a_problem(tiny_flow, tiny_images):
    report = tiny_flow.diagnose(tiny_images[:8])
    assert report.ok
    assert report.caveats == ()
    rows = list(report.layers)
    for share, ok in ((0.25, False), (1.0, True), (0.0, True)):
        rows[3] = dataclasses.replace(rows[3], negative_determinants=share)
        changed = dataclasses.replace(report, layers=tuple(rows))
        assert changed.ok is ok
    rows[3] = dataclasses.replace(rows[3], negative_determinants=0.25)
    problem = dataclasses.replace(report, layers=tuple(rows)).problem
    assert problem.startswith(
        f"{rows[3].path} is not invertible: its determinant is negative for 25%"
    )


def test_samples_far_outside_are_a_caveat(tiny_flow, tiny_images):
    report = tiny_flow.diagnose(tiny_images[:8])
    far = dataclasses.replace(report, sample_range=(-0.6, 40.0))
    assert far.ok
    assert far.caveats == ("decoded samples reach -0.60 to 40.00, far outside [-0.5, 0.5]",)
    assert str(far).endswith("no problems found on these images; see the caveats")


def kept_mask(attention):
    return attention.partition(attention.map_shape).mask[None]
