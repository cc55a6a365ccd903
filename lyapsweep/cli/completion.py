"""Completion in the shell: names of packaged files, members, experiments. Loads neither torch nor records."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from lyapsweep.cli.registered import FAMILIES, read_members
from lyapsweep.packaged import SUFFIXES, packaged_files
from lyapsweep.results.experiment import DESCRIPTION, RECORDS

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
EXPERIMENTS = "experiments"


def complete(*families: str, files: bool = True) -> Completion:
    """Return what completes an argument: the names of some families, and files.

    Args:
        families: Families of members (`cells`, ...), `configs`, `sweeps`, or `experiments`, the folders in --results.
        files: Whether the argument may also be a file.

    Example:
        >>> [item.value for item in complete("sweeps", files=False)(None, None, "forcing_i")]
        ['forcing_interval']
    """

    def completed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [item for family in families for item in names(family, ctx) if item.value.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="file")] if files else found

    return completed


def names(family: str, ctx: click.Context) -> Iterator[CompletionItem]:
    """The names of a family with what they are, where the shell shows it."""
    if family in SUFFIXES:
        yield from (CompletionItem(file.name, help=file.sentence) for file in packaged_files(family))
    elif family in FAMILIES:
        yield from (CompletionItem(member.name, help=member.sentence) for member in read_members(family))
    else:
        folders = Path(ctx.params.get("results") or "results").glob("*/")
        held = (f for f in folders if any((f / part).exists() for part in (RECORDS, DESCRIPTION)))
        yield from (CompletionItem(folder.name) for folder in sorted(held))
