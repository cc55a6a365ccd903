"""Kinds of damaged inputs, each with what reads them; here weights and commands, the others in files of their own."""

import io
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import torch
from fuzzed_configs import Mappings, YamlFiles, configs
from fuzzed_results import CheckpointFiles, Records, SweepFiles
from fuzzed_series import BLOCK, SERIES, Arrays, Texts
from fuzzing import (
    TENSORS,
    WORDS,
    command,
    damaged,
    damaged_bytes,
    nested,
    npz,
    read_or_refused,
)
from hypothesis import strategies as st

from lyapsweep.cells.torch_files import WeightChoice, load_network
from lyapsweep.cli import run as run_file
from lyapsweep.config import FAMILIES, Config
from lyapsweep.config.command import format_config
from lyapsweep.exponents import lyapunov_spectrum


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
