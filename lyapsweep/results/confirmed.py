"""What the confirmation from fresh seeds showed, in words: the same sentences in the terminal, the atlas and MLflow."""

import numpy as np

from lyapsweep.results.best import BestSetting, Ranked, rank_settings
from lyapsweep.results.criteria import judge
from lyapsweep.results.description import Confirmation
from lyapsweep.results.floors import seed_interval
from lyapsweep.results.headline import headline_map
from lyapsweep.results.table import Table
from lyapsweep.results.winner import setting_name


def confirmation_sentences(table: Table, setting: BestSetting) -> tuple[str, ...]:
    """How the best setting was confirmed, and what the dynamics of its networks are; none of one not confirmed.

    Args:
        table: Records of a sweep.
        setting: Its best setting by the objective.

    Returns:
        Two sentences, such as "Confirmed from 3 fresh seeds, the best of 5 settings, the 2nd of the search. The
        search's favourite, vanilla interval=16, with 0.231 in the search, has a median of 0.41 over 3 fresh seeds."
    """
    confirmation = table.description.confirmation
    if confirmation is None or not setting.confirmed:
        return ()
    return fate_of_favourite(table, setting, confirmation), dynamics(table, setting)


def fate_of_favourite(table: Table, setting: BestSetting, confirmation: Confirmation) -> str:
    """Whether the setting that the search preferred won over fresh seeds, too."""
    trials = table.finals.frame["trial"].astype(str).tolist()
    rows = {trial: row for row, trial in enumerate(trials)}
    here = {key: [t for t in fresh if t in rows] for key, fresh in confirmation.trials.items()}
    here = {key: fresh for key, fresh in here.items() if fresh}  # on these data
    winner = next(key for key, fresh in here.items() if trials[setting.rows[0]] in fresh)
    favourite, place = next(iter(here)), 1 + list(here).index(winner)
    said = f"Confirmed from {confirmation.seeds} fresh seeds, the best of {len(here)} settings"
    scores = table.finals.frame[table.description.objective_column]
    alone = f"with {scores.iloc[rows[favourite]]:.3g} in the search" if favourite in rows else "no longer recorded"
    if winner == favourite:
        return f"{said}. It was the search's favourite, {alone}."
    fresh = {rows[trial] for trial in here[favourite]}
    found = next((ranked for ranked in rank_settings(table) if fresh & set(ranked.rows)), None)
    tied = ", tied with it" if any(fresh & set(tie) for tie in setting.ties) else ""
    name = setting_name(table, min(fresh))
    return (
        f"{said}, the {ordinal(place)} of the search. The search's favourite, {name}, {alone}, "
        f"{score_of(found, confirmation.seeds)}{tied}."
    )


def score_of(found: Ranked | None, seeds: int) -> str:
    """The score of a confirmed setting that did not win."""
    if found is None:
        return f"finished from none of {seeds} fresh seeds"
    criteria = " and does not meet the criteria" if found.violated else ""
    return f"has a median of {found.median:.3g} over {len(found.rows)} fresh seeds{criteria}"


def dynamics(table: Table, setting: BestSetting) -> str:
    """The largest exponents of the networks beside that of the data, how many are chaotic, and the criteria."""
    finals, rows, parts = table.finals, list(setting.scored), []
    frame = finals.frame.iloc[rows]
    name = headline_map(name for name, values in finals.spectra.items() if np.isfinite(values[rows, 0]).any())
    if name is not None:
        largest = finals.spectra[name][rows, 0]
        low, high = seed_interval(largest)
        data = frame["data/lambda_max"].astype(float).median() if "data/lambda_max" in frame else np.nan
        beside = f", of the data {data:.4g}" if np.isfinite(data) else ""
        parts.append(f"lambda_max {np.nanmedian(largest):.4g} ({low:.4g} to {high:.4g}) per step{beside}")
        chaotic = int((frame[f"spectra/{name}/positive"].astype(float) > 0).sum())
        parts.append(f"{chaotic} of {len(rows)} chaotic")
    return "; ".join([*parts, *(result.sentence for result in judge(finals, rows))])


def ordinal(n: int) -> str:
    """`n` as 1st, 2nd, 3rd, 4th.

    Example:
        >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22)]
        ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"
