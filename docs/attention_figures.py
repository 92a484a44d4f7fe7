"""The masks of the three attentions, and the Jacobians that follow from them.

``python docs/attention_figures.py -o attentions.png`` builds iMap, iTrans, a transformer coupling
and causal attention on a map of 8x8 pixels and 2 channels, with random weights, and draws a column
for each: above, the mask of the first channel; below, the Jacobian from automatic differentiation,
black where it is zero and brighter where it is larger, its rows and columns sorted by the mask: the
half that stays comes first, or the values in their order.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from attnflow_keras import layers
from attnflow_keras.core.completion import value_order
from attnflow_keras.data import save_image
from attnflow_keras.layers.masks import make_mask
from attnflow_keras.layers.transformer_coupling import _halves

SHAPE = (8, 8, 2)
SIDE = 256  # pixels of a panel
GAP = 16
TITLE = 24
SMALL = {"patch": 2, "width": 16, "layers": 1, "heads": 2}


def main() -> None:
    """Draw the figure and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path("attentions.png"))
    given = parser.parse_args()
    stays = make_mask("spatial_channel", SHAPE)
    by_token = value_order(SHAPE, 2, "raster")
    changes = np.empty(np.prod(SHAPE), bool)
    changes[by_token] = _halves("channel", SHAPE, 2, seed=given.seed)
    place = np.empty(np.prod(SHAPE))
    place[by_token] = np.linspace(0.15, 1, len(by_token))
    columns = [
        ("iMap", layers.IMapAttention(), stays),
        ("iTrans", layers.ITransAttention(heads=2, grid=(2, 2)), stays),
        ("transformer coupling", layers.TransformerCoupling(**SMALL, seed=given.seed), ~changes),
        ("causal attention", layers.CausalAttention(**SMALL, group=4, components=3), place),
    ]
    width = len(columns) * (SIDE + GAP) + GAP
    figure = Image.new("L", (width, 2 * SIDE + 3 * GAP + TITLE), 255)
    draw = ImageDraw.Draw(figure)
    for i, (title, layer, mask) in enumerate(columns):
        left = GAP + i * (SIDE + GAP)
        draw.text((left, GAP // 2), title, fill=0)
        causal = title.startswith("causal")
        flat = np.asarray(mask, float).reshape(-1)
        order = by_token if causal else np.argsort(-flat, kind="stable")
        jacobian = np.abs(jacobian_of(layer, given.seed))[order][:, order]
        figure.paste(panel(flat.reshape(SHAPE)[..., 0]), (left, TITLE))
        figure.paste(panel(brightness(jacobian)), (left, TITLE + SIDE + GAP))
    save_image(given.out, np.asarray(figure)[..., None])
    print(f"wrote {given.out}")


def jacobian_of(layer: layers.FlowLayer, seed: int) -> np.ndarray:
    """d output / d input, (values, values), of a layer with random weights at a random map."""
    rng = np.random.default_rng(seed)
    layer.build((None, *SHAPE))
    for weight in layer.trainable_variables:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    x = tf.constant(0.3 * rng.normal(size=(1, *SHAPE)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, _ = layer(x)
    size = int(np.prod(SHAPE))
    return tape.jacobian(y, x).numpy().reshape(size, size)


def brightness(jacobian: np.ndarray) -> np.ndarray:
    """0 for zero; otherwise 0.3 to 1 on a logarithmic scale over four decades."""
    logs = np.log10(np.maximum(jacobian, 1e-30) / jacobian.max())
    return np.where(jacobian > 0, 0.3 + 0.7 * np.clip(1 + logs / 4, 0, 1), 0)


def panel(values: np.ndarray) -> Image.Image:
    """Values from 0 to 1 as a square of grey levels."""
    image = Image.fromarray(np.uint8(255 * values))
    return image.resize((SIDE, SIDE), Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
