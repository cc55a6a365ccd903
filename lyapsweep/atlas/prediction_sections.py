"""Sections about what early spectra predict: one analysis each, with a template of the analysis' name."""

from markupsafe import Markup

from lyapsweep.analysis.prediction import aelle, band_importance, incremental, survival, transfer
from lyapsweep.analysis.spectra import partial_correlation
from lyapsweep.atlas import analyses
from lyapsweep.atlas.analyses import EARLY
from lyapsweep.atlas.section_content import Content, described
from lyapsweep.atlas.view import AtlasView


def added(view: AtlasView) -> Markup:
    """What spectra add to settings and early scores, at the start of training and a little later."""
    *found, trees = analyses.incremental_gains(view)
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
    measure = view.objective.removeprefix("measures/")
    return described(incremental, found[-1], measure=measure, trees=incremental.sentence(trees), rows=rows)


def partial(view: AtlasView) -> Markup:
    return described(partial_correlation, analyses.partial_correlations(view))


def latent(view: AtlasView) -> Markup:
    return described(aelle, analyses.latent_space(view))


def bands(view: AtlasView) -> Markup:
    return described(band_importance, analyses.bands(view))


def learning_time(view: AtlasView) -> str:
    found = analyses.learning_time(view)
    return "" if found is None else described(survival, found)


def transferred(view: AtlasView) -> str:
    found = analyses.transfer_between_cells(view)
    return "" if found is None else described(transfer, found)


SECTIONS: dict[str, Content] = {
    "What early spectra add": added,
    "Which statistic of the early spectrum goes with the outcome": partial,
    "Early spectra and outcomes in a latent space": latent,
    "Which part of the spectrum matters": bands,
    "Which networks learn sooner": learning_time,
    "What transfers from one architecture to another": transferred,
}
