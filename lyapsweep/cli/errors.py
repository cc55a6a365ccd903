"""Errors of commands: one line on stderr and an exit status; --debug shows the traceback."""

import errno
import io
import os
import sys
import traceback
from enum import IntEnum
from typing import Any

import click

from lyapsweep.redaction import redact
from lyapsweep.user_code import described, user_place

LONGEST = 6000  # characters of a message: names of columns may be of any length
DEBUG = "lyapsweep.debug"  # key in click's shared context
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Exit(IntEnum):
    """Exit statuses of commands."""

    DONE = 0
    FAILED = 1  # the work, or some trials of a sweep
    BAD_INPUT = 2
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """An error message of one line with an exit status."""

    def __init__(self, message: str, status: Exit = Exit.BAD_INPUT):
        text = redact(" ".join(message.split()))
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST - 1000]} ... {text[-1000:]}")
        self.exit_code = int(status)  # pyright: ignore[reportAttributeAccessIssue]  # click defines it per class


class ErrorHandlingGroup(click.Group):
    """A group that turns every exception of a command into a line and an exit status."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        open_standard_streams()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):  # `lyapsweep list | head`
            raise
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted.", Exit.INTERRUPTED) from error
        except Exception as error:
            if ctx.meta.get(DEBUG):
                click.echo(redact("".join(traceback.format_exception(error))), err=True)
            raise explained(error) from error


def open_standard_streams() -> None:
    """Prepare standard streams for any environment.

    Those that the process was started without become the null device, or the next file would take their number.
    Characters that the terminal's encoding lacks are replaced.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an ASCII terminal shows `?` for `±`


def explained(error: Exception) -> CommandError:
    """Map an exception to a message and an exit status.

    Exceptions of the library's own classes and ValueErrors that it raises are shown as they are. ValueErrors and
    unreadable files are bad input; everything else is a failure.
    """
    if isinstance(error, FileExistsError) and error.filename:
        return CommandError(f"{error.filename}: this is no folder, or a link to a missing one. Choose another place.")
    if isinstance(error, OSError) and error.filename and error.strerror:
        return CommandError(f"{error.filename}: {error.strerror}.")
    if isinstance(error, OSError) and error.errno in NO_SPACE:  # numpy and pipes name no file
        return CommandError(f"A file or the output cannot be written: {error.strerror}. Free space there.", Exit.FAILED)
    own_class = type(error).__module__.startswith("lyapsweep.")
    if isinstance(error, ValueError) and (own_class or raised_here(error)):
        return CommandError(str(error))
    if own_class:
        return CommandError(str(error), Exit.FAILED)
    if user_place(error):
        return CommandError(f"{described(error)} (--debug shows the traceback).", Exit.FAILED)
    return CommandError(f"{type(error).__name__}: {error} (unexpected; --debug shows the traceback).", Exit.FAILED)


def raised_here(error: Exception) -> bool:
    """Whether the library raised it, not torch or numpy."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").startswith("lyapsweep.")
