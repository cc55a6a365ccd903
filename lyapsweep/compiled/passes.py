"""Compiled: the steps of one update of a cell, forward and backward; `kernels` puts the cell's loops in.

Rows of all segments and windows lie side by side, so that a step is one product and one loop over R x units numbers.
"""

from typing import Any

import numba

from lyapsweep.compiled.blas import add_outer, address, times, times_transposed
from lyapsweep.compiled.layout import AFFINE, IDENTITY, clear
from lyapsweep.compiled.scalars import INTERNAL, f4

forward: Any = None  # loops of a cell
backward: Any = None
bend_terms: Any = None
bend_terms_back: Any = None
BENDS, INNER, GATES, READS = False, False, 1, 1


def forward_pass(call, layout, x, a, pull, L, R, changed):
    """Fill states and activations of L steps from the states of block 0."""
    N, H = layout.units, layout.hidden
    n, h, columns, states = R * N, R * H, a.WT.shape[1], a.F if changed else a.Z
    W, A, F, U, V = address(a.WT), address(a.A), address(states), address(a.U), address(a.V)
    width, across, inner = 4 * states.shape[1], 4 * a.A.shape[1], address(a.inner)
    for t in range(L):
        o = t * n
        if changed and t:
            force(call, layout, x, a, f4(pull[t]), t, R)
        source, s = states[0], o
        if INNER:
            times(call, R, F + 4 * o, N, N, inner, H, H, V + 4 * t * h, H, 0)
            source, s = a.V, t * h
        if BENDS:
            bend_terms(source, s, a.q, a.U, t * h, h, layout.terms)
        for g in range(GATES):
            for c in range(READS):
                read, w = U + 4 * t * h if BENDS else F + c * width + 4 * o, W + 4 * (c * H * columns + g * N)
                beta = 1 if c or layout.inputs else 0
                times(call, R, read, H, H, w, columns, N, A + g * across + 4 * o, N, beta)
        forward(states, o, a.A, o, a.b, a.p, a.Z, o + n, n)


def backward_pass(call, layout, x, a, pull, ends, L, R, changed):
    """From dL/dz of every block to the errors of activations, gradients of parameters and dL/dz of block 0."""
    N, H = layout.units, layout.hidden
    n, h, columns, states = R * N, R * H, a.W.shape[1], a.F if changed else a.Z
    W, A, DU, inner = address(a.W), address(a.A), address(a.DU), address(x) + 4 * layout.inner
    for t in range(L - 1, -1, -1):
        o, to, d = t * n, a.E, t * n
        if changed and t:
            to, d = a.D, 0
            for part in range(len(a.D)):
                clear(a.D[part], n)
        backward(states, o, a.A, o, a.p, a.E, o + n, to, d, a.gp, n)
        D = address(to) + 4 * d
        for c in range(READS):
            back, beta = (DU, 0) if BENDS else (D + 4 * c * to.shape[1], 1)
            for g in range(GATES):
                errors, w = A + 4 * (g * a.A.shape[1] + o), W + 4 * (g * N * columns + c * H)
                times(call, R, errors, N, N, w, columns, H, back, H, 1 if g else beta)
        if INNER:
            v = t * h
            bend_terms_back(a.DU, 0, a.V, v, a.q, a.DV, v, a.gq, h, layout.terms)
            times(call, R, address(a.DV) + 4 * v, H, H, inner, N, N, D, N, 1)
        elif BENDS:
            bend_terms_back(a.DU, 0, states[0], o, a.q, to[0], d, a.gq, h, layout.terms)
        if changed and t:
            unforce(call, layout, x, a, f4(pull[t]), ends[t], t, R)


@numba.njit(**INTERNAL)
def observed(layout, x, a, t, R):
    """Write into `seen` what was observed at step t, the targets of the step before, less the readout's bias."""
    for r in range(R):
        for f in range(layout.features):
            a.seen[r, f] = a.T[(t - 1) * R + r, f]
    remove_bias(layout, x, a, R)


@numba.njit(**INTERNAL)
def remove_bias(layout, x, a, R):
    if layout.readout == AFFINE:
        for r in range(R):
            for f in range(layout.features):
                a.seen[r, f] -= x[layout.b + f]


@numba.njit(**INTERNAL)
def force(call, layout, x, a, pull, t, R):
    """z <- z + pull P (target - z) at step t."""
    N, M, n = layout.units, layout.features, R * layout.units
    o, keep = t * n, f4(1) - pull
    for s in range(len(a.Z)):
        for i in range(o, o + n):
            a.F[s, i] = a.Z[s, i]
    if pull == 0:
        return
    observed(layout, x, a, t, R)
    times_transposed(call, R, address(a.seen), M, M, address(a.P), M, N, address(a.S), N, 0)
    partly = layout.readout == IDENTITY
    forced = M if partly else N
    for r in range(R):
        for i in range(forced):
            z, target = a.F[0, o + r * N + i], a.S[r * N + i]
            a.F[0, o + r * N + i] = target if pull == 1 else z + pull * (target - z)
    if not partly:
        for s in range(1, len(a.Z)):
            for i in range(o, o + n):
                a.F[s, i] = f4(0) if pull == 1 else keep * a.F[s, i]


@numba.njit(**INTERNAL)
def unforce(call, layout, x, a, pull, end, t, R):
    """dL/dz before step t's forcing from that after it, and the targets' part of the readout's gradient."""
    N, n, partly = layout.units, R * layout.units, layout.readout == IDENTITY
    forced = layout.features if partly else N
    if pull != 0:
        observed(layout, x, a, t, R)
        for r in range(R):
            for i in range(N):
                a.S[r * N + i] = pull * a.D[0, r * N + i] if i < forced else f4(0)
        add_inferred(call, layout, a, R)
    if end:
        return
    for s in range(len(a.D)):
        for r in range(R):
            for i in range(N):
                free = partly and (s > 0 or i >= forced)
                a.E[s, t * n + r * N + i] += a.D[s, r * N + i] * (f4(1) if free else f4(1) - pull)


@numba.njit(**INTERNAL)
def add_inferred(call, layout, a, R):
    """Add what states inferred from `seen`, with dL/dz in S, give to dL/dP and to the sums that a bias needs."""
    N, M = layout.units, layout.features
    add_outer(call, R, address(a.seen), M, M, address(a.S), N, N, address(a.OP), N)
    for r in range(R):
        for i in range(N):
            a.sums[i] += a.S[r * N + i]
