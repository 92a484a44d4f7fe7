"""Exports for OpenVINO and LiteRT: what converts agrees with Keras, the rest is named."""

import hashlib
import json
import shutil

import numpy as np
import pytest

import export
from attnflow_keras.models import CausalFlow, Glow, TransformerCouplingFlow
from attnflow_keras.ops import loops
from attnflow_keras.ops.numerics import arcsinh, sinh, softplus
from attnflow_keras.runtime import Session
from export import partial, to_litert, to_openvino
from tests.conftest import make_tiny_flow
from tests.helpers import perturb

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")

FORMATS = {
    "openvino": (export.openvino, ["{}.bin", "{}.xml"]),
    "litert": (export.litert, ["{}.tflite"]),
}


@pytest.fixture(scope="module")
def glow():
    """A flow whose inverse has no loops, but solves for its 1x1 convolutions."""
    flow = Glow((8, 8, 1), levels=1, steps=1, width=4, name="glow")
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype("uint8")
    flow.adapt(images)
    return perturb(flow, 0.05), images


@pytest.fixture(scope="module")
def glow_onnx(export_once, glow):
    flow, images = glow
    return export_once("glow-partial", flow, images=images)


@pytest.fixture(scope="module", params=FORMATS)
def made(request, glow, glow_onnx, tmp_path_factory):
    flow, images = glow
    folder = tmp_path_factory.mktemp(request.param) / "out"
    source = glow_onnx if request.param == "openvino" else flow
    options = {} if request.param == "openvino" else {"images": images}
    report = FORMATS[request.param][0](source, folder, **options)
    return request.param, folder, report


def run(kind, folder, name, given):
    """One graph by the runtime itself, as the documentation shows it."""
    if kind == "openvino":
        import openvino

        compiled = openvino.compile_model(folder / f"{name}.xml", "CPU")
        found = compiled(given)
        return {output.any_name: found[output] for output in compiled.outputs}
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(folder / f"{name}.tflite"))
    return interpreter.get_signature_runner(name)(**given)


def test_both_directions_agree_with_keras(made, glow):
    kind, folder, report = made
    flow, images = glow
    content = json.loads((folder / "manifest.json").read_text())
    assert content["kind"] == kind
    assert content["missing"] == {}
    assert content["parity"] == report
    assert set(report) == {"log_prob", "latents", "image", "round_trip", "wrong_levels"}
    files = [form.format(name) for name in content["graphs"] for form in FORMATS[kind][1]]
    assert sorted(content["files"]) == sorted([*files, "fixtures.npz"])
    # Another batch than the one compared at export.
    x = flow.dequantize(images[:3], seed=5)
    score = run(kind, folder, "log_prob", {"image": x})["log_prob"]
    np.testing.assert_allclose(score, flow.log_prob(x), rtol=1e-5)
    codes = run(kind, folder, "encode", {"image": x})
    latents, log_det = flow.encode(x)
    np.testing.assert_allclose(codes["log_det"], log_det, rtol=1e-5)
    np.testing.assert_allclose(codes["latent_0"], latents[0], atol=1e-4)
    back = run(kind, folder, "decode", {"latent_0": codes["latent_0"]})["image"]
    np.testing.assert_allclose(back, x, atol=1e-4)


def test_what_reads_onnx_says_what_it_is(made, tmp_path):
    kind, folder, _ = made
    message = f"is an export for {kind}; an ONNX export is needed here"
    for read in (Session, lambda f: export.web(f, tmp_path / "site")):
        with pytest.raises(export.ExportError, match=message):
            read(folder)


def test_sinh_of_litert():
    x = np.array([-1e3, -3, -1e-3, 0, 1e-3, 1, 20, 1e3], "float32")
    with loops.lowered(loops.Lowering.LITERT):
        found = np.asarray(arcsinh(x))
        np.testing.assert_allclose(np.asarray(sinh(found)), x, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found, np.arcsinh(x.astype("float64")), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["causal", "coupling"])
def test_flows_over_patches_are_scored(kind, tmp_path):
    make = {"causal": CausalFlow, "coupling": TransformerCouplingFlow}[kind]
    options = {"coupling": {"couplings": 0, "refine": True}}.get(kind, {"group": 3})
    flow = make((4, 4, 1), patch=2, layers=1, width=8, heads=2, components=3, bins=(0,), **options)
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 1)).astype("uint8")
    report = export.litert(perturb(flow, 0.05), tmp_path / "out", images=images)
    assert report["log_prob"] < 1e-5


def test_softplus_of_litert_neither_overflows_nor_loses_small_values():
    x = np.array([-1e4, -100, -20, -1, 0, 1, 20, 100, 1e4], "float32")
    with loops.lowered(loops.Lowering.LITERT):
        found = np.asarray(softplus(x))
    np.testing.assert_allclose(found, np.logaddexp(0, x.astype("float64")), rtol=1e-6, atol=1e-7)


def test_a_mixture_is_scored_and_its_inverse_may_be_missing(tmp_path):
    flow = make_tiny_flow(levels=1, steps=1, attention=None)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, *flow.image_shape)).astype("uint8")
    flow.adapt(images)
    export.litert(perturb(flow, 0.05), tmp_path / "out", images=images)
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(content["graphs"]) | set(content["missing"]) == {"encode", "decode", "log_prob"}
    # Far from all components.
    x = np.where(rng.uniform(size=(1, *flow.float_shape)) < 0.5, -15, 15).astype("float32")
    score = run("litert", tmp_path / "out", "log_prob", {"image": x})["log_prob"]
    np.testing.assert_allclose(score, flow.log_prob(x), rtol=1e-5)


@pytest.mark.parametrize("module", [to_openvino, to_litert])
@pytest.mark.parametrize("graph", ["decode", "encode"])
def test_a_graph_that_does_not_convert(module, graph, glow, glow_onnx, tmp_path, monkeypatch):
    flow, images = glow
    genuine = module.partial_export

    def failing(folder, overwrite, names, convert, *rest):
        def other(name, part):
            if name == graph:
                raise export.ExportError("no kernel for Loop")
            return convert(name, part)

        return genuine(folder, overwrite, names, other, *rest)

    monkeypatch.setattr(module, "partial_export", failing)
    folder = tmp_path / "out"

    def make():
        if module is to_openvino:
            export.openvino(glow_onnx, folder)
        else:
            export.litert(flow, folder, images=images)

    if graph in partial.REQUIRED:
        with pytest.raises(export.ExportError, match="encode does not convert: no kernel for Loop"):
            make()
        assert not folder.exists()
    else:
        make()
        content = json.loads((folder / "manifest.json").read_text())
        assert content["missing"] == {"decode": "no kernel for Loop"}
        assert "decode" not in content["graphs"]
        assert set(content["parity"]) == {"log_prob", "latents"}


def test_bad_input(glow, tmp_path):
    with pytest.raises(export.ExportError, match="flow must be a Flow of attnflow_keras; got str"):
        export.litert("out/onnx", tmp_path / "out")
    (tmp_path / "out").mkdir()
    for name in FORMATS:
        with pytest.raises(FileExistsError):
            FORMATS[name][0](glow[0], tmp_path / "out")


def test_verify_checks_them(made, glow, tmp_path):
    kind, folder, _ = made
    checks = {check.name: check for check in export.verify(folder)}
    names = [f"load {name}" for name in ("encode", "decode", "log_prob")]
    assert {*names, "log_prob", "latents", "image", "round_trip"} <= set(checks)
    assert all(check.ok and not check.skipped for check in checks.values())

    # A graph that is left out is named; one that computes something else is found.
    altered = tmp_path / "altered"
    shutil.copytree(folder, altered)
    content = json.loads((altered / "manifest.json").read_text())
    del content["graphs"]["decode"]
    content["missing"] = {"decode": "no kernel for Loop"}
    with np.load(altered / "fixtures.npz") as recorded:
        arrays = dict(recorded)
    arrays["log_prob"] = arrays["log_prob"] + 1
    np.savez(altered / "fixtures.npz", **arrays)
    data = (altered / "fixtures.npz").read_bytes()
    content["files"]["fixtures.npz"]["sha256"] = hashlib.sha256(data).hexdigest()
    (altered / "manifest.json").write_text(json.dumps(content))
    checks = {check.name: check for check in export.verify(altered)}
    assert checks["load decode"].skipped
    assert checks["load decode"].detail == "not in this export: no kernel for Loop"
    assert checks["log_prob"].state == "FAILS"
    assert checks["latents"].state == "ok"
    assert "image" not in checks

    (altered / content["graphs"]["encode"]["file"]).write_bytes(b"other")
    found = [check for check in export.verify(altered) if not check.ok]
    assert [check.name for check in found] == [f"sha256 of {content['graphs']['encode']['file']}"]
    with pytest.raises(export.ExportError, match=f"is an export for {kind}"):
        Session(altered)
