"""Kinds of damaged inputs, each with what reads them."""

import contextlib
import io
import json
import traceback
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import torch
from fuzzing import (
    ARRAYS,
    TENSORS,
    WORDS,
    as_json,
    damaged,
    damaged_bytes,
    foreign,
    nested,
    npz,
    read_or_refused,
)
from hypothesis import strategies as st

from lyapsweep.cells.torch_files import WeightChoice, load_network
from lyapsweep.cli import main, printing
from lyapsweep.cli import run as run_file
from lyapsweep.cli.errors import CommandError
from lyapsweep.config import FAMILIES, Config
from lyapsweep.config.command import format_config
from lyapsweep.config.yaml_text import parse_yaml
from lyapsweep.datasets import build
from lyapsweep.datasets.driving import read_inputs
from lyapsweep.datasets.recording import Reading, read_recording
from lyapsweep.exponents import lyapunov_spectrum
from lyapsweep.problems import check_config
from lyapsweep.results import imported
from lyapsweep.results.experiment import ExperimentPaths
from lyapsweep.results.record import Record, RecordHeader
from lyapsweep.results.table import Table
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.observe.status import read_status
from lyapsweep.training.checkpoint import CheckpointConditions, Checkpoints
from lyapsweep.trial import run_trial

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


BLOCK = """# a point
dataset: &data
  kind: simulated
  system: henon
  length: 200
cell: {kind: lstm, units: 3}
windows: {length: 10, batch: 2}
training:
  steps: 1
  report_at: [0.1, 0.5]
lyapunov: {steps: 5, warmup: 2, orbits: 1}
measures:
  - loss
  - kind: prediction_error
    steps: 3
seed: 3
"""
SERIES = "t,x,y\n" + "".join(f"{0.1 * t:.1f},{np.sin(t / 3):.4f},{np.cos(t / 7):.4f}\n" for t in range(40))
DIALECTS = (
    SERIES,
    SERIES.replace(",", ";").replace(".", ","),
    SERIES.replace(",", "\t"),
    "# made up\n" + SERIES.partition("\n")[2],
)
PARTS = (
    b",",
    b";",
    b"\n",
    b"\r",
    b'"',
    b"'",
    b"#",
    b" ",
    b"\t",
    b"|",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"nan",
)
PARTS += (
    b"inf",
    b"-999",
    b"1e400",
    b"1e308",
    b"NA",
    b"1,5",
    b"2020-01-01",
    b"x" * 100,
    b"9" * 5000,
    b"1_0",
    b"\xd9\xa3",
    b"sep=;\n",
)


READINGS = st.builds(
    Reading,
    time=st.sampled_from(("auto", "auto", None, 0, "t", 7, "x")),
    resample=st.booleans(),
    missing=st.sampled_from(("refuse", "interpolate", "keep")),
    decimal=st.sampled_from(("auto", "auto", ".", ",")),
)


def read_series(file: Path, reading: Reading) -> None:
    """Everything that reads a series."""
    name = str(file)
    for read in (
        lambda: build("recorded", path=name, test=0.5),
        lambda: build("recorded_task", path=name, inputs=[0], targets=[1]),
        lambda: read_inputs(file),
        lambda: read_recording(name, reading=reading),
    ):
        with read_or_refused(file.parent):
            read()


class Texts:
    """CSV files, as series and as tables of trials."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "series.csv"
        self.file.touch()
        self.inputs = st.tuples(damaged_bytes([text.encode() for text in DIALECTS], PARTS), READINGS)

    def check(self, given: tuple[bytes, Reading]) -> None:
        self.file.write_bytes(given[0])
        read_series(self.file, given[1])
        with read_or_refused(self.folder):
            imported.read(self.file, settings="x", outcomes="y", exponents=["t*"], step="t")
        with read_or_refused(self.folder):
            imported.read(self.file, settings="?", outcomes="y", trial="x", ended="t")


class Arrays:
    """NPY files: headers and bytes."""

    HEADER = {"descr": "<f8", "fortran_order": False, "shape": [40, 2]}
    KINDS = (
        "<f4",
        ">f8",
        "|b1",
        "<i8",
        "<U3",
        "|O",
        "<c16",
        "<M8[s]",
        "|V8",
        "<f2",
        "x",
        "<f99",
        [["a", "<f8"], ["b", "|O"]],
    )

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "series.npy"
        self.file.touch()
        wave = np.sin(np.arange(80.0)).reshape(40, 2)
        self.data = wave.tobytes()
        whole = io.BytesIO()
        np.save(whole, wave)
        header = damaged([self.HEADER], nested | st.sampled_from(self.KINDS))
        tokens = (
            b"\x93NUMPY",
            b"\x02\x00",
            b"\x03\x00",
            b"\xff\xff",
            b"(40",
            b"'|O'",
            b"True",
            b"__import__('os')",
            b"(",
        )
        content = header.map(self.written) | damaged_bytes([whole.getvalue()], tokens)
        self.inputs = st.tuples(content, READINGS)

    def written(self, header: Any) -> bytes:
        shown = {k: tuple(v) if isinstance(v, list) and k == "shape" else v for k, v in header.items()}
        text = repr(shown).encode(errors="replace").ljust(117) + b"\n"
        return b"\x93NUMPY\x01\x00" + (len(text) % 2**16).to_bytes(2, "little") + text + self.data

    def check(self, given: tuple[bytes, Reading]) -> None:
        self.file.write_bytes(given[0])
        read_series(self.file, given[1])


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


class StateDicts:
    """Weights: .pt, .safetensors and .npz."""

    def __init__(self, folder: Path):
        self.folder = folder
        n = 4
        self.files = {suffix: folder / f"weights{suffix}" for suffix in (".pt", ".safetensors", ".npz")}
        layers = [torch.nn.RNN(2, n), torch.nn.LSTM(2, n, 2), torch.nn.GRU(2, n), torch.nn.LSTM(2, n, proj_size=2)]
        layers += [torch.nn.GRU(2, n, bidirectional=True), torch.nn.LSTMCell(2, n)]
        trees: list[Any] = [dict(layer.state_dict()) for layer in layers]
        trees += [
            {"model": {f"rnn.{k}": v for k, v in tree.items()}, "epoch": 3, "more": [1.0, "x"]} for tree in trees[:3]
        ]
        plrnn = {"A": torch.rand(n), "W": torch.rand(n, n) * (1 - torch.eye(n)), "h": torch.rand(n)}
        trees += [plrnn, plrnn | {"alpha": torch.rand(2), "H": torch.rand(n, 2), "C": torch.rand(n, 1)}]
        trees += [
            {
                "A": torch.rand(n),
                "W1": torch.rand(n, 6),
                "W2": torch.rand(6, n),
                "h1": torch.rand(n),
                "h2": torch.rand(6),
            }
        ]
        wholes = []
        for tree in trees[:4]:
            file = io.BytesIO()
            torch.save(tree, file)
            wholes.append(file.getvalue())
        choices = st.builds(
            WeightChoice,
            kind=st.sampled_from((None, None, "lstm", "plrnn", "alrnn", "x")),
            layers=st.sampled_from((None, None, 1, 2, 9)),
            prefix=st.sampled_from((None, None, "model.rnn", "", "x")),
            nonlinearity=st.sampled_from((None, None, "relu", "tanh")),
            rectified=st.sampled_from((None, None, 0, 2, -1, 2**40)),
            clipped=st.sampled_from((None, None, True)),
        )
        content = damaged(trees, nested | st.sampled_from(TENSORS)) | damaged_bytes(
            wholes, (b"PK", b"archive/data.pkl")
        )
        self.inputs = st.tuples(content, st.sampled_from(list(self.files)), choices)
        for file in self.files.values():
            file.touch()

    def check(self, given: tuple[Any, str, WeightChoice]) -> None:
        content, suffix, choice = given
        file = self.files[suffix]
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif suffix == ".pt":
            torch.save(content, file)
        else:
            from safetensors.torch import save_file

            kept = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor) and v.device.type == "cpu"}
            kept = {k: v.clone() for k, v in kept.items() if v.layout is torch.strided and not v.is_quantized}
            kept = {k: v for k, v in kept.items() if k.isprintable() and k.isascii() and k and len(k) < 200}
            if suffix == ".npz":
                npz(file, {k.replace("/", "_"): v.numpy() for k, v in kept.items() if v.dtype is not torch.bfloat16})
            else:
                save_file(kept, file)
        with read_or_refused(self.folder):
            network = load_network(file, choice).network
            inputs = np.ones((6, network.inputs)) if network.inputs else None
            lyapunov_spectrum(network, inputs, steps=4, warmup=1)


class Commands:
    """Values on the command line: --set of configs and of systems, names, sizes."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "series.yaml").write_text(BLOCK)
        (folder / "task.yaml").write_text(format_config(Config.of(configs()[-1])))
        (folder / "series.csv").write_text(SERIES)
        settings = sorted({path for content in configs() for path in Config.of(content).flat})
        places = st.sampled_from([*settings, *FAMILIES, "training", "measures", "a/b/c", "/", "", "seed/x", "dataset"])
        values = (nested | st.just("")).map(lambda v: v if isinstance(v, str) else json.dumps(v)) | st.text(max_size=6)
        values |= st.sampled_from(
            ("[", "{a: 1}", "!!x", "&a [*a]", ".inf", "0x1F", "1e400", "NO", "9" * 5000, "[" * 3000)
        )
        changes = st.lists(st.tuples(places, values).map("=".join) | st.sampled_from(WORDS), min_size=1, max_size=2)
        run = st.tuples(st.just("run"), st.sampled_from(("series.yaml", "task.yaml")), changes)
        systems = st.sampled_from(
            ("lorenz63", "henon", "lorenz96", "tanh_map", "mackey_glass", "linear", "duffing", "rossler")
        )
        knobs = st.sampled_from(
            ("rho", "sigma", "a", "b", "n", "dt", "units", "gain", "seed", "tau", "matrix", "x", "forcing")
        )
        set_systems = st.lists(st.tuples(knobs, values).map("=".join), max_size=2)
        spectrum = st.tuples(st.just("spectrum"), systems, set_systems)
        suggest = st.tuples(st.just("suggest"), st.just("series.csv"), st.just([]) | set_systems)
        table = st.tuples(st.just("import"), st.just("series.csv"), changes)
        self.inputs = st.tuples(run | run | spectrum | suggest | table, st.sampled_from(EXTRA))

    def check(self, given: tuple[tuple[str, str, list[str]], list[str]]) -> None:
        (name, file, changes), extra = given
        args = [name, file, *(word for change in changes for word in ("--set", change)), *extra]
        if name == "spectrum":
            args += ["--steps", "4", "--warmup", "1"]
        if name == "run":
            args += ["--no-tracking"]
        if name == "import":
            args += ["--settings", "x", "--outcome", "y", "--results", "out"]
        with read_or_refused(self.folder), patch.object(run_file, "train", side_effect=click.exceptions.Exit):
            command(*args)


EXTRA: list[list[str]] = [[], [], [], [], [], ["--name", ".."], ["--name", "a/b"], ["--dt", "nan"], ["--dt", "-1"]]
EXTRA += [["--columns", "0,x"], ["--columns", "²"], ["--columns", ",,"], ["--seed", "-1"], ["--seed", "9" * 30]]
EXTRA += [
    ["--orbits", "0"],
    ["--exponents", "99"],
    ["--compat", "x"],
    ["--device", "x"],
    ["--json"],
    ["--results", "series.csv"],
]


def command(*args: str) -> None:
    """Run a command up to its work; an unexpected exception is raised as it is."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main.main(list(args), standalone_mode=False)
        except CommandError as error:
            if traceback.extract_tb(error.__traceback__)[-1].name == "invoke":  # by `explained`
                raise error.__cause__ or error from None
            raise
        except click.exceptions.Exit:
            pass


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


KINDS: dict[str, Any] = {
    "mappings": Mappings,
    "yaml": YamlFiles,
    "texts": Texts,
    "arrays": Arrays,
    "records": Records,
    "sweep_files": SweepFiles,
    "state_dicts": StateDicts,
    "commands": Commands,
    "checkpoints": CheckpointFiles,
}
