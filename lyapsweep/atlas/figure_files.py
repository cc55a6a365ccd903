"""The figures of a page as files for papers: PNG, SVG, PDF. Kaleido draws them in a Chromium of this machine."""

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


class NoPictures(RuntimeError):
    """This machine cannot draw without a reader's browser; the message says what it lacks."""


def write(page: Path, formats: Sequence[str]) -> list[Path]:
    """Every figure of the page in every format, in a folder beside it: atlas-figures/lyapunov-spectra-1.png, ...

    Raises `NoPictures` where Kaleido or the browser that it drives is missing.
    """
    if not formats:
        return []
    if importlib.util.find_spec("kaleido") is None:
        raise NoPictures("Figures as files need kaleido: pip install 'lyapsweep[figures]'.")
    folder = page.with_name(f"{page.stem}-figures")
    wanted = [
        (fig, folder / f"{name}.{kind}")
        for (name, fig), kind in itertools.product(named(page.read_text("utf-8")), formats)
    ]
    if not wanted:
        return []
    import plotly.io

    folder.mkdir(exist_ok=True)
    figures, files = zip(*wanted, strict=True)
    heights = [int(fig.layout.height or 450) for fig in figures]
    try:
        plotly.io.write_images(list(figures), list(files), width=WIDTH, height=heights, scale=SCALE)  # type: ignore[arg-type]
    except RuntimeError as error:
        said = str(error).strip().partition("\n")[0]
        raise NoPictures(
            f"Figures as files are drawn in Chromium or Chrome, which did not start ({said}). Install it, or say where "
            "it is: BROWSER_PATH=/path/to/chromium."
        ) from error
    return list(files)


def named(document: str) -> Iterator[tuple[str, go.Figure]]:
    """(name, figure): the section that a figure stands in, and its number there."""
    for name, body in re.findall(r'<section id="([\w-]+)">(.*?)</section>', document, re.DOTALL):
        for k, fig in enumerate(compression.figures(body), start=1):
            yield f"{name}-{k}", fig
