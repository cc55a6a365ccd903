"""The interface of every map: one step of the state, and one step of tangent vectors through its Jacobian.

Shapes, here and everywhere: states (population, batch, state), inputs (population, batch, inputs), tangents
(population, batch, exponents, state) with one tangent vector per row. A single network is a population of one.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from lyapsweep.jacobian_factors import JacobianFactors

__all__ = [
    "AbstractMap",
    "ClosedLoop",
    "Forced",
    "Inputs",
    "Jacobians",
    "Orbit",
    "States",
    "Tangents",
    "autodiff_push",
]

States = Float[Tensor, "population batch state"]
Inputs = Float[Tensor, "#population batch inputs"]
Tangents = Float[Tensor, "population batch exponents state"]
Jacobians = Float[Tensor, "population batch state state"]
Orbit = Float[Tensor, "steps population batch state"]

SAFE_TO_BATCH = 128  # rows of a matrix, see `can_batch`


class AbstractMap(ABC):
    """A discrete-time map with tangents: z_{t+1} = f(z_t, x_t), V_{t+1} = V_t (Df)^T, one tangent vector per row.

    Subclasses implement `step` and `push`; `jacobian`, `log_det` and `orbit` have defaults that may be overridden with
    something faster. `lyapsweep.maps.autodiff_push` implements `push` for any differentiable `step`.

    Attributes:
        population: Number of maps evaluated side by side; the first axis of every state.
        state: Dimension of the state.
        dt: Time of one step; None (the default) if the map has no time unit other than steps.
        cheap_jacobian: Whether Jacobians of many states cost less than their pushes; False by default.

    Example:
        >>> class Doubling(AbstractMap):
        ...     population, state = 1, 1
        ...     def step(self, z, x=None):
        ...         return 2 * z % 1.0
        ...     def push(self, z, x, V):
        ...         return self.step(z), 2 * V
        >>> Doubling().orbit(torch.full((1, 1, 1), 0.1), None, steps=3).flatten()
        tensor([0.2000, 0.4000, 0.8000])
    """

    population: int
    state: int
    dt: float | None = None
    cheap_jacobian: bool = False

    @abstractmethod
    def step(self, z: States, x: Inputs | None = None) -> States:
        """Return the next state f(z, x), shape (population, batch, state)."""

    @abstractmethod
    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        """Return the next state f(z, x) and the pushed tangents V Df(z, x)^T."""

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        """Return the Jacobian J_ij = d f_i / d z_j, shape (population, batch, state, state).

        The default multiplies the `jacobian_factors`, or pushes the unit vectors. Overrides should lay out the
        transpose contiguously, because LU frames read the Jacobian column by column.
        """
        factors = self.jacobian_factors(z, x) if has_factors(self) else None
        if factors is not None:
            return factors.matrix()
        unit = torch.eye(self.state, dtype=z.dtype, device=z.device).expand(*z.shape[:2], -1, -1)
        return self.push(z, x, unit)[1].mT

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors | None:
        """Return the Jacobian as a constant matrix between changing factors, or None (the default) if it has none.

        Where it has, `jacobian` needs no override, and compiled exponents form only the columns that they need.
        """
        return None

    def log_det(self, z: States, x: Inputs | None = None) -> Float[Tensor, "population batch"]:
        """Return log |det Df(z, x)|, the sum of all exponents of one step; -inf for a singular Jacobian."""
        return log_abs_det(self.jacobian(z, x))

    def positions(self, z: Tensor) -> Tensor:
        """Return the coordinates (..., n) that stay bounded unless the orbit escapes to infinity: here, the state."""
        return z

    def orbit(self, z: States, inputs: Float[Tensor, "time #population batch inputs"] | None, steps: int) -> Orbit:
        """Return the states after 1 ... `steps` steps from z, time first."""
        states = []
        for t in range(steps):
            z = self.step(z, None if inputs is None else inputs[t])
            states.append(z)
        return torch.stack(states)


def has_factors(map: AbstractMap) -> bool:
    """Whether `jacobian_factors` belongs to this step: no subclass of its author has another step, push or Jacobian."""
    for cls in type(map).__mro__:
        if "jacobian_factors" in vars(cls):
            return cls is not AbstractMap
        if vars(cls).keys() & {"step", "push", "jacobian"}:
            return False
    return False


def check_time_step(dt: float | None) -> None:
    """Raise ValueError for a time step that is not a positive finite number."""
    if dt is not None and not 0 < dt < math.inf:
        raise ValueError(f"dt: 0 < dt < inf must hold, but got {dt}. Give the time between two steps, or None.")


def at_every_step(
    evaluate: Callable[[States, Inputs | None], Tensor], states: Orbit, inputs: Tensor | None
) -> Shaped[Tensor, "time population batch *rest"]:
    """evaluate(z, x) at every state of an orbit, computed as one batch; `inputs` may be longer than the orbit."""
    time, _, batch, _ = states.shape
    as_batch = lambda rows: rows.transpose(0, 1).flatten(1, 2)  # noqa: E731
    found = evaluate(as_batch(states), None if inputs is None else as_batch(inputs[:time]))
    return found.unflatten(1, (time, batch)).transpose(0, 1)


def can_batch(matrices: Tensor) -> bool:
    """Whether torch's batched factorisations of these matrices can be trusted.

    On a CPU with several threads they return wrong numbers from 151 rows on (pytorch issues 141358 and 142815).
    """
    return matrices.is_cuda or torch.get_num_threads() == 1 or matrices.shape[-1] <= SAFE_TO_BATCH


def log_abs_det(J: Jacobians) -> Float[Tensor, "population batch"]:
    """log |det J| of every matrix, one at a time where batches are unreliable (see `can_batch`)."""
    if can_batch(J):
        return torch.linalg.slogdet(J)[1]
    return torch.stack([torch.linalg.slogdet(j)[1] for j in J.flatten(0, 1)]).unflatten(0, J.shape[:2])


def autodiff_push(
    step: Callable[[Tensor, Tensor | None], Tensor], z: States, x: Inputs | None, V: Tangents
) -> tuple[States, Tangents]:
    """Push tangents through any differentiable step by forward-mode automatic differentiation.

    V_{t+1} = V_t (Df)^T, one Jacobian-vector product per tangent row, vectorised over rows. Analytic pushes are tested
    against this one.

    Args:
        step: The map's step, `step(z, x) -> z`.
        z: States, shape (population, batch, state).
        x: Inputs, shape (population, batch, inputs), or None.
        V: Tangent vectors in rows, shape (population, batch, exponents, state).

    Returns:
        The next states and the pushed tangents.

    Example:
        >>> z, V = torch.tensor([[[3.0]]]), torch.ones(1, 1, 1, 1)
        >>> autodiff_push(lambda z, x: z**2, z, None, V)
        (tensor([[[9.]]]), tensor([[[[6.]]]]))
    """
    rows = V.movedim(2, 0)
    pushed = torch.func.vmap(lambda v: torch.func.jvp(lambda s: step(s, x), (z,), (v,))[1])(rows)
    return step(z, x), pushed.movedim(0, 2)


class Forced(AbstractMap):
    """A map whose state is pulled toward a target before each step: z <- z + a P (target - z), then f.

    The push multiplies forced directions by (1 - a), so a fully forced step (a = 1, P = 1) cuts the chain and its
    exponents are -inf (Mikhaeil et al. 2022; Hess et al. 2023).

    Args:
        inner: The map that is forced.
        mask: P, shape (state,): 1 for directions that are forced, 0 for the others.

    Each input row holds [a, target], 1 + state numbers, followed by the inputs of `inner`, if it takes any.

    Example:
        >>> from lyapsweep.systems import build
        >>> forced = Forced(build("henon"), torch.ones(2))
        >>> z, x = torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.5, 0.1]]])
        >>> forced.step(z, x)
        tensor([[[0.7500, 0.1500]]])
    """

    def __init__(self, inner: AbstractMap, mask: Float[Tensor, " state"]):
        self.inner, self.mask = inner, mask
        self.population, self.state, self.dt = inner.population, inner.state, inner.dt

    def pull(self, z: States, x: Inputs) -> States:
        """Return z + a P (target - z)."""
        return z + x[..., :1] * self.mask * (x[..., 1 : 1 + self.state] - z)

    def split(self, z: States, x: Inputs | None) -> tuple[States, Tensor | None, Tensor]:
        """The pulled state, the inputs of the inner map, and the factor 1 - a P of tangents."""
        if x is None:
            raise ValueError("maps.Forced: [a, target] is missing. Give an input row at every step.")
        inner_input = x[..., 1 + self.state :] if x.shape[-1] > 1 + self.state else None
        return self.pull(z, x), inner_input, 1 - x[..., :1] * self.mask

    def step(self, z: States, x: Inputs | None = None) -> States:
        pulled, inner_input, _ = self.split(z, x)
        return self.inner.step(pulled, inner_input)

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        pulled, inner_input, left = self.split(z, x)
        return self.inner.push(pulled, inner_input, V * left.unsqueeze(2))

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        pulled, inner_input, left = self.split(z, x)
        return self.inner.jacobian(pulled, inner_input) * left.unsqueeze(2)

    def jacobian_factors(self, z: States, x: Inputs | None = None) -> JacobianFactors | None:
        pulled, inner_input, left = self.split(z, x)
        factors = self.inner.jacobian_factors(pulled, inner_input) if has_factors(self.inner) else None
        return None if factors is None else factors.scaled(left)


class ClosedLoop(AbstractMap):
    """A driven map that receives its own prediction as input: z_{t+1} = f(z_t, g(z_t)), g the readout of the state.

    The chain rule passes through both arguments of f: Df = df/dz + df/dx Dg, where Dg is `matrix` or automatic.

    Args:
        inner: The driven map f.
        observe: g, from states (population, batch, state) to inputs (population, batch, inputs).
        matrix: B of a linear g(z) = B z + b, shape (population, inputs, state), for a cell as inner map; None (the
            default) differentiates g and f automatically.

    Example:
        >>> from lyapsweep.systems import build
        >>> ClosedLoop(build("henon"), lambda z: z[..., :1]).step(torch.zeros(1, 1, 2))
        tensor([[[1., 0.]]])
    """

    def __init__(
        self,
        inner: AbstractMap,
        observe: Callable[[Tensor], Tensor],
        matrix: Float[Tensor, "population inputs state"] | None = None,
    ):
        self.inner, self.observe, self.matrix = inner, observe, matrix
        self.population, self.state, self.dt = inner.population, inner.state, inner.dt
        self.cheap_jacobian = matrix is not None

    def step(self, z: States, x: Inputs | None = None) -> States:
        return self.inner.step(z, self.observe(z))

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        if self.matrix is None:
            return autodiff_push(self.step, z, None, V)
        x = self.observe(z)
        after, moved = self.inner.push(z, x, V)
        return after, moved + self.inner.drive(z, x, V @ self.matrix.mT.unsqueeze(1))  # type: ignore[attr-defined]

    def jacobian(self, z: States, x: Inputs | None = None) -> Jacobians:
        if self.matrix is None:
            return super().jacobian(z, x)
        x, B = self.observe(z), self.matrix.mT.unsqueeze(1).expand(-1, z.shape[1], -1, -1)
        through = self.inner.drive(z, x, B)  # type: ignore[attr-defined]
        return (self.inner.jacobian(z, x).mT + through).mT
