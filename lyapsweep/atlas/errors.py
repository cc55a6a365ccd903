"""Sections of the page that could not be drawn, and the log of their tracebacks."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lyapsweep.results.experiment import atomic_write


@dataclass(frozen=True)
class SectionError:
    """A section that raised an error.

    Args:
        section: Title of the section.
        error: The error, with its traceback.
    """

    section: str
    error: Exception

    @property
    def reason(self) -> str:
        """The error on one line."""
        return " ".join(f"{type(self.error).__name__}: {self.error}".split()).rstrip(".")


@dataclass
class SectionErrors:
    """Collects the errors of the sections of one page.

    Args:
        section: Title of the section that is being drawn.
        found: The errors so far.
    """

    section: str = ""
    found: list[SectionError] = field(default_factory=list)

    def add(self, error: Exception, section: str = "") -> SectionError:
        """Keep an error, by default of the section that is being drawn."""
        self.found.append(SectionError(section or self.section, error))
        return self.found[-1]


def undrawn(errors: Sequence[SectionError]) -> str:
    """The number of sections that could not be drawn, as the beginning of a sentence."""
    n = len({each.section for each in errors})
    return f"{n} section{'s' if n > 1 else ''} could not be drawn"


@dataclass(frozen=True)
class AtlasPage:
    """A page that was written.

    Args:
        path: The page.
        errors: Sections that could not be drawn.

    Example:
        >>> AtlasPage(Path("atlas.html"), (SectionError("Verdict", KeyError("x")),)).message
        "atlas.html: 1 section could not be drawn (Verdict: KeyError: 'x'). The traceback is in atlas-errors.log."
    """

    path: Path
    errors: tuple[SectionError, ...] = ()

    @property
    def log(self) -> Path:
        """The file of the tracebacks, which exists where `errors` has any."""
        return self.path.with_name(f"{self.path.stem}-errors.log")

    @property
    def message(self) -> str:
        """The sections that could not be drawn, in one sentence; "" if all could."""
        if not self.errors:
            return ""
        names = dict.fromkeys(f"{each.section}: {each.reason}" for each in self.errors)
        return f"{self.path}: {undrawn(self.errors)} ({'; '.join(names)}). The traceback is in {self.log}."

    def write_log(self) -> None:
        """Write the tracebacks beside the page, or remove those of an earlier page."""
        if not self.errors:
            self.log.unlink(missing_ok=True)
            return
        with atomic_write(self.log) as file:
            for each in self.errors:
                text = "".join(traceback.format_exception(each.error))
                file.write(f"{each.section}\n{text}\n".encode(errors="replace"))
