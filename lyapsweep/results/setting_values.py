"""The values of a setting among trials, as text."""

import json
from typing import Any

import numpy as np
import pandas as pd

MAX_LISTED = 12  # values of a setting


def listed(column: pd.Series) -> str:
    """The values of a setting, or their range where there are many.

    Example:
        >>> listed(pd.Series([8.0, 2.0, 8.0])), listed(pd.Series(np.linspace(0, 1, 50)))
        ('2, 8', '0 to 1 (50 values)')
    """
    values = np.asarray(pd.unique(column.dropna()))
    if len(values) <= MAX_LISTED:
        ordered = sorted((to_python(value) for value in values), key=lambda value: (isinstance(value, str), value))
        return ", ".join(value if isinstance(value, str) else json.dumps(value, default=str) for value in ordered)
    if pd.api.types.is_numeric_dtype(column):
        return f"{values.min():.4g} to {values.max():.4g} ({len(values)} values)"
    return f"{len(values)} values"


def to_python(value: Any) -> Any:
    """A plain Python value, whole numbers as int."""
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value
