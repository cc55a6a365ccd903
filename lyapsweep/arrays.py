"""Arrays that users pass: frames, structured, masked and foreign ones as plain numbers; all others are refused."""

from typing import Any

import numpy as np


class BadArray(ValueError):
    """A value that is no array of real numbers; the message says what it is and what to pass."""


def real_array(values: Any, what: str) -> np.ndarray:
    """Return real numbers as a plain array that torch can read.

    Args:
        values: An array, a frame or a series of pandas, a structured array (whose fields become columns), a masked
            array (whose masked cells become NaN), or nested lists.
        what: Name of the argument, for messages.

    Returns:
        Numbers in the byte order of this machine; double precision unless they were floats.

    Raises:
        BadArray: If these are no real numbers, or lists of different lengths.

    Example:
        >>> real_array(np.ma.masked_equal([[1, 2], [3, -1]], -1), "inputs").tolist()
        [[1.0, 2.0], [3.0, nan]]
    """
    try:
        array = values.to_numpy() if hasattr(values, "to_numpy") else values
        array = array if isinstance(array, np.ndarray) else np.asarray(array)
    except (ValueError, TypeError) as error:
        raise BadArray(f"{what}: rows differ in length or hold no numbers ({error}). Pass one array.") from error
    if array.dtype.names:
        array = of_fields(array, what)
    if array.dtype.kind == "O":
        array = of_objects(array, what)
    if array.dtype.kind not in "fiub":
        raise BadArray(f"{what}: real numbers are needed, but it holds {array.dtype}. {remedy(array.dtype.kind)}.")
    if isinstance(array, np.ma.MaskedArray):
        array = np.ma.filled(array.astype(np.float64), np.nan)
    kind = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.dtype(np.float64)
    return np.ascontiguousarray(array, kind).reshape(array.shape)


def of_fields(array: np.ndarray, what: str) -> np.ndarray:
    """The fields of a structured array as columns."""
    bad = [name for name in array.dtype.names or () if array.dtype[name].kind not in "fiub"]
    if bad:
        raise BadArray(f"{what}: field '{bad[0]}' holds {array.dtype[bad[0]]}. Choose the fields that are numbers.")
    return np.ma.stack([array[name].astype(np.float64) for name in array.dtype.names or ()], axis=-1)


def of_objects(array: np.ndarray, what: str) -> np.ndarray:
    """Objects as numbers; None and other missing values are NaN."""
    try:
        return np.array([np.nan if is_missing(cell) else float(cell) for cell in array.flat]).reshape(array.shape)
    except (ValueError, TypeError) as error:
        raise BadArray(f"{what}: real numbers are needed ({error}). Choose columns of numbers.") from error


def is_missing(cell: Any) -> bool:
    return cell is None or type(cell).__name__ in ("NAType", "NaTType", "MaskedConstant")


def remedy(kind: str) -> str:
    """What to do about numbers of a kind that is not real."""
    return {"c": "Pass real and imaginary part as columns", "M": "Leave dates out"}.get(kind, "Convert it first")
