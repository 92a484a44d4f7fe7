"""An export that is made without Keras, in no time."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.runtime import manifest


def made_by_hand(folder, classes=None, preprocess=None, shape=(4, 5, 1), palette=None):
    """An export without Keras: x = 0.1 z, plus 0.05 times the class where there are classes.

    Classes are those of images, or with a palette those of pixels.
    """
    folder.mkdir()
    floats = Preprocess.from_config(preprocess).float_shape(shape)
    constant = float(-0.5 * np.log(2 * np.pi) + np.log(10.0)) * int(np.prod(floats))
    numbers = {
        "tenth": np.float32(0.1),
        "ten": np.float32(10.0),
        "step": np.float32(0.05),
        "half": np.float32(-0.5),
        "constant": np.float32(constant),
        "one": np.array([-1, 1, 1, 1], "int64"),
        "axes": np.array([1, 2, 3], "int64"),
        "zero": np.float32(0.0),
    }
    condition, sides = None, ()
    if palette is not None:
        classes, sides = len(palette), shape[:2]
        condition = {"shape": [*sides], "dtype": "uint8", "classes": classes, "palette": palette}
        numbers["one"] = np.array([-1, *sides, 1], "int64")
    elif classes:
        condition = {"shape": [], "dtype": "uint8", "classes": classes}
    sizes = {"image": floats, "latent_0": floats, "log_det": (), "log_prob": ()}
    sizes |= {"feature_0": sides, "condition": sides}
    node = helper.make_node
    shift = [node("Cast", ["feature_0"], ["given"], to=TensorProto.FLOAT)] if classes else []
    shift += [node("Reshape", ["given", "one"], ["shaped"])] if classes else []
    shift += [node("Mul", ["shaped" if classes else "zero", "step"], ["shift"])]
    inward = [node("Sub", ["image", "shift"], ["moved"]), node("Mul", ["moved", "ten"], ["z"])]
    bodies = {
        "encode": (
            ["image"],
            ["latent_0", "log_det"],
            [
                *shift,
                *inward,
                node("Identity", ["z"], ["latent_0"]),
                node("ReduceSum", ["z", "axes"], ["log_det"], keepdims=0),
            ],
        ),
        "log_prob": (
            ["image"],
            ["log_prob"],
            [
                *shift,
                *inward,
                node("Mul", ["z", "z"], ["squares"]),
                node("ReduceSum", ["squares", "axes"], ["sum"], keepdims=0),
                node("Mul", ["sum", "half"], ["exponent"]),
                node("Add", ["exponent", "constant"], ["log_prob"]),
            ],
        ),
        "decode": (
            ["latent_0"],
            ["image"],
            [
                *shift,
                node("Mul", ["latent_0", "tenth"], ["scaled"]),
                node("Add", ["scaled", "shift"], ["image"]),
            ],
        ),
    }
    if classes:
        bodies = {name: ([*i, "feature_0"], o, n) for name, (i, o, n) in bodies.items()}
        cast = node("Cast", ["condition"], ["feature_0"], to=TensorProto.FLOAT)
        bodies["condition"] = (["condition"], ["feature_0"], [cast])
    described = {}
    for name, (inputs, outputs, nodes) in bodies.items():

        def value(key):
            kind = TensorProto.UINT8 if key == "condition" else TensorProto.FLOAT
            return helper.make_tensor_value_info(key, kind, ["batch", *sizes.get(key, ())])

        def listed(keys):
            return [
                {
                    "name": key,
                    "dtype": "uint8" if key == "condition" else "float32",
                    "shape": ["batch", *sizes.get(key, ())],
                }
                for key in keys
            ]

        used = {key for node in nodes for key in node.input}
        constants = [
            numpy_helper.from_array(array, key) for key, array in numbers.items() if key in used
        ]
        graph = helper.make_graph(
            nodes, name, [*map(value, inputs)], [*map(value, outputs)], constants
        )
        opset = [helper.make_opsetid("", 18)]
        save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / f"{name}.onnx")
        described[name] = {
            "file": f"{name}.onnx",
            "inputs": listed(inputs),
            "outputs": listed(outputs),
        }
    content = {
        "name": "by-hand",
        "precision": "float32",
        "metadata": {},
        "versions": {},
        "image": {"shape": list(shape), "float_shape": list(floats), "preprocess": preprocess},
        "latents": [{"name": "latent_0", "shape": list(floats)}],
        "condition": condition,
        "graphs": described,
    }
    manifest.write(folder, content)
    return folder
