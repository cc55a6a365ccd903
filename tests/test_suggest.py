"""The interval from the data: whole estimates against systems' exponents, and the command as a user calls it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from recordings import NULLS, TRUTH, recorded, white

from lyapsweep import systems
from lyapsweep.cli import main
from lyapsweep.config import Config, ConfigError
from lyapsweep.problems import interval
from lyapsweep.timeseries import estimate
from lyapsweep.trial import run_trial


def test_the_exponent_of_henon_in_either_form():
    for x in (recorded("henon", 11, 4000), recorded("henon", 11, 4000)[:, :1]):
        found = estimate(x)
        assert found.chaotic
        assert found.exponent == pytest.approx(0.4192, rel=0.1)
        assert found.low < found.exponent < found.high
        assert all(line is not None and line.slope == pytest.approx(0.4192, rel=0.1) for line in found.lines)
        assert found.predictability_time == pytest.approx(math.log(2) / found.exponent)


def test_the_seed_decides():
    x = recorded("henon", 0, 1000)
    first, again = estimate(x, seed=1), estimate(x, seed=1)
    assert (first.exponent, first.low, first.high, first.test) == (again.exponent, again.low, again.high, again.test)
    assert estimate(x, seed=2).test != first.test


def test_noise_is_no_chaos():
    found = estimate(white(np.random.default_rng(0), 2000, 0))
    assert not found.chaotic
    assert math.isnan(found.predictability_time)


def run(*arguments: object):
    return CliRunner().invoke(main, ["suggest", *map(str, arguments)])


@pytest.fixture
def henon_csv(tmp_path):
    path = tmp_path / "henon.csv"
    np.savetxt(path, recorded("henon", 3, 2000), delimiter=",", header="x,y", comments="")
    return path


def test_the_command_in_words_and_with_a_picture(henon_csv, tmp_path):
    picture = tmp_path / "curves.html"
    shown = run(henon_csv, "--columns", "x", "--plot", picture)
    assert shown.exit_code == 0, shown.output
    for word in (
        "verdict             chaotic",
        "lambda_max",
        "tau_pred",
        "sweep intervals 1 to 3",
        "false neighbours",
        "Rosenstein",
        "Kantz",
        "rank 1",
        "smooth model",
        "along the series",
    ):
        assert word in shown.output
    assert "Rosenstein" in picture.read_text()


def test_the_command_in_json(henon_csv):
    fast, slow = (json.loads(run(henon_csv, "--json", "--dt", dt).stdout) for dt in (0.5, 1.0))
    assert fast["chaotic"] is True
    assert fast["lambda_max"] == pytest.approx(2 * slow["lambda_max"])  # per unit time
    assert fast["tau_pred"] == slow["tau_pred"] == pytest.approx(math.log(2) / slow["lambda_max"])  # samples
    assert fast["lambda_low"] < fast["lambda_max"] < fast["lambda_high"]
    assert fast["embedding"]["columns"] == ["x", "y"]
    assert fast["verdict"] == "chaotic"
    assert fast["from"] == "model"
    assert fast["models"][0]["error"] < 0.01
    assert fast["along"]["value"] == pytest.approx(fast["lambda_max"], rel=0.1)


def test_a_series_of_few_periods_is_too_short(tmp_path):
    np.savetxt(tmp_path / "series.csv", recorded("lorenz63", 0, 1500), delimiter=",")
    shown = run(tmp_path / "series.csv", "--dt", 0.01)
    assert "cannot tell: the series is too short: it holds" in shown.output
    assert "tau_pred" not in shown.output


def test_noise_gets_no_interval(tmp_path):
    np.savetxt(tmp_path / "noise.csv", white(np.random.default_rng(0), 2000, 0))
    shown, told = run(tmp_path / "noise.csv"), json.loads(run(tmp_path / "noise.csv", "--json").stdout)
    assert shown.exit_code == 0
    assert "no evidence of chaos" in shown.output
    assert "tau_pred" not in shown.output
    assert (told["chaotic"], told["tau_pred"], told["intervals"]) == (False, None, None)


def test_a_system_is_measured_from_its_equations():
    told = json.loads(run("henon", "--json").stdout)
    assert told["source"] == "equations"
    assert told["lambda_max"] == pytest.approx(0.4192, rel=0.01)


@pytest.mark.parametrize(
    ("values", "arguments", "says"),
    [
        (np.zeros((2000, 1)), [], "Column 'column 0' is constant (0). Leave it out."),
        (np.random.default_rng(0).standard_normal((100, 1)), [], "500 samples are needed"),
        (np.full((2000, 1), np.nan), [], "missing or infinite"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--dt", "-1"], "--dt -1: 0 < dt < inf must hold"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--columns", "z"], "No column is called 'z'"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--plot", "a.png"], "must end in .html"),
        (
            np.random.default_rng(0).standard_normal((2000, 1)),
            ["--set", "rho=1"],
            "No setting of a file is called 'rho'",
        ),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--set", "skip=x"], "skip must be int"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--smoothing", "4"], "odd number of samples above 3"),
        (
            np.random.default_rng(0).standard_normal((2000, 1)),
            ["--delay", "300", "--dimension", "4"],
            "too much of 2000",
        ),
    ],
)
def test_input_that_cannot_be_is_one_line(tmp_path, values, arguments, says):
    np.savetxt(tmp_path / "series.csv", values)
    shown = run(tmp_path / "series.csv", *arguments)
    assert shown.exit_code == 2
    assert says in shown.output
    assert len(shown.output.strip().splitlines()) <= 3  # click says how to ask for help


def test_a_published_embedding_is_used_as_it_is_given(henon_csv):
    given = ("--delay", 2, "--dimension", 3, "--theiler", 7, "--smoothing", 0)
    told = json.loads(run(henon_csv, "--columns", "x", *given, "--json").stdout)["embedding"]
    assert (told["delay"], told["dimension"], told["theiler"]) == (2, 3, 7)
    refused = run("henon", "--theiler", 7)
    assert refused.exit_code == 2
    assert "--theiler is for files" in refused.output


def test_a_name_that_is_no_system():
    shown = run("lorentz63")
    assert shown.exit_code == 2
    assert "Did you mean 'lorenz63'" in shown.output


def automatic(**changes) -> Config:
    content = {
        "dataset": {"kind": "simulated", "system": "henon", "length": 600},
        "cell": {"kind": "vanilla", "units": 4},
        "forcing": {"kind": "sparse", "interval": "auto"},
        "windows": {"length": 20, "batch": 4},
        "training": {"steps": 2},
        "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
        "measures": ["loss"],
    }
    return Config.of(content | changes)


def test_auto_trains_as_the_interval_it_stands_for():
    *_, left = run_trial(automatic())
    *_, given = run_trial(automatic(forcing={"kind": "sparse", "interval": 2}))  # ln 2 / 0.419 = 1.65
    np.testing.assert_array_equal(left.traces["loss"], given.traces["loss"])
    assert left.provenance.forcing.interval == 2
    assert left.config.forcing["interval"] == "auto"
    assert given.provenance.forcing is None


def test_auto_of_a_recording_is_estimated_once(henon_csv, monkeypatch):
    calls, of = [], interval.estimate
    monkeypatch.setattr(interval, "estimate", lambda values: calls.append(1) or of(values))
    interval.cached_estimate.cache_clear()
    for seed in (0, 1):
        *_, last = run_trial(automatic(dataset={"kind": "recorded", "path": str(henon_csv)}, seed=seed))
        assert last.provenance.forcing.interval == 2
        assert "estimated" in last.provenance.forcing.source
    assert len(calls) == 1


def test_auto_without_chaos_names_the_remedy(tmp_path):
    np.savetxt(tmp_path / "noise.csv", white(np.random.default_rng(0), 1000, 0))
    with pytest.raises(
        ConfigError, match=r"(?s)the verdict is no evidence of chaos: .* Set forcing/interval to a number"
    ):
        next(run_trial(automatic(dataset={"kind": "recorded", "path": str(tmp_path / "noise.csv")})))


def test_auto_beyond_the_windows_names_the_remedy():
    with pytest.raises(ConfigError, match="auto is 2 for this series, but windows/length is 1"):
        next(run_trial(automatic(windows={"length": 1, "batch": 4})))


def test_an_interval_is_a_number_or_auto():
    with pytest.raises(ConfigError, match="whole number >= 1 or auto, but got 'auot'"):
        automatic(forcing={"kind": "sparse", "interval": "auot"})


@pytest.mark.slow
@pytest.mark.parametrize("form", ["one column", "all columns"])
@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 0.1), (0.05, 0.25)])
@pytest.mark.parametrize("name", list(TRUTH))
def test_largest_exponents_from_ten_thousand_samples(tmp_path: Path, name, noise, tolerance, form):
    """One series, nothing averaged, through the command."""
    dt, truth = TRUTH[name]
    x = recorded(name, 21, noise=noise)
    np.savetxt(tmp_path / "series.csv", x[:, :1] if form == "one column" else x, delimiter=",")
    told = json.loads(run(tmp_path / "series.csv", "--dt", dt or 1.0, "--json").stdout)
    assert told["chaotic"]
    assert told["lambda_max"] == pytest.approx(truth, rel=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "dt", "parameters", "truth", "tolerance"),
    [
        ("mackey_glass", 1.0, {"delay": 17.0}, 0.00518, 0.1),
        ("mackey_glass", 1.0, {"delay": 30.0}, 0.00708, 0.15),
        ("lorenz96", 0.05, {"sites": 5}, 0.4625, 0.15),
    ],
)
def test_one_column_of_a_benchmark_of_the_field(tmp_path, system, dt, parameters, truth, tolerance):
    """Dimension is no noise, and neighbours are compared with strangers brought abreast as they are."""
    flow = systems.build(system, dt, **parameters)
    states = flow.trajectory(flow.start(1, torch.Generator().manual_seed(1)), 11_000)[1000:, :1]
    np.savetxt(tmp_path / "series.csv", states)
    told = json.loads(run(tmp_path / "series.csv", "--dt", dt, "--json").stdout)
    assert told["verdict"] == "chaotic"
    assert told["noise"] < 1e-3
    assert told["lambda_max"] == pytest.approx(truth, rel=tolerance)
    assert told["lambda_low"] < truth < told["lambda_high"]


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("name", list(NULLS))
def test_no_evidence_of_chaos(name, noise):
    for seed in (21, 22):
        assert not estimate(NULLS[name](np.random.default_rng(seed), 10_000, noise)).chaotic
