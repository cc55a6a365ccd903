"""Configs as command lines: what is written is read back as the same config."""

import math
import shlex

import made_up
import pytest

from lyapsweep.config import Config
from lyapsweep.config.command import format_config, format_value, run_command
from lyapsweep.config.parsing import parse_value

VALUES = (
    "lstm",
    "1e-3",
    "true",
    "null",
    "",
    "a b",
    "a: b: c",
    "[",
    "#",
    3,
    1e-5,
    True,
    None,
    [1, "x, y"],
    {"a": [0.5]},
)
VALUES += (math.inf, -math.inf, [math.inf, "1"], {"a": "null"}, ["it's", 'a "word"'])


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_written_as_they_are_read(value):
    assert parse_value(format_value(value)) == value


def test_no_number_is_read_as_no_number():
    assert math.isnan(parse_value(format_value(math.nan)))


@pytest.mark.parametrize(
    "wanted",
    [
        made_up.config("shallow_plrnn", 20, seed=3),  # a section of other settings
        made_up.config("vanilla", 10).changed(
            {"training/lr": 1e-5, "training/clip": None, "training/report_at": [0.1]}
        ),
        made_up.config("vanilla", 10).changed({"measures": ["loss"]}),
        made_up.config("vanilla", 10),
    ],
)
def test_a_command_makes_the_config_of_its_base(wanted):
    base = made_up.config("vanilla", 10)
    words = shlex.split(run_command(wanted, "it's a base.yaml", base.to_dict()))
    assert words[:3] == ["lyapsweep", "run", "it's a base.yaml"]
    assert set(words[3::2]) <= {"--set"}
    changes = {path: parse_value(value) for path, value in (word.split("=", 1) for word in words[4::2])}
    assert base.changed(changes) == wanted
    assert len(words[3::2]) == 0 if wanted == base else len(words[3::2]) > 0


def test_a_whole_config_is_yaml():
    wanted = made_up.config("shallow_plrnn", 20, seed=3)
    assert Config.of(parse_value(format_config(wanted))) == wanted
