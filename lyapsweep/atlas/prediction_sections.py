"""Sections about what early spectra predict: one analysis of `lyapsweep.analysis.prediction` each."""

from functools import wraps
from typing import Any

from lyapsweep.analysis.prediction import aelle, band_importance, incremental, survival, transfer
from lyapsweep.analysis.settings import importance
from lyapsweep.analysis.spectra import partial_correlation
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.sections import Content, finding
from lyapsweep.atlas.view import MAIN_GROUP, AtlasView

MAX_TRIALS = 1000  # of more, so many are drawn evenly by their keys, which are hashes
EARLY = (0.0, 0.05, 0.1)  # of training
AT = EARLY[-1]
THRESHOLD = "measures/time_to_threshold"


def sampled(content: Content) -> Content:
    """Render a section of at most `MAX_TRIALS` trials, and a note where that is a sample."""

    @wraps(content)
    def section(view: AtlasView) -> str:
        keys = sorted(view.finals.frame["trial"].astype(str))
        if len(keys) <= MAX_TRIALS:
            return content(view)
        chosen = view.table.frame["trial"].astype(str).isin(keys[:MAX_TRIALS]).to_numpy(bool)
        note = render("note", text=f"Computed from {MAX_TRIALS} of {len(keys)} trials, sampled by their keys.")
        return note + content(AtlasView(view.table.take(chosen)))

    return section


def described(analysis: Any, found: Any, caption: str, min_width: str = "0") -> str:
    """The sentence and the figure of an analysis; the figure's own title, which repeats the sentence, is removed."""
    fig = analysis.draw(found)
    if fig.layout.title.text:
        fig.update_layout(title=None, margin={"t": max(30, fig.layout.margin.t - 45)})
    return finding(analysis.sentence(found), fig, caption, min_width)


@sampled
def added(view: AtlasView) -> str:
    """What spectra add to settings and early scores, at the start of training and a little later."""
    found = [incremental.find(view.table, view.objective, at, map=view.map, repeats=2) for at in EARLY]
    rows = [
        [f"{100 * at:g} %", base, float(gains.value[i]), float(gains.low[i]), float(gains.high[i]), f.units]
        for at, f in zip(EARLY, found, strict=True)
        for gains in (f.gains,)
        for i, base in enumerate(gains.names)
    ]
    last = found[-1]
    caption = (
        f"Held-out {last.score} between predicted and final {view.objective.removeprefix('measures/')}: ridge "
        f"regression, {last.folds} folds drawn {last.repeats} times, spectra after {100 * AT:g} % of training. The "
        "table has the gains at other times; intervals hold 95 %. Ridge regression does not model interactions of "
        "settings, and a spectrum may stand in for them; tree ensembles do."
    )
    trees = incremental.find(view.table, view.objective, AT, map=view.map, learner="trees", repeats=1, folds=5)
    figure = described(incremental, last, caption)
    return figure + render("sections/incremental", sentence=incremental.sentence(trees), rows=rows)


@sampled
def partial(view: AtlasView) -> str:
    found = partial_correlation.find(view.table, view.objective, AT, map=view.map)
    caption = (
        f"Rank correlations of each statistic of the spectrum after {100 * AT:g} % of training with the final outcome: "
        "unadjusted, and with the listed variables partialled out of both. Bold: q < 0.05 over all pairs "
        "(Benjamini-Hochberg)."
    )
    return described(partial_correlation, found, caption, "34rem")


@sampled
def latent(view: AtlasView) -> str:
    found = aelle.find(view.table, view.objective, view.map, fraction=AT)
    caption = (
        f"Spectra after {100 * AT:g} % of training in the latent space of an autoencoder that also predicts the "
        "outcome (AeLLE); lighter ended better, lost trials are marked. Scores are rank correlations in held-out "
        f"trials, over {found.splits} splits, beside linear models on the same splits."
    )
    return described(aelle, found, caption)


@sampled
def bands(view: AtlasView) -> str:
    found = band_importance.find(view.table, view.objective, view.map, fraction=AT)
    caption = "What a model of the outcome loses in held-out trials when a band of the spectrum is permuted."
    return described(band_importance, found, caption)


@sampled
def settings(view: AtlasView) -> str:
    found = importance.find(view.table, view.objective, view.map, fraction=AT, draws=10)
    caption = (
        f"Importance by {found.evaluator}, of settings among settings and of statistics among statistics; "
        "lines hold 95 %."
    )
    return described(importance, found, caption)


@sampled
def learning_time(view: AtlasView) -> str:
    if THRESHOLD not in view.table.frame:
        return ""
    found = survival.find(view.table, view.objective, by=f"spectra/{view.map}/maximum")
    caption = f"Share of networks that have reached {found.aim}, by their largest exponent before."
    return described(survival, found, caption)


@sampled
def transferred(view: AtlasView) -> str:
    if MAIN_GROUP not in view.moving:
        return ""
    found = transfer.find(view.table, view.objective, MAIN_GROUP, AT, map=view.map)
    caption = "Fitted on the networks of a row, tested on those of a column; the diagonal is cross-validated."
    return described(transfer, found, caption)


SECTIONS: dict[str, Content] = {
    "What early spectra add": added,
    "Which statistic of the early spectrum goes with the outcome": partial,
    "Early spectra and outcomes in a latent space": latent,
    "Which part of the spectrum matters": bands,
    "Which settings matter": settings,
    "Which networks learn sooner": learning_time,
    "What transfers from one architecture to another": transferred,
}
