"""The checks of single values that all packages share."""

import math

import numpy as np
import pytest

from attnflow_keras.core.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_power_of_two,
    check_sides,
)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (check_integer("n", np.int64(3)), 3),
        (check_integer("n", 0, 0), 0),
        (check_integer("n", None, none=True), None),
        (check_number("n", np.float32(0.5)), 0.5),
        (check_number("n", 1, "[0, 1]"), 1.0),
        (check_number("n", None, none=True), None),
        (check_flag("n", False), False),
        (check_choice("n", None, (None, "a")), None),
        (check_power_of_two("n", np.int32(8)), 8),
        (check_sides("n", [np.int64(8), 4, 3]), (8, 4, 3)),
    ],
)
def test_good_values_come_back_as_plain_python(given, plain):
    assert given == plain
    assert type(given) is type(plain)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (lambda: check_integer("n", 0), "n must be an integer of at least 1; got 0"),
        (lambda: check_integer("n", True), "n must be an integer of at least 1; got True"),
        (lambda: check_integer("n", 2.0, 0), "n must be an integer of at least 0; got 2.0"),
        (lambda: check_integer("n", 9, 1, 8), "n must be an integer from 1 to 8; got 9"),
        (lambda: check_integer("n", "1", none=True), "at least 1, or None; got '1'"),
        (lambda: check_number("n", -1), "n must be a number of at least 0; got -1"),
        (lambda: check_number("n", True), "n must be a number of at least 0; got True"),
        (lambda: check_number("n", 0, "(0, inf)"), "n must be a positive number; got 0"),
        (lambda: check_number("n", -9, "(-9, inf)"), "n must be a number above -9; got -9"),
        (lambda: check_number("n", 1, "[0, 1)"), "n must be a number in [0, 1); got 1"),
        (lambda: check_number("n", 0.0, "(0, 1)"), "n must be a number in (0, 1); got 0.0"),
        (lambda: check_number("n", math.inf), "n must be a number of at least 0; got inf"),
        (lambda: check_number("n", math.nan, none=True), "at least 0, or None; got nan"),
        (lambda: check_flag("n", 1), "n must be True or False; got 1"),
        (lambda: check_flag("n", "yes", none=True), "n must be True, False or None; got 'yes'"),
        (lambda: check_choice("n", "c", (None, "a")), "n must be one of None, a; got 'c'"),
        (lambda: check_choice("n", ["a"], {"a": 1}), "n must be one of a; got ['a']"),
        (lambda: check_power_of_two("n", 3), "n must be a power of 2, at least 2; got 3"),
        (lambda: check_power_of_two("n", 1), "n must be a power of 2, at least 2; got 1"),
        (lambda: check_sides("n", (8, 8)), "n must be (height, width, channels); got (8, 8)"),
        (lambda: check_sides("n", (8, True, 3)), "(height, width, channels); got (8, True, 3)"),
        (lambda: check_sides("n", 8), "n must be (height, width, channels); got 8"),
    ],
)
def test_bad_values_are_named(check, expected):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 (the whole text is compared)
        check()
    assert str(raised.value).endswith(expected)
