"""Do early spectra foretell what training makes of a network? A part for every answer, a set of data at a time.

Only sweeps that measured spectra before the end, and of enough trials: a page about twenty networks needs none of this.
"""

from collections.abc import Callable
from typing import Any

from lyapsweep.analysis.prediction import aelle, band_importance, incremental, survival, transfer
from lyapsweep.analysis.settings import importance
from lyapsweep.analysis.spectra import partial_correlation
from lyapsweep.atlas import markup
from lyapsweep.atlas.view import MAIN_GROUP, AtlasView

ENOUGH, MOST = 100, 1000  # trials; of more, that many are asked, drawn evenly by their keys, which are hashes
EARLY = (0.0, 0.05, 0.1)  # of training
AT = EARLY[-1]
THRESHOLD = "measures/time_to_threshold"


def foretells(view: AtlasView) -> bool:
    """Whether there are spectra of enough trials from before their end."""
    if view.map is None or view.table.description.intent == "hunt":
        return False
    running = view.table.take(~view.table.frame["final"].to_numpy(bool))
    later = running.take((running.frame["step"] > 0).to_numpy(bool))  # before step 1 a spectrum follows from settings
    return len(view.finals) >= ENOUGH and later.frame["trial"].nunique() >= ENOUGH


def asked(view: AtlasView) -> tuple[AtlasView, str]:
    """The view, of its first `MOST` trials by key where there are more, and what to say of that."""
    keys = sorted(view.finals.frame["trial"].astype(str))
    if len(keys) <= MOST:
        return view, ""
    chosen = view.table.frame["trial"].astype(str).isin(keys[:MOST]).to_numpy(bool)
    return AtlasView(view.table.take(chosen)), markup.note(
        f"Asked of {MOST} of {len(keys)} trials, drawn by their hashes."
    )


def sampled(part: Callable[[AtlasView], str]) -> Callable[[AtlasView], str]:
    """A part that stays affordable on a map of thousands."""

    def content(view: AtlasView) -> str:
        some, said_of_it = asked(view)
        return said_of_it + part(some)

    return content


def added(view: AtlasView) -> str:
    """What spectra add to settings and early scores, at the first update and a little later."""
    found = [incremental.find(view.table, view.objective, at, map=view.map, repeats=2) for at in EARLY]
    rows = [
        [f"{100 * at:g} %", base, float(g.value[i]), float(g.low[i]), float(g.high[i]), f.units]
        for at, f in zip(EARLY, found, strict=True)
        for g in (f.gains,)
        for i, base in enumerate(g.names)
    ]
    heads = ["of training", "known already", "the spectrum adds", "from", "to", "n"]
    last = found[-1]
    words = (
        f"Held-out {last.score} between predicted and final {view.objective.removeprefix('measures/')}: ridge "
        f"regression, {last.folds} folds drawn {last.repeats} times, spectra after {100 * AT:g} % of training. The "
        "table has the gains at other times; intervals hold 95 %. Ridge regression does not see how settings interact, "
        "and a spectrum may stand in for that; trees do."
    )
    grown = incremental.find(view.table, view.objective, AT, map=view.map, learner="trees", repeats=1, folds=5)
    return shown(incremental, last, words) + said(incremental.sentence(grown)) + markup.table(heads, rows)


def partials(view: AtlasView) -> str:
    found = partial_correlation.find(view.table, view.objective, AT, map=view.map)
    words = (
        f"Rank correlations of each statistic of the spectrum after {100 * AT:g} % of training with the final outcome: "
        "alone, and when what is given on top is taken out of both. Bold: q < 0.05 over all pairs (Benjamini-Hochberg)."
    )
    return shown(partial_correlation, found, words, "34rem")


def latent(view: AtlasView) -> str:
    found = aelle.find(view.table, view.objective, view.map, fraction=AT)
    words = (
        f"Spectra after {100 * AT:g} % of training in the latent space of an autoencoder that also predicts the "
        "outcome (AeLLE); lighter ended better, lost trials are marked. Scores are rank correlations in trials held "
        f"out, over {found.splits} splits, beside linear models on the same splits."
    )
    return shown(aelle, found, words)


def which(view: AtlasView) -> str:
    found = band_importance.find(view.table, view.objective, view.map, fraction=AT)
    words = "What a model of the outcome loses in held-out trials when a band of the spectrum is dealt out anew."
    return shown(band_importance, found, words)


def settings(view: AtlasView) -> str:
    found = importance.find(view.table, view.objective, view.map, fraction=AT, draws=10)
    words = (
        f"Importance by {found.evaluator}, of settings among settings and of statistics among statistics; "
        "lines hold 95 %."
    )
    return shown(importance, found, words)


def sooner(view: AtlasView) -> str:
    if THRESHOLD not in view.table.frame:
        return ""
    found = survival.find(view.table, view.objective, by=f"spectra/{view.map}/maximum")
    words = f"Share of networks that have got to {found.aim}, by their largest exponent before."
    return shown(survival, found, words)


def elsewhere(view: AtlasView) -> str:
    if MAIN_GROUP not in view.moving:
        return ""
    found = transfer.find(view.table, view.objective, MAIN_GROUP, AT, map=view.map)
    words = "Fitted on the networks of a row, tried on those of a column; the diagonal is cross-validated."
    return shown(transfer, found, words)


def shown(analysis: Any, found: Any, caption: str, least: str = "0") -> str:
    """The sentence, and the figure without it: some carry it as their headline where they stand alone."""
    fig = analysis.draw(found)
    if fig.layout.title.text:
        fig.update_layout(title=None, margin={"t": max(30, fig.layout.margin.t - 45)})
    return said(analysis.sentence(found)) + markup.figure(fig, caption, least)


def said(sentence: str) -> str:
    return f"<p>{markup.prose(sentence)}</p>"


PARTS: list[tuple[str, Callable[[AtlasView], str]]] = [
    ("What early spectra add", added),
    ("Which statistic of the early spectrum goes with the outcome", partials),
    ("Where early spectra lie, and what became of them", latent),
    ("Which part of the spectrum matters", which),
    ("Which settings matter", settings),
    ("Who learns sooner", sooner),
    ("What holds from one architecture to another", elsewhere),
]
