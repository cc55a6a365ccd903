"""The members of all families as `lyapsweep list` prints them, kept in a file so that listing them loads no torch.

`python -c "from lyapsweep.cli.registered import write; write()"` writes the file; `tests/test_cli.py` compares it with
the registries.
"""

import inspect
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("registered.json")
FAMILIES = ("cells", "systems", "datasets", "measures", "inits", "forcings", "readouts")


@dataclass(frozen=True)
class Member:
    """One member of a family.

    Args:
        name: Its name in a config.
        sentence: The first line of its docstring.
        knobs: Its settings with their defaults; null for one without.
        needed: Settings without a default.
        direction: Of a measure, whether it is minimised or maximised.
        unit: Of a measure, its unit.
    """

    name: str
    sentence: str
    knobs: dict[str, Any]
    needed: list[str]
    direction: str = ""
    unit: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """What is printed as JSON: direction and unit of measures only."""
        return {key: value for key, value in asdict(self).items() if value != "" or key == "sentence"}


def read_members(family: str) -> list[Member]:
    """Read the members of a family from the file."""
    return [Member(**content) for content in json.loads(FILE.read_text())[family]]


def registered_members() -> dict[str, list[Member]]:
    """Collect the members of every family from the registries."""
    from lyapsweep import cells, datasets, forcing, inits, measures, readouts, systems

    tables = (
        cells.CELLS,
        systems.SYSTEMS,
        datasets.DATASETS,
        measures.MEASURES,
        inits.INITS,
        forcing.FORCINGS,
        readouts.READOUTS,
    )
    return {family: [member(table, name) for name in table] for family, table in zip(FAMILIES, tables, strict=True)}


def member(table: Any, name: str) -> Member:
    parameters, empty = table.knobs(name), inspect.Parameter.empty
    knobs = {k: None if p.default is empty else p.default for k, p in parameters.items()}
    needed = [k for k, p in parameters.items() if p.default is empty]
    judged = {key: getattr(table[name], key, "") for key in ("direction", "unit")}
    return Member(name, table.sentence(name), knobs, needed, **judged)


def as_text() -> str:
    """The content of the file, by the registries."""
    content = {family: [each.content for each in found] for family, found in registered_members().items()}
    return json.dumps(content, indent=1, default=str, ensure_ascii=False) + "\n"


def write() -> None:
    """Write the file."""
    FILE.write_text(as_text())
