"""The options that say what a sweep varies, and the sweep that they define, with a sweep file or without one."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyapsweep import packaged
from lyapsweep.cli import options
from lyapsweep.cli.completion import complete
from lyapsweep.cli.errors import CommandError
from lyapsweep.results.experiment import ExperimentPaths

if TYPE_CHECKING:
    from lyapsweep.results.description import SweepOptions
    from lyapsweep.sweep import Sweep

COUNT = click.IntRange(min=1)
GRID_FORM = "forcing/interval=4,8,16"
SPACE_FORM = "training/lr=log(1e-4,1e-1)"
NAMES = {"changes": "set", "added": "grid"}  # of options whose flag has another name
Axes = dict[str, Any]


def read_axes(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[Axes, Axes]:
    """Parse `--grid path=a,b,c` and `--grid path+=a,b`: the axes that replace, and the values that are added."""
    grid: Axes = {}
    added: Axes = {}
    for text in given:
        from lyapsweep.sweep.plan.axis_changes import parse_values

        path, values = split(text, "--grid", GRID_FORM)
        axes = added if path.endswith("+") else grid
        axes[path.removesuffix("+").strip()] = parse_values(values, f"--grid {path}")
    return grid, added


def read_space(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Check `--space path=log(1e-4,1e-1)`; the texts are kept, as sweep.json holds them."""
    space = {}
    for text in given:
        from lyapsweep.sweep.plan.axis_changes import SpaceAxis

        path, written = split(text, "--space", SPACE_FORM)
        space[path] = str(SpaceAxis.parse(written, f"--space {path}"))
    return space


def split(text: str, flag: str, form: str) -> tuple[str, str]:
    """The path and the rest of `path=rest`."""
    from lyapsweep.setting_types import cut

    path, equals, rest = text.partition("=")
    if not path.strip() or not equals:
        raise CommandError(f"{flag} {cut(text)}: write {flag} path=..., for example {flag} {form}.")
    return path.strip(), rest


OPTIONS = (
    click.argument("sweep", required=False, shell_complete=complete("sweeps")),
    options.changes("Change a setting of the base config, such as training/steps=100. Repeatable."),
    click.option(
        "--grid",
        multiple=True,
        metavar="PATH=A,B,C",
        callback=read_axes,
        help=f"Values of an axis, in place of the sweep's own or as a further one: {GRID_FORM}, or "
        "cell/kind+=gru to add values to an axis. Repeatable.",
    ),
    click.option(
        "--space",
        multiple=True,
        metavar="PATH=DISTRIBUTION",
        callback=read_space,
        help=f"A parameter of a space: {SPACE_FORM}, uniform(0.5,2), int(1,64), logint(1,64), choice(gru,lstm). "
        "Repeatable.",
    ),
    click.option(
        "--where",
        multiple=True,
        metavar="PATH=VALUE",
        callback=options.read_changes,
        help="Only this part of the grid, such as cell/kind=lstm or forcing/interval=[8, 16]. Repeatable.",
    ),
    click.option(
        "--base",
        metavar="CONFIG",
        shell_complete=complete("configs"),
        help="The config of what is not varied.  [default: the sweep's own]",
    ),
    click.option(
        "--objective",
        metavar="MEASURE",
        shell_complete=complete("measures", files=False),
        help="The measure that compares trials.  [default: the sweep's own; without one the config's state_space, else "
        "its first measure]",
    ),
    click.option(
        "--intent",
        type=click.Choice(["map", "hunt"]),
        help="Train every trial to its end, or let a sampler look for one good network.  [default: the sweep's own, "
        "else map]",
    ),
    click.option("--seeds", type=COUNT, help="Number of seeds of each point.  [default: the sweep's own, else 1]"),
    click.option("--trials", type=COUNT, help="Number of points drawn from a space.  [default: the sweep's own]"),
    options.name,
)


def definition(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument SWEEP and the options that say what is varied; `from_arguments` collects them."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclasses.dataclass(frozen=True)
class SweepRequest:
    """What a command asks for.

    Args:
        sweep: The argument SWEEP, None without one.
        name: `--name`.
        results: The folder of results folders.
        options: What was said of the points.
        zoom: `--zoom`.
        resumed: Whether a sweep is continued, so that options that are not given stay as they were.
    """

    sweep: str | None
    name: str | None
    results: Path
    options: "SweepOptions"
    zoom: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    resumed: bool = False

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any], results: Path, **more: Any) -> "SweepRequest":
        """Take the arguments of `definition` out of a command's `arguments`."""
        from lyapsweep.results.description import SweepOptions

        grid, added = arguments.pop("grid")
        texts = {key: arguments.pop(key) or "" for key in ("base", "objective", "intent")}
        others = {key: arguments.pop(key) for key in ("seeds", "trials", "changes", "where", "space")}
        given = SweepOptions(**texts, **others, grid=grid, added=added)
        return cls(arguments.pop("sweep"), arguments.pop("name"), results, given, **more)

    def define(self, tell: Callable[[str], object] = lambda sentence: None) -> "Sweep":
        """The sweep; `tell` gets a sentence for every option that a continued sweep takes over or changes."""
        from lyapsweep.results.description import SweepDescription

        if not self.resumed:
            return self.built()
        file = self.sweep and packaged.find_file("sweeps", self.sweep)
        request = (
            self if file or not self.sweep else dataclasses.replace(self, sweep=None, name=self.name or self.sweep)
        )
        name = request.name or request.built().name or ""
        stored = SweepDescription.load(ExperimentPaths(self.results / name).description).options
        if stored is None:
            return self.built()
        refuse_unknown_code(stored, request.options)
        before, now = entries(stored), entries(request.options)
        for entry, value in before.items():
            if entry not in now:
                tell(f"{entry}{shown(value)}: as the sweep was started.")
            elif now[entry] != value:
                tell(f"{entry}{shown(now[entry])}: the sweep was started with {shown(value)}.")
        return dataclasses.replace(request, name=name, options=merged(stored, request.options)).built()

    def built(self) -> "Sweep":
        """The sweep by the file and the options as they are."""
        from lyapsweep.sweep import load
        from lyapsweep.sweep.plan.axis_changes import SpaceAxis, with_grid, with_space
        from lyapsweep.sweep.plan.zoom import zoomed

        asked = self.options
        if self.sweep is None:
            sweep = with_grid(self.without_file(), {}, asked.added)
        else:
            changes = {key: value for key in ("intent", "seeds") if (value := getattr(asked, key))}
            sweep = dataclasses.replace(load(self.sweep), **changes, **self.named())
            sweep = with_grid(sweep, asked.grid, asked.added)
            sweep = with_space(sweep, {path: SpaceAxis.parse(text) for path, text in asked.space.items()})
        sweep = zoomed(sweep, self.zoom) if self.zoom else sweep
        kept = asked if self.sweep is None else dataclasses.replace(asked, trials=None)
        where = {**sweep.where, **asked.where}
        return dataclasses.replace(sweep, where=where, name=self.name or sweep.name, options=kept)

    def named(self) -> dict[str, Any]:
        """The base config and the objective, where they are given."""
        from lyapsweep.measures import measure_name

        found: dict[str, Any] = {}
        if self.options.base:
            found["base"] = packaged.find_file("configs", self.options.base)
            if found["base"] is None:
                raise CommandError(f"--base {packaged.missing_file('configs', self.options.base)}")
        if self.options.objective:
            found["objective"] = measure_name(self.options.objective)
        return found

    def without_file(self) -> "Sweep":
        """The sweep around `--base`."""
        from lyapsweep.config import Config
        from lyapsweep.measures import chosen
        from lyapsweep.sweep import Sweep
        from lyapsweep.sweep.plan.axis_changes import SpaceAxis, space_of

        asked = self.options
        if not asked.base:
            raise CommandError(
                "SWEEP: neither a sweep nor --base is given. Name a file or a packaged sweep (`lyapsweep list "
                f"sweeps`), or write --base lorenz63 --grid {GRID_FORM}."
            )
        if asked.space and asked.trials is None:
            raise CommandError("--space: the number of points to draw is missing. Give it with --trials.")
        named = self.named()
        measures = chosen(Config.load(named["base"], asked.changes).measures)
        named.setdefault("objective", "state_space" if "state_space" in measures else next(iter(measures)))
        axes = {path: SpaceAxis.parse(text) for path, text in asked.space.items()}
        words = [path.rpartition("/")[2] for path in (*asked.grid, *axes)] or ["seeds"]
        return Sweep(
            **named,
            intent=asked.intent or "map",
            grid=asked.grid if asked.grid or not axes else None,
            space=space_of(axes) if axes else None,
            seeds=asked.seeds or 1,
            trials=asked.trials,
            name=self.name or "-".join([Path(asked.base).stem, *words]),
            question=f"How does {named['objective']} depend on {', '.join((*asked.grid, *axes)) or 'the seed'}?",
        )


def refuse_unknown_code(stored: "SweepOptions", now: "SweepOptions") -> None:
    """Raise `CommandError` if options in sweep.json name code that neither the command names nor this user has run."""
    from lyapsweep import trust
    from lyapsweep.config.yaml_text import read_yaml

    content: list[Any] = [value for _, value in stored.given]
    file = None if now.base or not stored.base else packaged.find_file("configs", stored.base)
    with contextlib.suppress(ValueError):  # of a file that cannot be read, which `Config.load` reports
        content += [read_yaml(file)] if file else []
    trust.named_by_record(content)
    here = set(trust.code_named([value for _, value in now.given]))
    for path in trust.code_named(content):
        if path not in here and not trust.trusted(path):
            raise CommandError(
                f"{path}: sweep.json names this code, which this user has not run before. "
                "Read the file, then give the option that names it again, or --base."
            )


def entries(asked: "SweepOptions") -> dict[str, Any]:
    """The options that were given, by their flag, of an axis or a setting with its path."""
    found: dict[str, Any] = {}
    for key, value in asked.given:
        flag, sign = f"--{NAMES.get(key, key)} ", "+=" if key == "added" else "="
        found |= {f"{flag}{path}{sign}": v for path, v in value.items()} if isinstance(value, dict) else {flag: value}
    return found


def merged(before: "SweepOptions", now: "SweepOptions") -> "SweepOptions":
    """The options of a continued sweep: what is given again counts, path by path; values are added to those before."""
    given: dict[str, Any] = {}
    for key, value in now.given:
        earlier = getattr(before, key)
        given[key] = {**earlier, **value} if isinstance(value, dict) else value
        if key == "added":
            more = {path: [v for v in values if v not in earlier.get(path, [])] for path, values in value.items()}
            given[key] |= {path: earlier.get(path, []) + values for path, values in more.items()}
    return dataclasses.replace(before, **given)


def shown(value: Any) -> str:
    """A value as the command line has it; values of an axis are separated by commas."""
    from lyapsweep.config.command import format_value

    if isinstance(value, list):
        return ",".join(map(format_value, value))
    return value if isinstance(value, str) else format_value(value)
