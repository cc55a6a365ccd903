"""The stable fixed points of networks, searched for from states that free runs visit."""

import torch
from torch import Tensor

from lyapsweep.dynamics import Search, find_fixed_points
from lyapsweep.rollout import Network

STARTS, STEPS = 32, 64  # free runs, and their steps
SEARCH = Search(candidates=64, noise=0.5, adam=100)


@torch.no_grad()
def stable_points(network: Network, test: Tensor) -> list[int]:
    """Count the stable fixed points of each member of a population in double precision.

    Args:
        network: The population.
        test: Held-out observations (time, features), from which the runs start.
    """
    first = torch.linspace(0, len(test) - 1, STARTS, device=test.device).long()
    z = network.readout.back(test[first].expand(network.readout.population, -1, -1))
    visited = [z]
    for _ in range(STEPS):
        visited.append(z := network.cell.step(z))
    found = find_fixed_points(network.cell, torch.cat(visited[:: STEPS // 4], dim=1), search=SEARCH)
    return [points.fixed.kinds.count("stable") for points in found]
