"""Series from files: formats, splits, embedding, several recordings, and errors that name row and column."""

import numpy as np
import pytest

from lyapsweep.datasets import BadSeries, build


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
        ("4x", r"series.csv: row 40, column 'y' holds '4x', which is not a number. Choose other columns"),
        ("1_0", r"series.csv: row 40, column 'y' holds '1_0', which is not a number"),
        ("n/a", r"series.csv: 1 cells are missing or infinite, the first at row 40, column 'y' \(nan\)"),
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
        ({"dt": 0.0}, "0 < dt < inf must hold"),
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
        ("series.doc", b"x", r"series.doc: files end in \.csv.*'\.doc'. Convert it"),
        ("series.pkl", b"x", r"series.pkl: files end in .*A pickle runs code when it is opened"),
        ("series.xlsx", b"x", "series.xlsx: not a spreadsheet"),
        ("series.npz", b"x", "series.npz: not arrays of numpy"),
        ("series.mat", b"x" * 200, "series.mat: not a file of MATLAB"),
        ("series.h5", b"x", "series.h5: not an HDF5 file"),
        ("series.feather", b"x", "series.feather: not a Feather file"),
        ("series.csv.gz", b"x", "series.csv.gz: cannot be unpacked"),
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


def test_several_recordings_are_pieces_of_one_series(table, write):
    paths = [write(as_csv(part), f"{i}.csv") for i, part in enumerate((table[:100], table[100:180], table[180:]))]
    series = build("recorded", path=paths, test=0.25, standardise=False)
    assert series.pieces == (100, 80, 90)
    np.testing.assert_array_equal(series.train, table[:270])
    np.testing.assert_array_equal(series.test, table[270:])
    embedded = build("recorded", path=paths, dimension=2, delay=10, standardise=False)
    assert embedded.pieces == (90, 70, 80)
    np.testing.assert_array_equal(embedded.train[90:160, 1], table[100:170, 0])  # the second file's own past
    whole = build("recorded", path=paths, test=1.0, standardise=False)
    assert whole.pieces == (100, 80)
    np.testing.assert_array_equal(whole.test, table[180:])
    assert "0.csv" in series.source
    assert "2.csv" in series.source


def test_recordings_that_do_not_belong_together(table, write):
    first, other = write(as_csv(table), "a.csv"), write(as_csv(table, header="x,w"), "b.csv")
    with pytest.raises(BadSeries, match=r"b.csv: columns x, w are not those of .*a.csv, x, y"):
        build("recorded", path=[first, other])
    assert build("recorded", path=[first, other], columns=["x"]).pieces == (300, 225)
    short = write(as_csv(table[:8]), "c.csv")
    with pytest.raises(BadSeries, match="every recording needs more than 10 rows"):
        build("recorded", path=[short, first], dimension=2, delay=10)
    with pytest.raises(BadSeries, match="must name a file, or list files"):
        build("recorded", path=[])


def test_one_of_several_files_that_changed_is_read_again(table, write):
    paths = [write(as_csv(table), "a.csv"), write(as_csv(table), "b.csv")]
    first = build("recorded", path=paths)
    assert build("recorded", path=paths) is first
    write(as_csv(2 * table), "b.csv")
    assert build("recorded", path=paths) is not first
