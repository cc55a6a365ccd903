"""kappa: the growth rate of products of a map's Jacobians along data, which adaptive forcing counteracts.

With Jacobians J_t at states inferred from the data, kappa approximates ||J_T ... J_1||^(1/T); the largest value over
the windows of a batch is taken (Hess et al. 2023, data-based). States are (time, population, batch, state);
inputs that drive the steps from them, if there are any, are (time, population, batch, inputs).
"""

from collections.abc import Callable, Iterator
from itertools import repeat

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.batched_linalg import spectral_norms
from lyapsweep.maps import AbstractMap, at_every_step

Growth = Float[Tensor, " population"]
Path = Float[Tensor, "time population batch state"]
Driving = Float[Tensor, "time #population batch inputs"]
MEMORY = 2**22  # entries of the Jacobians held at a time


def arithmetic_mean(map: AbstractMap, z: Path, x: Driving | None = None) -> Growth:
    """kappa = max over windows of ||(1/T) sum_t J_t||_2."""
    mean = sum(J.sum(0) for J in jacobians(map, z, x)) / len(z)
    return norm(mean).amax(1)  # type: ignore[arg-type]


def geometric_mean(map: AbstractMap, z: Path, x: Driving | None = None) -> Growth:
    """kappa = max over windows of exp((1/T) sum_t log ||J_t||_2): never less than the product's own growth."""
    logs = sum(norm(J).log().sum(0) for J in jacobians(map, z, x)) / len(z)
    return torch.exp(logs).amax(1)  # type: ignore[arg-type]


def norm(J: Float[Tensor, "*many state state"]) -> Float[Tensor, "*many"]:
    """The largest singular value of each matrix; NaN for a matrix with an entry that is not finite."""
    finite = J.isfinite().all(-1).all(-1)  # LAPACK refuses a whole batch with one entry that is not finite
    J = torch.where(finite[..., None, None], J, 0.0)
    return torch.where(finite, spectral_norms(J) if J.is_cuda else torch.linalg.matrix_norm(J, 2), torch.nan)


def jacobians(
    map: AbstractMap, z: Path, x: Driving | None
) -> Iterator[Float[Tensor, "some population batch state state"]]:
    """Jacobians at every state, in chunks of steps."""
    _, population, batch, state = z.shape
    chunk = max(1, MEMORY // (population * batch * state**2))
    for part, driven in zip(z.split(chunk), repeat(None) if x is None else x.split(chunk)):
        yield at_every_step(map.jacobian, part, driven)


PROXIES: dict[str, Callable[[AbstractMap, Path, Driving | None], Growth]] = {
    "arithmetic_mean": arithmetic_mean,
    "geometric_mean": geometric_mean,
}
