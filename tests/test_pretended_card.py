"""Training on a pretended CUDA device (`pretended_card/`): nothing raises, the CPU's numbers, no synchronisation.

The checks run in a process of their own, because torch asks for CUDA once, when it is imported.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pretended_card.cases import RECORDED, all_cases, fast_cases
from pretended_card.device import compiler

HERE = Path(__file__).parent / "pretended_card"
CLOSE = 1e-5  # largest difference where code branches by device
MOST_WAITS = {"adaptive": 0.5, "geometric": 0.5}  # per update, where one of two measures kappa
FAST, ALL = fast_cases(), all_cases()

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="the pretended card needs g++"),
    pytest.mark.skipif(torch.version.cuda is not None, reason="the pretended card needs a CPU build of torch"),
]


def run(out, *options):
    command = [sys.executable, str(HERE / "run.py"), str(out), *options]
    subprocess.run(command, check=True)
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run(tmp_path_factory.mktemp("card") / "found.json")


@pytest.fixture(scope="module")
def found_of_all(tmp_path_factory):
    return run(tmp_path_factory.mktemp("card") / "found.json", "--all")


def exact(name):
    """Whether no code that this case runs branches by device.

    Pseudo-inverses, spectral norms, frames, Cayley transforms and sums over kinks do; single precision has oneDNN's
    LSTM and GRU.
    """
    group, cell, *rest = name.split("/")
    branches = {"linear", "affine", "lstm", "gru", "dendritic_plrnn", "scornn", "scurnn", *MOST_WAITS}
    return group in ("series", "task", "policy") and branches.isdisjoint((cell, *rest))


def check_training(row, name):
    assert "raises" not in row, row["raises"]
    differs = dict(row["apart"])
    assert (differs.pop("died_at"), differs.pop("step")) == (0.0, 0.0)
    norms = differs.pop("norms")  # of single precision, which adaptive forcing amplifies
    if exact(name):
        assert max(norms, *differs.values()) == 0.0
    else:
        assert norms < 1e-3
        assert max(differs.values()) < CLOSE, differs
    assert row["unwanted"] == {}


def check_waits(row, name):
    most = max((share for kind, share in MOST_WAITS.items() if f"/{kind}/" in name), default=0.0)
    assert sum(row["waits"].values()) <= most, row["waits"]


@pytest.mark.parametrize("name", FAST)
def test_training_is_that_of_the_cpu(found, name):
    check_training(found["training"][name], name)


@pytest.mark.parametrize("name", FAST)
def test_an_update_waits_for_nothing(found, name):
    check_waits(found["training"][name], name)


def check_records(row, name):
    assert "raises" not in row, row["raises"]
    spectra = {k: v for k, v in row["apart"].items() if "spectra" in k}
    rest = {k: v for k, v in row["apart"].items() if k not in spectra and "gradients" not in k}  # slopes of about zero
    assert max(rest.values()) < 10 * CLOSE, rest  # adaptive forcing amplifies
    if "dies" not in name and "scornn" not in name:  # whose weights are huge; whose exponents are all about zero
        assert max(spectra.values()) < 10 * CLOSE, spectra


@pytest.mark.parametrize("name", RECORDED)
def test_records_are_those_of_the_cpu(found, name):
    check_records(found["records"][name], name)


def test_training_resumes_from_a_checkpoint_to_the_bit(found):
    assert found["special"]["checkpoints"] == {"fixed": 0.0, "random": 0.0, "adaptive": 0.0, "stateful": 0.0}


def test_exhausted_memory_halves_a_pack(found):
    expected = {"oversized": [4], "outcomes": ["finished"] * 4, "packs": [2] * 4}
    assert found["special"]["memory"] == expected


def test_a_graph_of_the_update_gives_the_bits_of_the_loop(found):
    """With a pretended graph, which freezes what the host decides: rates, windows, deaths must not be."""
    graphs = found["special"]["graphs"]
    assert {kind: row["apart"] for kind, row in graphs.items()} == dict.fromkeys(graphs, 0.0)
    assert {kind for kind, row in graphs.items() if not row["replays"]} == {"radam", "carried", "annealed"}


def test_operators_that_mix_devices_raise(found):
    assert found["special"]["mixed devices"] == []


def test_annihilated_directions_have_the_exponents_of_a_cpu(found):
    """Cholesky factors of a singular frame were NaN."""
    for what, difference in found["special"]["numerics"].items():
        assert difference < 1e-12, what


def test_flossing_refuses_what_a_cpu_refuses(found):
    """NaN passed as full rank."""
    flossing = found["special"]["flossing"]
    assert "flossing/exponents <= 6" in flossing["cpu"]
    assert flossing["cuda"] == flossing["cpu"]
    assert flossing["apart"] < 1e-12


def test_spectral_norms_come_from_products(found):
    norms = found["special"]["norms"]
    assert norms["error"] < 2e-6
    assert norms["nan"]
    assert norms["growth"] < 1e-6
    assert norms["unwanted"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_all_trainings_are_those_of_the_cpu(found_of_all, name):
    check_training(found_of_all["training"][name], name)
    check_waits(found_of_all["training"][name], name)
    check_records(found_of_all["records"][name], name)
