"""Every error is one line on stderr and an exit status; the traceback is shown where it is asked for."""

import traceback
from enum import IntEnum

import click

DEBUG = "lyapsweep.debug"  # key in the context that all commands share


class Exit(IntEnum):
    """What a shell learns of the end."""

    DONE = 0
    FAILED = 1  # the work, or some trials of a sweep
    BAD_INPUT = 2
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """An error of one line, with the exit status that belongs to it."""

    def __init__(self, message: str, status: Exit = Exit.BAD_INPUT):
        super().__init__(" ".join(message.split()))
        self.exit_code = int(status)  # pyright: ignore[reportAttributeAccessIssue]  # click has one a class


class ErrorHandlingGroup(click.Group):
    """A group whose commands end in a line and an exit status, whatever is raised in them."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted.", Exit.INTERRUPTED) from error
        except Exception as error:
            if ctx.meta.get(DEBUG):
                traceback.print_exception(error)
            raise explained(error) from error


def explained(error: Exception) -> CommandError:
    """Errors that the library foresees speak for themselves: its own classes, and a ValueError that it raised itself.

    The input is to blame for a ValueError and for a file that cannot be read, the work for all else.
    """
    if isinstance(error, OSError) and error.filename and error.strerror:
        return CommandError(f"{error.filename}: {error.strerror}.")
    own_class = type(error).__module__.startswith("lyapsweep.")
    if isinstance(error, ValueError) and (own_class or raised_here(error)):
        return CommandError(str(error))
    if own_class:
        return CommandError(str(error), Exit.FAILED)
    return CommandError(f"{type(error).__name__}: {error} (not foreseen; --debug shows where).", Exit.FAILED)


def raised_here(error: Exception) -> bool:
    """Whether the frame that raised it is the library's own, not torch's or numpy's."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").startswith("lyapsweep.")
