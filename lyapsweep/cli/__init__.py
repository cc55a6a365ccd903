"""The command line: parse, call, print. What a command needs is imported when it runs."""

import click

from lyapsweep import __version__
from lyapsweep.cli import (
    atlas,
    compare,
    delete,
    experiments,
    fit,
    fixed_points,
    import_table,
    init,
    list_members,
    open_ui,
    options,
    plan,
    prune,
    run,
    simulate,
    spectrum,
    status,
    suggest,
    sweep,
    sync,
)
from lyapsweep.cli.errors import ErrorHandlingGroup

EPILOG = """\b
Example:
  lyapsweep run lorenz63
  lyapsweep sweep forcing_interval

Completion in the shell: eval "$(_LYAPSWEEP_COMPLETE=bash_source lyapsweep)" in ~/.bashrc, or zsh_source in ~/.zshrc.

Exit status: 0 success, 1 the work or some trials failed, 2 bad input, 130 interrupted.
"""


@click.group(cls=ErrorHandlingGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lyapsweep")
@options.debug
def main() -> None:
    """Hyperparameter sweeps of recurrent networks that log the Lyapunov spectrum of every trial."""


for module in (
    init,
    fit,
    run,
    sweep,
    plan,
    status,
    sync,
    atlas,
    open_ui,
    experiments,
    compare,
    delete,
    prune,
    spectrum,
    fixed_points,
    suggest,
    simulate,
    import_table,
    list_members,
):
    main.add_command(module.command)
