"""``attnflow demo``."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from zoo.cli.common import load_flow
from zoo.cli.console import console, working

ENTRY = "attnflow-imap-mnist"
RESTORER = "cattnflow-imap-sr8-bluemarble"
TRANSLATOR = "cattnflow-imap-landcover-bluemarble"


def demo_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An entry for 28x28 grey images, or a folder.")
    ] = ENTRY,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path(
        "demo-output"
    ),
    steps: Annotated[int, typer.Option(help="Fine-tuning steps.")] = 12,
) -> None:
    """Run it all once, without network: score, sample, fine-tune, export, restore, translate."""
    import numpy as np

    from attnflow_keras.data import image_grid, mnist_sample, save_image
    from zoo.card import metric_line
    from zoo.registry import info

    started = time.monotonic()

    def say(text: str) -> None:
        elapsed = (f"{time.monotonic() - started:5.0f} s", "dim")
        console.print(Text.assemble(elapsed, f"  {text}"))

    entry = info(name)
    flow = load_flow(name)
    say(f"{name}: {entry['parameters']:,} parameters loaded, sha256 checked")
    for metric in entry.get("metrics", []):
        say(metric_line(metric))

    digits = mnist_sample()
    with working("scoring 256 test digits", len(digits)) as report:
        bits = np.asarray(flow.bits_per_dim(digits, batch_size=64, progress=report))
    error = bits.std(ddof=1) / np.sqrt(len(bits))
    say(f"256 real test digits: {bits.mean():.3f} ± {error:.3f} bits/dim")
    order = np.argsort(bits)
    extremes = np.concatenate([digits[order[:8]], digits[order[-8:]]])
    save_image(out / "most-and-least-probable.png", image_grid(extremes, columns=8))

    x = flow.dequantize(digits[:64])
    with working("encoding and decoding"):
        latents, _ = flow.encode(x)
        largest = float(np.abs(np.asarray(flow.decode(latents)) - x).max())
    say(f"decode(encode(x)) returns x: largest error {largest:.2e} (a grey level is {1 / 256:.1e})")

    with working("sampling"):
        save_image(out / "samples.png", image_grid(flow.sample(64, temperature=0.8, seed=0)))
        rows = [flow.interpolate(digits[i], digits[i + 1], steps=10) for i in range(0, 8, 2)]
        save_image(out / "interpolation.png", image_grid(np.concatenate(rows), columns=10))
    say(f"wrote {out}/samples.png, interpolation.png and most-and-least-probable.png")

    say(_exported(flow, out / "onnx", digits))
    before, after = _fine_tune(flow, digits, steps)
    say(
        f"{steps} steps of model.fit on 192 inverted digits: "
        f"{before:.3f} -> {after:.3f} bits/dim on 64 others"
    )
    say(_restored(out / "restored.png"))
    say(_translated(out / "translated.png"))
    say(f"done; images and ONNX files are in {out}/")


def _restored(path: Path) -> str:
    """Restore some real satellite images, and measure how close they are to the originals."""
    import numpy as np

    from attnflow_keras.data import bluemarble_sample, downscale, image_grid, save_image, upscale
    from attnflow_keras.metrics import psnr

    images = bluemarble_sample()[0][3::5]
    small = downscale(images, 8)
    flow = load_flow(RESTORER)
    with working("restoring"):
        drawn = [flow.sample(condition=small, temperature=0.8, seed=seed) for seed in (0, 1)]
        likely = flow.sample(condition=small, temperature=0.0)
    shown = np.stack([small.repeat(8, 1).repeat(8, 2), upscale(small, 8), *drawn, images], axis=1)
    save_image(path, image_grid(shown.reshape(-1, *images.shape[1:]), columns=shown.shape[1]))
    near, bicubic = psnr(likely, images).mean(), psnr(upscale(small, 8), images).mean()
    return (
        f"{RESTORER}: {len(images)} satellite images, 8x8 to 64x64, PSNR {near:.2f} dB at "
        f"temperature 0 (bicubic {bicubic:.2f}); wrote {path}: small, bicubic, two, true"
    )


def _translated(path: Path) -> str:
    """Sample photos for some real label maps, and score how probable the real photos are."""
    import numpy as np

    from attnflow_keras.data import bluemarble_sample, image_grid, save_image

    tiles, classes = bluemarble_sample()
    images, labels = tiles[1::5], classes[1::5]
    flow = load_flow(TRANSLATOR)
    with working("translating"):
        drawn = [flow.sample(condition=labels, temperature=0.7, seed=seed) for seed in range(3)]
        own = float(np.mean(flow.bits_per_dim(images, labels)))
        others = float(np.mean(flow.bits_per_dim(images, labels[::-1])))
    colored = np.asarray(flow.palette, dtype="uint8")[labels]
    shown = np.stack([colored, *drawn, images], axis=1)
    save_image(path, image_grid(shown.reshape(-1, *images.shape[1:]), columns=shown.shape[1]))
    return (
        f"{TRANSLATOR}: {len(images)} label maps to photos; the real photos take {own:.2f} "
        f"bits/dim given their labels, {others:.2f} given others'; wrote {path}: label, three, true"
    )


def _exported(flow: Any, folder: Path, digits: Any) -> str:
    """Export to ONNX, where Keras runs on TensorFlow, and measure the differences."""
    import keras

    import export

    if keras.backend.backend() != "tensorflow":
        return f"no export on {keras.backend.backend()}: 'attnflow export' needs TensorFlow"
    with working("exporting encode, decode and log_prob to ONNX and comparing"):
        report = export.onnx(flow, folder, overwrite=True, images=digits)
    return (
        "exported to ONNX; onnxruntime differs from Keras by at most "
        f"{report['log_prob']:.1e} bits/dim, {report['latents']:.1e} in latents (encode), "
        f"{report['image']:.1e} in images (decode); decode(encode(x)) in onnxruntime: largest "
        f"error {report['round_trip']:.2e}"
    )


def _fine_tune(flow: Any, digits: Any, steps: int) -> tuple[float, float]:
    import keras
    import numpy as np

    inverted = 255 - digits
    held_out = inverted[192:]
    before = float(np.mean(flow.bits_per_dim(held_out)))
    flow.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0))
    with working("fine-tuning", steps) as report:
        count = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: report(batch + 1)
        )
        train = np.resize(inverted[:192], (32 * steps, *inverted.shape[1:]))
        flow.fit(train, batch_size=32, epochs=1, verbose=0, callbacks=[count])
    return before, float(np.mean(flow.bits_per_dim(held_out)))
