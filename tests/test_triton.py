"""A Triton model repository; no server is run here."""

import numpy as np
import onnxruntime
import pytest

import export
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


def test_bad_arguments(source, tmp_path):
    _, folder = source
    with pytest.raises(ValueError, match="max_batch_size must be an integer of at least 1; got 0"):
        export.triton(folder, tmp_path / "repository", max_batch_size=0)
    with pytest.raises(export.ExportError, match="is not an export"):
        export.triton(tmp_path, tmp_path / "repository")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export.triton(folder, tmp_path)
    assert list(tmp_path.iterdir()) == []
