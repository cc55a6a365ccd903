"""Large things inside a page, small: gzip in base64, in a block that no browser runs or shows until it is unpacked.

`web/page.js` unpacks them with the browser's own `DecompressionStream` when they come into view.
"""

import base64
import gzip
import html
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly

TYPE = "application/gzip"
LARGEST = float(np.finfo(np.float32).max)


def block(kind: str, content: str) -> str:
    """`content` packed; `kind` is what it is called in the page."""
    packed = base64.b64encode(gzip.compress(content.encode(), 9, mtime=0)).decode()
    return f'<script type="{TYPE}" data-kind="{html.escape(kind)}">{packed}</script>'


def blocks(document: str, kind: str) -> list[str]:
    """What the blocks of one kind hold, in the order of the page."""
    found = re.findall(rf'<script type="{TYPE}" data-kind="{kind}">([^<]*)</script>', document)
    return [gzip.decompress(base64.b64decode(packed)).decode() for packed in found]


def figure(fig: go.Figure) -> str:
    """A figure as JSON, its numbers in single precision: more digits than a screen has."""
    return str(to_json_plotly(arrays(fig.to_dict(), single), engine="json"))


def figures(document: str) -> list[go.Figure]:
    """The figures of a page, as they are drawn there."""
    return [go.Figure(arrays(json.loads(text), np.asarray)) for text in blocks(document, "figure")]


def single(values: np.ndarray) -> Any:
    """In single precision where that holds the largest of them, as plotly writes arrays: base64 with its type."""
    if values.dtype == np.float64 and not (np.abs(values[np.isfinite(values)]) > LARGEST).any():
        values = values.astype(np.float32)
    kind = f"{values.dtype.kind}{values.dtype.itemsize}"
    return {"dtype": kind, "bdata": base64.b64encode(values.tobytes()).decode()}


def arrays(node: Any, made: Callable[[np.ndarray], Any]) -> Any:
    """A figure with every array that plotly wrote as base64 replaced by what is made of it; its shape is kept."""
    if isinstance(node, list | tuple):
        return [arrays(value, made) for value in node]
    if not isinstance(node, dict):
        return node
    if "bdata" not in node:
        return {key: arrays(value, made) for key, value in node.items()}
    held = np.frombuffer(base64.b64decode(node["bdata"]), node["dtype"])
    if "shape" not in node:
        return made(held)
    found, shape = made(held), [int(n) for n in str(node["shape"]).split(",")]
    return found | {"shape": node["shape"]} if isinstance(found, dict) else found.reshape(shape)
