"""Export of the page's figures as PNG, SVG and PDF files, which Kaleido draws in a Chromium of this machine."""

import importlib.util
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import plotly.graph_objects as go

from lyapsweep.atlas import compression

FORMATS = ("png", "svg", "pdf")
WIDTH = 900  # as wide as on the page
SCALE = 2  # pixels of a PNG per pixel of the page


class FigureExportError(RuntimeError):
    """Kaleido or the browser that it drives is missing."""


def write(page: Path, formats: Sequence[str]) -> list[Path]:
    """Write every figure of a page in every format, into a folder beside it: atlas-figures/lyapunov-spectra-1.png, ...

    Args:
        page: A page that `report.write` wrote.
        formats: Some of `FORMATS`.

    Returns:
        The files.

    Raises:
        FigureExportError: If Kaleido or the browser that it drives is missing.
    """
    if not formats:
        return []
    if importlib.util.find_spec("kaleido") is None:
        raise FigureExportError("Figure files: kaleido is not installed. Run pip install 'lyapsweep[figures]'.")
    folder = page.with_name(f"{page.stem}-figures")
    pairs = list(itertools.product(named(page.read_text("utf-8")), formats))
    figures, files = [fig for (_, fig), _ in pairs], [folder / f"{name}.{kind}" for (name, _), kind in pairs]
    if not pairs:
        return []
    import plotly.io

    folder.mkdir(exist_ok=True)
    heights = [int(fig.layout.height or 450) for fig in figures]  # type: ignore[union-attr]
    try:
        plotly.io.write_images(figures, files, width=WIDTH, height=heights, scale=SCALE)  # type: ignore[arg-type]
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise FigureExportError(
            f"Figure files: Chromium or Chrome did not start ({reason}). Install one, or set "
            "BROWSER_PATH=/path/to/chromium."
        ) from error
    return files


def named(document: str) -> Iterator[tuple[str, go.Figure]]:
    """Yield each figure under the name of its section and its number there."""
    for name, body in re.findall(r'<section id="([\w-]+)">(.*?)</section>', document, re.DOTALL):
        for k, fig in enumerate(compression.figures(body), start=1):
            yield f"{name}-{k}", fig
