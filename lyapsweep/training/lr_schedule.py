"""Learning rates over training, per member and weight."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lyapsweep.config import Training
from lyapsweep.rollout import Network


class LRSchedule:
    """The learning rate of each weight at each update.

    rate = r lr (lr_end / lr)^(step / steps), where r is the cell's factor for the weight (`AbstractCell.rates`) or 1.

    Args:
        plans: `lr`, `lr_end` and `steps` of each member.
        network: The population.
        weights: Its parameters, in the order of `flatten`.

    Example:
        >>> from types import SimpleNamespace
        >>> network = SimpleNamespace(cell=SimpleNamespace(rates={}))
        >>> rate = LRSchedule([Training(steps=2, lr=0.1, lr_end=0.001)], network, [nn.Parameter(torch.zeros(1, 1))])
        >>> [round(float(rate(step)), 4) for step in (0, 1, 2)]
        [0.1, 0.01, 0.001]
    """

    def __init__(self, plans: Sequence[Training], network: Network, weights: list[nn.Parameter]):
        by_cell = {id(getattr(network.cell, name)): rate for name, rate in network.cell.rates.items()}
        factors = torch.cat([torch.full_like(w, by_cell.get(id(w), 1.0)).detach().flatten(1) for w in weights], dim=1)
        self.first = factors.new_tensor([p.lr for p in plans])[:, None] * factors
        decay = [((p.lr_end or p.lr) / p.lr) ** (1 / max(p.steps, 1)) for p in plans]
        self.decay = None if set(decay) == {1.0} else factors.new_tensor(decay)[:, None]

    def __call__(self, step: int) -> Float[Tensor, "population weights"]:
        return self.first if self.decay is None else self.first * self.decay**step
