"""Lyapunov spectra by other methods: single precision, a dense Jacobian and torch.linalg.qr at every step.

`jacrev`: the Jacobian by torch.func.jacrev, vectorised over the batch; the most common way today.
`autograd`: the Jacobian by torch.autograd.functional.jacobian, one orbit; the common way before.
`formulas`: the method of the published code of Vogt et al. 2022, written from the equations: the state by torch's
module, one step per call; the Jacobian from diag_embed matrices and dense products (1 for the tanh network, 7 for the
LSTM, 9 for the GRU: with the rest about 11, 23 and 27 N^3 operations per step); Z = J^T Q, QR, signs by two more dense
products, logarithms to base 2. The order J^T Q is that code's, and so is an LSTM of N exponents, those of dh'/dh only:
its numbers are not the exponents. It has no PLRNN; the one here follows its style.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, tanh
from torch.func import jacrev, vmap

from lyapsweep.cells import AbstractCell

Weights = dict[str, Tensor]
Step = Callable[[Tensor, Tensor], Tensor]
Exponents = Tensor
"""(batch, k), nats per step."""


def weights(cell: AbstractCell, dtype: torch.dtype = torch.float32) -> Weights:
    """The weights of a population's first member."""
    return {name: w[0].detach().to(dtype) for name, w in cell.named_parameters()}


def vanilla(w: Weights, h: Tensor, x: Tensor) -> Tensor:
    return tanh(h @ w["W"].T + x @ w["U"].T + w["b"])


def lstm(w: Weights, state: Tensor, x: Tensor) -> Tensor:
    h, c = state.chunk(2, dim=-1)
    i, f, g, o = (h @ w["W"].T + x @ w["U"].T + w["b"]).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * tanh(g)
    return torch.cat((o.sigmoid() * tanh(c), c), dim=-1)


def gru(w: Weights, h: Tensor, x: Tensor) -> Tensor:
    _, z, n, _ = gru_gates(w, h, x)
    return (1 - z) * n + z * h


def gru_gates(w: Weights, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    (a_r, a_z, a_n), (u_r, u_z, u_n) = (h @ w["W"].T + w["b"]).chunk(3, dim=-1), (x @ w["U"].T).chunk(3, dim=-1)
    r, z = (a_r + u_r).sigmoid(), (a_z + u_z).sigmoid()
    return r, z, tanh(r * a_n + u_n + w["d"]), a_n


def plrnn(w: Weights, z: Tensor, x: Tensor) -> Tensor:
    off_diagonal = w["W"] - torch.diag(w["W"].diagonal())
    return w["A"] * z + torch.relu(z) @ off_diagonal.T + w["h"] + x @ w["C"].T


def vanilla_jacobian(w: Weights, h: Tensor, x: Tensor) -> Tensor:
    return torch.diag_embed(1 - vanilla(w, h, x) ** 2) @ w["W"]


def lstm_jacobian(w: Weights, state: Tensor, x: Tensor) -> Tensor:
    """dh'/dh with c held."""
    n = len(w["W"]) // 4
    h, c = state.chunk(2, dim=-1)
    i, f, g, o = (h @ w["W"].T + x @ w["U"].T + w["b"]).chunk(4, dim=-1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), tanh(g), o.sigmoid()
    t = tanh(f * c + i * g)
    slopes = torch.diag_embed(torch.cat((i * (1 - i), f * (1 - f), 1 - g**2, o * (1 - o)), dim=-1))
    di, df, dg, do = (slopes[:, k : k + n, k : k + n] @ w["W"][k : k + n] for k in range(0, 4 * n, n))
    dc = torch.diag_embed(c) @ df + torch.diag_embed(g) @ di + torch.diag_embed(i) @ dg
    return (o * (1 - t**2)).unsqueeze(-1) * dc + t.unsqueeze(-1) * do


def gru_jacobian(w: Weights, h: Tensor, x: Tensor) -> Tensor:
    W_r, W_z, W_n = w["W"].chunk(3)
    r, z, n, a = gru_gates(w, h, x)
    dr, dz = torch.diag_embed(r * (1 - r)) @ W_r, torch.diag_embed(z * (1 - z)) @ W_z
    dn = torch.diag_embed(1 - n**2) @ (torch.diag_embed(r) @ W_n + torch.diag_embed(a) @ dr)
    one = torch.eye(len(W_r), device=h.device)
    kept = torch.diag_embed(h) @ dz + torch.diag_embed(z) @ one
    return torch.diag_embed(1 - z) @ dn - torch.diag_embed(n) @ dz + kept


def plrnn_jacobian(w: Weights, z: Tensor, x: Tensor) -> Tensor:
    off_diagonal = w["W"] - torch.diag(w["W"].diagonal())
    return torch.diag_embed(w["A"]) + off_diagonal @ torch.diag_embed((z > 0).float())


STEPS: dict[str, Callable[[Weights, Tensor, Tensor], Tensor]] = {
    "vanilla": vanilla,
    "lstm": lstm,
    "gru": gru,
    "plrnn": plrnn,
}
JACOBIANS = {"vanilla": vanilla_jacobian, "lstm": lstm_jacobian, "gru": gru_jacobian, "plrnn": plrnn_jacobian}


def module(kind: str, w: Weights) -> Step:
    """Return (state, x) -> state by torch's module, called for one step; not available for a PLRNN."""
    if kind == "plrnn":
        return lambda z, x: plrnn(w, z, x)
    kinds = {"vanilla": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    made = kinds[kind](w["U"].shape[1], w["W"].shape[1]).to(w["W"].device)
    outside = (
        torch.cat((torch.zeros_like(w["b"])[len(w["d"]) :], w["d"])) if kind == "gru" else torch.zeros_like(w["b"])
    )
    made.load_state_dict({"weight_ih_l0": w["U"], "weight_hh_l0": w["W"], "bias_hh_l0": w["b"], "bias_ih_l0": outside})
    if kind != "lstm":
        return lambda h, x: made(x.unsqueeze(0), h.unsqueeze(0).contiguous())[1][0]

    def step(state: Tensor, x: Tensor) -> Tensor:
        h, c = (part.unsqueeze(0).contiguous() for part in state.chunk(2, dim=-1))
        return torch.cat(made(x.unsqueeze(0), (h, c))[1], dim=-1)[0]

    return step


def by_jacrev(kind: str, w: Weights, z: Tensor, inputs: Tensor, Q: Tensor) -> Exponents:
    """z (batch, state), inputs (time, batch, inputs), Q (batch, state, k) orthonormal."""
    step = lambda z, x: STEPS[kind](w, z, x)  # noqa: E731
    jacobian, total = vmap(jacrev(step)), torch.zeros_like(Q[:, 0])
    for x in inputs:
        J, z = jacobian(z, x), step(z, x)
        Q, R = torch.linalg.qr(J @ Q)
        total = total + R.diagonal(dim1=-2, dim2=-1).abs().log()
    return total / len(inputs)


def by_autograd(kind: str, w: Weights, z: Tensor, inputs: Tensor, Q: Tensor) -> Exponents:
    """One orbit: a batch of one."""
    z, Q, total = z[0], Q[0], torch.zeros_like(Q[0, 0])
    for (x,) in inputs:
        step = lambda z, x=x: STEPS[kind](w, z, x)  # noqa: E731
        J, z = torch.autograd.functional.jacobian(step, z), step(z)
        Q, R = torch.linalg.qr(J @ Q)
        total = total + R.diagonal().abs().log()
    return (total / len(inputs)).unsqueeze(0)


@torch.no_grad()
def by_formulas(kind: str, w: Weights, z: Tensor, inputs: Tensor, Q: Tensor) -> Exponents:
    """Q is cut to the N x N of an LSTM's h."""
    units, step = w["W"].shape[1], module(kind, w)
    Q, total = Q[:, :units, :units], torch.zeros_like(Q[:, 0, :units])
    for x in inputs:
        J, z = JACOBIANS[kind](w, z, x), step(z, x)
        Q, R = torch.linalg.qr(J.mT @ Q)
        signs = torch.diag_embed(R.diagonal(dim1=-2, dim2=-1).sign())
        Q, R = Q @ signs, signs @ R
        total = total + R.diagonal(dim1=-2, dim2=-1).log2()
    return total / len(inputs) * math.log(2)


PEERS = {"jacrev": by_jacrev, "autograd": by_autograd, "formulas": by_formulas}
