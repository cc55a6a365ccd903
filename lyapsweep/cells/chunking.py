"""Evaluation in chunks of the batch, for functions that form a matrix for every state."""

from collections.abc import Callable

import torch
from torch import Tensor

from lyapsweep.maps import Inputs, States

CHUNK = 2**20  # entries of the matrices formed at a time


def in_chunks(function: Callable[[States, Inputs | None], Tensor], z: States, x: Inputs | None, numbers: int) -> Tensor:
    """Return function(z, x) for every row of the batch; each row forms `numbers` numbers on the way.

    Keeps memory bounded when the sum rule needs log |det J| at thousands of states.
    """
    rows = max(1, CHUNK // (z.shape[0] * numbers))
    inputs = [None] * -(-z.shape[1] // rows) if x is None else x.split(rows, dim=1)
    return torch.cat([function(*chunk) for chunk in zip(z.split(rows, dim=1), inputs)], dim=1)
