"""Which steps of a sequence made a NeuroView network answer as it did? Attribution over time (Barberan et al. 2022)."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from lyapsweep import datasets
from lyapsweep.analysis.shared import theme
from lyapsweep.analysis.shared.selection import TooFew, digits, network_of
from lyapsweep.cells.unrolled import visible
from lyapsweep.readouts import Neuroview
from lyapsweep.readouts.neuroview import spread
from lyapsweep.results.table import Table
from lyapsweep.training.examples import Examples
from lyapsweep.trial import restore_network

SEQUENCES = 200  # held-out ones, at most, over which spreads are taken
OUTPUTS = 10  # drawn, at most


class AttributionFinding(NamedTuple):
    """What each step adds to each output, y_c = b_c + sum_t s[c, t], in the units of the outputs.

    `spread` (outputs, steps) is the standard deviation of s over held-out sequences, which ranks steps; `importance`
    (outputs, steps) the share of the weights, blind to how large states are. `contributions` (outputs, steps), `bias`
    and `answer` (outputs,) belong to one sequence, the first; `inputs` (steps, inputs) are what it was shown.
    """

    name: str
    spread: np.ndarray
    importance: np.ndarray
    contributions: np.ndarray
    bias: np.ndarray
    answer: np.ndarray
    inputs: np.ndarray
    sequences: int


@torch.no_grad()
def find(table: Table, trial: str) -> AttributionFinding:
    """Attributions of the network that the last record of `trial` holds, over its task's held-out sequences.

    Raises `UnknownName` where there is no such trial, `TooFew` where its record holds no weights or its read-out is
    not `neuroview`.
    """
    config, weights = network_of(table, trial)
    network, _ = restore_network(config, weights)
    readout = network.readout
    if not isinstance(readout, Neuroview):
        raise TooFew(f"Trial {trial} is read out by {config.readout['kind']}: only neuroview attributes to steps.")
    network = network.double()
    examples = Examples(datasets.build(**config.dataset), "test", config.windows.length, "cpu", torch.float64)
    x = examples.cut(torch.arange(min(SEQUENCES, len(examples))))[0].unsqueeze(1)
    h = visible(network.cell, x.new_zeros(1, x.shape[2], network.cell.state), len(x), x)
    s = readout.attribution(h)
    return AttributionFinding(
        name=trial,
        spread=spread(s)[0].numpy(),
        importance=readout.importance[0].numpy(),
        contributions=s[0, 0].sum(dim=-1).numpy(),
        bias=readout.b[0].numpy(),
        answer=readout(h.movedim(0, 2).flatten(2))[0, 0].numpy(),
        inputs=x[:, 0, 0].numpy(),
        sequences=x.shape[2],
    )


def draw(finding: AttributionFinding) -> go.Figure:
    """Above, the steps that tell sequences apart; below, what each step added to the answers to one sequence."""
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12)
    fig.update_layout(theme.figure(560).layout)
    steps = np.arange(len(finding.spread[0]))
    outputs = np.argsort(-finding.spread.max(axis=1))[:OUTPUTS]
    for c in sorted(outputs):
        style = {"color": theme.colour(int(c)), "width": 1.6, "dash": theme.dash(int(c))}
        named = {"name": f"output {c}", "legendgroup": str(c), "mode": "lines", "line": style}
        hover = f"output {c}, step %{{x}}: %{{y:.3g}}<extra></extra>"
        fig.add_scatter(x=steps, y=finding.spread[c], hovertemplate=hover, row=1, col=1, **named)
        fig.add_scatter(
            x=steps, y=finding.contributions[c], hovertemplate=hover, showlegend=False, row=2, col=1, **named
        )
    answers = ", ".join(f"{c}: {digits(float(finding.answer[c]))}" for c in sorted(outputs))
    fig.update_yaxes(title=f"spread over {finding.sequences} sequences", rangemode="tozero", row=1, col=1)
    fig.update_yaxes(title="added to the answer of one", row=2, col=1)
    fig.update_xaxes(title=f"step (answers {theme.plain(answers)})", row=2, col=1)
    return fig
