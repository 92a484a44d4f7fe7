"""ONNX export: three graphs, checked in onnxruntime."""

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

import export
from attnflow_keras.ops.elimination import solve_and_log_det
from export import fixtures, to_onnx
from export.graphs import Graph
from export.runtime import Session
from tests.conftest import make_tiny_flow
from tests.helpers import perturb


@pytest.fixture
def plain_flow(tiny_images):
    """The flow that exports fastest."""
    flow = make_tiny_flow(levels=1, attention=None)
    flow.adapt(tiny_images)
    return flow


def session(folder, name):
    path = str(folder / f"{name}.onnx")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_graphs_have_names_a_dynamic_batch_and_opset_18(exported):
    flow, folder, _ = exported
    latents = [f"latent_{i}" for i in range(2)]
    expected = {
        "encode": (["image"], [*latents, "log_det"]),
        "decode": (latents, ["image"]),
        "log_prob": (["image"], ["log_prob"]),
    }
    files = {p.name for p in folder.iterdir()}
    assert files == {"manifest.json", "fixtures.npz", *(f"{name}.onnx" for name in expected)}
    for name, (inputs, outputs) in expected.items():
        model = onnx.load(folder / f"{name}.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert [v.version for v in model.opset_import if v.domain == ""] == [18]
        assert [v.name for v in model.graph.input] == inputs
        assert sorted(v.name for v in model.graph.output) == sorted(outputs)
        for value in (*model.graph.input, *model.graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("n", [1, 5])
def test_onnxruntime_agrees_with_keras_in_both_directions(exported, tiny_images, n):
    flow, folder, _ = exported
    x = flow.dequantize(tiny_images[100 : 100 + n])
    latents, log_det = flow.encode(x)
    encode = session(folder, "encode")
    codes = encode.run(["latent_0", "latent_1", "log_det"], {"image": x})
    for code, expected in zip(codes, [*latents, log_det], strict=True):
        assert code.shape == expected.shape
        np.testing.assert_allclose(code, expected, rtol=1e-3, atol=1e-3)
    log_prob = session(folder, "log_prob").run(["log_prob"], {"image": x})[0]
    np.testing.assert_allclose(log_prob, flow.log_prob(x), rtol=1e-5, atol=1e-3)
    feed = {"latent_0": codes[0], "latent_1": codes[1]}
    back = session(folder, "decode").run(["image"], feed)[0]
    np.testing.assert_allclose(back, x, atol=1e-3)
    # Latents that no image gave.
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=(n, *s)).astype("float32") for s in flow.latent_shapes]
    feed = dict(zip(feed, drawn, strict=True))
    decoded = session(folder, "decode").run(["image"], feed)[0]
    np.testing.assert_allclose(decoded, flow.decode(drawn), atol=1e-3)


def test_report(exported):
    _, _, report = exported
    assert set(report) == {"log_prob", "latents", "image", "round_trip", "wrong_levels"}
    assert report["log_prob"] < 2e-5
    assert report["latents"] < 1e-4
    assert report["wrong_levels"] == 0


def test_scores_are_compared_relative_to_the_bits_of_an_image(exported):
    _, folder, _ = exported
    recorded = fixtures.load(folder)
    session = Session(folder, "cpu")
    bits = session.bits_per_dim(recorded["image"])
    worst = int(np.argmax(bits))
    assert bits[worst] > 1
    recorded["log_prob"][worst] -= 1e-3 * bits[worst] * session.num_dims * np.log(2)
    report = fixtures.compare(session, recorded)
    assert report["log_prob"] == pytest.approx(1e-3, rel=1e-2)
    assert fixtures.failures(report, "float32") == [
        f"log_prob differs from Keras by {report['log_prob']:.3g}, more than 2e-05"
    ]


def test_itrans_exports(tmp_path, tiny_images):
    flow = make_tiny_flow(attention="itrans", grid=[(2, 2), (1, 2)], coupling="affine")
    flow.adapt(tiny_images)
    perturb(flow, 0.05)
    report = export.onnx(flow, tmp_path / "onnx", images=tiny_images)
    assert report["latents"] < 1e-3


def test_a_mixed_policy_is_exported_in_float32(tmp_path, tiny_images):
    flow = make_tiny_flow(levels=1, attention=None, dtype="mixed_float16")
    flow.adapt(tiny_images)
    export.onnx(flow, tmp_path / "onnx")
    model = onnx.load(tmp_path / "onnx" / "log_prob.onnx")
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_existing_folder(exported, tmp_path):
    flow, folder, _ = exported
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export.onnx(flow, folder)


def test_a_graph_that_differs_is_not_kept(plain_flow, tmp_path, monkeypatch):
    honest = to_onnx.graphs

    def wrong(flow):
        for graph in honest(flow):
            if graph.name == "decode":
                graph = graph._replace(function=lambda *z: {"image": 1.5 * flow.traced_decode(z)})
            yield graph

    monkeypatch.setattr(to_onnx, "graphs", wrong)
    with pytest.raises(export.ExportError, match=r"image differs from Keras by"):
        export.onnx(plain_flow, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_op_without_conversion_is_not_kept(plain_flow, tmp_path, monkeypatch):
    honest = to_onnx.graphs

    def unsupported(flow):
        for graph in honest(flow):
            if graph.name == "log_prob":
                graph = graph._replace(
                    function=lambda image: {"log_prob": tf.math.lgamma(image)[:, 0, 0, 0]}
                )
            yield graph

    monkeypatch.setattr(to_onnx, "graphs", unsupported)
    with pytest.raises(export.ExportError, match=r"log_prob.onnx"):
        export.onnx(plain_flow, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_backbone_of_the_paper_exports_with_loops(tmp_path, tiny_images):
    flow = make_tiny_flow(
        prior="autoregressive",
        prior_options={"width": 4, "depth": 2},
        conditioner="gated_attention",
        conditioner_options={"blocks": 1, "heads": 2},
        preprocess={"pad": 4, "replicate": 3},
    )
    flow.adapt(tiny_images)
    perturb(flow, 0.05)
    export.onnx(flow, tmp_path / "onnx", images=tiny_images)
    for name in ("encode", "decode"):
        graph = onnx.load(tmp_path / "onnx" / f"{name}.onnx").graph
        loops = [node for node in graph.node if node.op_type == "Loop"]
        # Two priors, with one loop a layer and level in encode and one a level in decode.
        assert len(loops) >= (4 if name == "encode" else 2)
    session = Session(tmp_path / "onnx", "cpu")
    assert session.sample(2, seed=0).shape == (2, 8, 8, 1)
    np.testing.assert_allclose(
        session.bits_per_dim(tiny_images[:4]), flow.bits_per_dim(tiny_images[:4]), atol=2e-5
    )


def test_elimination_with_pivoting_converts(tmp_path):
    def solve(matrix, right):
        solved, log_det = solve_and_log_det(matrix, right, pivot=True)
        return {"solved": solved, "log_det": log_det}

    signature = [
        tf.TensorSpec((None, 2, 4, 4), tf.float32, name="matrix"),
        tf.TensorSpec((None, 2, 4, 3), tf.float32, name="right"),
    ]
    to_onnx.convert(Graph("solve", solve, signature), tmp_path / "solve.onnx")
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(9, 2, 4, 4)).astype("float32")
    matrix[..., 0, 0] = 0.0
    right = rng.normal(size=(9, 2, 4, 3)).astype("float32")
    solved, log_det = session(tmp_path, "solve").run(
        ["solved", "log_det"], {"matrix": matrix, "right": right}
    )
    np.testing.assert_allclose(matrix @ solved, right, atol=1e-3)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(matrix)[1], atol=1e-4)


def test_float16_has_half_precision_in_the_networks_only(tmp_path, tiny_images):
    flow = make_tiny_flow()
    flow.adapt(tiny_images)
    perturb(flow, 0.05)
    report = export.onnx(flow, tmp_path / "onnx", images=tiny_images, precision="float16")
    assert 0 < report["log_prob"] < 0.01
    model = onnx.load(tmp_path / "onnx" / "log_prob.onnx")
    weights = {t.name: t.data_type for t in model.graph.initializer}
    kernels = [n.input[1] for n in model.graph.node if n.op_type == "Conv"]
    # The prior's own convolution decides the latents and stays in float32.
    assert {weights[name] for name in kernels if name in weights} == {
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.FLOAT,
    }
    assert onnx.TensorProto.FLOAT in {t.data_type for t in model.graph.initializer}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    session = Session(tmp_path / "onnx", "cpu")
    bits = session.bits_per_dim(tiny_images[:8])
    np.testing.assert_allclose(bits, flow.bits_per_dim(tiny_images[:8]), atol=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"precision": "int8"}, "precision must be one of float32, float16; got 'int8'")],
)
def test_bad_arguments(tiny_flow, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        export.onnx(tiny_flow, tmp_path / "onnx", **changes)


def test_only_flows_are_exported(tmp_path):
    with pytest.raises(export.ExportError, match="flow must be a Flow.*got str"):
        export.onnx("attnflow-imap-mnist", tmp_path / "onnx")
