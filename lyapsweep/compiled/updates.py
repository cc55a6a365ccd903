"""Compiled: whole updates of one member; the passes through time are a cell's own, and are called by address."""

import math

import numba

from lyapsweep.compiled.batches import (
    CROSS_ENTROPY,
    cross_entropy,
    gather_inputs,
    gather_targets,
    segment_lengths,
    segment_starts,
    squared_error,
)
from lyapsweep.compiled.blas import add_outer, address, times, times_transposed
from lyapsweep.compiled.calling import run_backward, run_forward
from lyapsweep.compiled.descent import clip_gradient, move, norm_of, penalise
from lyapsweep.compiled.inverse import pinv, pinv_back
from lyapsweep.compiled.layout import AFFINE, IDENTITY, NEUROVIEW, clear, pack_gradient, unpack
from lyapsweep.compiled.passes import add_inferred, remove_bias
from lyapsweep.compiled.scalars import INTERNAL, f4


@numba.njit(**INTERNAL)
def enter(call, layout, x, a, rows):
    """The inputs' part of all activations; activations without a product need it even without inputs."""
    inputs, N = layout.inputs, layout.units
    for f in range(0 if inputs else layout.gates, len(layout.biases)):
        clear(a.A[f], rows * N)
    if inputs:
        for j in range(len(layout.driven)):
            U, to = address(x) + 4 * (layout.entry + j * N * inputs), address(a.A) + 4 * layout.driven[j] * a.A.shape[1]
            times_transposed(call, rows, address(a.X), inputs, inputs, U, inputs, N, to, N, 0)


@numba.njit(**INTERNAL)
def prepare_readout(layout, x, a):
    """B and P of the readout: y = B z (+ b), z = P (y - b)."""
    N, M = layout.units, layout.features
    for f in range(M):
        for i in range(N):
            a.OP[f, i] = 0
            if layout.readout == IDENTITY:
                a.B[f, i] = 1 if f == i else 0
                a.P[i, f] = a.B[f, i] if i < M else x[layout.B + (i - M) * M + f]
            elif layout.readout != NEUROVIEW:
                a.B[f, i] = x[layout.B + f * N + i]
    for i in range(N):
        a.sums[i] = 0


@numba.njit(**INTERNAL)
def start(call, layout, x, a, data, first, starts, pull, R, changed):
    """The states of block 0: inferred from the data, or zero."""
    N, M, n = layout.units, layout.features, R * layout.units
    for s in range(len(a.Z)):
        clear(a.Z[s], n)
    if pull != 0:
        if layout.readout != IDENTITY:
            pinv(a.B, a.P, a.spare)
        for row in range(R):
            for f in range(M):
                a.seen[row, f] = data.targets[0, first[row % len(first)] + starts[row // len(first)], f]
        remove_bias(layout, x, a, R)
        times_transposed(call, R, address(a.seen), M, M, address(a.P), M, N, address(a.Z), N, 0)
        for i in range(n):
            a.Z[0, i] *= pull
    if changed:
        for s in range(len(a.Z)):
            for i in range(n):
                a.F[s, i] = a.Z[s, i]


@numba.njit(**INTERNAL)
def start_back(call, layout, x, a, g, data, first, starts, pull, R):
    """What the inferred states of block 0 give to the gradient of the readout's weights, with those of later steps."""
    N, M, n = layout.units, layout.features, R * layout.units
    for row in range(R):
        for f in range(M):
            a.seen[row, f] = data.targets[0, first[row % len(first)] + starts[row // len(first)], f]
    remove_bias(layout, x, a, R)
    for i in range(n):
        a.S[i] = pull * a.E[0, i]
    add_inferred(call, layout, a, R)
    if layout.readout == IDENTITY:
        for i in range(M, N):
            for f in range(M):
                g[layout.B + (i - M) * M + f] += a.OP[f, i]
        return
    pinv_back(a.B, a.P, a.OP, g, layout.B, a.spare)
    if layout.readout == AFFINE:
        for f in range(M):
            for i in range(N):
                g[layout.b + f] -= a.P[i, f] * a.sums[i]


@numba.njit(**INTERNAL)
def answer(call, layout, x, a, block, rows, R, L):
    """Y (rows, features): the answers to the states from a block on, or to all of them at once."""
    N, M = layout.units, layout.features
    Z, Y = address(a.Z) + 4 * block * R * N, address(a.Y)
    if layout.readout == NEUROVIEW:
        for t in range(L):
            V, seen = address(x) + 4 * (layout.B + t * N), address(a.Z) + 4 * (t + 1) * R * N
            times_transposed(call, R, seen, N, N, V, L * N, M, Y, M, 1 if t else 0)
    else:
        times_transposed(call, rows, Z, N, N, address(a.B), N, M, Y, M, 0)
    if layout.readout == AFFINE or layout.readout == NEUROVIEW:
        for r in range(rows):
            for f in range(M):
                a.Y[r, f] += x[layout.b + f]


@numba.njit(**INTERNAL)
def answer_back(call, layout, x, a, g, block, rows, R, L):
    """E from the errors Y of answers, and the gradient of the readout's weights."""
    N, M = layout.units, layout.features
    n, Z, E, Y, gB = R * N, address(a.Z), address(a.E), address(a.Y), address(g) + 4 * layout.B
    neuroview = layout.readout == NEUROVIEW
    for s in range(len(a.E)):
        clear(a.E[s], (L + 1 if s or neuroview else block) * n)
    if neuroview:
        for t in range(L):
            o = 4 * (t + 1) * n
            times(call, R, Y, M, M, address(x) + 4 * (layout.B + t * N), L * N, N, E + o, N, 0)
            add_outer(call, R, Y, M, M, Z + o, N, N, gB + 4 * t * N, L * N)
    else:
        o = 4 * block * n
        times(call, rows, Y, M, M, address(a.B), N, N, E + o, N, 0)
        if layout.readout != IDENTITY:
            add_outer(call, rows, Y, M, M, Z + o, N, N, gB, N)
    if layout.readout == AFFINE or layout.readout == NEUROVIEW:
        for r in range(rows):
            for f in range(M):
                g[layout.b + f] += a.Y[r, f]


@numba.njit(**INTERNAL)
def weight_products(call, layout, a, g, L, R, changed):
    """Gradients of the matrices, each as one product over all rows."""
    N, H, inputs, rows, columns = layout.units, layout.hidden, layout.inputs, L * R, a.W.shape[1]
    states = a.F if changed else a.Z
    gW, A, F, across = address(a.gW), address(a.A), address(states), 4 * a.A.shape[1]
    for i in range(len(a.gW)):
        clear(a.gW[i], columns)
    for j in range(layout.gates):
        for c in range(layout.reads):
            read = address(a.U) if layout.bends else F + 4 * c * states.shape[1]
            add_outer(call, rows, A + j * across, N, N, read, H, H, gW + 4 * (j * N * columns + c * H), columns)
    if layout.inner >= 0:
        add_outer(call, rows, address(a.DV), H, H, F, N, N, address(g) + 4 * layout.inner, N)
    if inputs:
        for j in range(len(layout.driven)):
            to = address(g) + 4 * (layout.entry + j * N * inputs)
            add_outer(call, rows, A + layout.driven[j] * across, N, N, address(a.X), inputs, inputs, to, inputs)


@numba.njit(**INTERNAL)
def loss_and_gradient(call, passes, layout, data, x, g, a, first, starts, L, pull, ends, changed):
    """The loss of one update, and its gradient in g."""
    R = len(starts) * len(first)
    block, rows = (L, R) if data.last else (1, L * R)
    unpack(layout, x, a, R)
    prepare_readout(layout, x, a)
    gather_targets(data, first, starts, a.lengths, L, a.T, a.classes, a.w)
    if layout.inputs:
        gather_inputs(data, first, starts, L, a.X)
    start(call, layout, x, a, data, first, starts, f4(pull[0]), R, changed)
    enter(call, layout, x, a, L * R)
    run_forward(passes[0], call, layout, x, a, pull, L, R, changed)
    answer(call, layout, x, a, block, rows, R, L)
    crossed = data.loss == CROSS_ENTROPY
    loss = cross_entropy(a.Y, a.classes, a.w, rows) if crossed else squared_error(a.Y, a.T, a.w, rows)
    clear(g, len(g))
    answer_back(call, layout, x, a, g, block, rows, R, L)
    run_backward(passes[1], call, layout, x, a, pull, ends, L, R, changed)
    weight_products(call, layout, a, g, L, R, changed)
    pack_gradient(layout, g, a, R, L)
    if pull[0] != 0:
        start_back(call, layout, x, a, g, data, first, starts, f4(pull[0]), R)
    return loss


def train(call, passes, layout, data, rule, x, g, m, v, a, step, first, pulls, ends, whole, losses, norms):
    """Updates of one member, one per row of `first`, from update `step` on.

    Args:
        call: `blas.call_arguments`.
        passes: Addresses of the cell's forward and backward pass.
        x: Its weights, then the constants of its cell; moved in place, as m and v. g has the same length.
        a: Arrays that are large enough.
        pulls: Forcing strengths of every update, or of all in one row.
        ends: Steps at which the gradient ends.
        whole: Whether a forcing replaces whole states.

    Returns:
        The row at which loss or gradient were not finite, with the weights before it; the number of rows otherwise.
    """
    theta, of_weights = x[: layout.weights], g[: layout.weights]
    for k in range(len(first)):
        pull = pulls[k % len(pulls)]
        starts, changed = segment_starts(pull, ends, whole, a.starts)
        L = segment_lengths(starts, data.steps, a.lengths)
        loss = loss_and_gradient(call, passes, layout, data, x, g, a, first[k], starts, L, pull, ends, changed)
        if rule.penalised:
            penalise(of_weights, theta, rule.pull, rule.anchor)
        norm = norm_of(of_weights)
        losses[k], norms[k] = loss, norm
        if not losses[k] + norms[k] < math.inf:
            return k
        clip_gradient(of_weights, norm, rule.clip, rule.clip_value)
        move(theta, of_weights, m, v, rule, step + k)
    return len(first)
