"""Every task, by name: a new one is one line here and gets all the tests.

An entry is (configuration, data set with bundled images, writer of users' files, value of
``--labels`` or None, shape of one condition or None, what ``condition`` reads). A writer takes a
folder, which has ``photos``, and the images and conditions of these; None writes nothing.
"""

from PIL import Image

from attnflow_keras.data import downscale, save_image

GREY = {"image_shape": [28, 28, 1]}
COLOUR = {"image_shape": [64, 64, 3]}
PALETTE = [[12 * n, 255 - 12 * n, 99] for n in range(17)]


def class_file(folder, images, conditions):
    (folder / "classes.txt").write_text("\n".join(map(str, conditions)))


def label_maps(folder, images, conditions):
    (folder / "labels").mkdir()
    for photo, labels in zip(sorted((folder / "photos").iterdir()), conditions, strict=True):
        Image.fromarray(labels).save(folder / "labels" / photo.name)


def small_image(folder, images, conditions):
    save_image(folder / "small.png", downscale(images[0], 8))


CLASSES = {**GREY, "classes": 10}
LABELS = {**COLOUR, "palette": PALETTE}
SMALL = {**COLOUR, "scale": 8}
TASKS = {
    "class-conditional": (CLASSES, "mnist", class_file, "classes.txt", (), "7"),
    "label-to-photo": (
        LABELS,
        "bluemarble_landcover",
        label_maps,
        "labels",
        (64, 64),
        "labels/00.png",
    ),
    "super-resolution": (SMALL, "bluemarble_sr8", small_image, None, (8, 8, 3), "small.png"),
    "unconditional": (GREY, "fashion_mnist", None, None, None, None),
}
