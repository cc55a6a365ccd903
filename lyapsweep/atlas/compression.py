"""Compression of large parts of the page: gzip in base64, in script blocks of a type that no browser runs.

`web/page.js` unpacks them with the browser's `DecompressionStream` when they come into view.
"""

import base64
import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly

MAX_FLOAT32 = float(np.finfo(np.float32).max)


def packed(text: str) -> str:
    """Compress text to base64."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def blocks(document: str, kind: str) -> list[str]:
    """Return what the blocks of one kind hold, in the order of the page."""
    found = re.findall(rf'<script type="application/gzip" data-kind="{kind}">([^<]*)</script>', document)
    return [gzip.decompress(base64.b64decode(text)).decode() for text in found]


def compact_json(data: object) -> str:
    """Return data as JSON without spaces; NaN and infinities are errors."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def figure_json(fig: go.Figure) -> str:
    """Return a figure as JSON, with its numbers in single precision: more digits than a screen shows."""
    return str(to_json_plotly(map_arrays(fig.to_dict(), single_precision), engine="json"))


def figures(document: str) -> list[go.Figure]:
    """Return the figures of a page, as they are drawn there."""
    return [go.Figure(map_arrays(json.loads(text), np.asarray)) for text in blocks(document, "figure")]


def single_precision(values: np.ndarray) -> dict[str, str]:
    """Encode an array as plotly does (type and base64), in single precision where that holds its largest value."""
    if values.dtype == np.float64 and not (np.abs(values[np.isfinite(values)]) > MAX_FLOAT32).any():
        values = values.astype(np.float32)
    kind = f"{values.dtype.kind}{values.dtype.itemsize}"
    return {"dtype": kind, "bdata": base64.b64encode(values.tobytes()).decode()}


def map_arrays(node: Any, function: Callable[[np.ndarray], Any]) -> Any:
    """Replace every array that plotly encoded as base64 by `function` of it; shapes are kept."""
    if isinstance(node, list | tuple):
        return [map_arrays(value, function) for value in node]
    if not isinstance(node, dict):
        return node
    if "bdata" not in node:
        return {key: map_arrays(value, function) for key, value in node.items()}
    result = function(np.frombuffer(base64.b64decode(node["bdata"]), node["dtype"]))
    if "shape" not in node:
        return result
    if isinstance(result, dict):
        return result | {"shape": node["shape"]}
    return result.reshape([int(n) for n in str(node["shape"]).split(",")])
