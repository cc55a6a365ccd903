"""The interface of every cell: a map whose weights carry the population first, drawn member by member from seeds."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from lyapsweep.compiled.elementwise import Elementwise
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import AbstractMap, Inputs, States, Tangents, autodiff_push

Draw = Callable[[int, int, Generator], Tensor]
"""A recurrent matrix from (rows, columns, generator): one of `INITS` with its settings."""
Driven = Float[Tensor, "population batch exponents inputs"]
"""Tangents of a cell's inputs, one a row."""


class AbstractCell(nn.Module, AbstractMap):
    """The interface of a recurrent network's map z' = f(z, x), for a population of networks of one shape.

    The state is a flat row whose first `units` entries are visible to a readout (an LSTM's h; its c comes after).
    Weights are (population, out, in), biases (population, out). Subclasses implement `draw` and `step`, and may
    override `push`, `jacobian`, `log_det` and `drive` with something faster than automatic differentiation.

    Args:
        inputs: Number of input features; 0 for an autonomous network.
        units: Number of visible units.
        population: Number of networks of this shape, evaluated side by side.
        state: Dimension of the state.

    Attributes:
        linear_part: Names of A, W and h of a cell z' = A z + W phi(z) + h, for regularisation; None by default.
        rates: Learning rates of single weights relative to the trial's; 1 for weights that are not named.
        elementwise: What compiled loops are made of, stated by the class itself; None (the default) for a cell that
            runs on torch alone. Not used for a subclass, which may change the equation.

    Raises:
        ValueError: If `units` is below 1.

    Example:
        >>> from lyapsweep.inits import gaussian
        >>> class Leaky(AbstractCell):
        ...     def __init__(self, inputs, population, *, units=30):
        ...         super().__init__(inputs, units, population, state=units)
        ...     def draw(self, init, generator):
        ...         return {"W": init(self.units, self.units, generator)}
        ...     def step(self, z, x=None):
        ...         return 0.5 * z + 0.5 * torch.tanh(z @ self.W.mT)
        >>> cell = Leaky(inputs=0, population=1, units=4)
        >>> cell.build([(gaussian, Generator().manual_seed(0))])
        >>> cell.jacobian(torch.zeros(1, 1, 4)).shape
        torch.Size([1, 1, 4, 4])
    """

    linear_part: tuple[str, str, str] | None = None
    rates: Mapping[str, float] = MappingProxyType({})
    elementwise: Elementwise | None = None

    def __init__(self, inputs: int, units: int, population: int, state: int):
        super().__init__()
        if units < 1:
            raise ValueError(f"cell/units >= 1 must hold, but got {units}.")
        self.inputs, self.units, self.population, self.state = inputs, units, population, state

    @abstractmethod
    def draw(self, init: Draw, generator: Generator) -> dict[str, Tensor]:
        """Draw the weights of one member, in a fixed order of draws.

        Args:
            init: Draws a recurrent matrix from (rows, columns, generator).
            generator: The member's source of random numbers.

        Returns:
            Weights by parameter name, without the population axis.
        """

    def build(self, draws: Sequence[tuple[Draw, Generator]]) -> None:
        """Give each member its weights; `draws` holds one (init, generator) per member."""
        members = [self.draw(init, generator) for init, generator in draws]
        for name in members[0]:
            stacked = torch.stack([m[name] for m in members]).to(torch.get_default_dtype())
            setattr(self, name, nn.Parameter(stacked))

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        """Return the next state and V Df^T, by automatic differentiation unless overridden."""
        return autodiff_push(self.step, z, x, V)

    def drive(self, z: States, x: Inputs, X: Driven) -> Tangents:
        """Return X (df/dx)^T: what tangents X of the inputs add to the tangents of the next state."""
        push = lambda v: torch.func.jvp(lambda driven: self.step(z, driven), (x,), (v,))[1]  # noqa: E731
        return torch.func.vmap(push, in_dims=2, out_dims=2)(X)

    @property
    def visible(self) -> Bool[Tensor, " state"]:
        """True at the entries of the state that a readout sees."""
        return torch.arange(self.state) < self.units


def refuse_without_weights(network: nn.Module) -> None:
    """Raise ValueError for a cell whose weights were never drawn or set."""
    if next(network.parameters(), None) is None:
        raise ValueError(f"{type(network).__name__} has no weights. Draw them with build(...), or set its parameters.")


def affine(
    z: Float[Tensor, "population batch columns"],
    W: Float[Tensor, "population rows columns"],
    b: Float[Tensor, "population rows"],
) -> Float[Tensor, "population batch rows"]:
    """z W^T + b for every member, as one batched product."""
    return torch.baddbmm(b.unsqueeze(1), z, W.mT)


def additive_factors(
    W: Float[Tensor, "population rows columns"],
    slopes: Float[Tensor, "population batch columns"],
    A: Float[Tensor, "population rows"],
) -> JacobianFactors:
    """Of z' = A z + W phi(z) + ..., with A diagonal: diag(A) + W diag(phi')."""
    shape = (*slopes.shape[:2], 1, 1, A.shape[-1])
    return JacobianFactors(W, A.new_ones(()).expand(shape), slopes, A[:, None, None, None].expand(shape))


def carry(
    V: Float[Tensor, "population batch exponents columns"], W: Float[Tensor, "population rows columns"]
) -> Float[Tensor, "population batch exponents rows"]:
    """V W^T for every tangent row of every member, as one batched product over the flattened rows."""
    population, batch, exponents, _ = V.shape
    return torch.bmm(V.flatten(1, 2), W.mT).view(population, batch, exponents, W.shape[1])


def logistic_slope(a: Tensor) -> Tensor:
    """s'(a) = s(a) s(-a), which does not cancel for saturated units as s (1 - s) does."""
    return a.sigmoid() * (-a).sigmoid()


def tanh_slope(a: Tensor) -> Tensor:
    """tanh'(a) = 4 s(2a) s(-2a), which does not cancel as 1 - tanh(a)^2 does, completely from |a| = 19."""
    return 4 * logistic_slope(2 * a)
