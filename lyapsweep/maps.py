"""Everything that moves is a map: one step of the state, and one push of tangent vectors through its Jacobian.

Shapes, here and everywhere: states (population, batch, state), inputs (population, batch, inputs), tangents
(population, batch, exponents, state) with one tangent vector a row. One network is a population of one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

States = Float[Tensor, "population batch state"]
Inputs = Float[Tensor, "#population batch inputs"]
Tangents = Float[Tensor, "population batch exponents state"]
Jacobians = Float[Tensor, "population batch state state"]
Orbit = Float[Tensor, "steps population batch state"]

SAFE_TO_BATCH = 128  # rows


class AbstractMap(ABC):
    """z_{t+1} = f(z_t, x_t), with V_{t+1} = V_t (Df)^T for tangent vectors in the rows of V.

    `population` and `state` are sizes; `dt` is the time that one step takes, None where steps are all there is.
    """

    population: int
    state: int
    dt: float | None = None

    @abstractmethod
    def step(self, z: States, x: Inputs | None = None) -> States:
        """f(z, x)."""

    @abstractmethod
    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        """(f(z, x), V Df(z, x)^T): the next state and the tangent vectors carried along."""

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        """J_ij = d f_i / d z_j, by pushing the unit vectors; cells that know their Jacobian write it down.

        Its transpose is best laid out contiguously: the exponent engine reads it column by column.
        """
        unit = torch.eye(self.state, dtype=z.dtype, device=z.device).expand(*z.shape[:2], -1, -1)
        return self.push(z, x, unit)[1].mT

    def log_det(self, z: States, x: Inputs | None = None) -> Float[Tensor, "population batch"]:
        """log |det Df(z, x)|, the sum of all exponents of one step; -inf where the Jacobian is singular."""
        return log_abs_det(self.jacobian(z, x))

    def orbit(self, z: States, inputs: Float[Tensor, "time #population batch inputs"] | None, steps: int) -> Orbit:
        """The states after 1 ... steps steps from z."""
        states = []
        for t in range(steps):
            z = self.step(z, None if inputs is None else inputs[t])
            states.append(z)
        return torch.stack(states)


def log_abs_det(J: Jacobians) -> Float[Tensor, "population batch"]:
    """log |det J| of every matrix.

    One at a time on a CPU with several threads: there torch's batched factorisations of matrices of 151 rows or more
    return wrong numbers without a word (pytorch issues 141358 and 142815).
    """
    if J.is_cuda or torch.get_num_threads() == 1 or J.shape[-1] <= SAFE_TO_BATCH:
        return torch.linalg.slogdet(J)[1]
    return torch.stack([torch.linalg.slogdet(j)[1] for j in J.flatten(0, 1)]).unflatten(0, J.shape[:2])


def autodiff_push(
    step: Callable[[Tensor, Tensor | None], Tensor], z: States, x: Inputs | None, V: Tangents
) -> tuple[States, Tangents]:
    """The push of any differentiable step by forward-mode autodiff: what analytic pushes are examined against.

    One Jacobian-vector product a tangent row, vectorised over rows; no Jacobian is formed.
    """
    rows = V.movedim(2, 0)
    pushed = torch.func.vmap(lambda v: torch.func.jvp(lambda s: step(s, x), (z,), (v,))[1])(rows)
    return step(z, x), pushed.movedim(0, 2)


class Forced(AbstractMap):
    """A map whose state is pulled toward a target before each step: z <- z + a P (target - z), then f.

    The input row is [a, target] of size 1 + state, and behind them what drives the map itself, where anything does; P
    (`mask`, zeros and ones over the state) says which directions are forced. The push multiplies forced directions by
    (1 - a), so a fully forced step (a = 1, P = 1) cuts the chain and its exponents are -inf (Mikhaeil et al. 2022; Hess
    et al. 2023).
    """

    def __init__(self, inner: AbstractMap, mask: Float[Tensor, " state"]):
        self.inner, self.mask = inner, mask
        self.population, self.state, self.dt = inner.population, inner.state, inner.dt

    def pull(self, z: States, x: Inputs) -> States:
        return z + x[..., :1] * self.mask * (x[..., 1 : 1 + self.state] - z)

    def rest(self, x: Inputs) -> Tensor | None:
        """What drives the map itself."""
        return x[..., 1 + self.state :] if x.shape[-1] > 1 + self.state else None

    def step(self, z: States, x: Inputs | None = None) -> States:
        assert x is not None, "a forced map needs [a, target] at every step"
        return self.inner.step(self.pull(z, x), self.rest(x))

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        assert x is not None, "a forced map needs [a, target] at every step"
        return self.inner.push(self.pull(z, x), self.rest(x), V * (1 - x[..., :1] * self.mask).unsqueeze(2))

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        assert x is not None, "a forced map needs [a, target] at every step"
        return self.inner.jacobian(self.pull(z, x), self.rest(x)) * (1 - x[..., :1] * self.mask).unsqueeze(2)


class ClosedLoop(AbstractMap):
    """A driven map fed with its own prediction: z_{t+1} = f(z_t, g(z_t)), g the readout of the state.

    The chain rule runs through both arguments of f, so the push is by autodiff.
    """

    def __init__(self, inner: AbstractMap, observe: Callable[[Tensor], Tensor]):
        self.inner, self.observe = inner, observe
        self.population, self.state, self.dt = inner.population, inner.state, inner.dt

    def step(self, z: States, x: Inputs | None = None) -> States:
        return self.inner.step(z, self.observe(z))

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return autodiff_push(self.step, z, None, V)
