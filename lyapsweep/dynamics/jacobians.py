"""Jacobians of many steps along orbits, computed at once: as matrices, or as the factors that compiled code takes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor

from lyapsweep.dynamics.frames import Driving
from lyapsweep.jacobian_factors import JacobianFactors
from lyapsweep.maps import AbstractMap, at_every_step, has_factors

CHUNK_ENTRIES = 2**17  # entries of the Jacobians or of their factors formed at a time, so that they stay in the cache
COMPILED_ENTRIES = 2**19  # the same for compiled code, of which a call costs 20 us: of factors and of small Jacobians
SMALL = 16  # rows of such Jacobians
MIN_JACOBIANS = 4  # formed at a time however large they are
FACTORS = 6  # about how many numbers per entry of the state factors take
Arrays = tuple[np.ndarray, ...]


class Jacobians(NamedTuple):
    """Jacobians of `steps` steps: `matrices`, transposed, (time, population, batch, state, state), or `factors`.

    `factors` are W (population, columns, rows); outer, inner and direct, (population, time, batch, ...), of which time
    and batch are 1 for constants; and `second` (population, units, columns), without columns where there is none.
    """

    steps: int
    matrices: np.ndarray
    factors: Arrays


def jacobians(map: AbstractMap, states: Tensor, inputs: Driving, compiled: bool) -> Iterator[tuple[int, Jacobians]]:
    """The Jacobians at all states (time, population, batch, state), some steps at a time, with the first step."""
    time, population, batch, state = states.shape
    given = lambda t, n: None if inputs is None else inputs[t : t + n]  # noqa: E731
    factored = compiled and has_factors(map)
    most = COMPILED_ENTRIES if factored or (compiled and state <= SMALL) else CHUNK_ENTRIES
    entries = FACTORS * state if factored else state**2
    chunk = max(1, min(time, max(most, MIN_JACOBIANS * state**2) // (population * batch * entries)))
    for t in range(0, time, chunk):
        some = states[t : t + chunk]
        factors = factors_at(map, some, given(t, chunk)) if factored else None
        if factors is None:
            matrices = at_every_step(lambda z, x: map.jacobian(z, x).mT.contiguous(), some, given(t, chunk))
            yield t, Jacobians(len(some), matrices.numpy(), EMPTY)
        else:
            yield t, Jacobians(len(some), NO_MATRICES, factors)


def factors_at(map: AbstractMap, states: Tensor, inputs: Driving) -> Arrays | None:
    """`JacobianFactors` at all states, computed as one batch, as `Jacobians.factors`."""
    time, _, batch, _ = states.shape
    as_batch = lambda rows: rows.transpose(0, 1).flatten(1, 2)  # noqa: E731
    found = map.jacobian_factors(as_batch(states), None if inputs is None else as_batch(inputs[:time]))
    if found is None:
        return None
    by_time = lambda rows: compact(rows.unflatten(1, (time, batch)))  # noqa: E731
    return (
        found.W.mT.contiguous().numpy(),
        by_time(found.outer),
        np.ones((len(found.W), 1, 1, found.W.shape[2])) if found.inner is None else by_time(found.inner),
        by_time(diagonals(found)),
        np.empty((1, 0, 0)) if found.second is None else found.second.mT.contiguous().numpy(),
    )


def diagonals(factors: JacobianFactors) -> Tensor:
    """`direct`, with zeros for none."""
    if factors.direct is not None:
        return factors.direct
    population, batch, parts, _, n = factors.outer.shape
    return factors.outer.new_zeros(population, 1, parts, parts, n).expand(-1, batch, -1, -1, -1)


def compact(rows: Tensor) -> np.ndarray:
    """The contiguous array of (population, time, batch, ...), with length 1 along an axis whose entries are copies."""
    for axis in (1, 2):
        if rows.stride(axis) == 0:
            rows = rows.narrow(axis, 0, 1)
    return rows.contiguous().numpy()


NO_MATRICES = np.empty((0, 0, 0, 0, 0))
EMPTY: Arrays = (
    np.empty((0, 0, 0)),
    np.empty((0, 0, 0, 0, 0, 0)),
    np.empty((0, 0, 0, 0)),
    np.empty((0, 0, 0, 0, 0, 0)),
    np.empty((0, 0, 0)),
)
