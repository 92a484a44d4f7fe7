"""Every task of the table keeps what a task promises."""

import numpy as np
import pytest

import zoo
from attnflow_keras.data import data_set, save_image
from attnflow_keras.training.order import Source
from tests.task_table import TASKS
from zoo.cli.app import app
from zoo.cli.common import load_conditioned
from zoo.tasks import results, task_of, tasks
from zoo.tasks.base import Reading

COUNT = 20


@pytest.fixture
def known(request, tmp_path):
    """A task, its line of the table, and a folder with ``photos`` and what belongs to them."""
    config, name, write, *expected = TASKS[request.param]
    pairs = data_set(name).bundled()
    images = pairs["image"][:COUNT]
    for i, image in enumerate(images):
        save_image(tmp_path / "photos" / f"{i:02}.png", image)
    if write is not None:
        write(tmp_path, images, pairs["condition"][:COUNT])
    return tasks()[request.param], (config, name, *expected), tmp_path


every = pytest.mark.parametrize("known", TASKS, indirect=True)


def test_every_task_is_in_the_table():
    assert sorted(tasks()) == sorted(TASKS)
    commands = {command.name for command in app.registered_commands}
    for name, task in tasks().items():
        assert name == task.name
        assert task.command in commands
        assert (task.result is None) == (task.title == "")
        assert zoo.list(task=name) is not None
        assert results().get(task.result) == (task.title or None)
    with pytest.raises(ValueError, match="task must be one of uncond.*, None; got 'other'"):
        zoo.list(task="other")


@every
def test_conditions_belong_to_the_images(known):
    task, (config, name, labels, shape, _), folder = known
    task.check(config)
    images, conditions = task.bundled(config, data_set(name))
    assert images.shape[1:] == tuple(config["image_shape"])
    assert (conditions is None) == (shape is None)
    if shape is not None:
        assert conditions.dtype == np.uint8
        assert conditions.shape == (len(images), *shape)
    # The user's photos, in an entry's words.
    entry = {"task": task.name, "config": config}
    assert task_of(entry) is task
    given = None if labels is None else folder / labels
    read, own = load_conditioned(entry, str(folder / "photos"), False, given)
    np.testing.assert_array_equal(read, images[:COUNT])
    if shape is not None:
        np.testing.assert_array_equal(own, conditions[:COUNT])
    if labels is None:
        with pytest.raises(ValueError, match=f"--labels is for .*; this one is for {task.name}"):
            load_conditioned(entry, str(folder / "photos"), False, folder)
    else:
        with pytest.raises(ValueError, match=r"photos: (photos|images) need their .*--labels"):
            load_conditioned(entry, str(folder / "photos"), False)
    other = {**config, "image_shape": [8, 8, 3]}
    assert task.bundled(other, data_set(name)) is None


@every
def test_a_condition_is_read(known):
    task, (config, _, _, shape, given), folder = known
    if shape is None:
        with pytest.raises(ValueError, match="condition must be None: the task is unconditional"):
            task.condition(config, "3", Reading())
        return
    path = folder / given
    read = task.condition(config, path if path.exists() else given, Reading())
    assert read.dtype == np.uint8
    assert read.shape == shape


@every
def test_training_on_the_user_s_photos(known):
    task, (config, _, labels, shape, _), folder = known
    reading = Reading(None if labels is None else folder / labels)
    said = []
    data = str(folder / "photos")
    source, held_out = task.own(config, data, reading, lambda n: np.arange(9, n, 10), said.append)
    if isinstance(source, Source):
        batch = source.draw(6, 0, 0)
        assert batch["image"].shape == (6, *config["image_shape"])
        assert batch["condition"].shape == (6, *shape)
        assert batch["condition"].dtype == np.uint8
    else:
        assert source.shape == (COUNT - 2, *config["image_shape"])
    if held_out is None:
        assert "nothing is scored" in said[0]
    else:
        images, _ = load_conditioned(
            {"task": task.name, "config": config}, data, False, reading.labels
        )
        np.testing.assert_array_equal(held_out[0], images[[9, 19]])
        whole, none = task.own(config, data, reading, lambda n: None, said.append)
        assert none is None
        assert len(whole) == COUNT


def test_pairs_of_another_task_are_refused():
    config = {"image_shape": [28, 28, 1], "classes": 10}
    for call in (
        lambda: tasks()["label-to-photo"].training(config, data_set("mnist")),
        lambda: tasks()["class-conditional"].training(config, data_set("bluemarble_sr8")),
    ):
        with pytest.raises(ValueError, match=r"data set \w+ has no pairs for .*; those that have"):
            call()
    assert tasks()["label-to-photo"].bundled(config, data_set("mnist")) is None


def test_super_resolution_takes_any_images(monkeypatch):
    monkeypatch.setattr(
        "attnflow_keras.data.sets.mnist.MNIST.images", lambda *_: np.zeros((3, 28, 28, 1), "uint8")
    )
    monkeypatch.setattr(
        "attnflow_keras.data.sets.mnist.MNIST.conditions", lambda *_: np.zeros(3, "uint8")
    )
    entry = {"task": "super-resolution", "config": {"image_shape": [28, 28, 1], "scale": 4}}
    images, small = load_conditioned(entry, "mnist:test", False)
    assert (images.shape, small.shape) == ((3, 28, 28, 1), (3, 7, 7, 1))
    drawn = tasks()["super-resolution"].training(entry["config"], data_set("mnist")).draw(2, 0, 0)
    assert drawn["condition"].shape == (2, 7, 7, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0\n1\n", r"an integer for each of 20 images; got int64 of shape \(2,\)"),
        ("0\n" * 19 + "10", "must hold classes 0 to 9; got 10"),
        ("0\n" * 19 + "-1", "must hold classes 0 to 9; got -1"),
        ("cat\n" * 20, "must hold an integer for each image"),
        ("9" * 30 + "\n", "must hold an integer for each image"),
    ],
)
@pytest.mark.parametrize("known", ["class-conditional"], indirect=True)
def test_wrong_classes(known, content, message):
    task, (config, *_), folder = known
    (folder / "classes.txt").write_text(content)
    with pytest.raises(ValueError, match=rf"--labels: .*classes.txt {message}|{message}"):
        task.of_files(config, str(folder / "photos"), Reading(folder / "classes.txt"))


@pytest.mark.parametrize("known", ["class-conditional"], indirect=True)
def test_classes_of_the_user(known):
    task, (config, *_), folder = known
    with pytest.raises(FileNotFoundError, match="--labels: no file .*nowhere.txt"):
        task.of_files(config, str(folder / "photos"), Reading(folder / "nowhere.txt"))
    np.save(folder / "classes.npy", np.arange(COUNT) % 10)
    _, classes = task.of_files(config, str(folder / "photos"), Reading(folder / "classes.npy"))
    assert classes.tolist() == [*range(10), *range(10)]
    np.save(folder / "classes.npy", np.zeros(COUNT))
    with pytest.raises(ValueError, match="an integer for each of 20 images; got float64"):
        task.of_files(config, str(folder / "photos"), Reading(folder / "classes.npy"))
    for wrong in ("10", "-1", "cat", "1.5", ""):
        with pytest.raises(ValueError, match="class must be an integer from 0 to 9; got"):
            task.condition(config, wrong, Reading())
    with pytest.raises(ValueError, match="is for class-conditional; its config.json has no number"):
        task.check({"image_shape": [28, 28, 1], "classes": None})
    assert task.to_draw(config, 12, None).tolist() == [*range(10), 0, 1]
    assert task.to_draw(config, 12, "3").tolist() == [3]
    with pytest.raises(ValueError, match="--class is not for entries for unconditional; got '3'"):
        tasks()["unconditional"].to_draw(config, 12, "3")
