"""`lyapsweep fit` as it is typed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call, complaint, double_precision, folder, ok  # noqa: F401

import lyapsweep
from lyapsweep.results.record import Record

SMALL = (
    "--trials=2",
    "--set=training/steps=20",
    "--set=lyapunov/steps=40",
    "--set=lyapunov/warmup=10",
    "--tracking-uri=none",
    "--jobs=1",
)


def save_waves(rows=450):
    t = np.arange(rows) * 0.25
    np.savetxt("waves.csv", np.stack([np.sin(t), np.cos(1.4 * t)], axis=1), delimiter=",", header="x,y", comments="")


@pytest.mark.cluster
def test_a_series_becomes_a_network_with_its_report(folder):  # noqa: F811
    save_waves()
    found = json.loads(ok("fit", "waves.csv", "--dt", "0.25", *SMALL, "--json"))
    assert found["verdict"] in ("no", "with reservations")
    assert any("no test part" in sentence for sentence in found["sentences"])
    assert any("fewer than" not in s and "allows no estimate" in s for s in found["sentences"])
    names = {each["name"] for each in found["forecasts"]}
    assert names >= {"networks", "persistence", "echo state network", "context parroting"}
    assert [network["outcome"] for network in found["networks"]] == ["finished"] * 3
    assert len(list(Path("results/waves/records").glob("*00000020.npz"))) == 2
    assert len(list(Path("results/waves-confirmed/records").glob("*00000020.npz"))) in (3, 6)  # of bounded networks
    page = Path(found["files"]["report"]).read_text()
    assert "Is this network to be trusted?" in page
    assert "echo state network" in page
    module = torch.jit.load(found["files"]["model as TorchScript"])
    assert module(torch.zeros(1, 2).double(), torch.zeros(1, 5, 0).double(), 5).shape == (1, 5, 2)
    assert Record.load(found["files"]["model as a record"]).weights
    assert "already" not in complaint(2, "fit", "waves.csv", "--dt", "0.25", *SMALL)
    again = lyapsweep.fit(
        "waves.csv",
        dt=0.25,
        trials=2,
        changes={"training/steps": 20, "lyapunov/steps": 40, "lyapunov/warmup": 10},
        tracking_uri="none",
        resume=True,
        quiet=True,
    )
    assert again.reliability.sentences == tuple(found["sentences"])
    assert again.forecast(np.array([[0.0, 1.0]]), 7).shape == (7, 2)
    assert (len(repr(again)) < 200, len(again._repr_html_()) < 10_000) == (True, True)
    assert found["sentences"][0] in again._repr_html_().replace("&lt;", "<")


def test_what_cannot_be_fitted_is_told_before_anything_is_written(folder):  # noqa: F811
    save_waves(80)
    assert "80 rows are too few" in complaint(2, "fit", "waves.csv", *SMALL)
    assert "no such file" in complaint(2, "fit", "wavs.csv")
    assert "No column is called 'z'" in complaint(2, "fit", "waves.csv", "--columns", "z")
    save_waves()
    assert "the search varies it" in complaint(2, "fit", "waves.csv", "--set", "training/lr=0.1")
    assert not Path("results").exists()


def test_help_teaches():
    text = call("fit", "--help").stdout
    for word in ("fresh seeds", "--minutes", "--inputs", "--resume", "TorchScript"):
        assert word in text
