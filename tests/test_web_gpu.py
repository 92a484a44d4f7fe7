"""WebGPU on the page: what it computes is checked, and the CPU takes over where it is wrong."""

import json

import numpy as np
import pytest

import export
from attnflow_keras.data import save_image
from attnflow_keras.runtime import Session
from export import web_runtime
from tests.browser import (
    SOFTWARE_GPU,
    assert_levels,
    chromium,
    finish,
    opened,
    pixels,
    runtime_path,
    served,
)
from tests.export_by_hand import made_by_hand
from tests.test_web_scripts import in_node


@pytest.fixture(scope="module")
def site(small_export, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "site"
    export.web(small_export, folder, runtime_path(), webgpu=True)
    return folder


def test_site_holds_the_build_with_webgpu(site):
    runtime = {path.name for path in (site / "runtime").iterdir()}
    assert runtime == {"LICENSE", *web_runtime.WEBGPU_FILES}
    assert json.loads((site / "site.json").read_text())["webgpu"] == [
        "encode",
        "decode",
        "log_prob",
    ]


def score(page, path, before=""):
    """Bits/dim that the page shows of a picture, once they are not those of before."""
    page.locator("input[type=file]").nth(0).set_input_files(path)
    page.wait_for_selector(f".figure:not([data-bits='{before}'])", timeout=60_000)
    finish(page)
    return page.locator(".figure").get_attribute("data-bits")


def test_page_computes_on_the_gpu(site, small_export, tiny_images, tmp_path):
    session = Session(small_export, "cpu")
    with (
        chromium(SOFTWARE_GPU) as browser,
        served(site) as address,
        opened(browser, address) as page,
    ):
        bits = ""
        for i, image in enumerate(tiny_images[5:7]):
            path = tmp_path / f"{i}.png"
            save_image(path, image)
            # The first is the CPU's, beside which the GPU's is checked; the second the GPU's.
            bits = score(page, path, bits)
            expected = session.bits_per_dim(image[None])[0]
            assert float(bits) == pytest.approx(expected, abs=1e-4)
        assert page.locator("footer").get_by_text("log_prob runs on the GPU (WebGPU).").count() == 1
        for seed in (3, 4):
            page.get_by_role("spinbutton", name="Seed").fill(str(seed))
            page.get_by_role("button", name="Sample", exact=True).click()
            page.wait_for_selector(f"#samples canvas[aria-label*='seed {seed}']")
            finish(page)
            drawn = session.sample(16, temperature=0.8, seed=seed)
            assert_levels(pixels(page.locator("#samples canvas"))[..., :1], drawn)
        assert page.locator("[data-gpu=used]").count() == 2


def test_page_computes_on_the_cpu_where_there_is_no_gpu(site, small_export, tiny_images, tmp_path):
    save_image(tmp_path / "0.png", tiny_images[5])
    with chromium() as browser, served(site) as address, opened(browser, address) as page:
        expected = Session(small_export, "cpu").bits_per_dim(tiny_images[5:6])[0]
        assert float(score(page, tmp_path / "0.png")) == pytest.approx(expected, abs=1e-4)
        assert page.locator("[data-gpu]").count() == 0


CHECKED = """
import { checkedSession } from "PAGE/gpu.js";
const session = (value) => ({ run: async () => ({ y: { data: Float32Array.from([value, 2]) } }) });
const firsts = [];
for (const open of [
  async () => session(1.0005),
  async () => session(1.02),
  async () => session(NaN),
  async () => { throw new Error("no adapter\\nmore"); },
]) {
  const said = [];
  const checked = checkedSession(session(1), open, (reason) => said.push(reason));
  const values = [];
  for (let i = 0; i < 3; i++) {
    values.push((await checked.run({})).y.data[0]);
  }
  firsts.push({ said, values });
}
console.log(JSON.stringify(firsts));
"""


def test_a_gpu_that_is_wrong_is_not_used():
    good, wrong, nan, failed = json.loads(in_node(CHECKED))
    assert good["said"] == [None]
    np.testing.assert_allclose(good["values"], [1, 1.0005, 1.0005])
    for each in (wrong, nan):
        assert each == {"said": ["its results differ from the CPU's"], "values": [1, 1, 1]}
    assert failed == {"said": ["no adapter"], "values": [1, 1, 1]}


def test_loops_are_left_to_the_cpu(tmp_path):
    onnx = pytest.importorskip("onnx")
    folder = made_by_hand(tmp_path / "export")
    manifest = json.loads((folder / "manifest.json").read_text())
    body = onnx.helper.make_graph([], "body", [], [])
    for name, graph in manifest["graphs"].items():
        path = folder / graph["file"]
        model = onnx.load(path)
        if name != "encode":
            loop = onnx.helper.make_node("Loop", ["", ""], ["unused"], body=body)
            model.graph.node.append(loop)
        data = model.SerializeToString()
        path.write_bytes(data)
        digest = web_runtime.hashlib.sha256(data).hexdigest()
        manifest["files"][graph["file"]] = {"bytes": len(data), "sha256": digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    export.web(folder, tmp_path / "site", runtime_path(), webgpu=True)
    assert json.loads((tmp_path / "site" / "site.json").read_text())["webgpu"] == ["encode"]
