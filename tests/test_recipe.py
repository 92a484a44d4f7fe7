"""Recipes: optimizers and schedules, older files, bad settings."""

import json

import keras
import numpy as np
import pytest

from attnflow_keras.training.recipe import Recipe

RECIPE = Recipe("tiny", 16, steps=12, steps_per_epoch=3, warmup_steps=2, ema=0.9, jit=False)


def test_learning_rate_warms_up_and_decays():
    recipe = Recipe("x", steps=100, warmup_steps=10, learning_rate=1e-2, final_fraction=0.1)
    schedule = recipe.make_optimizer()._learning_rate
    rates = [float(schedule(step)) for step in range(101)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(1e-2, rel=1e-3)
    assert np.argmax(rates) == 10
    assert rates[100] == pytest.approx(1e-3, rel=1e-3)


def test_linear_is_full_glow_s_schedule():
    recipe = Recipe("x", steps=200, warmup_steps=0, learning_rate=1e-4, schedule="linear")
    rate = recipe.make_optimizer()._learning_rate
    found = [float(rate(step)) for step in (0, 99, 100, 150, 199, 200, 300)]
    np.testing.assert_allclose(found, [1e-4, 1e-4, 1e-4, 5e-5, 1e-6, 0, 0], atol=1e-10)
    again = type(rate).from_config(rate.get_config())
    assert float(again(150)) == float(rate(150))
    with pytest.raises(ValueError, match="warmup_steps must be 0 with schedule='linear'"):
        Recipe("x", schedule="linear", warmup_steps=5)


def test_halving_is_srflow_s_schedule():
    recipe = Recipe("x", steps=200, warmup_steps=0, learning_rate=8e-4, schedule="halving")
    optimizer = recipe.make_optimizer()
    rates = [float(optimizer._learning_rate(step)) for step in (0, 100, 101, 151, 181, 191, 199)]
    np.testing.assert_allclose(np.array(rates) / 8e-4, [1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16])
    assert Recipe("x", beta_2=0.99).make_optimizer().beta_2 == 0.99
    with pytest.raises(ValueError, match="warmup_steps must be 0 with schedule='halving'"):
        Recipe("x", schedule="halving", warmup_steps=5)


def test_constant_learning_rate_after_the_warm_up():
    recipe = Recipe("x", steps=50, warmup_steps=10, learning_rate=8e-4, schedule="constant")
    schedule = recipe.make_optimizer()._learning_rate
    rates = np.array([float(schedule(step)) for step in range(200)])
    np.testing.assert_allclose(rates[:10], 8e-5 * np.arange(10), rtol=1e-5)
    np.testing.assert_allclose(rates[10:], 8e-4, rtol=1e-6)


def test_optimizers():
    adam = Recipe("x").make_optimizer()
    assert type(adam) is keras.optimizers.Adam
    assert adam.global_clipnorm == 1.0
    assert adam.use_ema
    adamax = Recipe("x", optimizer="adamax", clipnorm=None, ema=0.0).make_optimizer()
    assert type(adamax) is keras.optimizers.Adamax
    assert adamax.epsilon == 1e-8
    assert adamax.global_clipnorm is None
    assert not adamax.use_ema


def test_old_recipes_load():
    old = json.loads(
        """{"dataset": "mnist", "batch_size": 32, "steps": 20000, "stop_step": 14000,
        "learning_rate": 0.003, "warmup_steps": 200, "final_fraction": 0.01, "ema": 0.999,
        "clipnorm": 1.0, "steps_per_epoch": 1000, "seed": 0, "jit": true, "resize": false}"""
    )
    recipe = Recipe.from_dict(old)
    assert recipe == Recipe(**old)
    assert (recipe.optimizer, recipe.schedule, recipe.precision) == ("adam", "cosine", "float32")
    assert recipe.augment is None
    assert recipe.patience is None
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    with pytest.raises(ValueError, match="recipe must have settings among .*; got unknown sparkle"):
        Recipe.from_dict({**old, "sparkle": 1})
    with pytest.raises(ValueError, match="got no dataset"):
        Recipe.from_dict({"steps": 5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size must be"),
        ({"steps": 0}, "steps must be"),
        ({"learning_rate": -1.0}, "learning_rate must be a positive number; got -1.0"),
        ({"ema": 1.0}, r"ema must be a number in \[0, 1\); got 1.0"),
        ({"clipnorm": 0}, "clipnorm must be a positive number, or None; got 0"),
        ({"clipnorm": "1"}, "clipnorm must be a positive number, or None; got '1'"),
        ({"optimizer": "sgd"}, "optimizer must be one of adam, adamax; got 'sgd'"),
        ({"optimizer": None}, "optimizer must be one of adam, adamax; got None"),
        (
            {"schedule": "step"},
            "schedule must be one of cosine, constant, halving, linear; got 'step'",
        ),
        (
            {"augment": "flip"},
            "augment must be one of None, shift, shift_flip, recolor; got 'flip'",
        ),
        (
            {"augment": True},
            "augment must be one of None, shift, shift_flip, recolor; got True",
        ),
        ({"patience": 0}, "patience must be an integer of at least 1, or None; got 0"),
        ({"patience": 2.5}, "patience must be an integer .*; got 2.5"),
        ({"steps": "1"}, "steps must be an integer of at least 1; got '1'"),
        ({"steps": 1.5}, "steps must be an integer of at least 1; got 1.5"),
        (
            {"stop_step": 13},
            "stop_step must be an integer from 1 to 12, or None; got 13",
        ),
        ({"stop_step": 2.0}, "stop_step must be an integer .*; got 2.0"),
        ({"dataset": None}, "dataset must be the name of a data set, or a path; got None"),
        ({"dataset": ""}, "dataset must be .*; got ''"),
        ({"warmup_steps": -1}, "warmup_steps must be an integer of at least 0; got -1"),
        ({"warmup_steps": 2.5}, "warmup_steps must be an integer of at least 0; got 2.5"),
        ({"final_fraction": 1.5}, r"final_fraction must be a number in \[0, 1\]; got 1.5"),
        ({"final_fraction": "0"}, r"final_fraction must be a number in \[0, 1\]; got '0'"),
        ({"ema": "0.9"}, r"ema must be a number in \[0, 1\); got '0.9'"),
        ({"seed": -5}, "seed must be an integer from 0 to 4294967295; got -5"),
        ({"seed": 2**32}, "seed must be an integer from 0 to"),
        ({"seed": None}, "seed must be an integer from 0 to 4294967295; got None"),
        ({"jit": 1}, "jit must be True or False; got 1"),
        ({"resize": "yes"}, "resize must be True or False; got 'yes'"),
        (
            {"validation_images": 0},
            "validation_images must be an integer .*, or None; got 0",
        ),
        ({"precision": "float16"}, "precision must be one of float32, .*; got 'float16'"),
    ],
)
def test_bad_recipe(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{**RECIPE.to_dict(), **change})
