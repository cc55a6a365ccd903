"""Compiled: from observations to states by a read-out, z = P (x - b), and back to the read-out's weights."""

import numba

from lyapsweep.compiled.scalars import INTERNAL, f4


@numba.njit(**INTERNAL)
def pinv(B, P, spare):
    """P (units, features) = B^T (B B^T)^-1 of B (features, units), in double precision.

    `spare` (features, units + 2 features) is overwritten.
    """
    M, N = B.shape
    G = spare[:, : 2 * M]
    for a in range(M):
        for b in range(M):
            G[a, M + b] = 1.0 if a == b else 0.0
        for b in range(a, M):
            s = 0.0
            for n in range(N):
                s += float(B[a, n]) * float(B[b, n])
            G[a, b] = G[b, a] = s
    for a in range(M):
        pivot = 1.0 / G[a, a]
        for c in range(2 * M):
            G[a, c] *= pivot
        for b in range(M):
            if b != a:
                weight = G[b, a]
                for c in range(2 * M):
                    G[b, c] -= weight * G[a, c]
    for n in range(N):
        for f in range(M):
            s = 0.0
            for a in range(M):
                s += float(B[a, n]) * G[a, M + f]
            P[n, f] = s


@numba.njit(**INTERNAL)
def pinv_back(B, P, OP, g, at, spare):
    """g[at:] += dL/dB of P = pinv(B) from OP (features, units) = dL/dP^T (Golub and Pereyra 1973, for B P = 1)."""
    M, N = B.shape
    S, PP, D = spare[:, :M], spare[:, M : 2 * M], spare[:, 2 * M :]
    for a in range(M):
        for b in range(M):
            s = q = 0.0
            for n in range(N):
                s += float(OP[a, n]) * float(P[n, b])
                q += float(P[n, a]) * float(P[n, b])
            S[a, b], PP[a, b] = s, q
    for a in range(M):
        for n in range(N):
            s = float(OP[a, n])
            for b in range(M):
                s -= S[a, b] * float(B[b, n])
            D[a, n] = s
    for a in range(M):
        for n in range(N):
            s = 0.0
            for b in range(M):
                s += PP[a, b] * D[b, n] - S[b, a] * float(P[n, b])
            g[at + a * N + n] += f4(s)
