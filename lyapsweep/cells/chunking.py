"""A piece of the batch at a time, where a function forms a matrix for every state."""

from collections.abc import Callable

import torch
from torch import Tensor

from lyapsweep.maps import Inputs, States

ROOM = 2**20  # numbers in the matrices that are formed at a time


def piecewise(function: Callable[[States, Inputs | None], Tensor], z: States, x: Inputs | None, numbers: int) -> Tensor:
    """function(z, x) for every row of the batch, where each row forms `numbers` numbers on the way.

    A sum rule asks for log |det J| at thousands of states at once.
    """
    rows = max(1, ROOM // (z.shape[0] * numbers))
    inputs = [None] * -(-z.shape[1] // rows) if x is None else x.split(rows, dim=1)
    return torch.cat([function(*piece) for piece in zip(z.split(rows, dim=1), inputs)], dim=1)
