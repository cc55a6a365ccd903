"""The benchmark of dysts' flows: its checks can fail, and it goes on where it was stopped."""

import pytest

from benchmarks import dysts_exponents as benchmark

ROW = {
    "flow": "Lorenz",
    "outcome": "measured",
    "exponents": "0.9 0.001 -14.568",
    "stderr": "0.01 0.002 0.01",
    "divergence": "-13.667",
    "kaplan_yorke": "2.062",
}


@pytest.fixture
def small(monkeypatch):
    for name, value in {"ORBITS": 4, "WARMUP": 20, "APART": 40, "FINER": 1}.items():
        monkeypatch.setattr(benchmark, name, value)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "pass"),
        ({"exponents": "0.9 0.005 -14.572"}, "pass"),  # within 1 % of the largest
        ({"exponents": "0.9 0.015 -14.582", "stderr": "0.01 0.008 0.01"}, "pass"),  # within two standard errors
        ({"exponents": "0.9 0.015 -14.582"}, "not converged"),
        ({"divergence": "-13.7"}, "trace"),
        ({"divergence": "nan"}, "trace"),
        ({"exponents": "0.9 0.03 -14.568"}, "not converged, trace"),
        ({"stderr": "0.3 0.002 0.01"}, "not chaotic"),
    ],
)
def test_checks(changes, verdict):
    assert benchmark.checks(ROW | changes) == verdict


@pytest.mark.parametrize("flow", ["Lorenz", "SprottD"])  # of constant and of varying divergence
def test_exponents_sum_to_the_mean_divergence_along_their_orbits(small, flow):
    row = benchmark.measured(flow, steps=100)
    assert row["outcome"] == "measured"
    assert sum(benchmark.numbers(row["exponents"])) == pytest.approx(row["divergence"], rel=1e-4)


def test_a_missed_zero_is_followed_four_times_as_long(monkeypatch):
    asked = []

    def followed(flow, steps):
        asked.append(steps)
        return ROW | {"exponents": "0.9 0.03 -14.597", "substeps": 1, "steps": steps}

    monkeypatch.setattr(benchmark, "followed", followed)
    row = benchmark.measured("Lorenz", steps=40)
    assert (asked, row["steps"], row["counted"]) == ([40, 160], 40, 160)
    assert benchmark.checks(row) == "not converged"


def test_it_goes_on_where_it_was_stopped(small, tmp_path, monkeypatch, capsys):
    arguments = ["", "--steps", "20", "--csv", str(tmp_path / "table.csv"), "--flows", "SprottB"]
    monkeypatch.setattr("sys.argv", arguments)
    benchmark.main()
    monkeypatch.setattr("sys.argv", [*arguments, "Halvorsen"])
    benchmark.main()
    assert [row["flow"] for row in benchmark.read(tmp_path / "table.csv")] == ["SprottB", "Halvorsen"]
    *_, table, last = capsys.readouterr().out.strip().split("\n\n")
    assert "| SprottB |" in table
    assert last.startswith("2 flows, ")


def test_a_flow_that_diverged_is_a_line_of_the_table():
    line = benchmark.line(ROW | {"outcome": "diverged", "exponents": "nan nan nan", "divergence": "nan"})
    assert line.startswith("| Lorenz | diverged |")
    assert line.count("|") == benchmark.line(ROW).count("|") == 10
