"""Every number of a config is finite, in its range and of its type, and a config's text is read as it is meant."""

import dataclasses
import math
import re
import typing
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from made_up_sweeps import TINY

from lyapsweep.cli import main
from lyapsweep.config import FAMILIES, PLAIN, Config, ConfigError, parse_value
from lyapsweep.config.validation import complete_member, complete_plain
from lyapsweep.config.yaml_text import LONGEST
from lyapsweep.measures import MEASURES, listed
from lyapsweep.problems import memory
from lyapsweep.setting_types import Positive, as_plain, check_setting, type_of

SERIES = {"dataset": {"kind": "simulated", "system": "lorenz63"}, "cell": {"kind": "vanilla"}}


def plain_types(hint) -> set:
    """The types of a union, without their ranges."""
    options = [hint] if typing.get_origin(hint) is typing.Annotated else typing.get_args(hint) or [hint]
    return {getattr(option, "__origin__", option) if hasattr(option, "__metadata__") else option for option in options}


def numeric_settings():
    """(section, member or None, setting, its type) of every setting that takes a number."""
    for section, family in FAMILIES.items():
        for kind in family:
            member = family[kind].__init__ if isinstance(family[kind], type) else family[kind]
            for key in family.knobs(kind):
                for number in plain_types(type_of(member, key)) & {int, float}:
                    yield section, kind, key, number
    for section, plain in PLAIN.items():
        for each in dataclasses.fields(plain):
            for number in plain_types(type_of(plain, each.name)) & {int, float}:
                yield section, None, each.name, number


WORDS = ("interval", "time", "validation")  # settings that may be words or files, too
SETTINGS = sorted(numeric_settings(), key=str)


def attempt(section, kind, key, value):
    if kind is None:
        return complete_plain(section, {key: value}, {})
    return complete_member(section, {"kind": kind, key: value})


def test_every_number_of_every_member_must_be_finite_and_of_its_type():
    assert sum(number is float for *_, number in SETTINGS) >= 45
    for section, kind, key, number in SETTINGS:
        wrong = (math.inf, -math.inf, math.nan, True, "1") if number is float else (2**63, -(2**63), True, 1.5, "x")
        for value in wrong:
            if isinstance(value, str) and key in WORDS:
                continue
            with pytest.raises(ValueError, match=rf"^{section}/{key} must (be|hold) .*, but got "):
                attempt(section, kind, key, value)


def test_settings_of_measures_must_be_finite():
    for name in MEASURES:
        for key in MEASURES.knobs(name):
            for value in (math.inf, math.nan, 0, True):
                with pytest.raises(ValueError, match=rf"{name}/{key} must be a positive, finite"):
                    listed([{"kind": name, key: value}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training/clip": math.inf}, "training/clip must be a finite number > 0 or null, but got inf."),
        ({"seed": 10**22}, r"seed must be an integer below 2\^63 in size, but got 10{22}\."),
        ({"seed": 2**62}, r"seed must be an integer >= -2\^62 and < 2\^62, but got 4611686018427387904\."),
        ({"dataset/parameters": {"rho": math.nan}}, "dataset/parameters must hold finite numbers, but got"),
        ({"dataset/starts": [[1.0, math.inf, 0.0]]}, "dataset/starts must hold finite numbers, but got"),
        ({"dataset/dt": -0.1}, "dataset/dt must be a finite number > 0 or null, but got -0.1."),
        ({"cell": {"kind": "cornn", "dt": 0}}, "cell/dt must be a finite number > 0, but got 0."),
        ({"lyapunov/forced": "yes"}, "lyapunov/forced must be bool, but got 'yes'. Write true or false."),
        ({"training": []}, r"training must be a section of settings, but got \[\]"),
    ],
)
def test_numbers_that_are_none_are_refused_with_their_range(changes, message):
    with pytest.raises(ConfigError, match=message):
        Config.of(SERIES).changed(changes)


def test_numpy_numbers_and_paths_are_values():
    assert as_plain([np.float32(0.5), np.arange(2), Path("a/b"), (True,)]) == [0.5, [0, 1], "a/b", [True]]
    numpy = Config.of(SERIES | {"training": {"steps": np.int64(3), "lr": np.float64(0.5)}, "seed": np.int32(1)})
    assert numpy.id == Config.of(SERIES | {"training": {"steps": 3, "lr": 0.5}, "seed": 1}).id
    assert type(numpy.changed({"cell/units": np.int64(4)}).cell["units"]) is int


def test_a_number_is_no_truth_value_and_the_other_way():
    check_setting("x", 1, Positive)
    for value, hint in ((True, Positive), (1, bool), (1.0, int)):
        with pytest.raises(ValueError, match="x must be"):
            check_setting("x", value, hint)


LAUGHS = "\n".join(
    ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
)
FILES = {
    "a repeated section": (b"seed: 1\nseed: 2\n", r"line 2: 'seed' is given twice, first on line 1\. Remove one"),
    "a repeated setting": (b"cell: {kind: lstm,\n  units: 3, units: 4}\n", "line 2: 'units' is given twice, first on"),
    "a number as a key": (b"seed: 1\n3: 4\n", r"line 2: a key must be a name, but is 3\. Quote it"),
    "a truth value as a key": (b"true: 1\n", "line 1: a key must be a name, but is true"),
    "nothing as a key": (b"~: 1\n", "line 1: a key must be a name, but is ~"),
    "a list as a key": (b"[1, 2]: 1\n", "line 1: a key must be a name, but is a sequence"),
    "Latin-1": (b"seed: 1\n# caf\xe9\n", r"line 2: the file is not text in UTF-8 \(byte 0xe9\)\. Save it as UTF-8"),
    "UTF-16": ("seed: 1\n".encode("utf-16"), "line 1: the file is not text in UTF-8"),
    "a program": (b"\x7fELF\x02\x01\x01\x00\x00", "this is not YAML .*unacceptable character"),
    "a billion laughs": (LAUGHS.encode(), "more than 100000 values once aliases are written out"),
    "an alias of itself": (b"a: &a [*a]\n", "line 1: an alias stands inside of its own anchor"),
    "depth": (b"a: " + b"[" * 5000, "the values are nested too deeply"),
    "size": (b"# " + b"x" * LONGEST, "characters, more than 300000"),
    "a long integer": (b"seed: " + b"1" * 5000, "line 1: the integer 11111111111111111111... has 5000 digits"),
    "an object": (b"seed: !!python/object/apply:os.system [true]\n", "line 1: could not determine a constructor"),
    "a wrong tag": (b"seed: !!int x\n", "a value does not fit its tag"),
    "a wrong time": (b"seed: !!timestamp x\n", "a value does not fit its tag"),
    "a syntax error": (b"cell: {kind: [}\n", "line 1: this is not YAML"),
    "two documents": (b"a: 1\n---\nb: 1\n", "line 2: this is not YAML"),
    "a list": (b"- seed\n", "must hold sections"),
    "nothing": (b"", "must hold sections"),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_config_is_refused_in_one_line_with_its_name(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_bytes(content)
    result = CliRunner().invoke(main, ["run", "c.yaml"])
    assert result.exit_code == 2
    assert re.fullmatch(rf"Error: c\.yaml.*{message}.*\n", result.stderr), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_words_of_yaml_1_1_are_words():
    assert parse_value("[NO, on, Yes, 1:30, 2020-01-01, 0x10, -.inf]") == [
        "NO", "on", "Yes", "1:30", "2020-01-01", 16, -math.inf
    ]  # fmt: skip
    assert parse_value("{a: &x {b: 1}, c: {<<: *x, d: ~}}") == {"a": {"b": 1}, "c": {"b": 1, "d": None}}
    with pytest.raises(yaml.YAMLError, match="'a' is given twice"):
        parse_value("{a: 1, a: 2}")


TOO_LARGE = {
    "windows/batch": 10**12,
    "windows/length": 10**12,
    "training/steps": 10**17,
    "cell/units": 10**8,
    "dataset/length": 10**12,
    "lyapunov/orbits": 10**11,
}


@pytest.mark.parametrize(("path", "value"), TOO_LARGE.items())
def test_what_is_larger_than_any_memory_is_refused_before_training(tmp_path, monkeypatch, path, value):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(TINY)
    result = CliRunner().invoke(main, ["run", "c.yaml", "--set", f"{path}={value}"])
    assert result.exit_code == 2
    assert re.fullmatch(rf"Error: {path}={value} asks for [\d,]+ GB of memory or more, .*\n", result.stderr)
    assert result.stdout == ""
    assert not Path("results").exists()
    Path("s.py").write_text(
        "from lyapsweep.sweep import Sweep\n"
        f'SWEEP = Sweep(base="c.yaml", objective="loss", grid={{"{path}": [{value}]}})'
    )
    result = CliRunner().invoke(main, ["sweep", "s.py"])
    assert result.exit_code == 2
    assert f"{path}={value} asks for" in result.stderr
    assert not Path("results").exists()


def test_the_memory_of_all_arrays_of_a_usual_config_is_small():
    config = Config.of(SERIES)
    memory.check_memory(config, limit=2_000_000)
    with pytest.raises(ConfigError, match=r"windows/length=200 asks for 0 GB of memory or more, but there are 0 GB"):
        memory.check_memory(config, limit=100_000)


@pytest.mark.parametrize("option", ["--time-limit", "--gpus"])
def test_options_take_no_infinities(tmp_path, option):
    for value in ("inf", "nan"):
        result = CliRunner().invoke(main, ["sweep", str(tmp_path / "s.py"), option, value])
        assert result.exit_code == 2
        assert f"{value} is not a finite number" in result.stderr
    result = CliRunner().invoke(main, ["sweep", str(tmp_path / "s.py"), "--zoom", "init/gain=1..inf"])
    assert "write --zoom init/gain=1.2..1.6" in result.stderr
