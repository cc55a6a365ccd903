"""The fixed points of one network or system, searched from states that it visits."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.config import Config
from lyapsweep.dynamics import FixedPoints, Search, find_fixed_points, resting_input
from lyapsweep.dynamics.fixed_points import mask_escaped
from lyapsweep.dynamics.line_attractor import LineScores, line_scores
from lyapsweep.dynamics.newton import Progress
from lyapsweep.maps import AbstractMap, States
from lyapsweep.rollout import Network
from lyapsweep.trial import restore_network

STARTS, STEPS = 32, 256  # orbits, and their steps
TIMES = [0, *np.unique(np.geomspace(1, STEPS, 32).astype(int)).tolist()]  # of candidates, transients included
SEARCH = Search(noise=0.5)  # noise, because saddles lie between the regions that orbits visit


class NetworkFixedPoints(NamedTuple):
    """The points found, the orbits (starts, steps, state) of the search, and the directions of the readout.

    Orbits are NaN after they escape to infinity.
    """

    found: FixedPoints
    orbits: np.ndarray
    readout: np.ndarray | None

    @property
    def line(self) -> LineScores:
        """The line scores of fixed and slow points together: most points of an imperfect line attractor are slow."""
        return line_scores(self.found.combined, self.readout)


@torch.no_grad()
def of_network(
    config: Config,
    weights: Mapping[str, np.ndarray] | None = None,
    search: Search | None = None,
    progress: Progress | None = None,
) -> NetworkFixedPoints:
    """Search the fixed points of one network, as `config` initialises it or with a final record's `weights`.

    Candidates lie on free runs from states inferred from held-out observations, with their transients, since a network
    that falls into a stable point visits nothing else. With inputs, which are held at their mean, candidates lie on
    orbits driven by held-out inputs: of a task from the zero state, of a series from inferred states. Raises
    `ValueError` if the weights do not fit.
    """
    network, problem = restore_network(config, weights)
    network = problem.double_precision(network)
    start, inputs = problem.orbits(network, config, STARTS, STEPS)
    if inputs is None:
        points = of_map(network.cell, start, search, progress)
    else:
        points = of_driven(network.cell, inputs, search=search, progress=progress, start=start)
    if network.readout.whole:  # it reads whole sequences, not states
        return points
    return points._replace(readout=directions(network, torch.from_numpy(points.orbits)))


@torch.no_grad()
def of_map(
    map: AbstractMap, starts: States, search: Search | None = None, progress: Progress | None = None
) -> NetworkFixedPoints:
    """Search the points of a population of one from `starts` and the orbits that begin there."""
    states, z = [starts], starts
    for _ in range(STEPS):
        z = map.step(z)
        states.append(z)
    orbits = torch.stack(states, dim=2)  # population, starts, steps, state
    orbits = mask_escaped(orbits.flatten(1, 2)).view_as(orbits)
    visited = orbits[:, :, TIMES].flatten(1, 2)
    return NetworkFixedPoints(
        find_fixed_points(map, visited, None, search or SEARCH, progress)[0], orbits[0].cpu().numpy(), None
    )


@torch.no_grad()
def of_driven(
    map: AbstractMap,
    inputs: Float[Tensor, "time 1 batch inputs"],
    choice: str = "mean",
    search: Search | None = None,
    progress: Progress | None = None,
    start: States | None = None,
) -> NetworkFixedPoints:
    """Search the points of a population of one that `inputs` drive from `start` (zero), x* their "mean" or "zero".

    Candidates are states on the driven orbits.
    """
    if start is None:
        start = torch.zeros(1, inputs.shape[2], map.state, dtype=inputs.dtype, device=inputs.device)
    orbits = map.orbit(start, inputs, len(inputs)).permute(1, 2, 0, 3)  # population, batch, time, state
    found = find_fixed_points(map, orbits.flatten(1, 2), resting_input(inputs, choice), search or SEARCH, progress)[0]
    return NetworkFixedPoints(found, orbits[0].cpu().numpy(), None)


def directions(network: Network, orbits: Tensor) -> np.ndarray:
    """d x_hat / d z (features, state) at the mean of the visited states; constant for linear readouts."""
    readout = network.readout
    if readout.matrix is not None:
        B = readout.get_parameter(readout.matrix)[0].detach()
        return torch.nn.functional.pad(B, (0, readout.state - B.shape[1])).numpy()
    visited = orbits.flatten(0, 1)
    centre = visited[visited.isfinite().all(dim=1)].mean(dim=0).nan_to_num()

    def observe(z: Tensor) -> Tensor:
        return network.readout(z.expand(1, 1, -1))[0, 0]

    return torch.func.jacfwd(observe)(centre).numpy()  # type: ignore[union-attr]
