"""Loops over many units at once, written out from a cell's `Elementwise` so that each is one vectorised loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numba

from lyapsweep.compiled.elementwise import Elementwise
from lyapsweep.compiled.scalars import INLINE, INTERNAL, Scalars

FORWARD = """
def forward(Z, o, A, i, b, p, Y, y, n):
    {z}; {a}; {b}; {p}; {out}
    for r in range(n):
        new, kept = step(({z_r}), ({ab_r}), ({p_r}))
        {store_out}
        {store_kept}
"""
BACKWARD = """
def backward(Z, o, A, i, p, E, y, D, d, gp, n):
    {z}; {a}; {p}; {e}; {dz}; {gp}
    for r in range(n):
        of_a, of_z, of_p = back(({e_r}), ({z_r}), ({k_r}), ({p_r}))
        {store_a}
        {store_dz}
        {store_gp}
"""
BEND = """
def bend_terms(Z, o, q, U, u, n, terms):
    z, y = Z[o : o + n], U[u : u + n]
    for t in range(terms):
        {q}
        if t == 0:
            for r in range(n):
                y[r] = bend(z[r], ({q_r}))
        else:
            for r in range(n):
                y[r] += bend(z[r], ({q_r}))
"""
BEND_BACK = """
def bend_terms_back(G, g, Z, o, q, V, v, gq, n, terms):
    z, x, y = Z[o : o + n], G[g : g + n], V[v : v + n]
    for t in range(terms):
        {q}; {gq}
        for r in range(n):
            of_z, of_q = bend_back(x[r], z[r], ({q_r}))
            y[r] {how} of_z
            {store_gq}
"""


class Loops(NamedTuple):
    """The compiled loops of one cell in one precision; arrays are flat along their last axis.

    forward(Z, o, A, i, b, p, Y, y, n): new states Y[:, y : y + n] from Z[:, o : o + n], activations A[:, i : i + n] + b
    and parameters p; A then holds what `back` needs.
    backward(Z, o, A, i, p, E, y, D, d, gp, n): from e = E[:, y : y + n], A becomes dL/da, D[:, d : d + n] += dL/dz,
    gp += dL/dp.
    bend_terms(Z, o, q, U, u, n, terms): U[u : u + n] from Z[o : o + n]; q is (parameters, terms, n).
    bend_terms_back(G, g, Z, o, q, V, v, gq, n, terms): V[v : v + n] += dL/dz (= for hidden units), gq += dL/dq.
    """

    forward: Any
    backward: Any
    bend_terms: Any
    bend_terms_back: Any


def make_loops(statement: Elementwise, scalars: Scalars, options: Any = INTERNAL) -> Loops:
    """Write and compile (at their first call) the loops of a cell; `options` INTERNAL serves compiled callers only."""
    step, back = (numba.njit(**INLINE)(f) for f in statement.unit(scalars))
    bends = statement.bend(scalars) if statement.bend else (lambda z, q: z, lambda g, z, q: (g, ()))
    bend, bend_back = (numba.njit(**INLINE)(f) for f in bends)
    names = {"step": step, "back": back, "bend": bend, "bend_back": bend_back}
    forward, backward = FORWARD.format(**forward_parts(statement)), BACKWARD.format(**backward_parts(statement))
    bent, bent_back = (text.format(**bend_parts(statement)) for text in (BEND, BEND_BACK))
    written = zip(("forward", "backward", "bend_terms", "bend_terms_back"), (forward, backward, bent, bent_back))
    return Loops(*(numba.njit(**options)(defined(name, text, names)) for name, text in written))


def defined(name: str, text: str, names: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    """The function that a text defines."""
    space: dict[str, Any] = dict(names)
    exec(compile(text, f"<{name} of a cell>", "exec"), space)
    return space[name]


def views(name: str, source: str, count: int, offset: str | None) -> str:
    """Assignments of the first rows of a two-dimensional array to names of their own."""
    where = ":n" if offset is None else f"{offset} : {offset} + n"
    return "; ".join(f"{name}{j} = {source}[{j}, {where}]" for j in range(count)) or "pass"


def values(name: str, count: int) -> str:
    """Elements of a tuple."""
    return "".join(f"{name}{j}[r], " for j in range(count))


def stores(name: str, source: str, count: int, how: str = "=") -> str:
    return "; ".join(f"{name}{j}[r] {how} {source}[{j}]" for j in range(count)) or "pass"


def forward_parts(s: Elementwise) -> dict[str, str]:
    return {
        "z": views("z", "Z", s.parts, "o"),
        "a": views("a", "A", max(s.rows, s.kept), "i"),  # kept over a: one name per row, or no loop is vectorised
        "b": views("b", "b", s.rows, None),
        "p": views("p", "p", len(s.parameters), None),
        "out": views("y", "Y", s.parts, "y"),
        "z_r": values("z", s.parts),
        "ab_r": "".join(f"a{j}[r] + b{j}[r], " for j in range(s.rows)),
        "p_r": values("p", len(s.parameters)),
        "store_out": stores("y", "new", s.parts),
        "store_kept": stores("a", "kept", s.kept),
    }


def backward_parts(s: Elementwise) -> dict[str, str]:
    return {
        "z": views("z", "Z", s.parts, "o"),
        "p": views("p", "p", len(s.parameters), None),
        "e": views("e", "E", s.parts, "y"),
        "a": views("a", "A", max(s.rows, s.kept), "i"),
        "dz": views("d", "D", s.parts, "d"),
        "gp": views("g", "gp", len(s.parameters), None),
        "e_r": values("e", s.parts),
        "z_r": values("z", s.parts),
        "k_r": values("a", s.kept),
        "p_r": values("p", len(s.parameters)),
        "store_a": stores("a", "of_a", s.rows),
        "store_dz": stores("d", "of_z", s.parts, "+="),
        "store_gp": stores("g", "of_p", len(s.parameters), "+="),
    }


def bend_parts(s: Elementwise) -> dict[str, str]:
    count = len(s.bend_parameters)
    return {
        "q": "; ".join(f"q{j} = q[{j}, t, :n]" for j in range(count)) or "pass",
        "gq": "; ".join(f"g{j} = gq[{j}, t, :n]" for j in range(count)) or "pass",
        "q_r": values("q", count),
        "store_gq": stores("g", "of_q", count, "+="),
        "how": "+=" if s.inner is None else "=",
    }
