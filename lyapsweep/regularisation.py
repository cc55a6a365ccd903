"""Penalties on weights that are added to a member's training loss; a coefficient of 0 costs nothing.

z' = A z + W phi(z) + h names the parts of such a cell (`AbstractCell.linear_part`), B is the read-out's matrix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.batched_linalg import condition_numbers
from lyapsweep.cells import AbstractCell
from lyapsweep.readouts import AbstractReadout
from lyapsweep.rollout import Network
from lyapsweep.setting_types import NonNegative, Range, check_fields

Penalty = Callable[[], Float[Tensor, " population"]]


@dataclass(frozen=True)
class Regularisation:
    """Coefficients of the penalties of a member.

    Args:
        attractor: Coefficient of the manifold attractor penalty (Schmidt et al. 2021).
        attractor_ratio: Share of the units, the first ones, on which it acts.
        latent: Coefficient of the L2 penalty on the cell, with A drawn to 1 (Hess et al. 2023).
        observation: Coefficient of the penalty on the condition of the readout's matrix (Hess et al. 2023).

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> Regularisation(latent=0.01).attractor_ratio
        0.3
    """

    attractor: NonNegative = 0.0  # manifold attractor
    attractor_ratio: Annotated[float, Range(above=0, most=1)] = 0.3  # of the units, the first ones, that it holds
    latent: NonNegative = 0.0  # L2 on the cell, with A drawn to 1
    observation: NonNegative = 0.0  # condition of the read-out's matrix

    def __post_init__(self) -> None:
        check_fields(self, "regularisation")

    def fit(self, cell: type[AbstractCell], readout: type[AbstractReadout]) -> None:
        """Raise ValueError if a cell or readout lacks the weights that a penalty acts on."""
        if self.attractor and cell.linear_part is None:
            raise ValueError(
                f"regularisation/attractor needs a cell of the form A z + W phi(z) + h, such as plrnn, but got "
                f"{cell.__name__}. Set it to 0 or change cell/kind."
            )
        if self.observation and readout.matrix is None:
            raise ValueError(
                f"regularisation/observation needs a read-out with a matrix, such as linear, but got "
                f"{readout.__name__}. Set it to 0 or change readout/kind."
            )


def penalty(network: Network, plans: Sequence[Regularisation]) -> Penalty | None:
    """Return the function that computes each member's penalty; None if all coefficients are 0."""
    terms = []
    for name, pull in (("attractor", manifold), ("latent", latent), ("observation", conditioning)):
        chosen = [p for p, plan in enumerate(plans) if getattr(plan, name)]
        if chosen:
            first = next(network.cell.parameters())
            rows = torch.tensor(chosen, device=first.device)
            weight = torch.tensor([getattr(plans[p], name) for p in chosen], dtype=torch.float64).to(first)
            held = torch.tensor([int(plans[p].attractor_ratio * network.cell.units) for p in chosen]).to(first)
            terms.append((pull, rows, weight, held))
    if not terms:
        return None

    def added() -> Float[Tensor, " population"]:
        first = next(network.cell.parameters())
        total = first.new_zeros(len(plans))
        for pull, rows, weight, held in terms:
            total = total.index_add(0, rows, weight * pull(network, rows, held))
        return total

    return added


def manifold(network: Network, members: Tensor, held: Tensor) -> Tensor:
    """sum_i [(A_i - 1)^2 + sum_j W_ij^2 + h_i^2] over the first units: a memory line each (Schmidt et al. 2021)."""
    cell = network.cell
    assert cell.linear_part is not None, "a config that asks for it has been refused"
    A, W, h = (cell.get_parameter(name)[members] for name in cell.linear_part)
    units = torch.arange(cell.units, device=A.device) < held[:, None]
    return (((A - 1).square() + W.square().sum(-1) + h.square()) * units).sum(-1)


def latent(network: Network, members: Tensor, held: Tensor) -> Tensor:
    """Sum of squares of (A - 1) and of all other weights of the cell (Hess et al. 2023)."""
    cell = network.cell
    diagonal = cell.linear_part[0] if cell.linear_part else None
    weights = ((w[members] - 1 if name == diagonal else w[members]) for name, w in cell.named_parameters())
    return torch.stack([w.square().flatten(1).sum(-1) for w in weights]).sum(0)


def conditioning(network: Network, members: Tensor, held: Tensor) -> Tensor:
    """(1 - sigma_max(B) / sigma_min(B))^2: an observation tells every direction it reads (Hess et al. 2023)."""
    assert network.readout.matrix is not None, "a config that asks for it has been refused"
    B = network.readout.get_parameter(network.readout.matrix)[members]
    if B.is_cuda:
        return (1 - condition_numbers(B)).square()
    sizes = torch.linalg.svdvals(B)
    return (1 - sizes[:, 0] / sizes[:, -1]).square()
