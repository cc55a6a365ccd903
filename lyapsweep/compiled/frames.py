"""Frames of tangent vectors carried by pivoted LU, many steps in one call without the GIL (`dynamics.lu`).

A frame is Y = P L as dgetrf leaves it: W = P L U, row j of the array F holds column j of L and U, and row i of L is row
order[i] of Y. One step forms the Jacobian with permuted columns, J P, multiplies it by L (dtrmm; a frame of fewer
columns than the state takes one dgemm more) and factorises. Matrices are by columns: row j of an array is column j.
"""

import math
from functools import partial

import numpy as np
from numba import njit

from lyapsweep.compiled.blas import address
from lyapsweep.compiled.caching import compiled
from lyapsweep.compiled.lapack import dgemm, dgeqrf, dgetrf, dorgqr, dtrmm
from lyapsweep.compiled.scalars import ACCURATE, PART

INNER = ACCURATE | PART
BLOCK = 64  # columns of LAPACK's workspace
EPS = float(np.finfo(np.float64).eps)
TINY = 6  # rows of a matrix below which loops beat calls of BLAS
SUSPICIOUS = 1e-10  # of the largest pivot; smaller pivots are compared with their rounding error


@njit(**INNER)
def fill(order, W, D, E, P, out):
    """The columns `order` of J = sum_g D_sg W_g diag(P) + E, of one step, as rows of `out`.

    W (columns, gates N) by columns, D (parts, gates, N), E (parts, parts, N) the diagonals of the blocks dz'_s / dz_r.
    """
    parts, gates, n = D.shape
    for s in range(parts):
        first = D[s, 0]
        for j in range(len(order)):
            c, rows = order[j], out[j, s * n : (s + 1) * n]
            if c < len(W):
                w, scale = W[c], P[c]
                for i in range(n):
                    rows[i] = scale * (first[i] * w[i])
                for g in range(1, gates):
                    d, w = D[s, g], W[c, g * n :]
                    for i in range(n):
                        rows[i] += scale * (d[i] * w[i])
            else:
                for i in range(n):
                    rows[i] = 0.0
            r = 0
            while c >= n:
                c, r = c - n, r + 1
            rows[c] += E[s, r, c]


@njit(**INNER)
def rounding(F, k, out):
    """The rounding error of each pivot: eps |L| max_j |U_j|, a bound of the terms of its row. `out` is 2 k long."""
    for i in range(k):
        out[i] = 0.0
    for j in range(k):
        column = F[j]
        for i in range(j + 1):
            out[i] = max(out[i], abs(column[i]))
    for i in range(k):
        out[k + i] = out[i]
    for j in range(k):
        column, size = F[j], out[k + j]
        for i in range(j + 1, k):
            out[i] += size * abs(column[i])
    for i in range(k):
        out[i] *= EPS


@njit(**INNER)
def add_logs(F, k, noise, sums):
    """Add log |u_ii|; a pivot no larger than its rounding error is an exact zero."""
    least, most = math.inf, 0.0
    for i in range(k):
        size = abs(F[i, i])
        least, most = min(least, size), max(most, size)
    if least < SUSPICIOUS * most:
        rounding(F, k, noise)
    else:
        for i in range(k):
            noise[i] = 0.0
    for i in range(k):
        size = abs(F[i, i])
        sums[i] += -math.inf if size <= k * noise[i] else math.log(size)


def workspace(n: int, k: int, hidden: int = 0) -> tuple[np.ndarray, ...]:
    """Arrays of one thread, made outside: compiled code frees an array once only its address is used.

    Sizes, letters and constants of BLAS calls, pivots, their rounding errors, a second frame, the scaled rows of
    `product`, and what dgeqrf needs.
    """
    letters, constants = np.array((82, 76, 78, 85), np.uint8), np.array((1.0, 0.0))  # R L N U
    numbers = (2 * k, n * n, n * hidden, k, BLOCK * k)
    noise, spare, scaled, tau, work = (np.empty(size) for size in numbers)
    pivots, sizes = np.empty(k, np.int32), np.empty(6, np.int32)
    return sizes, letters, constants, pivots, noise, spare.reshape(n, n), scaled.reshape(n, hidden), tau, work


@njit(**INNER)
def multiply(m, n, k, A, B, C, sizes, letters, constants):
    """C (m, n) = A (m, k) B (k, n), contiguous columns, given by addresses."""
    sizes[0], sizes[1], sizes[2] = m, n, k
    M, plain, one = address(sizes), address(letters) + 2, address(constants)
    dgemm(plain, plain, M, M + 4, M + 8, one, A, M, B, M + 8, one + 8, C, M)


@njit(**INNER)
def product(order, W, direct, inner, second, out, work):
    """The columns `order` of J = W diag(inner) second + diag(direct), all matrices by columns, as rows of `out`."""
    sizes, letters, constants, _, _, _, scaled, _, _ = work
    n, hidden = second.shape
    for j in range(n):
        row, given = scaled[j], second[order[j]]
        for i in range(hidden):
            row[i] = inner[i] * given[i]
    multiply(n, n, hidden, address(W), address(scaled), address(out), sizes, letters, constants)
    for j in range(n):
        out[j, order[j]] += direct[order[j]]


@njit(**INNER)
def jacobian_columns(order, J, factors, p, b, t, out, work):
    """The columns `order` of the Jacobian of member p, orbit b at step t of a chunk, as rows of `out`.

    J (steps, population, batch, N, N) by columns, or where J has no steps `factors`: W (population, columns, gates N)
    by columns, outer, inner and direct with (population, steps, batch) first, of which each may be 1 for a constant,
    and `second`.
    """
    W, outer, inner, direct, second = factors
    if len(J) > 0:
        for j in range(len(order)):
            column, given = out[j], J[t, p, b, order[j]]
            for i in range(len(column)):
                column[i] = given[i]
        return
    u = inner[p, min(t, inner.shape[1] - 1), min(b, inner.shape[2] - 1)]
    e = direct[p, min(t, direct.shape[1] - 1), min(b, direct.shape[2] - 1)]
    if second.shape[1]:
        product(order, W[p], e[0, 0], u, second[p], out, work)
    else:
        fill(order, W[p], outer[p, min(t, outer.shape[1] - 1), min(b, outer.shape[2] - 1)], e, u, out)


@njit(**INNER)
def triangle(now, after, k, sizes, letters, constants):
    """after <- after L, L the n x k trapezoid below the diagonal of `now`: its first k columns are the new frame."""
    n = len(now)
    if n <= TINY:
        for c in range(k):
            for r in range(c + 1, n):
                for i in range(n):
                    after[c, i] += now[c, r] * after[r, i]
        return
    sizes[0], sizes[1], sizes[2] = n, k, n - k
    N, c, a, f, one = address(sizes), address(letters), address(after), address(now), address(constants)
    dtrmm(c, c + 1, c + 2, c + 3, N, N + 4, one, f, N, a, N)
    if k < n:
        dgemm(c + 2, c + 2, N, N + 4, N + 8, one, a + 8 * k * n, N, f + 8 * k, N, one, a, N)


@njit(**INNER)
def factorise(F, k, order, sums, work):
    """F <- L U with partial pivoting, its rows in the order of `order`; log |u_ii| are added to `sums`."""
    sizes, _, _, pivots, noise, _, _, _, _ = work
    if len(F) <= TINY:
        eliminate(F, k, order)
        add_logs(F, k, noise, sums)
        return
    sizes[0], sizes[1] = len(F), k
    N = address(sizes)
    dgetrf(N, N + 4, address(F), N, address(pivots), N + 8)
    for i in range(len(F)):
        order[i] = i
    for i in range(k):
        other = pivots[i] - 1
        order[i], order[other] = order[other], order[i]
    add_logs(F, k, noise, sums)


@njit(**INNER)
def eliminate(F, k, order):
    """`factorise` for matrices of which a call of LAPACK costs more than its arithmetic."""
    n = len(F)
    for i in range(n):
        order[i] = i
    for c in range(k):
        column, best = F[c], c
        for i in range(c + 1, n):
            if abs(column[i]) > abs(column[best]):
                best = i
        if best != c:
            order[c], order[best] = order[best], order[c]
            for j in range(k):
                F[j, c], F[j, best] = F[j, best], F[j, c]
        for i in range(c + 1, n):
            column[i] = column[i] / column[c] if column[c] != 0 else 0.0
        for j in range(c + 1, k):
            for i in range(c + 1, n):
                F[j, i] -= F[j, c] * column[i]


@partial(compiled, **ACCURATE)
def advance(F, order, V, begun, J, factors, p, b, begin, end, first, total, sums, work):
    """Carry the frame of member p, orbit b over steps begin ... end - 1 of a chunk; step t is first + t of `total`.

    F (N, N) holds a frame of k = len(V) columns, which is updated with `order`; Jacobians are those of
    `jacobian_columns`. Not yet `begun`, the frame is that of the rows of V. To sums (4, k) log |u_ii| are added by
    quarters of the steps, and at the end of each log |r_ii| of Y = Q R, so that they are the growth of an orthonormal
    frame.
    """
    sizes, letters, constants, _, noise, spare, _, _, _ = work
    n, k, now, after, swapped = len(F), len(V), F, spare, False
    if not begun:
        for i in range(n):
            order[i] = i
    for t in range(begin, end):
        jacobian_columns(order, J, factors, p, b, t, after, work)
        if begun:
            triangle(now, after, k, sizes, letters, constants)
            now, after, swapped = after, now, not swapped
        else:
            multiply(n, k, n, address(after), address(V), address(now), sizes, letters, constants)
            begun = True
        part, following = (first + t) * 4 // total, (first + t + 1) * 4 // total
        factorise(now, k, order, sums[part], work)
        if part < following < 4:
            triangular(now, order, after[:k], noise, work)
            for i in range(k):
                sums[part, i] += noise[i]
                sums[following, i] -= noise[i]
    if swapped:
        for j in range(n):
            column, last = F[j], now[j]
            for i in range(n):
                column[i] = last[i]


@partial(compiled, **ACCURATE)
def orthonormal(F, order, V, logs, work):
    """Write the orthonormal frame of Y = Q R into the rows of V (k, N), add log |r_ii| to `logs`, and return the
    estimated relative error of the worst pivot that is not zero."""
    sizes, _, _, _, noise, _, _, tau, space = work
    k, error = len(V), 0.0
    rounding(F, k, noise)
    for i in range(k):
        size = abs(F[i, i])
        if size > k * noise[i]:
            error = max(error, noise[i] / size)
    triangular(F, order, V, noise, work)
    for i in range(k):
        logs[i] += noise[i]
    N, v, t, w = address(sizes), address(V), address(tau), address(space)
    dorgqr(N, N + 4, N + 4, v, N, t, w, N + 8, N + 12)
    return error


@njit(**INNER)
def triangular(F, order, V, logs, work):
    """Write Y into the rows of V (k, N), factorise Y = Q R in place and write log |r_ii| to `logs`."""
    sizes, _, _, _, _, _, _, tau, space = work
    k, n = V.shape
    for j in range(k):
        for i in range(j):
            V[j, order[i]] = 0.0
        V[j, order[j]] = 1.0
        for i in range(j + 1, n):
            V[j, order[i]] = F[j, i]
    sizes[0], sizes[1], sizes[2] = n, k, len(space)
    N, v, t, w = address(sizes), address(V), address(tau), address(space)
    dgeqrf(N, N + 4, v, N, t, w, N + 8, N + 12)
    for i in range(k):
        logs[i] = math.log(abs(V[i, i]))
