"""The fixed points of one network or system, sought from states that it visits: what the pictures and counts are of."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lyapsweep.config import Config
from lyapsweep.dynamics import Found, Search, find_fixed_points
from lyapsweep.dynamics.descent import Progress
from lyapsweep.dynamics.line import Line, line_scores
from lyapsweep.evaluation import in_double, infer
from lyapsweep.maps import AbstractMap, States
from lyapsweep.rollout import Network
from lyapsweep.trial import rebuilt

STARTS, STEPS, EVERY = 32, 256, 4  # orbits, their steps, and how many steps lie between candidates


class Rest(NamedTuple):
    """What was found, the free orbits (starts, steps, state) that it was sought from, and the read-out's directions."""

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
    that falls into a stable point would otherwise visit nothing else. Raises ValueError where weights do not fit.
    """
    network, series = rebuilt(config, weights)
    network, test = in_double(network, series)
    first = torch.linspace(0, len(test) - 1, min(STARTS, len(test))).long()
    rest = of_map(network.cell, infer(network, test[first]), search, progress)
    return rest._replace(readout=directions(network, torch.from_numpy(rest.orbits)))


@torch.no_grad()
def of_map(map: AbstractMap, starts: States, search: Search | None = None, progress: Progress | None = None) -> Rest:
    """The points of a population of one, sought from `starts` and the orbits that begin there."""
    states, z = [starts], starts
    for _ in range(STEPS):
        z = map.step(z)
        states.append(z)
    orbits = torch.stack(states, dim=2)  # population, starts, steps, state
    visited = orbits[:, :, ::EVERY].flatten(1, 2)
    return Rest(find_fixed_points(map, visited, None, search, progress)[0], orbits[0].cpu().numpy(), None)


def directions(network: Network, orbits: Tensor) -> np.ndarray:
    """d x_hat / d z (features, state) at the mean of the visited states; linear read-outs have one everywhere."""
    visited = orbits.flatten(0, 1)
    centre = visited[visited.isfinite().all(dim=1)].mean(dim=0).nan_to_num()
    observe = lambda z: network.readout(z.expand(1, 1, -1))[0, 0]  # noqa: E731
    return torch.func.jacfwd(observe)(centre).numpy()  # type: ignore[union-attr]
