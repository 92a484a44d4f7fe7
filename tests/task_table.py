"""Every task, by name: a new one is one line here and gets all the tests.

An entry is (configuration, data set with images that come with the package, what the user gives
with photos, shape of one condition or None, what ``condition`` reads).
"""

GREY = {"image_shape": [28, 28, 1]}
COLOUR = {"image_shape": [64, 64, 3]}
PALETTE = [[12 * n, 255 - 12 * n, 99] for n in range(17)]

TASKS = {
    "class-conditional": ({**GREY, "classes": 10}, "mnist", "classes.txt", (), "7"),
    "label-to-photo": (
        {**COLOUR, "palette": PALETTE},
        "bluemarble_landcover",
        "labels",
        (64, 64),
        "labels/00.png",
    ),
    "super-resolution": ({**COLOUR, "scale": 8}, "bluemarble_sr8", None, (8, 8, 3), "small.png"),
    "unconditional": (GREY, "fashion_mnist", None, None, None),
}
