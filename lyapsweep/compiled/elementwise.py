"""What a cell says about itself, unit by unit, so that compiled loops can be made of it.

A cell of one recurrent matrix is u = bend(z, q), a = W u + b + U x, z' = step(z, a, p), unit by unit; W u is the only
product. A cell of two matrices bends the hidden units v = W2 z instead of the state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Functions = tuple[Callable[..., Any], Callable[..., Any]]
"""A function of plain numbers and its vector-Jacobian product."""


@dataclass(frozen=True)
class Elementwise:
    """The elementwise part of a cell, as functions of plain numbers that numba compiles.

    `unit` is called with a `scalars.Scalars` (tanh, logistic and their slopes in one precision) and returns

    - `step(z, a, p) -> (z', kept)`: z holds the `parts` of a unit's state, a its `rows` activations, p its
      `parameters`. `kept` are the slopes that `back` needs.
    - `back(e, z, kept, p) -> (dL/da, dL/dz, dL/dp)` from e = dL/dz'; dL/dz is the part that does not pass through a.

    `bend`, if there is one, returns `bend(z, q) -> u` and `bend_back(g, z, q) -> (dL/dz, dL/dq)` from g = dL/du.
    All tuples are flat.

    Args:
        unit: Makes `step` and `back`.
        kept: Number of entries of `kept`.
        parts: Number of entries of a unit's state; the first one is visible.
        gates: Number of activations that get a product with the matrix.
        rows: Number of activations.
        biases: Names of the biases, in the order of the activations.
        driven: For each block of rows of the input matrix, the activation that it enters.
        reads: Number of parts of the state that the matrix reads.
        parameters: Names of per-unit parameters or settings of the cell.
        bend: Makes `bend` and `bend_back`; None if the matrix reads the state itself.
        bend_parameters: Names of the parameters or settings of `bend`.
        shared: Those of them that all units share, one number per term.
        terms: Name of the cell's number of terms if u is a sum of `bend` over the last axis of its parameters; not with
            `inner`.
        matrix: Name of the recurrent matrix (gates x units, reads x columns).
        inner: Name of the matrix from the state to hidden units; None for a cell of one matrix.
        form: "plain"; "hollow" for a matrix whose diagonal is held at zero; "antisymmetric" for W - W^T - gamma I.

    Example:
        >>> from lyapsweep.cells import Plrnn
        >>> Plrnn(inputs=0, population=1).elementwise.parameters
        ('A',)
    """

    unit: Callable[[Any], Functions]
    kept: int = 0
    parts: int = 1
    gates: int = 1
    rows: int = 1
    biases: tuple[str, ...] = ("b",)
    driven: tuple[int, ...] = (0,)
    reads: int = 1
    parameters: tuple[str, ...] = ()
    bend: Callable[[Any], Functions] | None = None
    bend_parameters: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    terms: str | None = None
    matrix: str = "W"
    inner: str | None = None
    form: str = "plain"


def statement_of(cell: Any) -> Elementwise | None:
    """The statement of a cell whose class itself has both `elementwise` and `step`; None for any other cell.

    A subclass that changes the equation inherits the statement of another one.
    """
    return cell.elementwise if {"elementwise", "step"} <= vars(type(cell)).keys() else None


def diagonal_unit(f: Any) -> Functions:
    """z' = A z + a, p = (A,)."""

    def step(z, a, p):
        return (a[0] + p[0] * z[0],), ()

    def back(e, z, kept, p):
        return (e[0],), (p[0] * e[0],), (e[0] * z[0],)

    return step, back


def rectifier(f: Any) -> Functions:
    """u = relu(z), with slope 0 at the kink."""

    def bend(z, q):
        return max(z, f.zero)

    def back(g, z, q):
        return g if z > f.zero else f.zero, ()

    return bend, back
