"""Networks that learn a series while inputs drive it: which sample drives which step, from the windows to the command.

A planted network makes the series, so that with its own weights every run under the inputs is the series itself.
"""

import json
from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from mlflow.models import Model

from lyapsweep.analysis.networks.best_trial_fixed_points import summary
from lyapsweep.analysis.networks.network_fixed_points import of_network
from lyapsweep.atlas import report
from lyapsweep.atlas.view import AtlasView
from lyapsweep.cli import main
from lyapsweep.config import Config
from lyapsweep.datasets import BadSeries, Series, build
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.evaluation import series as evaluation
from lyapsweep.forcing import Adaptive, Schedule
from lyapsweep.forcing.growth import PROXIES
from lyapsweep.problems.network import build_network as network_of
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.record import Record
from lyapsweep.results.table import Table
from lyapsweep.tracking.forecast_models import write
from lyapsweep.training.objectives import ForcedWindows
from lyapsweep.trial import network_spectrum, run_trials
from lyapsweep.windows import Windows, driving

N = 400
PLAN = {"steps": 60, "warmup": 10, "orbits": 3}


def config(**sections):
    plain = {
        "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600},
        "cell": {"kind": "vanilla", "units": 3},
        "readout": {"kind": "identity"},
        "forcing": {"kind": "sparse", "interval": 5},
        "windows": {"length": 20, "batch": 4},
        "training": {"steps": 4, "report_every": 2},
        "lyapunov": PLAN,
        "measures": ["loss", "gradients", "state_space_mikhaeil2022", "prediction_error_mikhaeil2022"],
    }
    return Config.of(plain | sections)


def planted(pieces=1):
    """A driven network that is observed whole, and the series it made under noise, each piece from another state."""
    network = network_of([config()], 3, 2).requires_grad_(False)
    g = torch.Generator().manual_seed(3)
    parts, inputs = [], []
    for _ in range(pieces + 1):
        s = torch.randn(N, 2, generator=g)
        states = network.cell.orbit(torch.randn(1, 1, 3, generator=g), s[:, None, None], N)
        parts.append(states[:, 0, 0].numpy())
        inputs.append(s.numpy())
    series = Series(
        np.concatenate(parts[:-1]), parts[-1], 1.0, ("x", "y", "z"), np.zeros(3), np.ones(3),
        pieces=(N,) * pieces, train_inputs=np.concatenate(inputs[:-1]), test_inputs=inputs[-1],
    )  # fmt: skip
    return network, series


def held_out(series):
    return torch.as_tensor(series.test), torch.as_tensor(series.test_inputs)


def test_a_step_is_driven_by_the_input_of_the_moment_it_leads_to():
    s = torch.arange(20.0)[:, None]
    assert driving(s, torch.tensor([0, 7]), 3)[..., 0].T.tolist() == [[1, 2, 3], [8, 9, 10]]
    assert driving(None, torch.tensor([0, 7]), 3) is None


def test_the_truth_loses_nothing_in_any_window_of_training():
    """Inputs are cut alongside the observations, and no window crosses from one piece into the next."""
    network, series = planted(pieces=5)
    x, s = torch.as_tensor(series.train), torch.as_tensor(series.train_inputs)
    plan = config(windows={"length": 150, "batch": 64})

    def loss(inputs, pieces):
        generators = [torch.Generator().manual_seed(0)]
        return float(
            ForcedWindows(network, forcing_schedule([plan]), x, plan.windows, generators, pieces, inputs).loss(0)
        )

    assert loss(s, series.pieces) < 1e-24
    for wrong in (loss(s.roll(1, 0), series.pieces), loss(s.roll(-1, 0), series.pieces), loss(s, (len(x),))):
        assert wrong > 1e-4


def test_every_free_run_under_the_held_out_inputs_is_the_series_itself():
    network, series = planted()
    x, s = held_out(series)
    run = evaluation.generate(network, x, s)[0]
    assert len(run) == N
    length, burn_in = N // 5, N // 20
    first = torch.linspace(0, N - 1 - burn_in - length, 5).long() + burn_in + 1
    torch.testing.assert_close(run, torch.cat([x[f : f + length] for f in first]), atol=1e-12, rtol=0)
    got, came = evaluation.predict(network, x, 50, s)
    torch.testing.assert_close(got[0], came, atol=1e-12, rtol=0)
    torch.testing.assert_close(evaluation.long_run(network, x, s)[0], x[1:], atol=1e-12, rtol=0)
    assert evaluation.forecast_errors(network, x, s).max() < 1e-24
    windows = Windows(length=20)
    a = forcing_schedule([config()]).nominal(0)
    assert evaluation.window_losses(network, a, x, windows, s).max() < 1e-24
    for shift in (-1, 1):  # and with inputs of another moment none of them is
        wrong = s.roll(shift, 0)
        assert (evaluation.generate(network, x, wrong)[0] - run).abs().max() > 0.1
        assert evaluation.forecast_errors(network, x, wrong).min() > 1e-3
        assert evaluation.window_losses(network, a, x, windows, wrong).min() > 1e-3


def test_exponents_are_conditional_on_the_held_out_inputs():
    """The closed loop's Jacobians along the series itself; the record says that inputs drove it."""
    network, series = planted()
    plan = config(lyapunov=PLAN | {"orbits": 2}).lyapunov
    (found,) = evaluation.free_spectra(network, series, plan)
    x, s = held_out(series)
    first = torch.linspace(0, N - 1 - 80, 2).long() + 10
    ahead = driving(s, first[None], 70)
    (known,) = lyapunov_spectra(network.cell, x[first][None], ahead, steps=60, warmup=10)
    np.testing.assert_allclose(found.exponents, known.exponents, atol=1e-10)
    assert (found.map, found.settings["inputs"], found.steps, found.orbits) == ("driven", 2, 60, 2)
    W, seen = network.cell.W[0], torch.cat([x[f + 11 : f + 71] for f in first])
    volume = torch.linalg.slogdet(W)[1] + (1 - seen.square()).log().sum(1).mean()
    assert found.sum == pytest.approx(float(volume), abs=1e-9)


@pytest.mark.parametrize(("steps", "warmup", "orbits"), [(2000, 200, 4), (50, 500, 2), (10, 0, 300), (64, 64, 1)])
def test_of_a_short_test_part_each_orbit_has_its_share_and_a_spectrum_is_found(steps, warmup, orbits):
    network, series = planted()
    wanted = config(lyapunov={"steps": steps, "warmup": warmup, "orbits": orbits, "segments": 3}).lyapunov
    (found,) = evaluation.free_spectra(network, series, wanted)
    assert found.finite
    x, s = held_out(series)
    plan = evaluation.shortened(wanted, x, s)
    assert evaluation.shortened(plan, x, s) == plan
    assert 1 <= plan.steps <= steps
    z, ahead = evaluation.on_attractor(network, x, plan, s)
    assert len(ahead) == plan.warmup + plan.steps
    ends = torch.linspace(0, N - 1 - len(ahead) - plan.warmup, orbits).long() + plan.warmup
    torch.testing.assert_close(z[0], x[ends], atol=1e-12, rtol=0)


def test_forced_exponents_are_under_the_inputs_too():
    """Under a = 0 they are those of the closed loop from the same states; a = 1 leaves nothing."""
    network, series = planted()
    x, s = held_out(series)
    plan = config(lyapunov={"steps": 100, "warmup": 0, "orbits": 2}).lyapunov
    (free,) = evaluation.forced_spectra(network, torch.zeros(5, 1), x, plan, s)
    first = torch.tensor([0, 100])
    (known,) = lyapunov_spectra(network.cell, x[first][None], driving(s, first[None], 100), steps=100)
    np.testing.assert_allclose(free.exponents, known.exponents, atol=1e-10)
    assert (free.map, free.settings["inputs"]) == ("forced", 2)
    (cut,) = evaluation.forced_spectra(network, torch.ones(5, 1), x, plan, s)
    assert np.isneginf(cut.exponents).all()


def test_kappa_is_of_the_driven_jacobians():
    cell = planted()[0].cell
    g = torch.Generator().manual_seed(1)
    z, s = torch.randn(30, 1, 4, 3, generator=g), torch.randn(30, 1, 4, 2, generator=g)
    J = torch.stack([cell.jacobian(z[t], s[t]) for t in range(30)])
    kappa = torch.linalg.matrix_norm(J.mean(0), 2).amax(1)
    torch.testing.assert_close(PROXIES["arithmetic_mean"](cell, z, s), kappa)
    assert (kappa - PROXIES["arithmetic_mean"](cell, z)).abs().max() > 1e-3
    forcing = Adaptive(alpha=0.0, gamma=0.0)
    Schedule([forcing], 30, 10).adapt(0, cell, lambda: z, s)
    assert forcing.alpha == pytest.approx(max(0.0, 1 - 1 / float(kappa[0])))


# From a file


def linear(path, shift=0, n=1500, columns="x,drive"):
    """x_{t+1} = 0.7 x_t + s_{t+1}, noise s: half of x is news. With `shift`, the file's input is so many rows late."""
    s = np.random.default_rng(0).standard_normal(n)
    x = np.zeros(n)
    for t in range(n - 1):
        x[t + 1] = 0.7 * x[t] + s[t + 1]
    np.savetxt(path, np.c_[x, np.roll(s, shift)], delimiter=",", header=columns, comments="")
    return str(path)


RUN = (
    "--no-tracking", "--set", "cell={kind: vanilla, units: 8}", "--set", "windows/length=32",
    "--set", "training/steps=150", "--set", "training/report_every=150",
    "--set", "lyapunov/steps=300", "--set", "lyapunov/warmup=50",
)  # fmt: skip


def run(path, *changes):
    """The last record of `lyapsweep run configs/recording.yaml` as a user types it."""
    torch.set_default_dtype(torch.float32)
    here = __file__.rpartition("/tests/")[0]
    told = [part for change in (f"dataset/path={path}", *changes) for part in ("--set", change)]
    done = CliRunner().invoke(main, ["run", f"{here}/configs/recording.yaml", *RUN, *told])
    assert done.exit_code == 0, done.output
    files = sorted(path.parent.glob("results/recording/records/*.npz"), key=lambda f: f.stat().st_mtime)
    return Record.load(files[-1]), done.output


def test_a_driven_recording_is_learned_by_the_command_and_only_with_its_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "driven.csv"
    linear(path)
    told, output = run(path, "dataset/inputs=[drive]")
    alone, _ = run(path, "dataset/columns=[x]")
    assert told.measures["loss"] < 0.1 < 0.5 < alone.measures["loss"]
    assert told.measures["prediction_error"] < 0.1 * alone.measures["prediction_error"]
    assert (set(told.spectra), set(alone.spectra)) == ({"driven"}, {"closed loop"})
    assert told.spectrum.maximum == pytest.approx(np.log(0.7), abs=0.2)  # the data's own
    assert told.spectrum.settings["inputs"] == 1
    assert "Spectrum, driven" in output
    inputs = told.provenance.data.inputs
    assert (inputs.names, told.provenance.data.names) == (("drive",), ("x",))
    again = network_spectrum(told.config, told.weights)
    np.testing.assert_allclose(again.exponents, told.spectrum.exponents, atol=1e-6)
    file = next((tmp_path / "results/recording/records").glob(told.filename))
    spectrum = CliRunner().invoke(main, ["spectrum", str(file), "--json"])
    assert json.loads(spectrum.output)["map"] == "driven"
    assert json.loads(spectrum.output)["settings"]["inputs"] == 1


def test_a_system_driven_by_noise_is_learned_only_by_inputs_of_the_right_moment(tmp_path):
    """Where data replace the state at every step nothing is remembered: an input a row early or late is no help."""
    losses = {}
    for shift in (-1, 0, 1):
        data = {"kind": "recorded", "path": linear(tmp_path / f"{shift}.csv", shift), "inputs": ["drive"]}
        cell = {"kind": "alrnn", "units": 4, "rectified": 1}
        training = {"steps": 200, "lr": 2e-2, "lr_end": 1e-3}
        learned = {"forcing": {"kind": "full"}, "training": training, "measures": ["loss"]}
        point = config(dataset=data, cell=cell, readout={"kind": "linear"}, **learned)
        losses[shift] = [r for (r,) in run_trials([point])][-1].measures["loss"]
    assert losses[0] < 0.02
    assert min(losses[-1], losses[1]) > 0.4  # var(s) / var(x) = 0.51


def test_members_of_a_driven_pack_are_what_they_are_alone(tmp_path):
    data = {"kind": "recorded", "path": linear(tmp_path / "driven.csv"), "inputs": ["drive"]}
    forcings = [{"kind": "sparse", "interval": 5}, {"kind": "generalised", "alpha": 0.2}]
    pack = [config(dataset=data, forcing=f, seed=s) for s, f in enumerate(forcings)]
    together = list(run_trials(pack))[-1]
    for member, point in zip(together, pack):
        (alone,) = list(run_trials([point]))[-1]
        for name, value in alone.measures.items():
            assert member.measures[name] == pytest.approx(value, rel=1e-6), name
        np.testing.assert_allclose(member.spectrum.exponents, alone.spectrum.exponents, atol=1e-8)


def test_a_model_forecasts_under_the_inputs_to_come_in_the_units_of_the_data(tmp_path):
    data = {"kind": "recorded", "path": linear(tmp_path / "driven.csv"), "inputs": ["drive"]}
    record = list(run_trials([config(dataset=data)]))[-1][0]
    write(tmp_path / "model", record, Model())
    series, model = build(**data), mlflow.pyfunc.load_model(str(tmp_path / "model"))
    network = network_of([record.config], series.features, series.inputs)
    for name, w in network.named_parameters():
        w.data.copy_(torch.as_tensor(record.weights[name]))
    x, s = held_out(series)
    known, _ = evaluation.predict(network, x[:9], 4, s[:9])
    rows = np.c_[
        series.test[:5] * series.std + series.mean, series.test_inputs[:5] * series.input_std + series.input_mean
    ]
    frame = pd.DataFrame(rows, columns=["x", "drive"])
    frame.loc[1:, "x"] = np.nan
    forecast = model.predict(frame)
    assert list(forecast.columns) == ["x"]
    expected = known[0, 0].detach().numpy() * series.std + series.mean
    np.testing.assert_allclose(forecast, expected, atol=1e-10)
    for lacking in (frame[:1], frame[1:], frame.assign(drive=np.nan)):
        with pytest.raises(ValueError, match="driven by drive, but no complete inputs follow the last observed row"):
            model.predict(lacking)
    assert len(model.predict(model.input_example)) == 1


def test_fixed_points_are_sought_with_the_inputs_at_their_mean(tmp_path):
    data = {"kind": "recorded", "path": linear(tmp_path / "driven.csv"), "inputs": ["drive"]}
    found = of_network(point := config(dataset=data)).found
    assert len(found.fixed)
    series = build(**data)
    network = network_of([point], series.features, series.inputs).requires_grad_(False)
    x, s = held_out(series)
    first = torch.linspace(0, len(x) - 1 - len(x) // 2, 32).long()
    mean = driving(s, first, min(256, len(x) // 2)).mean(dim=(0, 1))[None, None]
    z = torch.as_tensor(found.fixed.z)[None]
    torch.testing.assert_close(network.cell.step(z, mean), z, atol=1e-9, rtol=0)


def test_the_atlas_shows_a_driven_trial(tmp_path):
    data = {"kind": "recorded", "path": linear(tmp_path / "driven.csv"), "inputs": ["drive"]}
    table = Table.of(list(run_trials([config(dataset=data)]))[-1])
    told = summary(table, table.frame["trial"][0])
    assert (told["driven"], told["regions"]) == (True, None)
    assert all(len(x) == 1 for _, x in told["points"])
    view = AtlasView(replace(table, description=SweepDescription(objective="loss", intent="map")))
    page = report.render_page(view)
    assert "network, running freely" in page


def broken(path, rows, value):
    """The same file with another value of the drive in these rows."""
    lines = path.read_text().splitlines()
    for row in rows:
        lines[row] = lines[row].split(",")[0] + f",{value}"
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"inputs": ["drve"]}, UnknownName, r"driven.csv: No column is called 'drve'. Did you mean 'drive'\?"),
        (
            {"inputs": ["drive"], "columns": ["x", "drive"]},
            BadSeries,
            "driven.csv: input 'drive' is also a column to pre",
        ),
        ({"inputs": ["drive", 1], "columns": ["x"]}, BadSeries, "driven.csv: column 'drive' is named twice"),
        ({"inputs": ["x", "drive"]}, BadSeries, "driven.csv: every column is an input"),
    ],
)
def test_inputs_that_cannot_be_are_refused_by_file_and_column(tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        build("recorded", path=linear(tmp_path / "driven.csv"), **settings)


def test_an_input_with_a_gap_or_that_never_changes_is_refused_by_file_and_column(tmp_path):
    path = tmp_path / "driven.csv"
    linear(path)
    broken(path, [700], "nan")
    with pytest.raises(BadSeries, match=r"driven.csv: 1 cells are missing .* row 701, column 'drive'"):
        build("recorded", path=str(path), inputs=["drive"])
    build("recorded", path=str(path), columns=["x"])
    broken(path, range(1, 1501), 2.5)
    with pytest.raises(BadSeries, match=r"driven.csv: column 'drive' is constant \(2.5\) in the training part"):
        build("recorded", path=str(path), inputs=["drive"])


def test_a_column_of_a_simulated_system_may_drive():
    whole = build("simulated", system="duffing", length=300)
    driven = build("simulated", system="duffing", length=300, inputs=[whole.names[-1]])
    assert (driven.names, driven.input_names) == (whole.names[:-1], whole.names[-1:])
    np.testing.assert_allclose(np.c_[driven.test, driven.test_inputs], whole.test)


def test_inputs_of_a_series_made_by_hand_fit_its_rows():
    rows, about = (
        np.ones((10, 1)),
        {"dt": 1.0, "names": ("x",), "mean": np.zeros(1), "std": np.ones(1), "source": "here"},
    )
    with pytest.raises(BadSeries, match=r"here: the inputs of the test part must be \(10, 1\)"):
        Series(rows, rows, train_inputs=rows, test_inputs=rows[1:], **about)
    with pytest.raises(BadSeries, match=r"here: 10 values of the inputs of the test part .* row 0, column 'input 0'"):
        Series(rows, rows, train_inputs=rows, test_inputs=rows * np.nan, **about)


# Without inputs


GENERALISED = {"kind": "generalised", "alpha": 0.3}
BEFORE = [  # loss, PE(25), two exponents and a forced one, as they were before networks took inputs
    ("vanilla", {"kind": "sparse", "interval": 5}, 1.7488179996527156, 2.0372939604146643,
     [-0.7722104886086074, -1.2534631596458357], None),
    ("vanilla", GENERALISED, 1.7174945602956218, 2.038175254120345,
     [-0.7895151276193724, -1.242258818833718], -1.1526516320223221),
    ("lstm", {"kind": "sparse", "interval": 5}, 1.8260962462147834, 2.0193320164163473,
     [-0.514369320320505, -0.5162650510676188], None),
    ("lstm", GENERALISED, 1.9228495302742865, 2.0201086282670593,
     [-0.5152791758849836, -0.5156299981650623], -0.7626457817388306),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "forcing", "loss", "error", "exponents", "forced"), BEFORE)
def test_a_series_without_inputs_is_learned_as_before(kind, forcing, loss, error, exponents, forced):
    plan = PLAN | {"forced": forced is not None}
    measures = ["loss", "prediction_error_mikhaeil2022"]
    cell = {"kind": kind, "units": 4}
    point = config(cell=cell, forcing=forcing, readout={"kind": "linear"}, lyapunov=plan, measures=measures)
    (last,) = list(run_trials([point]))[-1]
    assert [last.measures[name] for name in measures] == pytest.approx([loss, error], rel=1e-8)
    np.testing.assert_allclose(last.spectra["closed loop"].exponents[:2], exponents, rtol=1e-8)
    assert "inputs" not in last.spectra["closed loop"].settings
    assert last.provenance.data.inputs is None
    if forced is not None:
        assert last.spectra["forced"].maximum == pytest.approx(forced, rel=1e-8)
