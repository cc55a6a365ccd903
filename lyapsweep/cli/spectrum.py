"""`lyapsweep spectrum`: Lyapunov exponents of a system or a network."""

from pathlib import Path
from typing import Any

import click

from lyapsweep.cli import options, printing, reporting
from lyapsweep.cli.completion import complete
from lyapsweep.cli.errors import CommandError, Exit
from lyapsweep.cli.spectrum_targets import SpectrumRequest, SpectrumTarget, check_flags, measure
from lyapsweep.process import small_networks

POSITIVE = click.IntRange(min=1)


@click.command(
    "spectrum",
    short_help="Compute Lyapunov exponents.",
    epilog=options.example(
        "lyapsweep spectrum lorenz63 --set rho=38",
        "lyapsweep spectrum henon --json",
        "lyapsweep spectrum weights.pt --input series.npy --plot spectrum.html",
    ),
)
@click.argument("what", shell_complete=complete("systems"))
@options.changes("Change a parameter of a system (rho=38) or a setting of a config (cell/units=30). Repeatable.")
@click.option(
    "--steps",
    type=POSITIVE,
    help="Counted steps per orbit.  [default: until a system's error is small, 2000 to 16000; or the config's]",
)
@click.option("--warmup", type=click.IntRange(min=0), help="Steps before.  [default: 500, or the config's]")
@click.option("--orbits", type=POSITIVE, help="Number of orbits.  [default: 128, or the config's]")
@click.option("--exponents", type=POSITIVE, metavar="K", help="Only the leading K.  [default: all, or the config's]")
@click.option(
    "--seed", type=options.SEED, help="Seed of initial states and initial weights.  [default: 0, or the config's]"
)
@click.option(
    "--dt",
    type=float,
    callback=options.time_step,
    help="Time step of a flow, or between inputs.  [default: the system's own]",
)
@options.weights
@click.option("--compat", help="vogt: numbers by the convention of Vogt et al. 2022, which are not exponents.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    callback=options.picture_file,
    help="Draw the spectrum: .html, .png or .svg.",
)
@reporting.options
@options.trust
@options.debug
def command(plot: Path | None, **given: Any) -> None:
    """Compute Lyapunov exponents with standard errors, and the predictability time.

    WHAT is a system (`lyapsweep list systems`), a YAML config (its network as initialised), a record file (its network
    as trained), or weights in a .pt, .safetensors or .npz file: of a torch.nn.RNN, LSTM or GRU, which --input drives (a
    tenth of the series is warmup and the rest is counted unless --warmup and --steps say otherwise), or of a
    piecewise-linear RNN (A, W, h), which runs freely. --set rectified=P and clipped=true belong to the latter.
    """
    small_networks()
    request = SpectrumRequest(**given)
    check_flags(request)
    with printing.console(stderr=True).status(f"computing the spectrum of {request.what}"):
        target = measure(request)
    show_table(request.what, target)
    reporting.report({"what": request.what} | target.spectrum.to_dict(), plot)
    if not target.spectrum.finite:
        raise CommandError(
            f"{request.what}: the orbit left the finite numbers, so it has no exponents. Change the parameters.",
            Exit.FAILED,
        )
    if plot is not None:
        from lyapsweep.analysis.spectra import spectrum as drawing

        drawing.save(drawing.find(target.spectrum, request.path.name), plot)


def show_table(what: str, target: SpectrumTarget) -> None:
    """Print exponents, derived quantities and checks; for the published convention a warning instead."""
    from lyapsweep.dynamics.vogt2022 import UNIT, WARNING

    out, spectrum, notes = printing.console(), target.spectrum, list(target.notes)
    out.print(f"{what}: {spectrum.map}, {printing.unit(spectrum)}", style="bold")
    out.print(printing.exponents(spectrum, target.literature))
    out.print()
    if spectrum.settings.get("unit") == UNIT:
        printing.write(out, printing.map_lines(spectrum) + notes)
        out.print(f"\nwarning: {WARNING}", soft_wrap=True)
        return
    printing.write(out, printing.derived_lines(spectrum, target.exact_sum) + notes)
    if spectrum.checks:
        out.print("\nChecks", style="bold")
        printing.write(out, printing.check_lines(spectrum))
    for sentence in spectrum.warnings:
        out.print(f"warning: {sentence}", soft_wrap=True)
