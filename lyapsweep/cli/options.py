"""Options that several commands share, and the parsing of their values."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lyapsweep.cli.errors import DEBUG, CommandError
from lyapsweep.redaction import redact
from lyapsweep.trust import trust_everything

SEED = click.IntRange(-(2**62), 2**62 - 1)  # of torch
SAMPLER_SEED = click.IntRange(0, 2**32 - 1)  # of numpy
PICTURES = (".html", ".png", ".svg")


def read_changes(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Parse `--set path=value`; values are YAML, and the last value given for a path counts."""
    if not given:
        return {}
    flag = param.opts[0]
    import yaml

    from lyapsweep.config.parsing import parse_value
    from lyapsweep.config.yaml_text import reason
    from lyapsweep.setting_types import cut

    changes = {}
    for text in given:
        path, equals, value = text.partition("=")
        if not path or not equals:
            raise CommandError(f"{flag} {cut(text)}: write {flag} path=value, for example {flag} forcing/interval=8.")
        try:
            changes[path.strip()] = parse_value(value)
        except yaml.YAMLError as error:
            raise CommandError(f"{flag} {cut(text)}: {reason(error)}. Lists are written [1, 2].") from error
    return changes


def read_ranges(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Parse `--zoom path=low..high`."""
    ranges = {}
    for text in given:
        path, _, ends = text.partition("=")
        low, _, high = ends.partition("..")
        try:
            ranges[path.strip()] = finite(low), finite(high)
        except ValueError:
            raise CommandError(f"{param.opts[0]} {text}: write {param.opts[0]} init/gain=1.2..1.6.") from None
    return ranges


def finite(text: str) -> float:
    """Parse a number; raise `ValueError` for one that is not finite."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


class FiniteRange(click.FloatRange):
    """A range of numbers without infinities and NaN, which click accepts."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


POSITIVE_NUMBER = FiniteRange(min=0, min_open=True)


def plain_name(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    from lyapsweep.results.experiment import is_experiment_name

    if name is not None and not is_experiment_name(name):
        raise CommandError(f"--name may hold letters, digits, '_', '-' and '.', but got '{name}'. Choose another.")
    return name


def picture_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a picture that cannot be written, before any work."""
    return writable_file(path, "--plot", PICTURES)


def writable_file(path: Path | None, flag: str, suffixes: tuple[str, ...]) -> Path | None:
    if path is not None and path.suffix.lower() not in suffixes:
        raise CommandError(f"{flag} {path}: the file must end in {', '.join(suffixes)}. Rename it.")
    if path is not None and not path.parent.is_dir():
        raise CommandError(f"{flag} {path}: there is no folder {path.parent}. Create it first.")
    return path


def time_step(ctx: click.Context, param: click.Parameter, dt: float | None) -> float | None:
    if dt is not None and not 0 < dt < math.inf:
        raise CommandError(f"--dt {dt:g}: 0 < dt < inf must hold. Give the time between two steps.")
    return dt


def weights(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that select the network of a file of weights, and say what weights do not record."""
    for option in (
        click.option(
            "--nonlinearity",
            type=click.Choice(["tanh", "relu"]),
            help="Of weights of a torch.nn.RNN, which do not record it.  [default: tanh is assumed]",
        ),
        click.option("--prefix", help="Prefix of the recurrent layer, if the weights hold several: encoder.rnn."),
        click.option(
            "--layers", type=click.IntRange(min=1), help="Expected layers of the weights.  [default: from their names]"
        ),
        click.option(
            "--cell",
            help="Expected kind of the weights: vanilla, gru, lstm, plrnn, dendritic_plrnn, shallow_plrnn or alrnn.  "
            "[default: from their names and shapes]",
        ),
        click.option(
            "--input", type=click.Path(path_type=Path), help="Series that drives weights: .npy, .npz or .csv."
        ),
    ):
        command = option(command)
    return command


def note_debug(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[DEBUG] = True


def warn_of_password(variable: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Warn of a password in an argument, which every user of the machine can read; name the variable to use instead."""

    def callback(ctx: click.Context, param: click.Parameter, address: str | None) -> str | None:
        if address and redact(address) != address:
            text = (
                f"{param.opts[0]} holds a password that other users of this machine can read. Set {variable} instead."
            )
            click.echo(f"Warning: {text}", err=True)
        return address

    return callback


def note_trust(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        trust_everything()


def note_engine(ctx: click.Context, param: click.Parameter, name: str | None) -> None:
    """Set the engine of this process and of its workers."""
    if name is not None:
        from lyapsweep.compiled.engine import choose_engine

        choose_engine(name)


def example(*lines: str) -> str:
    """The examples at the end of a command's help."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])


def changes(what: str) -> Callable[..., Any]:
    return click.option("--set", "changes", multiple=True, metavar="PATH=VALUE", callback=read_changes, help=what)


debug = click.option(
    "--debug", is_flag=True, expose_value=False, callback=note_debug, help="Show the traceback of an error."
)
engine = click.option(
    "--engine",
    type=click.Choice(["auto", "torch", "compiled"]),
    expose_value=False,
    callback=note_engine,
    help="What computes: compiled loops where they cover the work, else torch (auto); or only one of them.  "
    "[default: LYAPSWEEP_ENGINE, else auto]",
)
results = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default="results",
    show_default=True,
    help="Folder of the folders of all experiments.",
)
name = click.option("--name", callback=plain_name, help="Name of the experiment.  [default: the file's name]")
tracking_uri = click.option(
    "--tracking-uri",
    callback=warn_of_password("MLFLOW_TRACKING_URI"),
    help="MLflow server or store; none logs nothing.  [default: MLFLOW_TRACKING_URI, else mlflow.db in --results]",
)
models = click.option(
    "--models/--no-models", default=True, help="Log the best network of each cell as a model in MLflow."
)
trust = click.option(
    "--trust",
    is_flag=True,
    expose_value=False,
    callback=note_trust,
    help="Execute the Python files that records name, whoever wrote them. Without it only files that this user has "
    "started a run or sweep with are executed.",
)
confirm = click.option(
    "--confirm",
    type=click.IntRange(min=0),
    metavar="SEEDS",
    help="Train the best settings again from so many fresh seeds, whose median decides; 0: do not.  "
    "[default: the sweep's own]",
)
candidates = click.option(
    "--candidates",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of settings to confirm.  [default: the sweep's own]",
)
