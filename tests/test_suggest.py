"""The interval from the data: parts against what is known of them, whole estimates against systems' exponents."""

import json
import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lyapsweep import interval, systems
from lyapsweep.cli import main
from lyapsweep.config import Config, ConfigError
from lyapsweep.timeseries import NoExponent, estimate
from lyapsweep.timeseries.coordinates import circles, without_clock
from lyapsweep.timeseries.denoise import project
from lyapsweep.timeseries.divergence import Curve
from lyapsweep.timeseries.embedding import autocorrelation_time, choose, delayed, mean_period, mutual_information
from lyapsweep.timeseries.neighbours import nearest
from lyapsweep.timeseries.region import line
from lyapsweep.timeseries.surrogates import surrogate, surrogate_test
from lyapsweep.timeseries.tangents import Fit, jacobians, tangent_growth
from lyapsweep.trial import run_trial

# dt and largest exponent per unit time, as in docs/mathematics.md
TRUTH = {"lorenz63": (0.01, 0.9056), "roessler": (0.1, 0.0879), "duffing": (0.1773, 0.1292), "henon": (None, 0.41922)}


def recorded(name: str, seed: int, length: int = 10_000, noise: float = 0.0) -> np.ndarray:
    """(length, columns) of a system on its attractor, noise in standard deviations of a column."""
    system = systems.build(name, TRUTH[name][0])
    states = system.trajectory(system.start(1, torch.Generator().manual_seed(seed)), 1000 + length)[1000:]
    values = system.observe(torch.from_numpy(states)).numpy()
    return values + noise * values.std(axis=0) * np.random.default_rng(seed).standard_normal(values.shape)


def sine(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    return (np.sin(0.07 * np.arange(length)) + noise * rng.standard_normal(length))[:, None]


def van_der_pol(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    """A limit cycle, far from sinusoidal: nonlinear, so that surrogates are beaten, and not chaotic."""
    dt, z, orbit = 0.05, np.array([2.0, 0.0]), []
    field = lambda z: np.array([z[1], 2 * (1 - z[0] ** 2) * z[1] - z[0]])  # noqa: E731
    for _ in range(length + 500):
        a = field(z)
        b = field(z + dt / 2 * a)
        c = field(z + dt / 2 * b)
        z = z + dt / 6 * (a + 2 * b + 2 * c + field(z + dt * c))
        orbit.append(z[0])
    x = np.array(orbit[500:])[:, None]
    return x + noise * x.std() * rng.standard_normal(x.shape)


def coloured(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    return np.convolve(rng.standard_normal(length + 200), 0.95 ** np.arange(200), "valid")[:length, None]


def quasi_periodic(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    t = 0.07 * np.arange(length)
    x = np.sin(t) + np.sin(t * (1 + math.sqrt(5)) / 2)
    return (x + noise * rng.standard_normal(length))[:, None]


def white(rng: np.random.Generator, length: int, noise: float) -> np.ndarray:
    return rng.standard_normal((length, 1))


NULLS = {
    "sine": sine,
    "van der Pol": van_der_pol,
    "coloured": coloured,
    "quasi-periodic": quasi_periodic,
    "white": white,
}


def test_neighbours_are_the_nearest_outside_the_window():
    points = np.random.default_rng(0).standard_normal((300, 3))
    points[100:200] = points[:100]  # states that come again
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    distance[np.abs(np.arange(300)[:, None] - np.arange(300)) <= 20] = np.inf
    found = nearest(points, 4, 20)
    np.testing.assert_allclose(
        np.take_along_axis(distance, found, axis=1), np.sort(distance, axis=1)[:, :4], atol=1e-12
    )


def test_neighbours_that_are_not_there_are_none():
    assert (nearest(np.random.default_rng(0).standard_normal((30, 2)), 3, 40) == -1).all()


def test_times_of_a_sine():
    x = np.sin(2 * np.pi * np.arange(4000) / 49.7)[:, None]
    assert mean_period(x) == pytest.approx(49.7, rel=0.01)
    assert autocorrelation_time(x[:, 0]) == pytest.approx(np.arccos(1 / np.e) * 49.7 / (2 * np.pi), abs=1)


def test_mutual_information_of_independent_and_of_equal_values():
    noise = np.random.default_rng(0).standard_normal(20_000)
    assert abs(mutual_information(noise, 3)).max() < 0.03
    assert mutual_information(np.tile(noise[:1000], 20), 1000)[-1] == pytest.approx(math.log(27), rel=0.01)


def test_henon_needs_two_coordinates():
    assert choose(recorded("henon", 0, 3000)[:, :1]).dimension == 2


def test_local_maps_carry_neighbours_as_the_systems_jacobian_does():
    """Along the attractor, which is what a series knows of a Jacobian."""
    x = recorded("henon", 0, 4000)
    J, missed = jacobians(x, Fit(1, 4, 2))
    near = nearest(x, 1, 4, len(x) - 1)[:, 0]
    apart = x[near] - x[:-1]
    true = np.stack([-2.8 * x[:-1, 0] * apart[:, 0] + apart[:, 1], 0.3 * apart[:, 0]], axis=1)
    wrong = np.linalg.norm(np.einsum("tp,tpq->tq", apart, J) - true, axis=1) / np.linalg.norm(true, axis=1)
    assert np.median(wrong) < 0.02
    assert np.median(missed) < 1e-3


def test_tangents_grow_by_the_largest_factor():
    J = np.tile(np.diag([2.0, 0.5]), (200, 1, 1))
    np.testing.assert_allclose(tangent_growth(J, 2, 0), math.log(2) / 2, atol=1e-3)


def made_up(slope: float, noise: float) -> Curve:
    """A transient, a straight stretch, saturation at 0; blocks differ."""
    k, rng = np.arange(100.0), np.random.default_rng(0)
    S = np.minimum(-5 + slope * k, 0) - 0.8 * np.exp(-k / 2)
    return Curve("made up", S + noise * rng.standard_normal((40, 1)) * k, np.ones(40), 0.0)


def test_the_straight_stretch_is_found():
    found = line(made_up(0.08, 0.002), 0)
    assert found is not None
    assert found.slope == pytest.approx(0.08, rel=0.03)
    assert found.low < found.slope < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.002 / math.sqrt(40), rel=0.35)  # of the blocks' slopes
    assert found.first >= 2
    assert found.last <= 52  # 1 below the ceiling


def test_a_flat_curve_has_no_straight_stretch():
    rng = np.random.default_rng(0)
    assert line(Curve("flat", -3 + 0.01 * rng.standard_normal((40, 100)), np.ones(40), 0.0), 0) is None


def test_surrogates_keep_values_spectra_and_what_columns_share():
    x = recorded("lorenz63", 0, 4000)
    made = surrogate(x, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(made, axis=0), np.sort(x, axis=0))
    power = lambda x: np.square(np.abs(np.fft.rfft(x, axis=0)))[1:100]  # noqa: E731
    assert np.abs(np.sqrt(power(made)) - np.sqrt(power(x))).mean() < 0.05 * np.sqrt(power(x)).mean()
    np.testing.assert_allclose(np.corrcoef(made.T), np.corrcoef(x.T), atol=0.05)
    assert np.abs(np.corrcoef(made[:, 0], x[:, 0])[0, 1]) < 0.5


def test_surrogates_are_beaten_by_chaos_alone():
    x, noise = recorded("henon", 0, 2000)[:, :1], coloured(np.random.default_rng(0), 2000, 0)
    assert surrogate_test(x, choose(x), 0).rejected
    assert not surrogate_test(noise, choose(noise / noise.std()), 0).rejected


def test_projection_takes_noise_off():
    clean = recorded("lorenz63", 0, 4000)
    clean = (clean - clean.mean(axis=0)) / clean.std(axis=0)
    noisy = clean + 0.05 * np.random.default_rng(0).standard_normal(clean.shape)
    assert np.std(project(noisy, 3) - clean) < 0.6 * 0.05
    assert np.std(project(clean, 3) - clean) < 0.01 * 0.05 * 20


def test_delayed_values_stand_side_by_side():
    x = np.arange(10.0)[:, None] * [1, 10]
    np.testing.assert_array_equal(delayed(x, 2, 3)[0], [0, 0, 3, 30])
    assert delayed(x, 2, 3).shape == (7, 4)


def test_a_clock_is_no_coordinate():
    values = np.c_[0.01 * np.arange(100), np.random.default_rng(0).standard_normal(100)]
    names, rest, dt = without_clock(("time", "x"), values, None)
    assert (names, rest.shape, dt) == (("x",), (100, 1), pytest.approx(0.01))
    with pytest.raises(NoExponent, match=r"Column 'time' rises by 0.01 a sample, but dt is 0.1. Give --dt 0.01"):
        without_clock(("time", "x"), values, 0.1)
    assert without_clock(("x", "phase"), values[:, ::-1], 0.5)[::2] == (("x",), 0.5)  # of a drive: not time
    with pytest.raises(NoExponent, match="no column is left"):
        without_clock(("time",), values[:, :1], None)


def test_angles_become_circles():
    t, rng = np.arange(1000.0), np.random.default_rng(0)
    angle, x = (0.3 * t) % 5 + 0.01 * rng.standard_normal(1000), rng.standard_normal(1000)
    made, angles = circles(np.stack([angle, x], axis=1))
    assert angles == 1
    np.testing.assert_allclose(np.hypot(made[:, 0], made[:, 1]), 1)
    np.testing.assert_array_equal(made[:, 2], x)
    assert np.abs(np.diff(made[:, :2], axis=0)).max() < 2 * np.pi * 0.4 / 5  # nothing jumps any more
    assert circles(recorded("henon", 0, 1000))[1] == circles(recorded("lorenz63", 0, 1000))[1] == 0


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
        "lambda_max",
        "tau_pred",
        "sweep intervals 1 to 3",
        "false neighbours",
        "Rosenstein",
        "Kantz",
        "rank 1",
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
        (np.zeros((2000, 1)), [], "is constant"),
        (np.random.default_rng(0).standard_normal((100, 1)), [], "500 samples are needed"),
        (np.full((2000, 1), np.nan), [], "missing or infinite"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--dt", "-1"], "dt > 0 must hold, but got -1.0"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--columns", "z"], "No column is called 'z'"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--plot", "a.png"], "ends in .html"),
        (np.random.default_rng(0).standard_normal((2000, 1)), ["--set", "rho=1"], "--set is for systems"),
    ],
)
def test_input_that_cannot_be_is_one_line(tmp_path, values, arguments, says):
    np.savetxt(tmp_path / "series.csv", values)
    shown = run(tmp_path / "series.csv", *arguments)
    assert shown.exit_code == 2
    assert says in shown.output
    assert len(shown.output.strip().splitlines()) <= 3  # click says how to ask for help


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
    assert left.provenance["forcing"]["interval"] == 2
    assert left.config.forcing["interval"] == "auto"
    assert "forcing" not in given.provenance


def test_auto_of_a_recording_is_estimated_once(henon_csv, monkeypatch):
    calls, of = [], interval.estimate
    monkeypatch.setattr(interval, "estimate", lambda values: calls.append(1) or of(values))
    interval.remembered.cache_clear()
    for seed in (0, 1):
        *_, last = run_trial(automatic(dataset={"kind": "recorded", "path": str(henon_csv)}, seed=seed))
        assert last.provenance["forcing"]["interval"] == 2
        assert "estimated" in last.provenance["forcing"]["source"]
    assert len(calls) == 1


def test_auto_without_chaos_names_the_remedy(tmp_path):
    np.savetxt(tmp_path / "noise.csv", white(np.random.default_rng(0), 1000, 0))
    with pytest.raises(ConfigError, match=r"(?s)no evidence of chaos: .* Give forcing/interval a number"):
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
def test_largest_exponents_from_ten_thousand_samples(name, noise, tolerance, form):
    """The mean over fresh seeds: ten thousand samples of Duffing are 230 Lyapunov times, whose own exponent varies."""
    found = []
    for seed in (21, 22, 23):
        x = recorded(name, seed, noise=noise)
        found.append(estimate(x[:, :1] if form == "one column" else x))
    assert all(e.chaotic for e in found)
    exponent = np.mean([e.exponent for e in found]) / (TRUTH[name][0] or 1.0)
    assert exponent == pytest.approx(TRUTH[name][1], rel=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("name", list(NULLS))
def test_no_evidence_of_chaos(name, noise):
    for seed in (21, 22):
        assert not estimate(NULLS[name](np.random.default_rng(seed), 10_000, noise)).chaotic
