"""Damaged configs, as mappings and as YAML."""

import contextlib
from functools import cache
from pathlib import Path
from typing import Any

from fuzzed_series import BLOCK
from fuzzing import (
    damaged,
    damaged_bytes,
    foreign,
    nested,
    read_or_refused,
)

from lyapsweep.config import FAMILIES, Config
from lyapsweep.config.command import format_config
from lyapsweep.config.yaml_text import parse_yaml
from lyapsweep.problems import check_config

SIZES = {
    "windows": {"length": 10, "batch": 2},
    "training": {"steps": 1},
    "lyapunov": {"steps": 5, "warmup": 2, "orbits": 1},
}

HENON = {"kind": "simulated", "system": "henon", "length": 200}

ADDING = {"kind": "adding", "length": 8, "train": 4, "test": 2}

SMALL = {"units": 3, "hidden": 4, "bases": 2, "rank": 2}


@cache
def configs() -> list[dict[str, Any]]:
    """A complete small config per cell, readout, init and forcing, of a series and of a task."""
    found = []
    for data in (HENON, ADDING):
        start = {"dataset": data, "cell": {"kind": "vanilla", "units": 3}, **SIZES}
        start = start if data is HENON else {k: v for k, v in start.items() if k != "windows"}
        for family, kind in [(f, kind) for f in ("cell", "readout", "init", "forcing") for kind in FAMILIES[f]]:
            sizes = {k: v for k, v in SMALL.items() if k in FAMILIES[family].knobs(kind)}
            with contextlib.suppress(ValueError):
                found.append(Config.of(start | {family: {"kind": kind} | sizes}).to_dict())
    return found


class Mappings:
    """Configs as mappings, as from Python."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.inputs = damaged(configs(), nested | foreign)

    def check(self, content: Any) -> None:
        with read_or_refused(self.folder):
            config = Config.of(content)
            assert config.ids
            assert Config.of(parse_yaml(format_config(config))) == config
            check_config(config)


class YamlFiles:
    """Configs as text."""

    TOKENS = (
        b": ",
        b"\n",
        b"- ",
        b"{",
        b"]",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!int ",
        b"!!python/name:os.system ",
        b"\t",
        b"#",
    )
    TOKENS += (
        b"---",
        b"%YAML 9",
        b"|",
        b"'",
        b'"',
        b"\xff",
        b"\x00",
        b"!!set ",
        b"!!timestamp ",
        b"? ",
        b"1e999",
        b".inf",
    )

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "config.yaml"
        texts = [format_config(Config.of(c)).encode() for c in configs()[::5]]
        texts += [b"\n".join(line.encode() for line in BLOCK.splitlines())]
        self.inputs = damaged_bytes(texts, self.TOKENS)
        self.file.touch()

    def check(self, content: bytes) -> None:
        self.file.write_bytes(content)
        with read_or_refused(self.folder):
            check_config(Config.load(self.file))
