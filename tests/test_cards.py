"""Every statement on a card is true of its folder."""

import json

import keras
import pytest
from huggingface_hub import ModelCard

import zoo
from attnflow_keras.training import Recipe
from zoo.card import render
from zoo.cli.train_run import Job, _metadata
from zoo.folder import update_metadata
from zoo.registry import PRESETS, read_config, read_metadata

pytestmark = pytest.mark.eager

STATED = {
    "task": "unconditional",
    "dataset": "mnist",
    "dataset_license": "CC BY-SA 3.0",
    "license": "Apache-2.0",
}


@pytest.fixture
def entry(tiny_flow, tmp_path):
    training = {"training": {"seed": 1, "steps": 2}}
    return zoo.save(tiny_flow, tmp_path / "entry", {**STATED, **training}, extra={"curve.csv": ""})


def card(folder):
    return (folder / "card.md").read_text()


def test_a_card_names_what_loads_and_files_that_are_there(entry, tiny_flow, tmp_path):
    assert 'zoo.load("path/to/this/folder")' in card(entry)
    assert "`curve.csv` has the curve" in card(entry)
    update_metadata(entry, {"dataset": "other"})
    assert 'zoo.load("path/to/this/folder")' in card(entry)
    assert "`curve.csv` has the curve" in card(entry)
    without = zoo.save(tiny_flow, tmp_path / "without", {"training": {"seed": 1}})
    assert "curve.csv" not in card(without)
    for row in ("data set", "licence of the data", "licence of the weights"):
        assert f"| {row} | not stated |" in card(without)


def test_entries_that_come_with_the_package_load_by_name():
    for name in zoo.list(pretrained=True):
        text = card(PRESETS / name)
        assert f'zoo.load("{name}")' in text
        assert ("curve.csv" in text) == (PRESETS / name / "curve.csv").exists()


def test_the_hub_reads_licence_task_data_and_scores():
    for folder in (path.parent for path in PRESETS.glob("*/card.md")):
        metadata = read_metadata(folder, folder)
        files = [path.name for path in folder.iterdir()]
        assert card(folder) == render(metadata, read_config(folder, folder), files, True)
        data = ModelCard(card(folder)).data
        assert data.license == metadata["license"].lower()
        assert data.library_name == "keras"
        assert data.pipeline_tag in ("unconditional-image-generation", "image-to-image")
        assert data.datasets == [metadata["dataset"]]
        scores = [(s.dataset_split, s.metric_value) for s in data.eval_results or ()]
        expected = [(m["split"].split()[1], m["value"]) for m in metadata.get("metrics", ())]
        assert scores == expected


def test_what_the_hub_has_no_name_for(tiny_flow, tmp_path):
    stated = {"license": "ask: me\n", "dataset": "/home/me/pictures", "task": "art"}
    data = ModelCard(card(zoo.save(tiny_flow, tmp_path / "own", stated))).data
    assert (data.license, data.license_name) == ("other", "ask-me")
    assert data.datasets is None
    assert data.pipeline_tag is None


def test_a_card_shows_the_settings_of_a_run_that_are_not_the_defaults(tiny_flow, tmp_path):
    recipe = {**Recipe("x", learning_rate=5e-4).to_dict(), "sparkle": "|"}
    text = card(zoo.save(tiny_flow, tmp_path / "own", {"training": {"recipe": recipe}}))
    assert "| learning_rate | 0.0005 | peak learning rate, reached after" in text
    assert "| batch_size |" not in text
    assert "sparkle" not in text


def test_a_copy_keeps_what_is_stated_of_its_weights(entry, tmp_path):
    for dtype in (None, "float64"):
        copy = zoo.save(zoo.load(entry, dtype=dtype), tmp_path / f"copy-{dtype}")
        assert {**STATED, "derived_from": "entry"}.items() <= zoo.info(copy).items()
        assert "curve.csv" not in card(copy)


def test_changed_weights_keep_nothing_of_the_old_data_and_licence(entry, tiny_images, tmp_path):
    def fit(flow):
        flow.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
        flow.fit(tiny_images[:4], batch_size=4, verbose=0)
        flow.compile(keras.optimizers.Adam(1e-3), jit_compile=False)  # forgets the steps

    def shift(flow):
        variable = flow.trainable_variables[0]
        variable.assign(variable + 0.01)

    for number, change in enumerate((fit, shift)):
        flow = zoo.load(entry)
        change(flow)
        copy = zoo.save(flow, tmp_path / f"copy-{number}")
        found = zoo.info(copy)
        assert found["derived_from"] == "entry"
        assert not found.keys() & {"dataset", "dataset_license", "license"}
        assert "| data set | not stated |" in card(copy)
        assert "| licence of the weights | not stated |" in card(copy)
        assert "Of entry, from which it started: data set mnist" in card(copy)


def test_an_untrained_flow_is_derived_from_nothing(entry, tmp_path):
    copy = zoo.save(zoo.load(entry, weights=False), tmp_path / "copy")
    found = zoo.info(copy)
    assert found["task"] == "unconditional"
    assert not found.keys() & {"dataset", "dataset_license", "license", "derived_from"}


@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_run_on_one_s_own_images_states_what_was_given(tmp_path, fine_tune):
    from attnflow_keras.training import Recipe

    known = {**STATED, "name": "old", "description": "Digits.", "training": {"note": "Long."}}

    def metadata(dataset, **options):
        options = {"other_data": True, **options}
        job = Job(
            name="old",
            entry=known,
            recipe=Recipe(dataset),
            folder=tmp_path / "mixed",
            fine_tune=fine_tune,
            command=["attnflow"],
            device="CPU",
            tensorboard=False,
            **options,
        )
        return _metadata(job, [], {}, [])

    mine = metadata("my-images")
    assert (mine["name"], mine["dataset"]) == ("mixed", "my-images")
    assert not mine.keys() & {"dataset_license", "license"}
    assert ("derived_from" in mine) == fine_tune
    assert "Digits" not in json.dumps(mine)
    given = metadata("my-images", license="MIT", data_license="CC0")
    assert (given["license"], given["dataset_license"]) == ("MIT", "CC0")
    assert metadata("cifar10")["dataset_license"]
    assert "license" not in metadata("cifar10")
    own = metadata("mnist", other_data=False)
    assert own["license"] == "Apache-2.0"
    assert own["description"] == "Digits."
