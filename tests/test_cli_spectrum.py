"""`lyapsweep spectrum` as a user meets it: systems, our networks, weights of torch, tables and pictures."""

import json
import math
import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from command_line import call, complaint, double_precision, folder, ok, records  # noqa: F401
from matplotlib.figure import Figure
from torch import nn

from lyapsweep import lyapunov_spectrum, trial
from lyapsweep.analysis.spectra import spectrum as picture
from lyapsweep.cli.spectrum import show_table
from lyapsweep.cli.spectrum_targets import SpectrumTarget
from lyapsweep.config import Config
from lyapsweep.dynamics import Spectrum


@pytest.fixture
def weights(folder):  # noqa: F811
    """A trained elsewhere LSTM of two layers as a state dict, and a series of 300 rows of two features."""
    torch.manual_seed(0)
    module = nn.LSTM(2, 4, 2)
    torch.save(module.state_dict(), "weights.pt")
    series = np.random.default_rng(0).normal(size=(300, 2))
    np.save("series.npy", series)
    return module, series


def test_henon_as_json():
    told = json.loads(ok("spectrum", "henon", "--json"))
    assert {"exponents_per_step", "exponents_per_time", "stderr_per_step", "map", "kaplan_yorke"} <= set(told)
    assert (told["what"], told["map"], told["dt"]) == ("henon", "system", None)
    assert told["exponents_per_step"] == pytest.approx([0.4192, -1.6232], abs=0.005)
    assert told["kaplan_yorke"] == pytest.approx(1.258, abs=0.005)
    assert json.loads(ok("spectrum", "henon", "--json")) == told
    other = json.loads(ok("spectrum", "henon", "--json", "--seed", "1", "--steps", "300", "--orbits", "7"))
    assert (other["steps"], other["orbits"], other["settings"]["seed"]) == (300, 7, 1)


def test_a_system_beside_its_literature():
    text = ok("spectrum", "lorenz63", "--set", "rho=38", "--steps", "200", "--orbits", "64", "--warmup", "300")
    first = next(line.split() for line in text.splitlines() if line.startswith("1 "))
    assert first[-1] == "1.1042"
    assert float(first[3]) == pytest.approx(1.1042, abs=5 * float(first[4]))
    assert "(exactly -13.67)" in text
    assert "Mikhaeil et al. 2022" in text
    assert re.search(r"tau_pred +\S+ steps = \S+ units of time", text)


def test_exact_exponents_and_parameters_of_a_linear_map():
    told = json.loads(ok("spectrum", "linear", "--set", "matrix=[[2, 0], [0, 0]]", "--steps", "20", "--json"))
    assert told["exponents_per_step"] == [pytest.approx(math.log(2)), "-inf"]
    assert "rank losses" in ok("spectrum", "linear", "--set", "matrix=[[2, 0], [0, 0]]", "--steps", "20")
    assert "none: the largest exponent" in ok("spectrum", "linear", "--set", "matrix=[[0.5]]", "--steps", "20")


def test_an_orbit_that_escapes_has_no_exponents():
    assert "henon: the orbit left the finite numbers" in complaint(1, "spectrum", "henon", "--set", "a=5")
    result = call("spectrum", "henon", "--set", "a=5", "--json")
    assert json.loads(result.stdout)["exponents_per_step"] == [None, None]


def test_a_fresh_network_is_the_one_that_the_config_draws():
    told = json.loads(ok("spectrum", "tiny.yaml", "--seed", "3", "--set", "cell/units=5", "--json", "--exponents", "2"))
    config = Config.load("tiny.yaml", {"seed": 3, "cell/units": 5, "lyapunov/exponents": 2})
    expected = trial.network_spectrum(config)
    assert told["exponents_per_step"] == expected.exponents.tolist()
    assert (told["state"], told["map"]) == (5, "closed loop")
    assert "of the leading 2 of 4" in ok("spectrum", "tiny.yaml", "--exponents", "2")


def test_the_spectrum_of_a_record_is_its_own():
    ok("run", "tiny.yaml", "--no-tracking")
    last = records()[-1]
    file = Path("results/tiny/records", last.filename)
    told = json.loads(ok("spectrum", file, "--json"))
    assert told["exponents_per_step"] == last.spectra["closed loop"].exponents.tolist()
    assert told["stderr_per_step"] == [None if math.isnan(e) else e for e in last.spectra["closed loop"].stderr]
    longer = json.loads(ok("spectrum", file, "--json", "--steps", "40"))
    assert longer["steps"] == 40
    fresh = json.loads(ok("spectrum", "tiny.yaml", "--json"))
    assert fresh["exponents_per_step"] != told["exponents_per_step"]


def test_a_record_without_weights_tells_what_it_holds_and_no_more():
    ok("run", "tiny.yaml", "--no-tracking")
    first = records()[0]
    file = Path("results/tiny/records", first.filename)
    told = json.loads(ok("spectrum", file, "--json"))
    assert told["exponents_per_step"] == first.spectra["closed loop"].exponents.tolist()
    assert "holds no weights" in complaint(2, "spectrum", file, "--steps", "40")
    assert "holds trained ones" in complaint(2, "spectrum", file, "--seed", "1")


# Weights of torch


def test_weights_driven_by_a_series_are_the_modules_spectrum(weights):
    module, series = weights
    told = json.loads(ok("spectrum", "weights.pt", "--input", "series.npy", "--exponents", "3", "--json"))
    expected = lyapunov_spectrum(module, series, k=3)
    assert told["exponents_per_step"] == expected.exponents.tolist()
    assert told == {"what": "weights.pt"} | json.loads(expected.to_json())
    timed = json.loads(ok("spectrum", "weights.pt", "--input", "series.npy", "--dt", "0.5", "--warmup", "9", "--json"))
    assert (timed["dt"], timed["steps"], timed["state"]) == (0.5, 291, 16)
    text = ok("spectrum", "weights.pt", "--input", "series.npy", "--layers", "2", "--cell", "lstm")
    assert text.startswith("weights.pt: driven, nats per step\n")
    assert re.search(r"^network +lstm, 2 layers of 4 units, 2 inputs$", text, re.MULTILINE)
    assert "conditional" in text
    assert re.search(r"^sum_rule +\S+ +\(\|sum of exponents", text, re.MULTILINE)


def test_series_in_other_files_are_the_same_series(weights):
    _, series = weights
    np.savez("series.npz", series)
    np.savez("two.npz", inputs=series, times=np.arange(300))
    np.save("batch.npy", series[None])
    Path("series.csv").write_text("a,b\n" + "\n".join(f"{a!r},{b!r}" for a, b in series.tolist()))
    told = [
        json.loads(ok("spectrum", "weights.pt", "--input", file, "--exponents", "1", "--json"))["exponents_per_step"]
        for file in ("series.npy", "series.npz", "two.npz", "batch.npy", "series.csv")
    ]
    assert told == [told[0]] * 5


def test_weights_within_a_checkpoint(weights):
    module, _ = weights
    plain = json.loads(ok("spectrum", "weights.pt", "--input", "series.npy", "--json"))
    wrapped = {f"rnn.{name}": w for name, w in module.state_dict().items()} | {"head.weight": torch.ones(1, 4)}
    optimizer = torch.optim.Adam(module.parameters()).state_dict()
    torch.save({"epoch": 3, "model": wrapped, "optimizer": optimizer, "note": "x"}, "checkpoint.ckpt")
    told = json.loads(ok("spectrum", "checkpoint.ckpt", "--input", "series.npy", "--json"))
    assert told["exponents_per_step"] == plain["exponents_per_step"]
    torch.save({"model": wrapped, "average": wrapped}, "two.pt")
    message = complaint(2, "spectrum", "two.pt", "--input", "series.npy")
    assert re.search(r"two.pt: There are 2 recurrent layers.*prefix: model.rnn., average.rnn", message)
    told = json.loads(ok("spectrum", "two.pt", "--input", "series.npy", "--prefix", "average.rnn", "--json"))
    assert told["exponents_per_step"] == plain["exponents_per_step"]


def test_weights_without_a_series_run_on_zeros_where_asked(weights):
    module, _ = weights
    told = json.loads(ok("spectrum", "weights.pt", "--steps", "50", "--orbits", "2", "--json"))
    assert (told["map"], told["orbits"]) == ("zero input", 2)
    assert told["exponents_per_step"] == lyapunov_spectrum(module, steps=50, orbits=2).exponents.tolist()
    torch.save(nn.RNN(2, 3).state_dict(), "rnn.pt")
    assert "assuming tanh" in ok("spectrum", "rnn.pt", "--steps", "5")


# The published convention


def test_published_convention_is_told_apart(weights):
    text = ok("spectrum", "weights.pt", "--input", "series.npy", "--compat", "vogt")
    assert text.startswith("weights.pt: driven, published convention, bits per step\n")
    assert "These are not Lyapunov exponents" in text
    assert "Kaplan-Yorke" not in text
    assert "entropy" not in text
    told = json.loads(ok("spectrum", "lorenz63", "--steps", "500", "--orbits", "8", "--compat", "vogt", "--json"))
    assert told["settings"]["unit"] == "bits per step"
    plain = json.loads(ok("spectrum", "lorenz63", "--steps", "500", "--orbits", "8", "--json"))
    assert told["sum_per_step"] * math.log(2) == pytest.approx(plain["sum_per_step"], abs=1e-6)
    assert told["exponents_per_step"][1] * math.log(2) > plain["exponents_per_step"][1] + 3e-4


# What is printed


def test_the_table_says_what_the_numbers_mean():
    text = ok("spectrum", "henon", "--steps", "300", "--orbits", "32")
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in text.splitlines() if "  " in line.strip())
    for name in ("largest", "sum", "mean", "positive", "Kaplan-Yorke dimension", "entropy rate", "tau_pred", "halves"):
        assert lines[name]
    assert lines["map"].startswith("system (a known system")
    assert lines["positive"].startswith("1 of 2")
    assert lines["mean"] == "-0.602 per step"
    assert "warning:" not in text


def test_a_failed_check_is_a_warning(capsys):
    e = np.array([0.1, -0.4])
    lost = Spectrum(e, 0 * e, 100, 2, "driven", 2, checks={"sum_rule": 0.25, "halves": 0.0})
    show_table("lost.pt", SpectrumTarget(lost))
    shown = capsys.readouterr().out
    assert len(lost.warnings) == 1
    assert f"warning: {lost.warnings[0]}" in shown
    assert re.search(r"^sum_rule +0.25 ", shown, re.MULTILINE)


# Pictures


def finding(*exponents, **settings):
    e = np.array(exponents, dtype=float)
    spectrum = Spectrum(e, np.full(len(e), 0.01), 100, 1, "system", len(e), **settings)
    return picture.find(spectrum, "henon")


def test_the_sum_crosses_zero_at_the_kaplan_yorke_dimension():
    found = finding(0.009056, 0.0, -0.145723, dt=0.01)
    np.testing.assert_allclose(found.exponents, [0.9056, 0.0, -14.5723])
    assert found.title == "henon: system, nats per unit time"
    index = np.arange(len(found.sums))
    assert np.interp(found.crossing, index, found.sums) == pytest.approx(0.0, abs=1e-12)
    drawn = picture.draw(found)
    assert [list(trace.x) for trace in drawn.data] == [[1, 2, 3], [0, 1, 2, found.crossing, 3], [found.crossing]]
    assert list(drawn.data[0].error_y.array) == pytest.approx([1.0, 1.0, 1.0])
    contracting = finding(-0.5, -np.inf)
    assert "1 at -∞ not drawn" in picture.heading(contracting)
    assert len(picture.draw(contracting).data) == 2  # no crossing
    assert np.isnan(finding(0.5, -1.0, settings={"unit": "bits per step"}).crossing)


@pytest.mark.parametrize(("suffix", "start"), [(".html", b"<html>"), (".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_pictures_are_written_without_a_browser(suffix, start):
    ok("spectrum", "henon", "--steps", "50", "--orbits", "4", "--plot", f"henon{suffix}")
    content = Path(f"henon{suffix}").read_bytes()
    assert start in content[:100]
    assert len(content) > 5000
    if suffix == ".html":
        assert b"henon: system, nats per step" in content
        assert b"cdn.plot.ly" not in content.split(b"Plotly.newPlot")[-1]


def test_a_picture_is_a_figure_of_its_finding_alone():
    assert isinstance(picture.draw(finding(0.4, -1.6)), go.Figure)
    with pytest.raises(ValueError, match="not finite because the orbit diverged"):
        finding(np.nan, np.nan)


# Bad input


WRONG = {
    "system": (["spectrum", "lorentz63"], "No system is called 'lorentz63'. Did you mean 'lorenz63'"),
    "parameter": (["spectrum", "lorenz63", "--set", "roh=38"], "roh.*Did you mean 'rho'"),
    "value": (["spectrum", "lorenz63", "--set", "rho=high"], "rho must be float, but got 'high'"),
    "value of a flow": (["spectrum", "Halvorsen", "--set", "a=high"], "Halvorsen: a must be"),
    "dt of a map": (["spectrum", "henon", "--dt", "0.1"], "'dt'"),
    "dt of a network": (["spectrum", "tiny.yaml", "--dt", "0.1"], "--set dataset/dt=0.1"),
    "too many": (["spectrum", "henon", "--exponents", "3"], "k=3 is outside 1 <= k <= 2"),
    "no record": (["spectrum", "none.npz"], "none.npz: No such file"),
    "no input": (
        ["spectrum", "weights.pt"],
        r"needs inputs. Give --input series.npy, .*or --steps alone for zero input",
    ),
    "no weights": (["spectrum", "none.pt", "--steps", "5"], "none.pt: No such file"),
    "no series": (["spectrum", "weights.pt", "--input", "none.npy"], "none.npy: No such file"),
    "features": (
        ["spectrum", "weights.pt", "--input", "wide.npy"],
        "--input wide.npy: .*takes 2 inputs.*has 3 features",
    ),
    "hole": (["spectrum", "weights.pt", "--input", "hole.npy"], "hole.npy: 1 inputs are not finite.*time 5, feature 1"),
    "hole in a table": (["spectrum", "weights.pt", "--input", "hole.csv"], "hole.csv: 1 cells.*row 3, column 'b'"),
    "names": (["spectrum", "weights.pt", "--input", "names.npy"], "names.npy: .*real numbers.*<U"),
    "arrays": (["spectrum", "weights.pt", "--input", "arrays.npz"], "one called 'inputs', but it holds a, b"),
    "text": (["spectrum", "weights.pt", "--input", "series.doc"], "series.doc: files end in"),
    "short": (
        ["spectrum", "weights.pt", "--input", "series.npy", "--steps", "301"],
        r"series.npy: warmup \+ steps <= 300",
    ),
    "not finite": (["spectrum", "nan.pt", "--steps", "5"], "nan.pt: .*not finite"),
    "pickled": (["spectrum", "whole.pt", "--steps", "5"], "whole.pt holds Python objects.*state_dict"),
    "no torch": (["spectrum", "text.pt", "--steps", "5"], "text.pt (is no file of torch.save|holds Python objects)"),
    "tensor": (["spectrum", "tensor.pt", "--steps", "5"], "holds a Tensor where a state dict"),
    "linear": (["spectrum", "linear.pt", "--steps", "5"], "linear.pt: weight_hh_l0 is not among"),
    "kind": (["spectrum", "weights.pt", "--cell", "gru", "--steps", "5"], "weights.pt: .*'gru' has 3"),
    "layers": (["spectrum", "weights.pt", "--layers", "3", "--steps", "5"], "layers=3"),
    "convention": (["spectrum", "henon", "--compat", "vogd"], "Did you mean 'vogt'"),
    "convention of ours": (
        ["spectrum", "tiny.yaml", "--compat", "vogt"],
        "--compat is for a system and weights, but tiny.yaml",
    ),
    "settings of weights": (
        ["spectrum", "weights.pt", "--set", "a=1", "--steps", "5"],
        "--set is for .*, but weights.pt is weights",
    ),
    "input of a system": (
        ["spectrum", "henon", "--input", "series.npy"],
        "--input is for weights, but henon is a system",
    ),
    "picture": (
        ["spectrum", "henon", "--plot", "henon.gif"],
        "--plot henon.gif: the file must end in .html, .png, .svg",
    ),
    "folder": (["spectrum", "henon", "--plot", "none/henon.png"], "no folder none"),
    "foreign": (["spectrum", "foreign.npz"], "foreign.npz is not a lyapsweep record"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_line_that_helps(case, weights):
    module, series = weights
    np.save("wide.npy", np.zeros((300, 3)))
    holed = series.copy()
    holed[5, 1] = np.nan
    np.save("hole.npy", holed)
    Path("hole.csv").write_text("a,b\n1,2\n3,\n4,5\n")
    np.save("names.npy", np.array([["a", "b"]]))
    np.savez("arrays.npz", a=series, b=series)
    np.savez("foreign.npz", a=np.zeros(3))
    Path("series.doc").write_text("1,2")
    Path("text.pt").write_text("hello")
    torch.save(module, "whole.pt")
    torch.save(torch.zeros(3), "tensor.pt")
    torch.save(nn.Linear(2, 2).state_dict(), "linear.pt")
    torch.save({name: w * math.nan for name, w in module.state_dict().items()}, "nan.pt")
    args, message = WRONG[case]
    assert re.search(message, complaint(2, *args))
    assert not list(Path().glob("henon*"))


def test_a_clock_in_the_driving_series_is_no_input_and_sets_the_time_step(weights):
    _, series = weights
    rows = np.column_stack([0.5 * np.arange(300), series])
    np.save("clock.npy", rows)
    Path("clock.csv").write_text("t,a,b\n" + "\n".join(",".join(map(repr, row)) for row in rows.tolist()))
    plain = json.loads(ok("spectrum", "weights.pt", "--input", "series.npy", "--dt", "0.5", "--json"))
    for file in ("clock.npy", "clock.csv"):
        told = json.loads(ok("spectrum", "weights.pt", "--input", file, "--json"))
        assert told | {"what": ""} == plain | {"what": ""}
    text = ok("spectrum", "weights.pt", "--input", "clock.csv", "--exponents", "1")
    assert re.search(
        r"^input +clock\.csv\ninput +column 't' is the clock, dt = 0\.5; it is no input$", text, re.MULTILINE
    )
    message = complaint(2, "spectrum", "weights.pt", "--input", "clock.csv", "--dt", "2")
    assert "column 't' rises by 0.5 per row, but dt is 2" in message


def test_strong_contraction_does_not_hide_the_leading_exponent_of_a_plot():
    values = np.array([0.9, 0.0, -14.6, *np.linspace(-20, -126, 17)])
    found = picture.find(Spectrum(values, np.full(20, 0.01), 100, 1, "closed loop", 20), "a network")
    fig = picture.draw(found)
    shown = np.array(fig.data[0].y)
    assert shown[0] - shown[1] > 0.1 * np.ptp(shown), "a tenth of the axis lies between lambda_1 and 0"
    assert "−100" in fig.layout.yaxis.ticktext
    sums = dict(zip(fig.data[1].x, fig.data[1].y))
    assert sums[found.crossing] == 0
    page = Figure()
    picture.plot(found, page)
    assert [axes.get_yscale() for axes in page.axes] == ["symlog", "symlog"]
    near = picture.find(Spectrum(values[:3], np.full(3, 0.01), 100, 1, "closed loop", 3), "Lorenz")
    np.testing.assert_array_equal(picture.draw(near).data[0].y, values[:3])
