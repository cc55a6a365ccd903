"""Damaged records, checkpoints and other files of a results folder."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzzed_configs import configs
from fuzzing import (
    ARRAYS,
    as_json,
    command,
    damaged,
    damaged_bytes,
    nested,
    npz,
    read_or_refused,
)
from hypothesis import strategies as st

from lyapsweep.cli import printing
from lyapsweep.config import Config
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.header import RecordHeader
from lyapsweep.results.record import Record
from lyapsweep.results.table import Table
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.status import read_status
from lyapsweep.training.checkpoint import CheckpointConditions, Checkpoints
from lyapsweep.trial import run_trial


@cache
def trained() -> list[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Header and arrays of the last record of a series and of a task."""
    import tempfile

    found = []
    for content in (configs()[0], configs()[-1]):
        *_, record = run_trial(Config.of(content))
        with tempfile.TemporaryDirectory() as folder, np.load(record.save(folder)) as file:
            found.append((json.loads(str(file["header"])), {k: file[k] for k in file.files if k != "header"}))
    return found


class Records:
    """Records: their header, their arrays, their bytes; read alone, in a table, by `status` and by `spectrum`."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "records" / "0123456789ab-00000001.npz"
        self.file.parent.mkdir()
        trees = [{"header": header, "arrays": arrays} for header, arrays in trained()]
        trees += [{"header": header, "arrays": {}} for header, _ in trained()]
        wholes = []
        for tree in trees:
            self.write(tree)
            wholes.append(self.file.read_bytes())
        values = nested | st.sampled_from(ARRAYS)
        headers = damaged([tree["header"] for tree in trees]).flatmap(
            lambda header: st.sampled_from(trees).map(lambda tree: {"header": header, "arrays": tree["arrays"]})
        )
        self.inputs = headers | damaged(trees, values) | damaged_bytes(wholes, (b"PK", b"header.npy", b"\xff" * 8))

    def write(self, tree: Any) -> None:
        if isinstance(tree, bytes):
            self.file.write_bytes(tree)
            return
        arrays = tree.get("arrays")
        kept = {k: v for k, v in (arrays if isinstance(arrays, dict) else {}).items() if isinstance(v, np.ndarray)}
        kept = {k: v for k, v in kept.items() if k and "\0" not in k and k.isprintable() and len(k) < 200}
        header = {"header": np.array(as_json(tree["header"]))} if "header" in tree else {}
        npz(self.file, kept | header)

    def check(self, tree: Any) -> None:
        self.write(tree)
        for read in (
            self.one,
            self.all,
            lambda: RecordHeader.load(self.file),
            lambda: read_status(self.folder),
            self.measure,
        ):
            with read_or_refused(self.folder):
                read()

    def one(self) -> None:
        record = Record.load(self.file)
        printing.scores(record)
        for spectrum in record.spectra.values():
            printing.exponents(spectrum)
            printing.derived_lines(spectrum)

    def all(self) -> None:
        table = Table.read(self.folder)
        assert len(table) == 1
        assert table.varied == []

    def measure(self) -> None:
        command("spectrum", str(self.file))


class SweepFiles:
    """The JSON files of a results folder: sweep.json, driver.json, points.jsonl."""

    DESCRIPTION = {
        "schema": 1,
        "name": "x",
        "question": "why",
        "intent": "map",
        "objective": "loss",
        "direction": "minimise",
        "varied": ["seed", "cell/units"],
        "base": {"path": "a.yaml", "config": {"seed": 1}},
        "trials": 4,
        "extended": [2],
        "seed": 0,
        "pack": 2,
        "refined": {"grid": 4, "asked": 2, "threshold": 0.1, "axes": {"seed": [0, 1]}},
        "command": "lyapsweep sweep",
        "started": "2026-01-01T00:00:00+00:00",
        "versions": {"torch": "2.0", "numpy": None},
        "outcomes": {"finished": 3},
        "mark": "0123",
    }
    DRIVER = {"host": "a", "pid": 3, "time": 1.7e9, "over": False, "running": 2, "behind": 0}
    POINT = {"key": "0123456789ab", "params": {"seed": 3, "cell/units": 4.5}, "part": 0}

    def __init__(self, folder: Path):
        self.folder = folder
        self.place = ResultsFolder(folder, "x")
        self.place.records.mkdir(parents=True)
        paths = ExperimentPaths(self.place.path)
        self.files = {"sweep": paths.description, "driver": paths.heartbeat, "points": paths.points}
        header, arrays = trained()[0]
        npz(self.place.records / "0123456789ab-00000001.npz", arrays | {"header": np.array(json.dumps(header))})
        whole = {"sweep": self.DESCRIPTION, "driver": self.DRIVER, "points": self.POINT}
        for file in self.files.values():
            file.touch()
        tokens = (b"{", b"]", b"null", b"NaN", b"1e999", b"\xff", b"\x00", b"[" * 3000, b"\n")
        texts = {name: json.dumps(content).encode() for name, content in whole.items()}
        each = [
            st.tuples(st.just(name), damaged([content]).map(as_json).map(str.encode)) for name, content in whole.items()
        ]
        each += [st.tuples(st.just(name), damaged_bytes([text], tokens)) for name, text in texts.items()]
        self.texts, self.inputs = texts, st.one_of(each[0], *each)

    def check(self, change: tuple[str, bytes]) -> None:
        for name, file in self.files.items():
            file.write_bytes(change[1] if name == change[0] else self.texts[name])
        for read in (lambda: Table.read(self.place.path).varied, self.place.stored_points, self.status, self.place.id):
            with read_or_refused(self.folder):
                read()

    def status(self) -> None:
        command("status", str(self.place.path))


class CheckpointFiles:
    """Checkpoints: never an error; training starts over."""

    def __init__(self, folder: Path):
        self.folder = folder
        from lyapsweep.training.checkpoint import Checkpoint

        self.conditions = CheckpointConditions({}, "", "cpu", "float64", "", {})
        self.checkpoints = Checkpoints(folder / "checkpoints")
        (folder / "checkpoints").mkdir()
        state = {"step": torch.tensor(3), "died_at": torch.tensor([-1]), "weights": torch.ones(1, 3)}
        self.checkpoints.save(Checkpoint(["a"], state=state), self.conditions)
        (self.file,) = (folder / "checkpoints").iterdir()
        whole = self.file.read_bytes()
        with np.load(self.file) as file:
            self.tree = {
                "header": json.loads(str(file["header"])),
                "arrays": {k: file[k] for k in file.files if k != "header"},
            }
        self.inputs = damaged([self.tree], nested | st.sampled_from(ARRAYS)) | damaged_bytes([whole])

    write = Records.write

    def check(self, tree: Any) -> None:
        self.write(tree)
        with read_or_refused(self.folder):
            self.checkpoints.latest(["a"], self.conditions)
