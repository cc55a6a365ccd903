"""`lyapsweep list`: cells, systems, data sets and other choices of a config; packaged configs and sweeps."""

import json

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.registered import FAMILIES, Member, read_members
from lyapsweep.dysts_table import table, usable_flows
from lyapsweep.packaged import SUFFIXES, packaged_files

LISTED = (*FAMILIES, *SUFFIXES)


@click.command(
    "list",
    short_help="List the choices of a config, and packaged sweeps.",
    epilog=options.example("lyapsweep list cells"),
)
@click.argument(
    "family", required=False, shell_complete=lambda ctx, param, text: [f for f in LISTED if f.startswith(text)]
)
@reporting.options
@options.debug
def command(family: str | None) -> None:
    """List the choices of a config with their settings and defaults, and the packaged configs and sweeps.

    FAMILY is one of cells, systems, datasets, measures, inits, forcings, readouts, configs, sweeps.  [default: all]
    """
    from lyapsweep.registry import unknown

    if family is not None and family not in LISTED:
        raise unknown("family", family, list(LISTED))
    wanted = LISTED if family is None else (family,)
    for f in wanted:
        print_family(f, every_flow=family is not None)
    listed = {f: members(f, every_flow=True) for f in wanted}
    content = {f: [member.content for member in found] for f, found in listed.items()}
    reporting.report(content, *(member.name for found in listed.values() for member in found))


def members(family: str, every_flow: bool) -> list[Member]:
    """The members of a family, those of the file and, of systems, the flows of dysts; or the packaged files."""
    if family in SUFFIXES:
        return [Member(file.name, file.sentence, {}, []) for file in packaged_files(family)]
    return read_members(family) + (flows() if family == "systems" and every_flow else [])


def flows() -> list[Member]:
    """The flows of dysts that are systems."""
    own = {each.name for each in read_members("systems")}
    found = (name for name in usable_flows() if name not in own)
    return [Member(name, "A flow of dysts.", table()[name]["parameters"], []) for name in found]


def print_family(family: str, every_flow: bool) -> None:
    out = printing.console()
    out.print(family, style="bold")
    listed = members(family, every_flow=False)
    width = max(18, *(len(member.name) for member in listed))
    for member in listed:
        knobs = [f"{k}=..." if k in member.needed else f"{k}={json.dumps(v)}" for k, v in member.knobs.items()]
        goal = f" [{member.direction}, {member.unit}]" if member.direction else ""
        out.print(f"  {member.name:<{width}} {member.sentence}{goal}", soft_wrap=True)
        if knobs:
            out.print(f"  {'':<{width}} {', '.join(knobs)}", style="dim", soft_wrap=True)
    if family == "systems":
        further = [flow.name for flow in flows()]
        what = ", ".join(further) if every_flow else "`lyapsweep list systems` names them"
        out.print(f"  and {len(further)} flows of dysts: {what}", soft_wrap=not every_flow)
    out.print()
