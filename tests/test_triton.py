"""A Triton model repository; no server is run here."""

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format

import export
from export.runtime import Session
from tests.conftest import make_tiny_flow


@pytest.fixture(scope="module")
def source(tmp_path_factory, tiny_images):
    flow = make_tiny_flow(attention=None, coupling="affine", name="tiny")
    flow.adapt(tiny_images)
    folder = tmp_path_factory.mktemp("triton") / "onnx"
    export.onnx(flow, folder, images=tiny_images)
    return flow, folder


def test_a_model_for_each_graph(source, tmp_path, tiny_images):
    flow, folder = source
    report = export.triton(folder, tmp_path / "repository", max_batch_size=16)
    assert report["wrong_levels"] == 0
    models = sorted(path.name for path in (tmp_path / "repository").iterdir())
    assert models == ["tiny_decode", "tiny_encode", "tiny_log_prob"]
    config = (tmp_path / "repository" / "tiny_encode" / "config.pbtxt").read_text()
    for line in (
        'name: "tiny_encode"',
        "max_batch_size: 16",
        'input { name: "image" data_type: TYPE_FP32 dims: [ 8, 8, 1 ] }',
        'output { name: "latent_0" data_type: TYPE_FP32 dims: [ 4, 4, 2 ] }',
        'output { name: "log_det" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } }',
        "dynamic_batching { max_queue_delay_microseconds: 1000 }",
    ):
        assert line in config.splitlines()
    path = tmp_path / "repository" / "tiny_log_prob" / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = flow.dequantize(tiny_images[:3])
    score = session.run(["log_prob"], {"image": x})[0]
    np.testing.assert_allclose(score, flow.log_prob(x), rtol=1e-5)


@pytest.fixture(scope="module")
def schema():
    """NVIDIA's published model_config.proto, as its client package ships it."""
    from tritonclient.grpc import model_config_pb2

    return model_config_pb2


@pytest.mark.parametrize("graph", ["encode", "decode", "log_prob"])
def test_the_configuration_follows_the_published_schema(source, schema, tmp_path, graph):
    _, folder = source
    export.triton(folder, tmp_path / "repository", max_batch_size=16, max_queue_delay_us=500)
    path = tmp_path / "repository" / f"tiny_{graph}"
    config = text_format.Parse((path / "config.pbtxt").read_text(), schema.ModelConfig())
    assert config.name == path.name
    assert config.backend == "onnxruntime"
    assert config.max_batch_size == 16
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    # Inputs and outputs are those of the graph, without the batch.
    session = Session(folder, "cpu").graph(graph)
    for written, actual in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [value.name for value in written] == [value.name for value in actual]
        for value, wanted in zip(written, actual, strict=True):
            assert value.data_type == schema.TYPE_FP32
            assert wanted.type == "tensor(float)"
            scalar = value.HasField("reshape")
            assert list(value.dims) == ([1] if scalar else wanted.shape[1:])
            assert scalar == (wanted.shape[1:] == [])
            assert list(value.reshape.shape) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("backend:", "back_end:"), 'no field named "back_end"'),
        (("TYPE_FP32", "TYPE_FLOAT"), "no value named TYPE_FLOAT"),
        (("max_batch_size: 64", 'max_batch_size: "64"'), "integer"),
    ],
)
def test_the_schema_refuses_what_it_does_not_know(source, schema, tmp_path, change, message):
    _, folder = source
    export.triton(folder, tmp_path / "repository")
    text = (tmp_path / "repository" / "tiny_encode" / "config.pbtxt").read_text()
    assert change[0] in text
    with pytest.raises(text_format.ParseError, match=message):
        text_format.Parse(text.replace(*change), schema.ModelConfig())


def test_bad_arguments(source, tmp_path):
    _, folder = source
    with pytest.raises(ValueError, match="max_batch_size must be an integer of at least 1; got 0"):
        export.triton(folder, tmp_path / "repository", max_batch_size=0)
    with pytest.raises(export.ExportError, match="is not an export"):
        export.triton(tmp_path, tmp_path / "repository")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export.triton(folder, tmp_path)
    assert list(tmp_path.iterdir()) == []
