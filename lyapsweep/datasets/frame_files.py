"""Tables in files of typed columns: Parquet, Feather and spreadsheets."""

from typing import IO, Any

import numpy as np

from lyapsweep.datasets.cell_table import CellTable
from lyapsweep.datasets.headings import find_heading
from lyapsweep.datasets.series import BadSeries


def read_parquet(path: str, file: IO[bytes]) -> CellTable:
    """A Parquet table; only the columns that are chosen need to be numbers."""
    import pyarrow
    from pyarrow import parquet

    try:
        return of_arrow(path, parquet.read_table(file))
    except (pyarrow.ArrowException, OSError) as error:
        raise BadSeries(f"{path}: not a Parquet table ({error}).") from error


def read_feather(path: str, file: IO[bytes]) -> CellTable:
    """A Feather file."""
    import pyarrow
    from pyarrow import feather

    try:
        return of_arrow(path, feather.read_table(file))
    except (pyarrow.ArrowException, OSError) as error:
        raise BadSeries(f"{path}: not a Feather file ({error}).") from error


def of_arrow(path: str, table: Any) -> CellTable:
    cells = np.empty((table.num_rows, table.num_columns), dtype=object)
    for j, column in enumerate(table.columns):
        cells[:, j] = column.to_pylist()
    return CellTable(path, tuple(table.column_names), cells, np.arange(table.num_rows))


def read_excel(path: str, file: IO[bytes]) -> CellTable:
    """The first sheet that holds anything; rows are counted from 1, as the spreadsheet shows them."""
    import pandas

    try:
        sheets = pandas.read_excel(file, sheet_name=None, header=None, dtype=object, keep_default_na=False)
    except ImportError as error:
        raise BadSeries(f'{path}: .xlsx needs openpyxl. Install it with pip install "lyapsweep[files]".') from error
    except Exception as error:
        raise BadSeries(f"{path}: not a spreadsheet ({error}). Save it as .xlsx or .csv.") from error
    filled = {str(name): sheet for name, sheet in sheets.items() if sheet.size}
    if not filled:
        raise BadSeries(f"{path}: the file holds no rows.")
    name, sheet = next(iter(filled.items()))
    cells = sheet.to_numpy(dtype=object)
    numbers = np.arange(1, len(cells) + 1)
    held = np.array([any(str(cell).strip() for cell in row) for row in cells])
    cells, numbers = cells[held], numbers[held]
    heading = find_heading([tuple(row) for row in cells[:100]])
    remarks = (f"sheet '{name}' of {len(filled)} is read",) if len(filled) > 1 else ()
    return CellTable(path, heading.names, cells[heading.rows :], numbers[heading.rows :], remarks)
