"""What a command reports: text (the default), with --json one JSON document, with --quiet the path of its result."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import click

from lyapsweep.cli.errors import CommandError

MODE = "lyapsweep.report"  # key in click's shared context


class Mode(Enum):
    """How a command reports."""

    TEXT = ""
    JSON = "--json"
    QUIET = "--quiet"


def mode() -> Mode:
    """How the running command reports."""
    context = click.get_current_context(silent=True)
    return context.meta.get(MODE, Mode.TEXT) if context else Mode.TEXT


def note_mode(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        asked = Mode(f"--{param.name}")
        if ctx.meta.get(MODE, asked) is not asked:
            raise CommandError("--json and --quiet: a command reports in one way. Give one of them.")
        ctx.meta[MODE] = asked


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options --json and --quiet."""
    helps = {
        "quiet": "Print nothing but errors and the path of the result.",
        "json": "Print one JSON document instead of text (docs/json.md).",
    }
    for name, text in helps.items():
        flag = click.option(f"--{name}", is_flag=True, expose_value=False, callback=note_mode, help=text)
        command = flag(command)
    return command


def report(content: Any, *paths: Path | str | None) -> None:
    """Print what a command found, as --json and --quiet ask; the text was printed before.

    Args:
        content: Dataclasses, named tuples, mappings, lists, arrays, numbers and texts.
        paths: The paths of the result, where it is a file or a folder; or its names.
    """
    if mode() is Mode.JSON:
        click.echo(json.dumps(plain(content), indent=1, allow_nan=False))
    elif mode() is Mode.QUIET:
        for path in filter(None, paths):
            click.echo(path)


def plain(value: Any) -> Any:
    """A value as strict JSON has it: NaN is null, infinities are "inf" and "-inf"."""
    if hasattr(value, "to_dict"):  # of a record or a spectrum
        return plain(value.to_dict())
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if hasattr(value, "tolist"):  # of NumPy
        return plain(value.tolist())
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):  # as `dynamics.spectrum.strict`, which loads torch
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value.value if isinstance(value, Enum) else value
