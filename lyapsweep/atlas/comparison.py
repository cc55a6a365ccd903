"""Two experiments side by side: the same quantities of both, their verdicts, and what differs in their settings."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lyapsweep.analysis.shared.selection import digits, numbers
from lyapsweep.analysis.spectra import spectrum_beside_data
from lyapsweep.atlas.analyses import UNAVAILABLE
from lyapsweep.atlas.findings import Findings, findings
from lyapsweep.atlas.verdict import Verdict
from lyapsweep.results.floors import reaches_floor
from lyapsweep.results.setting_values import listed
from lyapsweep.results.table import Table

NOTHING = "–"


@dataclass(frozen=True)
class ComparedRow:
    """A quantity of both experiments, as text."""

    quantity: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """Two experiments side by side.

    Args:
        names: Their names.
        rows: Quantities of both.
        verdicts: The sentences of each one's verdict; of several data sets those of all.
        differences: Settings whose values differ, with the values of each.
        conclusion: Which best setting is better, or why that cannot be told.
    """

    names: tuple[str, str]
    rows: tuple[ComparedRow, ...]
    verdicts: tuple[tuple[str, ...], tuple[str, ...]]
    differences: tuple[ComparedRow, ...]
    conclusion: str


def compare(first: Table, second: Table, names: tuple[str, str]) -> Comparison:
    """Compare two experiments.

    Args:
        first: One experiment.
        second: The other.
        names: What they are called.

    Returns:
        The comparison.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trial": ["a", "b"], "outcome": "finished", "step": 9, "final": True, "lr": [1, 2]})
        >>> tables = [Table(frame.assign(**{"cell/kind": "gru", "measures/loss": s})) for s in ([0.2, 0.3], [0.4, 0.5])]
        >>> found = compare(*tables, ("one", "two"))
        >>> found.conclusion
        'The best setting of one scores 0.200, that of two 0.400: one is better, by single trials.'
    """
    tables = first, second
    verdicts = [verdict_of(findings(table)) for table in tables]
    rows = [dict(quantities(table, verdict)) for table, verdict in zip(tables, verdicts)]
    return Comparison(
        names,
        tuple(
            ComparedRow(key, *(row.get(key, NOTHING) for row in rows)) for key in dict.fromkeys([*rows[0], *rows[1]])
        ),
        (sentences(first), sentences(second)),
        tuple(differences(first, second)),
        conclusion(tables, verdicts, names),
    )


def verdict_of(found: Findings) -> Verdict | None:
    try:
        return found["verdict"]
    except UNAVAILABLE:
        return None


def sentences(table: Table) -> tuple[str, ...]:
    """The verdict of each data set in words, or why there is none."""
    said: list[str] = []
    for name, part in findings(table).sources.items():
        try:
            told = list(part["verdict"].sentences)
        except UNAVAILABLE as reason:
            told = [str(reason)]
        said += [f"{name}: {sentence}" for sentence in told] if name else told
    return tuple(said)


def quantities(table: Table, verdict: Verdict | None) -> Iterator[tuple[str, str]]:
    """What the table of a comparison says of one experiment."""
    description, finals = table.description, table.finals
    yield "started", description.started or NOTHING
    yield "intent", description.intent or NOTHING
    yield "trials", str(len(finals))
    for outcome, n in finals.frame["outcome"].value_counts().sort_index().items():
        yield str(outcome), str(int(n))
    yield "updates", listed(finals.column("step")) if len(finals) else NOTHING
    if verdict is not None:
        yield "objective", f"{verdict.label}, {verdict.direction}d"
        yield "best setting", verdict.name
        yield "validation", with_quartiles(verdict.median, verdict.low, verdict.high)
        yield "test", with_quartiles(verdict.test, verdict.test_low, verdict.test_high)
        yield "floor", NOTHING if math.isnan(verdict.floor[0]) else " to ".join(map(digits, verdict.floor))
        yield "at the floor", "yes" if verdict.at_floor else "no"
        yield "tied settings", str(len(verdict.ties))
        yield from exponents(findings(table))
    if "seconds" in finals.frame:
        shared = "provenance/pack" in finals.frame
        packs = np.nan_to_num(numbers(finals, "provenance/pack"), nan=1.0) if shared else 1.0
        yield "seconds of compute", digits(float(np.nansum(numbers(finals, "seconds") / packs)))


def exponents(found: Findings) -> Iterator[tuple[str, str]]:
    """The largest exponent of the best trial beside that of the data."""
    try:
        spectrum = found["spectrum"]
    except UNAVAILABLE:
        return
    if spectrum is None:
        return
    of_data = f", of the data {digits(spectrum.truth[0])}" if spectrum.truth.size else ""
    value = f"{digits(spectrum.exponents[0])} ± {digits(spectrum.stderr[0])}{of_data}"
    yield f"λ₁ of the best trial ({spectrum.unit})", value
    yield "Kaplan-Yorke dimension", spectrum_beside_data.dimension_text(spectrum)


def with_quartiles(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return NOTHING
    return digits(value) if low == high or math.isnan(low) else f"{digits(value)} ({digits(low)} to {digits(high)})"


def differences(first: Table, second: Table) -> Iterator[ComparedRow]:
    """The settings whose values differ between two experiments; one that an experiment lacks is a gap."""
    for path in sorted({*first.settings, *second.settings}):
        values = [listed(t.finals.column(path)) if path in t.finals.frame else NOTHING for t in (first, second)]
        values = [value or NOTHING for value in values]
        if values[0] != values[1]:
            yield ComparedRow(path, *values)


def conclusion(tables: tuple[Table, Table], verdicts: list[Verdict | None], names: tuple[str, str]) -> str:
    """Which best setting is better, by the rule that ties the settings of one sweep."""
    one, two = verdicts
    if one is None or two is None:
        return "Not both have a trial that finished with a finite objective."
    if (one.column, one.direction) != (two.column, two.direction):
        return f"Objectives differ ({one.label}, {two.label}): scores do not compare."
    digests = [set(t.finals.column("data/digest").dropna()) if "data/digest" in t.frame else set() for t in tables]
    if digests[0] != digests[1]:
        return "They were trained on different data: scores do not compare."
    scores = [with_quartiles(v.median, v.low, v.high) for v in (one, two)]
    text = f"The best setting of {names[0]} scores {scores[0]}, that of {names[1]} {scores[1]}"
    if all(reaches_floor(one.direction, (v.low, v.high), v.floor, v.median) for v in (one, two)):
        return f"{text}: both are at the floor, these trials do not tell them apart."
    single = len(one.trials) == 1 or len(two.trials) == 1
    if one.low <= two.high and two.low <= one.high and not (single and one.median != two.median):
        return f"{text}: tied, these trials do not tell them apart."
    first_better = (one.median < two.median) == (one.direction == "minimise")
    how = "by single trials" if single else "beyond the quartiles of their seeds"
    return f"{text}: {names[0] if first_better else names[1]} is better, {how}."
