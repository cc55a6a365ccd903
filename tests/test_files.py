"""Files of numbers as programs and spreadsheets write them: endings, dialects, and what cannot be read."""

import bz2
import gzip
import lzma

import numpy as np
import pandas as pd
import pytest

from lyapsweep.datasets import BadSeries, build
from lyapsweep.datasets.files import ENDINGS, is_file, read
from lyapsweep.datasets.recording import read_recording

VALUES = np.random.default_rng(0).normal(10, 3, (70, 2)).round(4)


def text(rows, delimiter=",", point="."):
    return "".join(delimiter.join(f"{v:.4f}".replace(".", point) for v in row) + "\n" for row in np.atleast_2d(rows))


@pytest.fixture
def numbers(tmp_path):
    """Writes a text file and returns the names and the numbers that are read."""

    def reader(content, decimal="auto", name="a.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        table = read(str(tmp_path / name), decimal)
        return table.names, table.values(range(len(table.names)))

    return reader


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (text(VALUES, ";", ","), ("column 0", "column 1")),
        ("x;y\n" + text(VALUES, ";", ","), ("x", "y")),
        ("x\ty\n" + text(VALUES, "\t", ","), ("x", "y")),
        (text(VALUES, "  ", ","), ("column 0", "column 1")),
        ("sep=;\r\nx;y\r\n" + text(VALUES, ";", ",").replace("\n", "\r\n"), ("x", "y")),
        ('"sep=;"\nx;y\n' + text(VALUES, ";"), ("x", "y")),
        (("x;y\n" + text(VALUES, ";", ",")).replace("\n", "\r"), ("x", "y")),
        ("# made by a program\n\n# x,y\n" + text(VALUES), ("x", "y")),  # numpy.savetxt
        ("# x y\n" + text(VALUES, " "), ("x", "y")),
        ("# two words\n\n" + text(VALUES, " "), ("column 0", "column 1")),
        ("% x, y\n" + text(VALUES), ("x", "y")),
        ("0,1\n" + text(VALUES), ("0", "1")),  # DataFrame.to_csv(index=False)
        ("x,y\nm,s\n" + text(VALUES), ("x", "y")),
        ("x,y\nposition,speed\nm,1\n" + text(VALUES), ("x", "y")),
        ("x,2001\n" + text(VALUES), ("x", "2001")),
        ("x,y,\n" + text(VALUES).replace("\n", ",\n"), ("x", "y")),
        ("x,y\n" + text(VALUES).replace("\n", ",\n"), ("x", "y")),
        ("Station: north\nRecorded by us\nx,y\n" + text(VALUES), ("x", "y")),
        (("x,y\n" + text(VALUES)).encode("utf-16"), ("x", "y")),
        (b"\xef\xbb\xbf" + ("x,y\n" + text(VALUES)).encode(), ("x", "y")),
        ('"x","y"\n' + "".join(f'"{a:.4f}","{b:.4f}"\n'.replace(".", ",") for a, b in VALUES), ("x", "y")),
        ("x|y\n" + text(VALUES, "|"), ("x", "y")),
        ("x,y\n" + "".join(f"{a:.4f}D+00,{b:.4f}d0\n" for a, b in VALUES), ("x", "y")),
    ],
)
def test_dialects(numbers, content, names):
    found, values = numbers(content)
    assert found == names
    np.testing.assert_array_equal(values, VALUES)


def test_thousands_are_told_from_decimals(numbers):
    big = VALUES * 1e5
    with_commas = "".join(f'"{a:,.2f}","{b:,.2f}"\n' for a, b in big)
    np.testing.assert_array_equal(numbers(with_commas)[1], big.round(2))
    european = "".join(f"{a:,.2f};{b:,.2f}\n".translate(str.maketrans(",.", ".,")) for a, b in big)
    np.testing.assert_array_equal(numbers(european)[1], big.round(2))


def test_frames_of_pandas_have_an_index_and_numbers_for_names(tmp_path):
    pd.DataFrame(VALUES).to_csv(tmp_path / "a.csv")
    recording = read_recording(str(tmp_path / "a.csv"))
    assert recording.names == ("0", "1")
    np.testing.assert_array_equal(recording.values, VALUES)
    pd.DataFrame(VALUES, columns=["x", "y"]).to_csv(tmp_path / "b.csv")
    assert read_recording(str(tmp_path / "b.csv")).names == ("x", "y")
    (tmp_path / "r.csv").write_text('"x" "y"\n' + "".join(f'"{i + 1}" {a} {b}\n' for i, (a, b) in enumerate(VALUES)))
    assert read_recording(str(tmp_path / "r.csv")).names == ("x", "y")  # write.table of R
    pd.DataFrame(VALUES, columns=["x", "y"], index=np.arange(70) / 4).to_parquet(tmp_path / "c.parquet")
    assert read_recording(str(tmp_path / "c.parquet")).dt == 0.25


def test_one_column_of_decimal_commas(numbers):
    one = VALUES[:, :1]
    for content in (text(one, point=","), "x\n" + text(one, point=",")):
        names, values = numbers(content)
        assert len(names) == 1
        np.testing.assert_array_equal(values, one)
    ambiguous = "".join(f"{a},{b}\n" for a, b in np.random.default_rng(1).integers(100, 999, (70, 2)))
    with pytest.raises(
        BadSeries, match=r"row 1 holds '\d{3},\d{3}', one number with a decimal comma or two whole numbers"
    ):
        numbers(ambiguous)
    assert numbers(ambiguous, ".")[1].shape == (70, 2)
    assert numbers(ambiguous, ",")[1].shape == (70, 1)
    assert numbers("".join(f"{i},{100 + 7 * i % 800}\n" for i in range(70)))[1].shape == (70, 2)  # an index
    assert numbers("".join(f"{3 * i % 7},{i * i}\n" for i in range(70)))[1].shape == (70, 2)


def test_rows_that_do_not_fit(numbers):
    assert numbers('""\n3\n4\n')[0] == ("column 0",)  # found by random text
    with pytest.raises(BadSeries, match="row 4 has 3 cells where row 1 has 2"):
        numbers("x,y\n1,2\n1,2\n1,2,3\n1,2\n")
    with pytest.raises(BadSeries, match="row 3 has 2 cells where row 1 has 3"):
        numbers("1,2,3\n1,2,3\n" + "1,2\n" * 9)
    with pytest.raises(BadSeries, match="decimal must be one of auto"):
        numbers(text(VALUES), ";")
    with pytest.raises(BadSeries, match="row 2 cannot be cut into cells"):
        numbers("x,y\n" + "1" * 200_000 + ",2\n")
    with pytest.raises(BadSeries, match=r"row 2, column 'y' holds 'bad'"):  # not taken for units
        numbers("x,y\n0,bad\n1,2\n1,2\n")


def frames(folder):
    """The same numbers in every binary form, by file."""
    h5py, scipy_io = pytest.importorskip("h5py"), pytest.importorskip("scipy.io")
    pytest.importorskip("openpyxl")
    frame, (x, y) = pd.DataFrame(VALUES, columns=["x", "y"]), VALUES.T
    frame.to_parquet(folder / "a.parquet")
    frame.to_feather(folder / "a.feather")
    frame.to_excel(folder / "a.xlsx", index=False)
    np.save(folder / "a.npy", frame.to_records(index=False))
    np.save(folder / "matrix.npy", VALUES.astype(">f8"))
    np.savez(folder / "a.npz", x=x, y=y, seed=3)
    np.savez(folder / "matrix.npz", VALUES)
    scipy_io.savemat(folder / "a.mat", {"x": x, "y": y[:, None], "note": "text"})
    with h5py.File(folder / "a.h5", "w") as file:
        file["group/x"], file["group/y"] = x, y
    with h5py.File(folder / "matlab73.mat", "w", userblock_size=512) as file:
        file["rows"] = VALUES.T
    content = (folder / "matlab73.mat").read_bytes()
    (folder / "matlab73.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + content[512:])
    for ending, module in ((".gz", gzip), (".bz2", bz2), (".xz", lzma)):
        (folder / f"a.csv{ending}").write_bytes(module.compress(("x,y\n" + text(VALUES)).encode()))
    (folder / "a.npy.gz").write_bytes(gzip.compress((folder / "a.npy").read_bytes()))
    (folder / "a.dat").write_text(text(VALUES, "   "))
    return sorted(folder.iterdir())


def test_every_ending(tmp_path):
    files = frames(tmp_path)
    assert len(files) == 15
    for file in files:
        table = read(str(file))
        np.testing.assert_array_equal(table.numbers([0, 1]), VALUES, err_msg=file.name)
        assert file.stem == "matrix" or file.suffix == ".dat" or file.stem == "matlab73" or table.names[0][-1] == "x"
        assert is_file(str(file))
    assert {".xlsx", ".mat", ".h5", ".npz", ".feather"} < set(ENDINGS)


def test_arrays_on_their_side_are_turned_and_told(tmp_path):
    np.save(tmp_path / "a.npy", VALUES.T)
    recording = read_recording(str(tmp_path / "a.npy"))
    np.testing.assert_array_equal(recording.values, VALUES)
    assert "(2, 70) is read as (channels, time)" in recording.remarks[0]
    np.save(tmp_path / "b.npy", np.random.default_rng(0).normal(size=(64, 700)))
    recording = read_recording(str(tmp_path / "b.npy"))
    assert recording.values.shape == (64, 700)
    assert "64 rows and 700 columns: rows are time steps" in recording.remarks[0]
    np.save(tmp_path / "c.npy", VALUES)
    assert read_recording(str(tmp_path / "c.npy")).remarks == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (VALUES + 1j, r"holds complex128 of \(70, 2\). Save real and imaginary part"),
        (np.zeros((3, 70, 2)), r"holds float64 of \(3, 70, 2\). Save every recording as one file"),
        (np.array(["a", "b"]), "needs real numbers"),
        (np.zeros((0, 2)), "needs real numbers"),
    ],
)
def test_arrays_that_are_no_series(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(BadSeries, match=message):
        read(str(tmp_path / "a.npy"))


def test_arrays_of_several_lengths_are_no_table(tmp_path):
    np.savez(tmp_path / "a.npz", train=VALUES, test=VALUES[:30])
    with pytest.raises(BadSeries, match=r"train \(70, 2\), test \(30, 2\), which are not columns of one table"):
        read(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", seed=3)
    with pytest.raises(BadSeries, match="holds no arrays of numbers"):
        read(str(tmp_path / "b.npz"))


def test_what_is_a_file_is_no_name_of_a_system(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lorenz").write_text("1\n")
    assert [is_file(what) for what in ("lorenz", "a.csv.gz", "a.pkl", "dir/a", "lorenz63")] == [True] * 4 + [False]
    with pytest.raises(BadSeries, match=r"files end in .*, but this one in ''"):
        read("lorenz")
    with pytest.raises(BadSeries, match="is a folder"):
        read(".")


def test_a_series_of_a_spreadsheet_names_rows_as_it_shows_them(tmp_path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame(VALUES, columns=["x", "y"])
    frame.loc[4, "y"] = np.nan
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    with pytest.raises(BadSeries, match="1 cells are missing or infinite, the first at row 6, column 'y'"):
        build("recorded", path=str(tmp_path / "a.xlsx"))
