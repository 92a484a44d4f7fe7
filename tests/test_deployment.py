"""docs/deployment.md: its Python runs, its curl lines are answered, its keys exist."""

import json
import re
import shlex
import shutil
import subprocess
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
import uvicorn
from PIL import Image
from tritonclient.grpc import service_pb2, service_pb2_grpc

import export
import zoo
from attnflow_keras.serving.app import make_app
from export.runtime import Session
from tests.conftest import make_tiny_flow

TEXT = (Path(__file__).parent.parent / "docs" / "deployment.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


class StandIn(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Triton's protocol, answered by the graphs of a model repository."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []

    def ModelInfer(self, request, context):  # noqa: N802
        import onnxruntime

        self.asked.append(request.model_name)
        path = self.folder / request.model_name / "1" / "model.onnx"
        graph = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        contents = zip(request.inputs, request.raw_input_contents, strict=True)
        inputs = {
            value.name: np.frombuffer(raw, "float32").reshape(value.shape)
            for value, raw in contents
        }
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        for value, array in zip(graph.get_outputs(), graph.run(None, inputs), strict=True):
            # The configuration gives a value of one number per image the dim 1.
            shape = array.shape if array.ndim > 1 else (len(array), 1)
            response.outputs.add(name=value.name, datatype="FP32", shape=shape)
            response.raw_output_contents.append(array.tobytes())
        return response


@pytest.fixture(scope="module")
def run(tmp_path_factory, digits):
    """The names that the Python blocks leave, the folder they wrote to, the stand-in."""
    folder = tmp_path_factory.mktemp("deployment")
    flow = make_tiny_flow(image_shape=(28, 28, 1), levels=1, attention=None, coupling="affine")
    flow.adapt(digits[:64])
    server = grpc.server(futures.ThreadPoolExecutor(1))
    stand_in = StandIn(folder / "out" / "repository")
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(stand_in, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # An entry takes minutes to export, this one seconds.
        patch.setattr(zoo, "load", lambda name: flow)
        for number, block in enumerate(blocks("python"), start=1):
            block = block.replace("localhost:8001", f"127.0.0.1:{port}")
            exec(compile(block, f"deployment block {number}", "exec"), namespace)
    server.stop(None)
    return namespace, folder, stand_in


def test_the_python_runs_and_its_figures_agree(run):
    namespace, folder, stand_in = run
    flow, session, images = (namespace[name] for name in ("flow", "session", "images"))
    # The last block's are Triton's.
    x = session.dequantize(images, seed=0)
    np.testing.assert_allclose(namespace["bits_per_dim"], session.bits_per_dim(x), rtol=1e-5)
    assert stand_in.asked == [f"{flow.name}_log_prob"]
    np.testing.assert_allclose(namespace["score"], flow.log_prob(x), rtol=1e-5)
    assert namespace["drawn"].shape == (4, 28, 28, 1)
    assert {path.name for path in (folder / "out" / "attnflow").iterdir()} == {"1"}


def test_the_formula_without_this_package_is_that_of_the_session(run):
    """The block before Session is run anew, so that later names don't hide its own."""
    namespace, folder, _ = run
    code = blocks("python")[1]
    assert "onnxruntime.InferenceSession" in code
    alone = {"images": namespace["images"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(code, "formula", "exec"), alone)
    expected = namespace["session"].bits_per_dim(alone["x"])
    np.testing.assert_allclose(alone["bits_per_dim"], expected, rtol=1e-5)


def test_every_key_of_the_manifest_is_explained(run):
    content = json.loads((run[1] / "out" / "onnx" / "manifest.json").read_text())
    table = TEXT.partition("| key |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([\w.]+)`", table))
    assert {name.partition(".")[0] for name in named if name in content or "." in name} == set(
        content
    )
    assert {f"image.{key}" for key in content["image"]} <= named


@pytest.fixture(scope="module")
def port(run):
    session = Session(run[1] / "out" / "onnx", "cpu")
    server = uvicorn.Server(uvicorn.Config(make_app(session), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


CURL = re.findall(r"^curl -sS .*$", TEXT, re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("line", CURL)
def test_curl_lines_are_answered(run, port, line):
    folder = run[1]
    arguments = shlex.split(line.replace("localhost:8000", f"127.0.0.1:{port}"))
    result = subprocess.run(
        [*arguments, "--fail"], capture_output=True, cwd=folder, timeout=30, check=False
    )
    assert result.returncode == 0, result.stderr
    if "-o" in arguments:
        with Image.open(folder / arguments[arguments.index("-o") + 1]) as picture:
            assert picture.width % 28 == 0
    elif line.endswith("/metrics"):
        assert b"attnflow_requests_total" in result.stdout
    else:
        assert json.loads(result.stdout)


def test_the_curl_lines_cover_what_an_unconditional_export_serves(run, port):
    api = make_app(Session(run[1] / "out" / "onnx", "cpu"))
    paths = {route for route in api.openapi()["paths"]}
    called = {path.partition("?")[0] for path in re.findall(r"localhost:8000(/[\w-]+)", TEXT)}
    rows = [line.split("|")[1] for line in TEXT.splitlines() if re.match(r"\| `(GET|POST) ", line)]
    table = {path for row in rows for path in re.findall(r"`(?:GET|POST) (/[\w-]+)`", row)}
    assert table == paths
    assert called == paths - {"/restore", "/translate"}


def test_the_error_is_as_shown(run, port):
    import httpx

    shown = json.loads(blocks("json")[0])
    contents = []
    for size in ((28, 28), (8, 9)):
        path = run[1] / f"{size[1]}.png"
        Image.fromarray(np.zeros(size, "uint8")).save(path)
        contents.append(("images", path.read_bytes()))
    response = httpx.post(f"http://127.0.0.1:{port}/score", files=contents)
    assert response.json() == shown


def test_the_request_to_tensorflow_serving_fits_the_signature(run):
    body = re.search(r"curl -d '(.*)'", TEXT).group(1)
    request = json.loads(body)
    endpoints = tf.saved_model.load(str(run[1] / "out" / "attnflow" / "1")).signatures
    signature = endpoints[request["signature_name"]]
    _, given = signature.structured_input_signature
    assert set(given) == set(request["inputs"])
    inputs = {
        name: tf.constant(value, given[name].dtype) for name, value in request["inputs"].items()
    }
    assert signature(**inputs)["image"].shape == (4, 28, 28, 1)


def test_export_has_what_is_named():
    for name in re.findall(r"`?export\.(\w+)\(", TEXT):
        assert callable(getattr(export, name))
