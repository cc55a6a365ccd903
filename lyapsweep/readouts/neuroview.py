"""y = b + sum_t V_t h_t: one linear readout of all hidden steps at once (Barberan et al. 2022, NeuroView-RNN).

dL/dh_t has a term V_t^T dL/dy without a Jacobian in front, which contraction cannot make vanish. The number of steps
is fixed and there is no inverse, so it serves tasks with one answer per sequence, and no forcing.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from lyapsweep.inits import bounded
from lyapsweep.readouts.readout import AbstractReadout


class Neuroview(AbstractReadout):
    """One linear readout of all hidden steps at once, y = b + sum_t V_t h_t (Barberan et al. 2022).

    For tasks with one answer per sequence of fixed length. It has no inverse, so it allows no forcing.

    Args:
        features: Number of observed features.
        units: Number of visible units, the first entries of a state.
        state: Dimension of the state.
        population: Number of readouts of this shape, evaluated side by side.
        steps: Number of steps of a sequence.

    Example:
        >>> readout = Neuroview(features=1, units=3, state=3, population=1, steps=2)
        >>> readout.build([torch.Generator().manual_seed(0)])
        >>> readout(torch.zeros(1, 5, 6)).shape
        torch.Size([1, 5, 1])
    """

    whole = True
    V: nn.Parameter
    b: nn.Parameter

    def __init__(self, features: int, units: int, state: int, population: int, steps: int):
        super().__init__(features, units, state, population)
        self.steps = steps
        self.register_buffer("mask", torch.zeros(state), persistent=False)

    def draw(self, generator: Generator) -> dict[str, Tensor]:
        size = self.steps * self.units
        V = bounded(self.features, size, units=size, generator=generator)
        return {
            "V": V.unflatten(1, (self.steps, self.units)),
            "b": bounded(self.features, units=size, generator=generator),
        }

    def forward(self, z: Float[Tensor, "population rows steps_units"]) -> Float[Tensor, "population rows features"]:
        """Return the answers to sequences of visible states, rows [h_1, ..., h_T]."""
        return torch.baddbmm(self.b.unsqueeze(1), z, self.V.flatten(2).mT)

    def back(self, x: Tensor) -> Tensor:
        raise ValueError("readout/kind 'neuroview' has no inverse from an answer to a state. Use another readout.")

    def attribution(
        self, h: Float[Tensor, "time population batch units"]
    ) -> Float[Tensor, "population batch features time units"]:
        """s[c, t, n] = V[c, t, n] h[t, n]: the contribution of each unit at each step; y_c = b_c + sum_{t,n} s."""
        return torch.einsum("pctn,tpbn->pbctn", self.V, h)

    @property
    def importance(self) -> Float[Tensor, "population features time"]:
        """I[c, t] = ||V[c, t, :]|| / sum_t ||V[c, t, :]||, of the weights alone; it ignores the size of states."""
        norms = self.V.norm(dim=-1)
        return norms / norms.sum(dim=-1, keepdim=True)


def spread(
    s: Float[Tensor, "population batch features time units"],
) -> Float[Tensor, "population features time"]:
    """Standard deviation over sequences of s[c, t] = sum_n s[c, t, n]: the steps that distinguish sequences.

    Rank steps by this one: a large weight on a state that never changes has no effect on the ranking of answers.
    """
    return s.sum(dim=-1).std(dim=1)
