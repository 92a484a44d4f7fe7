"""Systems that the paper compares with, each trained for a few minutes on equally many images.

``python -m benchmarks.systems residual`` trains one on MNIST and prints a row of the table in
``docs/what-attention-gives.md``: bits/dim of the first images of the test split with the standard
error over them, parameters, images seen, and seconds of the processor. All rows have one recipe:
Adam, a tenth of the steps as warm-up, cosine decay to a hundredth, fresh uniform noise.
"""

import argparse
import math
import time
from typing import Any

from benchmarks.arguments import count, seconds, seed

RESIDUAL = {
    "levels": 3,
    "blocks": 4,
    "width": [32, 64, 64],
    "dense_blocks": 2,
    "dense_width": 64,
    "margin": 1e-6,
}
PLUS = {
    "width": 32,
    "blocks": 1,
    "heads": 2,
    "components": 4,
    "couplings": (2, 1, 2),
    "dropout": 0.0,
    "dequantizer_width": 16,
    "dequantizer_couplings": 2,
    "dequantizer_blocks": 1,
}
# A backbone of the paper without attention, of about that size.
MARFLOW = {
    "levels": 2,
    "steps": [2, 4],
    "width": 32,
    "components": 4,
    "conditioner": "gated_conv",
    "prior": "gaussian",
}
# Class and arguments of each system.
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "residual": ("ResidualFlow", RESIDUAL),
    "residual-dot": ("ResidualFlow", {**RESIDUAL, "attention": "dot"}),
    "residual-concat": ("ResidualFlow", {**RESIDUAL, "attention": "concat"}),
    "flow-plus-plus": ("FlowPlusPlus", PLUS),
    "flow-plus-plus-uniform": ("FlowPlusPlus", {**PLUS, "dequantization": "uniform"}),
    "marflow": ("MARFlow", MARFLOW),
}
DRAWS = 16  # of the importance-weighted bound


def main() -> None:
    """Train one system and print its row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--steps", type=count, default=500, help="training steps")
    parser.add_argument("--batch", type=count, default=32, help="images of a step")
    parser.add_argument("--rate", type=seconds, default=2e-3, help="peak learning rate")
    parser.add_argument("--test", type=count, default=1000, help="test images to score")
    parser.add_argument("--seed", type=seed, default=0, help="of weights, order and noise")
    given = parser.parse_args()
    import keras
    import numpy as np

    from attnflow_keras import models
    from attnflow_keras.data import data_set

    keras.utils.set_random_seed(given.seed)
    name, arguments = SYSTEMS[given.system]
    flow = getattr(models, name)((28, 28, 1), seed=given.seed, **arguments)
    data = data_set("mnist")
    images = np.asarray(data.images("train"))
    order = np.random.default_rng(given.seed).permutation(len(images))
    seen = given.steps * given.batch
    chosen = images[np.resize(order, seen)]
    warmup = max(1, given.steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.01 * given.rate,
        given.steps - warmup,
        alpha=0.01,
        warmup_target=given.rate,
        warmup_steps=warmup,
    )
    flow.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0))
    start, clock = time.process_time(), time.monotonic()
    flow.fit(chosen, batch_size=given.batch, epochs=1, shuffle=False, verbose=2)
    spent, passed = time.process_time() - start, time.monotonic() - clock
    print(f"trained: {spent:.0f} s of the processor, {passed:.0f} s on the clock", flush=True)
    test = np.asarray(data.images("test"))[: given.test]
    bits = np.asarray(flow.bits_per_dim(test, batch_size=50))
    error = bits.std(ddof=1) / math.sqrt(len(bits))
    if hasattr(flow, "importance_bits_per_dim"):
        weighted = flow.importance_bits_per_dim(test, DRAWS, batch_size=50)
        print(f"importance-weighted, {DRAWS} draws: {weighted.mean():.3f}")
    print(
        f"| `{given.system}` | {bits.mean():.3f} ± {error:.3f} | {flow.count_params():,} | "
        f"{seen:,} | {spent:.0f} |"
    )


if __name__ == "__main__":
    main()
