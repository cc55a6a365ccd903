"""What a JAX user writes to train a population of PLRNNs: vmap over members, scan over time and over updates, jit.

Segments run side by side, as in `rollout.segmented`; the last one is padded and masked. It needs JAX.
"""

import os
from collections.abc import Callable

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import torch

from lyapsweep.config import Config
from lyapsweep.windows import starts


def step(p, z):
    W = p["W"] * (1 - jnp.eye(len(p["A"]), dtype=z.dtype))
    return p["A"] * z + jax.nn.relu(z) @ W.T + p["h"]


def loss(p, x, tau):
    """Mean squared error of windows x (time + 1, batch, features) under sparse forcing."""
    T, batch, features = len(x) - 1, x.shape[1], x.shape[2]
    pieces = -(-T // tau)
    padded = jnp.concatenate([x, jnp.zeros((pieces * tau - T, batch, features), x.dtype)])
    targets = padded[1:].reshape(pieces, tau, batch, features).transpose(1, 0, 2, 3).reshape(tau, -1, features)
    begins = padded[:-1].reshape(pieces, tau, batch, features)[:, 0].reshape(-1, features)
    mask = (jnp.arange(pieces * tau).reshape(pieces, tau) < T).T.repeat(batch, axis=1)[..., None]
    _, z = jax.lax.scan(lambda z, _: (step(p, z),) * 2, begins @ jnp.linalg.pinv(p["B"]).T, None, length=tau)
    return jnp.sum(mask * (z @ p["B"].T - targets) ** 2) / (T * batch * features)


def update(series, tau, length, rate, clip, state, first):
    """One update of one member by Adam."""
    p, m, v, n = state
    x = series[first[None] + jnp.arange(length + 1)[:, None]]
    value, g = jax.value_and_grad(loss)(p, x, tau)
    norm = jnp.sqrt(sum(jnp.sum(a * a) for a in jax.tree.leaves(g)))
    g, n = jax.tree.map(lambda a: a * jnp.minimum(1, clip / norm), g), n + 1
    m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
    v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
    scale, spread = rate / (1 - 0.9**n), 1 - 0.999**n
    p = jax.tree.map(lambda w, a, b: w - scale * a / (jnp.sqrt(b / spread) + 1e-8), p, m, v)
    return (p, m, v, n), value


def population_updates(points: list[Config], series: np.ndarray, updates: int = 16) -> Callable[[], object]:
    """A function that makes so many updates of a population of PLRNNs."""
    first, units, features = points[0], points[0].cell["units"], series.shape[1]
    draw = np.random.default_rng(0)
    shapes = {"A": (units,), "W": (units, units), "h": (units,), "B": (features, units)}
    p = {k: jnp.asarray(draw.normal(0, 0.1, (len(points), *s)), jnp.float32) for k, s in shapes.items()}
    zeros = jax.tree.map(jnp.zeros_like, p)
    one = jax.vmap(
        lambda state, begin: update(
            jnp.asarray(series), first.forcing["interval"], first.windows.steps, 1e-3, 1.0, state, begin
        ),
        in_axes=((0, 0, 0, None), 0),
        out_axes=((0, 0, 0, None), 0),
    )
    many = jax.jit(lambda state, begins: jax.lax.scan(one, state, begins))
    generator, state = torch.Generator().manual_seed(0), (p, zeros, zeros, jnp.asarray(0.0))
    drawn = starts(first.windows, len(series), updates * len(points), generator).numpy()
    begins = drawn.reshape(updates, len(points), -1)

    def run() -> None:
        nonlocal state
        state, values = many(state, begins)
        values.block_until_ready()

    return run
