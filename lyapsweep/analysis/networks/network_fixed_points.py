"""The fixed points of one network or system, sought from states that it visits: what the pictures and counts are of."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.config import Config
from lyapsweep.dynamics import Found, Search, find_fixed_points, resting_input
from lyapsweep.dynamics.fixed_points import bounded
from lyapsweep.dynamics.line_attractor import Line, line_scores
from lyapsweep.dynamics.newton import Progress
from lyapsweep.maps import AbstractMap, States
from lyapsweep.rollout import Network
from lyapsweep.trial import restore_network

STARTS, STEPS = 32, 256  # orbits, and their steps
TIMES = [0, *np.unique(np.geomspace(1, STEPS, 32).astype(int)).tolist()]  # of candidates: early ones are still moving
SEARCH = Search(noise=0.5)  # saddles lie between the places to which a network returns


class Rest(NamedTuple):
    """What was found, the orbits (starts, steps, state) that it was sought from, and the read-out's directions.

    Orbits are NaN from where they escape to infinity.
    """

    found: Found
    orbits: np.ndarray
    readout: np.ndarray | None

    @property
    def line(self) -> Line:
        """The line scores of fixed and slow points together: where training leaves a line imperfect, most are slow."""
        return line_scores(self.found.every, self.readout)


@torch.no_grad()
def of_network(
    config: Config,
    weights: Mapping[str, np.ndarray] | None = None,
    search: Search | None = None,
    progress: Progress | None = None,
) -> Rest:
    """The points of one freely running network: as `config` draws it, or with a final record's `weights`.

    Candidates lie on free runs from states inferred from held-out observations, their transients included: a network
    that falls into a stable point would otherwise visit nothing else. With inputs held at their mean, from orbits that
    held-out inputs drive: of a task, from zero; of a series, from its inferred states. Raises ValueError where weights
    do not fit.
    """
    network, problem = restore_network(config, weights)
    network = problem.double_precision(network)
    start, inputs = problem.orbits(network, config, STARTS, STEPS)
    if inputs is None:
        rest = of_map(network.cell, start, search, progress)
    else:
        rest = of_driven(network.cell, inputs, search=search, progress=progress, start=start)
    if network.readout.whole:  # it reads whole sequences, not states
        return rest
    return rest._replace(readout=directions(network, torch.from_numpy(rest.orbits)))


@torch.no_grad()
def of_map(map: AbstractMap, starts: States, search: Search | None = None, progress: Progress | None = None) -> Rest:
    """The points of a population of one, sought from `starts` and the orbits that begin there."""
    states, z = [starts], starts
    for _ in range(STEPS):
        z = map.step(z)
        states.append(z)
    orbits = torch.stack(states, dim=2)  # population, starts, steps, state
    orbits = bounded(orbits.flatten(1, 2)).view_as(orbits)
    visited = orbits[:, :, TIMES].flatten(1, 2)
    return Rest(find_fixed_points(map, visited, None, search or SEARCH, progress)[0], orbits[0].cpu().numpy(), None)


@torch.no_grad()
def of_driven(
    map: AbstractMap,
    inputs: Float[Tensor, "time 1 batch inputs"],
    choice: str = "mean",
    search: Search | None = None,
    progress: Progress | None = None,
    start: States | None = None,
) -> Rest:
    """The points of a population of one that `inputs` drive from `start` (zero), x* held: their "mean", or "zero".

    Candidates are states on the driven orbits; so the network rests where its inputs take it, and nowhere else.
    """
    if start is None:
        start = torch.zeros(1, inputs.shape[2], map.state, dtype=inputs.dtype, device=inputs.device)
    orbits = map.orbit(start, inputs, len(inputs)).permute(1, 2, 0, 3)  # population, batch, time, state
    found = find_fixed_points(map, orbits.flatten(1, 2), resting_input(inputs, choice), search or SEARCH, progress)[0]
    return Rest(found, orbits[0].cpu().numpy(), None)


def directions(network: Network, orbits: Tensor) -> np.ndarray:
    """d x_hat / d z (features, state) at the mean of the visited states; linear read-outs have one everywhere."""
    visited = orbits.flatten(0, 1)
    centre = visited[visited.isfinite().all(dim=1)].mean(dim=0).nan_to_num()
    observe = lambda z: network.readout(z.expand(1, 1, -1))[0, 0]  # noqa: E731
    return torch.func.jacfwd(observe)(centre).numpy()  # type: ignore[union-attr]
