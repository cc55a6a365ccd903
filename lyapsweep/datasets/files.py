"""Reading a table of numbers from a file, so that every complaint can name a row and a column."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from lyapsweep.datasets.array_files import read_hdf5, read_mat, read_npy, read_npz
from lyapsweep.datasets.cell_table import CellTable
from lyapsweep.datasets.frame_files import read_excel, read_feather, read_parquet
from lyapsweep.datasets.series import BadSeries
from lyapsweep.datasets.text_tables import read_text

TEXT = (".csv", ".txt", ".tsv", ".dat", ".asc", ".data", ".prn")
BINARY: dict[str, Callable[[str, IO[bytes]], CellTable]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".parquet": read_parquet,
    ".feather": read_feather,
    ".mat": read_mat,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".xlsx": read_excel,
}
COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ENDINGS = (*TEXT, *BINARY)
LARGEST = 2**32  # bytes of a file after it is unpacked
REMEDIES = {  # of endings that are not read
    ".pkl": "A pickle runs code when it is opened: load it yourself and save it with numpy.save or to_parquet",
    ".pickle": "A pickle runs code when it is opened: load it yourself and save it with numpy.save or to_parquet",
    ".pt": "Save a tensor with numpy.save(path, tensor.numpy())",
    ".safetensors": "Save a tensor with numpy.save(path, tensor.numpy())",
    ".xls": "Save it as .xlsx or .csv",
    ".ods": "Save it as .xlsx or .csv",
    ".zip": "Unpack it first",
    ".nc": "Write it with xarray.open_dataset(path).to_dataframe().to_parquet",
    ".json": "Write it with pandas.read_json(path).to_csv",
}


def read(path: str, decimal: str = "auto") -> CellTable:
    """Read the table in a file.

    Args:
        path: A file, relative to the current directory. Its ending is one of `ENDINGS`, maybe followed by .gz, .bz2 or
            .xz.
        decimal: Decimal separator of text, "." or ","; "auto" (the default) finds out.

    Returns:
        The cells with the names of their columns.

    Raises:
        BadSeries: If there is no such file, its ending is not known, or it holds something else than it says.

    Example:
        >>> _ = Path("two.csv").write_text("t,x\\n0,1.5\\n1,2.5\\n")
        >>> read("two.csv").names
        ('t', 'x')
    """
    if Path(path).is_dir():
        raise BadSeries(f"{path}: is a folder. Name the file, or list the files in it.")
    ending, inner = ending_of(path)
    if inner not in ENDINGS:
        raise BadSeries(
            f"{path}: files end in {', '.join(ENDINGS)}, but this one in '{inner}'. "
            f"{REMEDIES.get(inner, 'Convert it to one of them, or rename it if it is one of them')}."
        )
    if not Path(path).is_file():
        raise BadSeries(f"{path}: there is no such file (looked from {Path.cwd()}).")
    with io.BytesIO(unpacked(path, ending)) if ending in COMPRESSED else Path(path).open("rb") as file:
        return BINARY[inner](path, file) if inner in BINARY else read_text(path, file.read(), decimal)


def read_csv(path: str) -> CellTable:
    """Read a text file, whatever its ending."""
    return read_text(path, Path(path).read_bytes())


def ending_of(path: str) -> tuple[str, str]:
    """The ending of a file, and of what is compressed in it."""
    ending = Path(path).suffix.lower()
    return ending, Path(path).with_suffix("").suffix.lower() if ending in COMPRESSED else ending


def is_file(what: str) -> bool:
    """Whether an argument names a file, be it there or not, and no member of a family."""
    return ending_of(what)[1] in (*ENDINGS, *REMEDIES) or Path(what).exists() or "/" in what


def unpacked(path: str, ending: str) -> bytes:
    try:
        with COMPRESSED[ending](path, "rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise BadSeries(f"{path}: cannot be unpacked ({error}). Compress it again.") from error
    if len(content) > LARGEST:
        raise BadSeries(f"{path}: holds more than {LARGEST / 2**30:.0f} GiB. Unpack it and cut it into parts.")
    return content
