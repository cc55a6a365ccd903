"""`lyapsweep list`: cells, systems, data sets and other choices of a config."""

import inspect
import json
from typing import TYPE_CHECKING, Any

import click

from lyapsweep.cli import options, printing

if TYPE_CHECKING:
    from lyapsweep.registry import Registry

FAMILIES = ("cells", "systems", "datasets", "measures", "inits", "forcings", "readouts")


@click.command("list", short_help="List the choices of a config.", epilog=options.example("lyapsweep list cells"))
@click.argument("family", required=False)
@options.as_json
@options.debug
def command(family: str | None, as_json: bool) -> None:
    """List the choices of a config with their settings and defaults.

    FAMILY is one of cells, systems, datasets, measures, inits, forcings, readouts.  [default: all]
    """
    from lyapsweep.registry import unknown

    if family is not None and family not in FAMILIES:
        raise unknown("family", family, list(FAMILIES))
    wanted = FAMILIES if family is None else (family,)
    if as_json:
        click.echo(json.dumps({f: members(f, every_flow=True) for f in wanted}, indent=1, default=str))
        return
    for f in wanted:
        print_family(f, every_flow=family is not None)


def registry(family: str) -> "Registry":
    from lyapsweep import cells, datasets, forcing, inits, measures, readouts, systems

    tables: tuple[Registry, ...] = (
        cells.CELLS,
        systems.SYSTEMS,
        datasets.DATASETS,
        measures.MEASURES,
        inits.INITS,
        forcing.FORCINGS,
        readouts.READOUTS,
    )
    return tables[FAMILIES.index(family)]


def members(family: str, every_flow: bool) -> list[dict[str, Any]]:
    """Name, description and settings of each member; for measures also direction and unit."""
    table = registry(family)
    listed = []
    for name in table:
        knobs = {k: None if p.default is inspect.Parameter.empty else p.default for k, p in table.knobs(name).items()}
        needed = [k for k, p in table.knobs(name).items() if p.default is inspect.Parameter.empty]
        member = {"name": name, "sentence": table.sentence(name), "knobs": knobs, "needed": needed}
        if family == "measures":
            member |= {"direction": table[name].direction, "unit": table[name].unit}
        listed.append(member)
    return listed + (flows() if family == "systems" and every_flow else [])


def flows() -> list[dict[str, Any]]:
    """The flows of dysts that are systems."""
    from lyapsweep.systems import SYSTEMS, names
    from lyapsweep.systems.equations import table

    return [
        {"name": name, "sentence": "A flow of dysts.", "knobs": table()[name]["parameters"], "needed": []}
        for name in names()
        if name not in SYSTEMS
    ]


def print_family(family: str, every_flow: bool) -> None:
    out = printing.console()
    out.print(family, style="bold")
    listed = members(family, every_flow=False)
    width = max(18, *(len(member["name"]) for member in listed))
    for member in listed:
        knobs = [
            f"{k}=..." if k in member["needed"] else f"{k}={json.dumps(v, default=str)}"
            for k, v in member["knobs"].items()
        ]
        goal = f" [{member['direction']}, {member['unit']}]" if "direction" in member else ""
        out.print(f"  {member['name']:<{width}} {member['sentence']}{goal}", soft_wrap=True)
        if knobs:
            out.print(f"  {'':<{width}} {', '.join(knobs)}", style="dim", soft_wrap=True)
    if family == "systems":
        further = [flow["name"] for flow in flows()]
        what = ", ".join(further) if every_flow else "`lyapsweep list systems` names them"
        out.print(f"  and {len(further)} flows of dysts: {what}", soft_wrap=not every_flow)
    out.print()
