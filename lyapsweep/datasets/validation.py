"""The validation part: rows of the held-out part by which networks are judged, so that the test part is not."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

AUTO = "auto"
SHARE = 0.5  # of the held-out part, by default


@runtime_checkable
class HeldOut(Protocol):
    """What data say of their held-out part: its length, what that counts, and how it is divided.

    `least` are the fewest of either part by default and the fewest that can be asked for; `reach` is the number of
    rows before a row whose values it holds. `held_out_part` returns the data with some of the held-out part alone.

    Example:
        >>> from lyapsweep.datasets import build
        >>> adding = build("adding", length=10, train=4, test=40)
        >>> adding.held_out, adding.unit, adding.held_out_part(0, 15).held_out
        (40, 'sequences', 15)
    """

    @property
    def held_out(self) -> int: ...

    @property
    def unit(self) -> str: ...

    @property
    def least(self) -> tuple[int, int]: ...

    @property
    def reach(self) -> int: ...

    @property
    def source(self) -> str: ...

    @cached_property
    def digest(self) -> str: ...

    def held_out_part(self, first: int, end: int) -> Any: ...


Data = TypeVar("Data", bound=HeldOut)


@dataclass(frozen=True)
class Split(Generic[Data]):
    """Data, and the parts of their held-out part.

    Args:
        whole: The data as their member made them. Spectra are measured along the whole held-out part.
        judged: The data with the part by which networks are judged as `test`: the validation part, or the whole
            held-out part where there is none.
        test: The data with the test part as `test`; None without a validation part.
        file: The file of the validation part; "" if it is a share of the held-out part.

    Example:
        >>> from lyapsweep.datasets import build
        >>> found = split(build("simulated", system="henon", length=4000), 0.4)
        >>> found.rows, found.sentence
        ((400, 600), 'judged on 400 rows of validation, reported on 600 rows of test too')
    """

    whole: Data
    judged: Data
    test: Data | None = None
    file: str = ""

    @property
    def rows(self) -> tuple[int, int]:
        """Length of the part by which networks are judged, and of the test part."""
        return self.judged.held_out, 0 if self.test is None else self.test.held_out

    @property
    def digest(self) -> str:
        """The digest of the data, the same however their held-out part is divided."""
        return f"{self.whole.digest}-{self.judged.digest}" if self.file else self.whole.digest

    @property
    def sentence(self) -> str:
        """Which part networks are judged on, in words."""
        (judged, test), unit = self.rows, self.whole.unit
        if self.test is None:
            return f"no validation part: chosen by the {judged} {unit} of test, so that scores are optimistic"
        place = f" ({self.file})" if self.file else ""
        return f"judged on {judged} {unit} of validation{place}, reported on {test} {unit} of test too"


def split(data: Data, validation: float | str | None = AUTO) -> Split[Data]:
    """Divide the held-out part into a validation and a test part.

    The validation part comes first. The training part does not depend on it.

    Args:
        data: A series or a task.
        validation: Share of the held-out part, in (0, 1). "auto" (the default) is half of it where both halves have 200
            rows (10 sequences of a task), else no validation part. None is no validation part.

    Returns:
        The parts.

    Raises:
        ValueError: If the share leaves too few rows of a series or no sequence of a task.

    Example:
        >>> from lyapsweep.datasets import build
        >>> split(build("adding", length=10, train=4, test=40)).rows
        (20, 20)
        >>> split(build("adding", length=10, train=4, test=2)).test is None
        True
    """
    if validation is None or not isinstance(data, HeldOut):  # problems report data of another type
        return Split(data, data)
    available = data.held_out
    count = round((SHARE if validation == AUTO else float(validation)) * available)
    rest = available - count - data.reach
    if min(count, rest) >= data.least[0 if validation == AUTO else 1]:
        return Split(data, data.held_out_part(0, count), data.held_out_part(available - rest, available))
    if validation == AUTO:
        return Split(data, data)
    raise ValueError(
        f"{data.source}: dataset/validation {validation} of {available} held-out {data.unit} leaves {count} to the "
        f"validation and {max(rest, 0)} to the test part, which is too few. Choose another share, or null."
    )


def check_validation(validation: object, from_files: bool) -> None:
    """Check a value of `dataset/validation`.

    Args:
        validation: The value.
        from_files: Whether the data set takes a file.

    Raises:
        ValueError: Unless it is "auto", a share between 0 and 1, None or, where that is possible, a file.

    Example:
        >>> check_validation(0.25, from_files=False)
    """
    if isinstance(validation, int | float) and not isinstance(validation, bool) and 0 < validation < 1:
        return
    if validation in (None, AUTO) or (isinstance(validation, str) and from_files):
        return
    file = ", a file" if from_files else ""
    raise ValueError(
        f"dataset/validation must be {AUTO}, a share of the held-out part between 0 and 1{file} or null, but got "
        f"{validation!r}."
    )
