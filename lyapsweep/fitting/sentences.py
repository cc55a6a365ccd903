"""What a fit says while it runs."""

from lyapsweep.fitting.budget import Budget
from lyapsweep.fitting.plan import FitRequest
from lyapsweep.fitting.search_space import SearchSpace
from lyapsweep.fitting.series_analysis import SeriesAnalysis


def analysis_sentences(analysis: SeriesAnalysis) -> list[str]:
    """What was read and found in a series, one sentence each.

    Example:
        >>> analysis_sentences(SeriesAnalysis("a.csv", ("x",), (), dt=0.1, rows=90, period=9.0, refused="too short"))[1]
        'no estimate of the largest exponent: too short'
    """
    driven = f", driven by {', '.join(analysis.inputs)}" if analysis.inputs else ""
    found = [f"{analysis.rows} rows of {', '.join(analysis.columns)}, dt = {analysis.dt:g}{driven}", *analysis.remarks]
    dimension, delay = analysis.embedding
    if analysis.suggestion is None:
        found.append(f"no estimate of the largest exponent: {analysis.refused}")
    elif analysis.lambda_max is None:
        suggestion = analysis.suggestion.suggestion
        found.append(f"{suggestion.verdict}: {'; '.join(suggestion.against)}")
    else:
        low, high = analysis.lambda_interval
        found.append(
            f"chaotic: lambda_max {analysis.lambda_max:.4g} ({low:.4g} to {high:.4g}) per unit time, small errors "
            f"double every {analysis.predictability_time:.1f} samples"
        )
    if dimension > 1:
        found.append(f"delay embedding: {dimension} values of each column, {delay} samples apart")
    notes = analysis.suggestion.suggestion.notes if analysis.suggestion else ()
    return found + [note for note in notes if note not in analysis.remarks]


def plan_sentence(space: SearchSpace, budget: Budget) -> str:
    """What is searched."""
    intervals = ", ".join(map(str, space.intervals))
    text = (
        f"searching {budget.trials} networks of {budget.steps} updates by {space.objective}: {', '.join(space.cells)}; "
        f"sparse forcing every {intervals} samples, and generalised forcing"
    )
    if budget.seconds is not None:
        text += f"; about {max(1, round(budget.seconds / 60))} min with the confirmation"
    return f"{text}. The budget is too small: {budget.shortage}" if budget.shortage else text


def question(request: FitRequest, analysis: SeriesAnalysis) -> str:
    """The question that the sweep file asks."""
    known = analysis.lambda_max is not None
    tau = f"tau_pred = {analysis.predictability_time:.1f} samples" if known else "the predictability time is unknown"
    return (
        f"Which network learns {request.path}?\n\nWritten by `lyapsweep fit`. The series has "
        f"{analysis.rows} rows of {', '.join(analysis.columns)}; {tau}.\n"
    )
