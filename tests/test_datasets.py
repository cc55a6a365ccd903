"""Series: splits apart, moments of the training part, reproducible noise, and errors that name row and column."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from lyapsweep import datasets
from lyapsweep.datasets import DATASETS, BadSeries, build
from lyapsweep.datasets.simulated import GAP, TRANSIENT
from lyapsweep.registry import UnknownName
from lyapsweep.systems import build as build_system

PUBLISHED = Path(__file__).parents[2] / "shared" / "data" / "mikhaeil2022" / "lorenz.npy"


@pytest.fixture
def table():
    """300 rows of two columns that vary, with values that text cannot hold in few digits."""
    t = np.arange(300)
    return np.stack([np.sin(t / 7) + 3, np.cos(t / 11) * 1e3 / 3], axis=1)


@pytest.fixture
def write(tmp_path):
    def writer(text, name="series.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return writer


def as_csv(table, header="x,y", delimiter=","):
    return "\n".join([header, *(delimiter.join(repr(float(v)) for v in row) for row in table)]) + "\n"


def simulate(**settings):
    return build("simulated", **({"system": "lorenz63", "length": 1500} | settings))


# ---- the family's exam


@pytest.mark.parametrize("kind", list(DATASETS))
def test_every_setting_is_a_keyword_with_a_type(kind):
    for name, knob in DATASETS.knobs(kind).items():
        assert knob.kind is knob.KEYWORD_ONLY, name
        assert knob.annotation is not inspect.Parameter.empty, name


@pytest.mark.parametrize("kind", list(DATASETS))
def test_series_of_every_kind(kind, table, write):
    series = simulate() if kind == "simulated" else build("recorded", path=write(as_csv(table)))
    assert series.train.dtype == np.float64
    assert np.isfinite(series.train).all()
    assert np.isfinite(series.test).all()
    assert series.dt > 0
    assert len(series.names) == series.features == series.test.shape[1]
    np.testing.assert_allclose(series.train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(series.train.std(axis=0), 1, atol=1e-12)


def test_settings_are_checked_by_name():
    with pytest.raises(UnknownName, match=r"No dataset is called 'simulate'. Did you mean 'simulated'"):
        build("simulate")
    with pytest.raises(UnknownName, match=r"setting of dataset 'simulated' is called 'lenght'. Did you mean 'length'"):
        build("simulated", system="lorenz63", lenght=3)


def test_a_series_is_made_once_a_process():
    assert simulate() is simulate()
    assert simulate() is not simulate(seed=1)


def test_a_file_that_changed_is_read_again(table, write, tmp_path, monkeypatch):
    path = write(as_csv(table))
    first = build("recorded", path=path)
    assert build("recorded", path=path) is first
    write(as_csv(2 * table))
    np.testing.assert_allclose(build("recorded", path=path).mean, 2 * first.mean)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(build("recorded", path="series.csv").train) == 225
    monkeypatch.chdir(elsewhere)
    with pytest.raises(BadSeries, match="there is no such file"):
        build("recorded", path="series.csv")


# ---- simulated


def test_both_parts_are_one_trajectory_cut_with_a_gap():
    series, flow = simulate(length=500, test=0.4), build_system("lorenz63")
    train, test = series.train * series.std + series.mean, series.test * series.std + series.mean
    assert (len(train), len(test)) == (500, 200)
    whole = flow.trajectory(flow.start(1, torch.Generator().manual_seed(0)), TRANSIENT + 500 + GAP + 200)
    np.testing.assert_allclose(train, whole[TRANSIENT : TRANSIENT + 500], atol=1e-10)
    np.testing.assert_allclose(test, whole[-200:], atol=1e-10)


def test_seeds_reproduce_and_differ():
    datasets.once.cache_clear()
    first = simulate(noise=0.1, seed=3)
    datasets.once.cache_clear()
    again, other = simulate(noise=0.1, seed=3), simulate(noise=0.1, seed=4)
    assert again is not first
    np.testing.assert_array_equal(first.train, again.train)
    assert not np.allclose(first.train, other.train)


def test_noise_is_of_the_asked_size_and_spares_the_test_part():
    clean, noisy = simulate(standardise=False), simulate(standardise=False, noise=0.2)
    disturbance = (noisy.train - clean.train) / clean.train.std(axis=0)
    np.testing.assert_allclose(disturbance.std(axis=0), 0.2, rtol=0.08)
    np.testing.assert_allclose(np.corrcoef(disturbance.T), np.eye(3), atol=0.1)
    np.testing.assert_array_equal(noisy.test, clean.test)


def test_unstandardised_series_are_in_the_units_of_the_system():
    series = simulate(standardise=False)
    assert series.train[:, 2].mean() == pytest.approx(23.5, abs=2)
    np.testing.assert_array_equal(series.mean, 0)
    np.testing.assert_array_equal(series.std, 1)


def test_columns_are_observed_by_name_or_position():
    whole, part = simulate(), simulate(observe=["z", 0])
    assert part.names == ("z", "x")
    np.testing.assert_array_equal(part.train, whole.train[:, [2, 0]])
    with pytest.raises(UnknownName, match=r"simulated: lorenz63: No column is called 'w'.*Known: x, y, z"):
        simulate(observe=["w"])


def test_phases_are_observed_bounded():
    series = simulate(system="Duffing", standardise=False)
    assert np.abs(series.train[:, 2]).max() <= 1  # cos of the phase, whose rate is 1.4


def test_exponent_of_cited_parameters_is_the_literature_s():
    series = simulate(dt=0.02)
    assert series.lambda_max == pytest.approx(0.9056 * 0.02)
    assert "Viswanath" in series.lambda_source
    assert series.predictability_time == pytest.approx(np.log(2) / (0.9056 * 0.02))
    henon = simulate(system="henon")
    assert henon.dt == 1
    assert henon.lambda_max == 0.4192


@pytest.mark.parametrize(
    ("system", "parameters", "truth"),
    [("lorenz63", {"rho": 28.0001}, 0.009056), ("roessler", {"c": 10.0001}, 0.00879)],
)
def test_exponent_of_other_parameters_is_measured(system, parameters, truth):
    """Parameters so near the cited ones that the exponent is the same; a standard error that means what it says."""
    series = simulate(system=system, parameters=parameters)
    assert "measured" in series.lambda_source
    error = series.notes["lambda_stderr"]
    assert 0 < error < 0.04 * truth
    assert series.lambda_max == pytest.approx(truth, abs=3 * error)


def test_divergence_and_rest_are_errors():
    with pytest.raises(
        BadSeries, match=r"simulated: lorenz63: the trajectory left .* at step \d+ with dt=0.5.*smaller"
    ):
        simulate(dt=0.5)
    with pytest.raises(BadSeries, match="simulated: lorenz63: the trajectory comes to rest"):
        simulate(parameters={"rho": 0.5}, dt=0.1)
    with pytest.raises(BadSeries, match="noise=-1"):
        simulate(noise=-1.0)


# ---- recorded


def test_the_same_series_from_every_format(table, write, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    np.save(tmp_path / "series.npy", table)
    parquet.write_table(pyarrow.table({"x": table[:, 0], "y": table[:, 1]}), tmp_path / "series.parquet")
    paths = [write(as_csv(table)), str(tmp_path / "series.npy"), str(tmp_path / "series.parquet")]
    first, *others = [build("recorded", path=path, dt=0.5, lambda_max=0.2) for path in paths]
    assert first.names == ("x", "y")
    assert first.lambda_max == 0.1
    for other in others:
        np.testing.assert_array_equal(first.train, other.train)
        np.testing.assert_array_equal(first.test, other.test)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "  "])
@pytest.mark.parametrize("header", [True, False])
def test_delimiters_and_headers(table, write, delimiter, header):
    lines = as_csv(table, delimiter.join(["x", "y"]), delimiter)
    text = "# a comment\n\n" + (lines if header else lines.partition("\n")[2])
    series = build("recorded", path=write(text))
    assert series.names == (("x", "y") if header else ("column 0", "column 1"))
    np.testing.assert_allclose(series.train * series.std + series.mean, table[:225], rtol=1e-12)


def test_a_file_of_one_column(table, write):
    series = build("recorded", path=write("".join(f"{v}\n" for v in table[:, 0])))
    assert series.train.shape == (225, 1)


def test_split_skip_and_unknown_exponent(table, write):
    series = build("recorded", path=write(as_csv(table)), test=0.2, skip=50, standardise=False, columns=["y"])
    np.testing.assert_array_equal(series.train[:, 0], table[50:250, 1])
    np.testing.assert_array_equal(series.test[:, 0], table[250:, 1])
    assert series.lambda_max is None
    assert series.predictability_time is None


def test_delay_embedding(table, write):
    settings = {"dimension": 3, "delay": 5, "standardise": False, "test": 0.5}
    series = build("recorded", path=write(as_csv(table)), **settings)
    assert series.names == ("x", "x(t-5)", "x(t-10)", "y", "y(t-5)", "y(t-10)")
    for column in (0, 1):
        for k in range(3):
            past = table[10 - 5 * k : 150 - 5 * k, column]
            np.testing.assert_array_equal(series.train[:, 3 * column + k], past)
    np.testing.assert_array_equal(series.test[:, 2], table[150:290, 0])  # no value of the training part is seen
    assert len(series.train) == len(series.test) == 140


def broken(table, row, cell, column=1):
    """CSV with one cell replaced; `row` is the line of the file, the header being line 1."""
    lines = as_csv(table).splitlines()
    cells = lines[row - 1].split(",")
    cells[column] = cell
    return "\n".join([*lines[: row - 1], ",".join(cells), *lines[row:]])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("n/a", r"series.csv: row 40, column 'y' holds 'n/a', which is not a number. Choose other columns"),
        ("nan", r"series.csv: 1 cells are missing or infinite, the first at row 40, column 'y' \(nan\)"),
        ("", r"series.csv: 1 cells are missing or infinite, the first at row 40, column 'y' \(nan\)"),
        ("-inf", r"series.csv: 1 cells .* row 40, column 'y' \(-inf\)"),
        ("1,2", r"series.csv: row 40 has 3 cells where row 1 has 2"),
    ],
)
def test_a_bad_cell_is_named_as_an_editor_shows_it(table, write, cell, message):
    path = write(broken(table, 40, cell))
    with pytest.raises(BadSeries, match=message):
        build("recorded", path=path)
    if "cells where" not in message:
        build("recorded", path=path, columns=["x"])  # the other column is sound
        build("recorded", path=path, skip=39)


def test_the_first_row_is_no_header_where_part_of_it_is_numbers(table, write):
    text = "1.0,oops\n" + as_csv(table).partition("\n")[2]
    with pytest.raises(BadSeries, match="row 1, column 'column 1' holds 'oops'"):
        build("recorded", path=write(text))


def test_bad_values_of_arrays_and_tables(table, tmp_path):
    table[7, 1] = table[9, 1] = np.nan
    np.save(tmp_path / "a.npy", table)
    with pytest.raises(BadSeries, match=r"a.npy: 2 cells .* first at row 7, column 'column 1' \(nan\)"):
        build("recorded", path=str(tmp_path / "a.npy"))
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    words = pyarrow.table({"x": table[:, 0], "who": ["a"] * 300, "gap": [None, *table[1:, 0]]})
    parquet.write_table(words, tmp_path / "a.parquet")
    with pytest.raises(BadSeries, match=r"a.parquet: row 0, column 'who' holds 'a'"):
        build("recorded", path=str(tmp_path / "a.parquet"))
    with pytest.raises(BadSeries, match=r"a.parquet: 1 cells .* row 0, column 'gap' \(nan\)"):
        build("recorded", path=str(tmp_path / "a.parquet"), columns=["gap"])
    assert build("recorded", path=str(tmp_path / "a.parquet"), columns=["x"]).features == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ["yy"]}, r"series.csv: No column is called 'yy'. Did you mean 'y'\? Known: x, y"),
        ({"columns": [2]}, "No column is called '2'"),
        ({"columns": []}, "no column is chosen"),
        ({"skip": 240}, r"60 rows are too few for test=0.25.*takes 68 rows"),
        ({"dimension": 5, "delay": 60}, r"300 rows are too few.*takes 1001 rows"),
        ({"test": 1.0}, "0 < test < 1"),
        ({"dt": 0.0}, "dt > 0 must hold"),
    ],
)
def test_settings_that_do_not_fit_the_file(table, write, settings, message):
    with pytest.raises(ValueError, match=message):
        build("recorded", path=write(as_csv(table)), **settings)


def test_the_number_of_rows_asked_for_suffices(table, write):
    path = write(as_csv(table))
    build("recorded", path=path, skip=300 - 68)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("series.xlsx", b"x", r"series.xlsx: files end in \.csv.*'\.xlsx'"),
        ("series.npy", b"no array", "series.npy: not a numpy array"),
        ("series.parquet", b"no table", "series.parquet: not a Parquet table"),
        ("series.csv", b"", "series.csv: the file holds no rows"),
        ("series.csv", b"x,y\n", "series.csv: 0 rows are too few"),
        ("series.csv", b"\xff\xfe\x00", "series.csv: not text in UTF-8"),
    ],
)
def test_files_that_are_something_else(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadSeries, match=message):
        build("recorded", path=str(tmp_path / name))


def test_a_missing_file_and_a_constant_column(table, write):
    with pytest.raises(BadSeries, match=r"nowhere.csv: there is no such file"):
        build("recorded", path="nowhere.csv")
    table[:, 1] = 4
    with pytest.raises(BadSeries, match=r"series.csv: column 'y' is constant \(4\)"):
        build("recorded", path=write(as_csv(table)))


def test_a_published_recording():
    if not PUBLISHED.exists():
        pytest.skip("the series of Mikhaeil et al. 2022 are not beside the repository")
    series = build("recorded", path=str(PUBLISHED), dt=0.01, lambda_max=1.1042)
    assert series.train.shape == (75000, 3)
    assert series.predictability_time == pytest.approx(62.8, abs=0.1)
