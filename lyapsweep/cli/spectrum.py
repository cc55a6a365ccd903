"""`lyapsweep spectrum`: the exponents of anything that moves."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from lyapsweep.cli import options, printing
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.cli.spectrum_targets import ORBITS, STEPS, WARMUP, SpectrumRequest, SpectrumTarget, measure, refuse
from lyapsweep.process import small_networks

if TYPE_CHECKING:
    from lyapsweep.dynamics import Spectrum

POSITIVE = click.IntRange(min=1)
PICTURES = (".html", ".png", ".svg")


def picture(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refused before the work is done that would be lost."""
    if path is not None and path.suffix.lower() not in PICTURES:
        raise CommandError(f"--plot {path}: pictures end in {', '.join(PICTURES)}.")
    if path is not None and not path.parent.is_dir():
        raise CommandError(f"--plot {path}: there is no folder {path.parent}.")
    return path


@click.command(
    "spectrum",
    short_help="Exponents of a system or a network.",
    epilog=options.example(
        "lyapsweep spectrum lorenz63 --set rho=38",
        "lyapsweep spectrum henon --json",
        "lyapsweep spectrum weights.pt --input series.npy --plot spectrum.html",
    ),
)
@click.argument("what")
@options.changes("A parameter of a system (rho=38), or a path of a config (cell/units=30); may be repeated.")
@click.option("--steps", type=POSITIVE, help=f"Counted steps of each orbit.  [default: {STEPS}, or the config's]")
@click.option("--warmup", type=click.IntRange(min=0), help=f"Steps before.  [default: {WARMUP}, or the config's]")
@click.option("--orbits", type=POSITIVE, help=f"Orbits side by side.  [default: {ORBITS}, or the config's]")
@click.option("--exponents", type=POSITIVE, metavar="K", help="Only the leading K.  [default: all, or the config's]")
@click.option(
    "--seed", type=int, help="Of a system's starts and a fresh network's weights.  [default: 0, the config's]"
)
@click.option("--dt", type=float, help="Time of one step of a flow, or of the input.  [default: the system's own]")
@click.option("--input", type=click.Path(path_type=Path), help="Series that drives weights: .npy, .npz or .csv.")
@click.option("--cell", help="Kind of the weights (vanilla, gru, lstm), to be checked.  [default: by their shape]")
@click.option("--layers", type=POSITIVE, help="Layers of the weights, to be checked.  [default: by their names]")
@click.option("--prefix", help="Of the recurrent layer among several in the weights: encoder.rnn.")
@click.option("--compat", help="vogt: the published convention (Vogt et al. 2022), which are not exponents.")
@click.option("--plot", type=click.Path(path_type=Path), callback=picture, help="Draw it: .html, .png or .svg.")
@options.as_json
@options.debug
def command(as_json: bool, plot: Path | None, **given: Any) -> None:
    """Lyapunov exponents with standard errors: is it chaotic, and how far ahead can it be predicted?

    WHAT is a system (`lyapsweep list systems`), a YAML config (its network as initialised), a record file (its
    network as trained), or the weights of a torch.nn.RNN, LSTM or GRU, a state dict in a .pt file, which --input drives
    (by default a tenth of the series warms up and the rest counts).
    """
    small_networks()
    request = SpectrumRequest(**given)
    refuse(request)
    with Console(stderr=True).status(f"measuring {request.what}"):
        subject = measure(request)
    show_json(request.what, subject.spectrum) if as_json else show_table(request.what, subject)
    if not subject.spectrum.finite:
        raise CommandError(f"{request.what}: the orbit left the finite numbers, so it has no exponents.", Exit.FAILED)
    if plot is not None:
        from lyapsweep.analysis.spectra import spectrum as drawing

        drawing.save(drawing.find(subject.spectrum, request.path.name), plot)


def show_json(what: str, spectrum: "Spectrum") -> None:
    click.echo(json.dumps({"what": what} | json.loads(spectrum.to_json()), indent=1, allow_nan=False))


def show_table(what: str, subject: SpectrumTarget) -> None:
    """Exponents, what is read off them, how far they can be trusted; a convention of other numbers says so instead."""
    from lyapsweep.dynamics.vogt2022 import UNIT, WARNING

    out, spectrum = printing.console(), subject.spectrum
    other = spectrum.settings.get("unit") == UNIT
    out.print(f"{what}: {spectrum.map}, {printing.unit(spectrum)}", style="bold")
    out.print(printing.exponents(spectrum, subject.literature))
    out.print()
    if other:
        printing.write(out, printing.about(spectrum) + subject.notes)
        out.print(f"\nwarning: {WARNING}", soft_wrap=True)
        return
    printing.write(out, printing.readings(spectrum, subject.exact_sum) + subject.notes)
    if spectrum.checks:
        out.print("\nChecks", style="bold")
        printing.write(out, printing.checks(spectrum))
    for sentence in spectrum.warnings:
        out.print(f"warning: {sentence}", soft_wrap=True)
