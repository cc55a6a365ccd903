"""Orbits of one cell in double precision, one after another, without the GIL."""

from functools import cache
from typing import Any

from lyapsweep.compiled.caching import compiled, statement_digest
from lyapsweep.compiled.elementwise import Elementwise
from lyapsweep.compiled.loops import make_loops
from lyapsweep.compiled.scalars import DOUBLE, OPTIONS

BENDS = False
forward: Any = None
bend_terms: Any = None


def orbit(W, gates, biases, parameters, states, A, u, none):
    """Fill states (steps + 1, parts, N) from states[0].

    W (columns, gates N) is the recurrent matrix by columns, biases (steps or 1, rows, N) are what each step adds to the
    activations, parameters (parameters, N). A (rows or what `step` keeps, N) and u (columns) are overwritten; `none` is
    an empty array of three dimensions.
    """
    n, rows = states.shape[2], biases.shape[1]
    products = A[:gates].reshape(-1)
    for t in range(len(states) - 1):
        now = states[t].reshape(-1)
        if BENDS:
            bend_terms(now, 0, none, u, 0, n, 1)
        else:
            for i in range(len(u)):
                u[i] = now[i]
        for j in range(rows):
            for i in range(n):
                A[j, i] = 0.0
        for j in range(len(W)):
            w, value = W[j], u[j]
            for i in range(len(products)):
                products[i] += value * w[i]
        forward(states[t], 0, A, 0, biases[min(t, len(biases) - 1)], parameters, states[t + 1], 0, n)


@cache
def compiled_orbit(statement: Elementwise) -> Any:
    """`orbit` of the cell that a statement is of, compiled at its first call or read from the cache."""
    loops = make_loops(statement, DOUBLE)
    names = {"BENDS": statement.bend is not None, "forward": loops.forward, "bend_terms": loops.bend_terms}
    return compiled(orbit, statement_digest("orbit", statement), names, **OPTIONS)
