"""kappa: how fast products of a map's Jacobians grow along data, the number that adaptive forcing holds against.

With Jacobians J_t at the states that the data infer, kappa stands for ||J_T ... J_1||^(1/T) and is, of all windows of a
batch, the largest (Hess et al. 2023, data-based). States are (time, population, batch, state), as are the inputs that
drive the steps from them, where any do.
"""

from collections.abc import Callable, Iterator
from itertools import repeat

import torch
from jaxtyping import Float
from torch import Tensor

from lyapsweep.maps import AbstractMap

Growth = Float[Tensor, " population"]
Path = Float[Tensor, "time population batch state"]
Driving = Float[Tensor, "time #population batch inputs"]
MEMORY = 2**22  # numbers of Jacobians held at a time


def arithmetic_mean(map: AbstractMap, z: Path, x: Driving | None = None) -> Growth:
    """kappa = max over windows of ||(1/T) sum_t J_t||_2."""
    mean = sum(J.sum(0) for J in jacobians(map, z, x)) / len(z)
    return norm(mean).amax(1)  # type: ignore[arg-type]


def geometric_mean(map: AbstractMap, z: Path, x: Driving | None = None) -> Growth:
    """kappa = max over windows of exp((1/T) sum_t log ||J_t||_2): never less than the product's own growth."""
    logs = sum(norm(J).log().sum(0) for J in jacobians(map, z, x)) / len(z)
    return torch.exp(logs).amax(1)  # type: ignore[arg-type]


def norm(J: Float[Tensor, "*many state state"]) -> Float[Tensor, "*many"]:
    """The largest singular value of each matrix, NaN where an entry is not finite (LAPACK would refuse them all)."""
    fine = J.isfinite().all(-1).all(-1)
    sizes = torch.linalg.matrix_norm(torch.where(fine[..., None, None], J, 0.0), 2)
    return torch.where(fine, sizes, torch.nan)


def jacobians(
    map: AbstractMap, z: Path, x: Driving | None
) -> Iterator[Float[Tensor, "some population batch state state"]]:
    """Df at every state, some steps at a time."""
    _, population, batch, state = z.shape
    some = max(1, MEMORY // (population * batch * state**2))
    rows = lambda values: values.transpose(0, 1).flatten(1, 2)  # noqa: E731
    for part, driven in zip(z.split(some), repeat(None) if x is None else x.split(some)):
        J = map.jacobian(rows(part), None if driven is None else rows(driven))
        yield J.unflatten(1, (len(part), batch)).transpose(0, 1)


PROXIES: dict[str, Callable[[AbstractMap, Path, Driving | None], Growth]] = {
    "arithmetic_mean": arithmetic_mean,
    "geometric_mean": geometric_mean,
}
