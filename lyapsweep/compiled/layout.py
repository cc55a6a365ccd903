"""Compiled: where the numbers of one member lie, and the arrays that updates need."""

from typing import NamedTuple

import numba
import numpy as np

from lyapsweep.compiled.scalars import INTERNAL, f4

PLAIN, HOLLOW, ANTISYMMETRIC = 0, 1, 2
LINEAR, AFFINE, IDENTITY, NEUROVIEW = 0, 1, 2, 3


class Layout(NamedTuple):
    """Offsets into a member's vector, which holds its weights and then the constants of its cell.

    Args:
        units: Units of the cell.
        hidden: Columns of the recurrent matrix per part that it reads.
        features: Outputs of the readout.
        inputs: Inputs of the cell.
        weights: Number of weights; what lies beyond is constant.
        matrix: Offset of the recurrent matrix.
        inner: Offset of the matrix from the state to hidden units.
        entry: Offset of the input matrix.
        driven: For each block of rows of the input matrix, the activation that it enters.
        biases: Offset of each activation's bias.
        parameters: Offset and stride along the units of each per-unit parameter, shape (parameters, 2).
        bend: Offset, stride along the units and stride along the terms, shape (parameters, 3).
        terms: Number of terms of `bend`.
        gates: Activations that get a product with the matrix.
        reads: Parts of the state that it reads.
        bends: Whether it reads bent values instead.
        form: PLAIN, HOLLOW or ANTISYMMETRIC.
        gamma: Damping of an antisymmetric matrix.
        readout: LINEAR, AFFINE, IDENTITY or NEUROVIEW.
        B: Offset of the readout's matrix.
        b: Offset of its bias.
    """

    units: int
    hidden: int
    features: int
    inputs: int
    weights: int
    matrix: int
    inner: int
    entry: int
    driven: np.ndarray
    biases: np.ndarray
    parameters: np.ndarray
    bend: np.ndarray
    terms: int
    gates: int
    reads: int
    bends: bool
    form: int
    gamma: float
    readout: int
    B: int
    b: int


class Arrays(NamedTuple):
    """The arrays of an update with L steps of R rows; n = R units, h = R hidden, flat along the last axis. They may be
    longer than that.

    Z: states (parts, (L + 1) n); F: states from which steps start where a forcing changes them, else Z is used;
    A: activations, what the way back keeps, errors of activations (rows, L n); V, U: hidden units and bent values
    (L h); E: dL/dZ; D: the same where a forcing changes states (parts, n); DU: dL/dU of a step (h); DV: dL/dV (L h);
    X: inputs (L R, inputs); Y: answers, then their errors (L R, features); T: targets, classes, w: weights of rows in
    the loss; seen: observations at one step (R, features); S: states of a step, or their errors (n); b, p, q: biases
    and parameters of every row's units, and their gradients gp, gq. W: the recurrent matrix (gates units, reads
    hidden), its transpose WT (a product with it is twice as fast) and its gradient gW; inner: the inner matrix,
    transposed; B and P (units, features) of the readout, OP = dL/dP^T, sums: dL/dz of inferred states, summed;
    spare: of `inverse`; starts and lengths of segments.
    """

    Z: np.ndarray
    F: np.ndarray
    A: np.ndarray
    V: np.ndarray
    U: np.ndarray
    E: np.ndarray
    D: np.ndarray
    DU: np.ndarray
    DV: np.ndarray
    X: np.ndarray
    Y: np.ndarray
    T: np.ndarray
    classes: np.ndarray
    w: np.ndarray
    seen: np.ndarray
    S: np.ndarray
    b: np.ndarray
    p: np.ndarray
    q: np.ndarray
    gp: np.ndarray
    gq: np.ndarray
    W: np.ndarray
    WT: np.ndarray
    inner: np.ndarray
    gW: np.ndarray
    B: np.ndarray
    P: np.ndarray
    OP: np.ndarray
    sums: np.ndarray
    spare: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def allocate(layout: Layout, parts: int, kept: int, rows: int, side: int, steps: int) -> Arrays:
    """The arrays of updates of at most so many rows in all, and side by side, on windows of so many steps."""
    N, H, M = layout.units, layout.hidden, layout.features
    activations, K, Q = len(layout.biases), len(layout.parameters), len(layout.bend)
    hidden, states = rows * H if layout.inner >= 0 else 1, (parts, (rows + side) * N)
    matrix, columns = (layout.gates * N, layout.reads * H), (layout.terms, side * H)
    zeros = lambda *shape: np.zeros(shape, np.float32)  # noqa: E731
    return Arrays(
        Z=zeros(*states),
        F=zeros(*states),
        A=zeros(max(activations, kept), rows * N),
        V=zeros(hidden),
        U=zeros(rows * H if layout.bends else 1),
        E=zeros(*states),
        D=zeros(parts, side * N),
        DU=zeros(side * H),
        DV=zeros(hidden),
        X=zeros(rows, layout.inputs),
        Y=zeros(rows, M),
        T=zeros(rows, M),
        classes=np.zeros(rows, np.int64),
        w=zeros(rows),
        seen=zeros(side, M),
        S=zeros(side * N),
        b=zeros(activations, side * N),
        p=zeros(K, side * N),
        q=zeros(Q, *columns),
        gp=zeros(K, side * N),
        gq=zeros(Q, *columns),
        W=zeros(*matrix),
        WT=zeros(*reversed(matrix)),
        inner=zeros(N, H if layout.inner >= 0 else 0),
        gW=zeros(*matrix),
        B=zeros(M, N),
        P=zeros(N, M),
        OP=zeros(M, N),
        sums=zeros(N),
        spare=np.zeros((M, N + 2 * M)),
        starts=np.zeros(steps, np.int64),
        lengths=np.zeros(steps, np.int64),
    )


@numba.njit(**INTERNAL)
def unpack(layout, x, a, R):
    """Write the weights of a member where an update needs them."""
    W, N, H, rows, columns = a.W, layout.units, layout.hidden, a.W.shape[0], a.W.shape[1]
    for i in range(rows):
        for j in range(columns):
            W[i, j] = x[layout.matrix + i * columns + j]
    if layout.form == HOLLOW:
        for i in range(N):
            W[i, i] = 0
    if layout.form == ANTISYMMETRIC:
        for i in range(N):
            for j in range(N):
                W[i, j] -= x[layout.matrix + j * N + i]
            W[i, i] -= f4(layout.gamma)
    for i in range(rows):
        for j in range(columns):
            a.WT[j, i] = W[i, j]
    for j in range(a.inner.shape[1]):
        for i in range(N):
            a.inner[i, j] = x[layout.inner + j * N + i]
    for f in range(len(layout.biases)):
        for i in range(N):
            a.b[f, i] = x[layout.biases[f] + i]
        repeat(a.b[f], N, R)
    for k in range(len(layout.parameters)):
        for i in range(N):
            a.p[k, i] = x[layout.parameters[k, 0] + layout.parameters[k, 1] * i]
        repeat(a.p[k], N, R)
        clear(a.gp[k], R * N)
    for k in range(len(layout.bend)):
        for t in range(layout.terms):
            for i in range(H):
                a.q[k, t, i] = x[layout.bend[k, 0] + layout.bend[k, 1] * i + layout.bend[k, 2] * t]
            repeat(a.q[k, t], H, R)
            clear(a.gq[k, t], R * H)


@numba.njit(**INTERNAL)
def clear(values, n):
    for i in range(n):
        values[i] = 0


@numba.njit(**INTERNAL)
def repeat(values, n, rows):
    """Copy the first n numbers to the other rows."""
    for r in range(1, rows):
        for i in range(n):
            values[r * n + i] = values[i]


@numba.njit(**INTERNAL)
def fold(values, n, rows):
    """Add all rows of n numbers to the first one."""
    for r in range(1, rows):
        for i in range(n):
            values[i] += values[r * n + i]


@numba.njit(**INTERNAL)
def pack_gradient(layout, g, a, R, L):
    """Collect the gradients of matrix, biases and parameters in a member's order; the others are there already."""
    gW, N, H, rows, columns = a.gW, layout.units, layout.hidden, a.gW.shape[0], a.gW.shape[1]
    for i in range(rows):
        for j in range(columns):
            g[layout.matrix + i * columns + j] += gW[i, j]
    if layout.form == HOLLOW:
        for i in range(N):
            g[layout.matrix + i * (N + 1)] = 0
    if layout.form == ANTISYMMETRIC:
        for i in range(N):
            for j in range(N):
                g[layout.matrix + i * N + j] -= gW[j, i]
    for f in range(len(layout.biases)):
        total = a.b[f]
        sum_blocks(a.A[f], L, total, R * N)
        fold(total, N, R)
        for i in range(N):
            g[layout.biases[f] + i] += total[i]
    for k in range(len(layout.parameters)):
        if layout.parameters[k, 0] < layout.weights:
            fold(a.gp[k], N, R)
            for i in range(N):
                g[layout.parameters[k, 0] + layout.parameters[k, 1] * i] += a.gp[k, i]
    for k in range(len(layout.bend)):
        if layout.bend[k, 0] < layout.weights:
            for t in range(layout.terms):
                fold(a.gq[k, t], H, R)
                for i in range(H):
                    g[layout.bend[k, 0] + layout.bend[k, 1] * i + layout.bend[k, 2] * t] += a.gq[k, t, i]


@numba.njit(**INTERNAL)
def sum_blocks(values, blocks, total, n):
    """total = the sum of so many blocks of n numbers that lie one after the other."""
    clear(total, n)
    for t in range(blocks):
        block = values[t * n : (t + 1) * n]
        for i in range(n):
            total[i] += block[i]
