"""y = b + sum_t V_t h_t: one linear read-out of all hidden steps at once (Barberan et al. 2022, NeuroView-RNN).

dL/dh_t has a term V_t^T dL/dy that no Jacobian stands before: contraction cannot make it vanish. The number of steps
is fixed and there is no way back, so it serves tasks with one answer a sequence, and no forcing.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from lyapsweep.inits import bounded
from lyapsweep.readouts.readout import AbstractReadout


class Neuroview(AbstractReadout):
    """y = b + sum_t V_t h_t: every hidden step speaks to the answer; for tasks (Barberan et al. 2022)."""

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
        """The answers to sequences of visible states, [h_1, ..., h_T] a row."""
        return torch.baddbmm(self.b.unsqueeze(1), z, self.V.flatten(2).mT)

    def back(self, x: Tensor) -> Tensor:
        raise ValueError("readout/kind 'neuroview' answers with whole sequences: no state is observed as one answer.")

    def attribution(
        self, h: Float[Tensor, "time population batch units"]
    ) -> Float[Tensor, "population batch features time units"]:
        """s[c, t, n] = V[c, t, n] h[t, n]: what each unit at each step adds to an answer; y_c = b_c + sum_{t,n} s."""
        return torch.einsum("pctn,tpbn->pbctn", self.V, h)

    @property
    def importance(self) -> Float[Tensor, "population features time"]:
        """I[c, t] = ||V[c, t, :]|| / sum_t ||V[c, t, :]||: of the weights alone, blind to how large states are."""
        norms = self.V.norm(dim=-1)
        return norms / norms.sum(dim=-1, keepdim=True)


def spread(
    s: Float[Tensor, "population batch features time units"],
) -> Float[Tensor, "population features time"]:
    """Standard deviation over sequences of s[c, t] = sum_n s[c, t, n]: the steps that tell sequences apart.

    Use this one to rank steps: a large weight on a state that never changes says nothing.
    """
    return s.sum(dim=-1).std(dim=1)
