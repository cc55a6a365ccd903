"""Sections about what early spectra predict: one analysis each, with a template of the analysis' name."""

from functools import wraps
from typing import Any

import numpy as np
from markupsafe import Markup

from lyapsweep.analysis.prediction import aelle, band_importance, incremental, survival, transfer
from lyapsweep.analysis.settings import importance
from lyapsweep.analysis.shared.units import Units
from lyapsweep.analysis.spectra import partial_correlation
from lyapsweep.atlas.rendering import render
from lyapsweep.atlas.sections import Content
from lyapsweep.atlas.view import MAIN_GROUP, AtlasView

MAX_TRIALS = 1000  # of more, so many are drawn evenly, setting by setting, by their keys, which are hashes
EARLY = (0.0, 0.05, 0.1)  # of training
AT = EARLY[-1]
THRESHOLD = "measures/time_to_threshold"
PERMUTATIONS = 19  # of importances; p is then 0.05 or more


def sampled(content: Content) -> Content:
    """Render a section of at most `MAX_TRIALS` trials, and a note where that is a sample."""

    @wraps(content)
    def section(view: AtlasView) -> str:
        keys = view.finals.frame["trial"].astype(str)
        if len(keys) <= MAX_TRIALS:
            return content(view)
        first = keys.groupby(Units.of(view.finals).index).transform("min")
        kept = keys.iloc[np.lexsort((keys, first))[:MAX_TRIALS]]
        chosen = view.table.frame["trial"].astype(str).isin(kept).to_numpy(bool)
        note = render("note", text=f"Computed from {MAX_TRIALS} of {len(keys)} trials, settings sampled by their keys.")
        return note + content(AtlasView(view.table.take(chosen), errors=view.errors))

    return section


def described(analysis: Any, found: Any, **values: object) -> Markup:
    """Render the sentence, figure and caption of an analysis; the figure's title, which repeats the sentence, goes."""
    fig, name = analysis.draw(found), analysis.__name__.rpartition(".")[2]
    if fig.layout.title.text:
        fig.update_layout(title=None, margin={"t": max(30, fig.layout.margin.t - 45)})
    sentence, percent = analysis.sentence(found), f"{100 * AT:g}"
    return render(f"prediction/{name}", sentence=sentence, fig=fig, found=found, percent=percent, **values)


def added(view: AtlasView) -> Markup:
    """What spectra add to settings and early scores, at the start of training and a little later."""
    asked = {"map": view.map, "repeats": 2}
    found = [incremental.find(view.table, view.objective, at, **asked, permutations=0) for at in EARLY[:-1]]
    found.append(incremental.find(view.table, view.objective, EARLY[-1], **asked))  # p of the last is stated
    rows = [
        [
            f"{100 * at:g} %",
            base,
            float(f.gains.value[i]),
            float(f.gains.low[i]),
            float(f.gains.high[i]),
            str(f.rows.count),
        ]
        for at, f in zip(EARLY, found, strict=True)
        for i, base in enumerate(f.gains.names)
    ]
    trees = incremental.find(view.table, view.objective, AT, map=view.map, learner="trees", repeats=1, folds=5)
    measure = view.objective.removeprefix("measures/")
    return described(incremental, found[-1], measure=measure, trees=incremental.sentence(trees), rows=rows)


def partial(view: AtlasView) -> Markup:
    return described(partial_correlation, partial_correlation.find(view.table, view.objective, AT, map=view.map))


def latent(view: AtlasView) -> Markup:
    return described(aelle, aelle.find(view.table, view.objective, view.map, fraction=AT))


def bands(view: AtlasView) -> Markup:
    return described(band_importance, band_importance.find(view.table, view.objective, view.map, fraction=AT))


def settings(view: AtlasView) -> Markup:
    asked = {"fraction": AT, "resamples": 10, "permutations": PERMUTATIONS}
    return described(importance, importance.find(view.table, view.objective, view.map, **asked))


def learning_time(view: AtlasView) -> str:
    if THRESHOLD not in view.table.frame:
        return ""
    return described(survival, survival.find(view.table, view.objective, by=f"spectra/{view.map}/maximum"))


def transferred(view: AtlasView) -> str:
    if MAIN_GROUP not in view.moving:
        return ""
    return described(transfer, transfer.find(view.table, view.objective, MAIN_GROUP, AT, map=view.map))


SECTIONS: dict[str, Content] = {
    "What early spectra add": added,
    "Which statistic of the early spectrum goes with the outcome": partial,
    "Early spectra and outcomes in a latent space": latent,
    "Which part of the spectrum matters": bands,
    "Which settings matter": settings,
    "Which networks learn sooner": learning_time,
    "What transfers from one architecture to another": transferred,
}
