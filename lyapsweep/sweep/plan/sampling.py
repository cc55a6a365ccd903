"""The distinct points of a sweep, in the order in which they are planned."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from optuna.distributions import IntDistribution

from lyapsweep.config import Config
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.grid import grid_points, select
from lyapsweep.sweep.plan.points import Point
from lyapsweep.sweep.plan.space import sobol_points

TRIES = 50  # draws per requested point, after which a space is taken to be exhausted


def draw(
    sweep: Sweep, n: int | None = None, seed: int = 0, base: Config | None = None, planned: Sequence[Point] = ()
) -> list[Point]:
    """Return the first `n` distinct points of a sweep.

    A grid is enumerated in its order; a space is drawn along a scrambled Sobol sequence. The same sweep and seed give
    the same points, and fewer points are a prefix of more.

    Args:
        sweep: What is varied.
        n: Number of points; None takes all of a grid, and `sweep.trials` of a space.
        seed: Seed of the Sobol sequence.
        base: Config of everything that is not varied; None loads `sweep.base`.
        planned: Points of a space that were planned earlier: they come first, and are not drawn again.

    Returns:
        `n` points, or fewer if the sweep has fewer.

    Raises:
        SweepError: If a point is no valid config, or `sweep.where` selects none.

    Example:
        >>> import lyapsweep, pathlib
        >>> from lyapsweep.sweep import Sweep
        >>> base = pathlib.Path(lyapsweep.__file__).parent.parent / "configs" / "lorenz63.yaml"
        >>> grid = {"training/lr": [1e-3, 1e-2], "seed": [0, 1]}
        >>> [point.params for point in draw(Sweep(base=base, objective="loss", grid=grid), 2)]
        [{'training/lr': 0.001, 'seed': 0}, {'training/lr': 0.001, 'seed': 1}]
    """
    base = base or sweep.config()
    distinct = {point.config.id: point for point in planned}
    if sweep.grid is not None:
        wanted, stream = n, grid_points(sweep, base)
    else:
        wanted = sweep.trials or 1 if n is None else n
        stream = islice(sobol_points(sweep, base, seed), TRIES * wanted)
    for point in select(with_seeds(stream, sweep.seeds), sweep.where):
        if wanted is not None and len(distinct) >= wanted:
            break
        distinct.setdefault(point.config.id, point)
    return list(distinct.values())[:wanted]


def with_seeds(points: Iterable[Point], seeds: int) -> Iterator[Point]:
    """Each point with `seeds` seeds, counted up from its own."""
    for point in points:
        if seeds > 1 and "seed" in point.params:
            raise SweepError(f"seeds={seeds}: the space or grid varies the seed too. Leave one of the two out.")
        first = point.config.seed
        yield from (with_seed(point, s, first, seeds) for s in range(first, first + seeds)) if seeds > 1 else [point]


def with_seed(point: Point, seed: int, first: int, seeds: int) -> Point:
    """The point with one of the seeds first ... first + seeds - 1, as a further Optuna parameter."""
    return replace(
        point,
        config=point.config.changed({"seed": seed}),
        params={**point.params, "seed": seed},
        distributions={**point.distributions, "seed": IntDistribution(first, first + seeds - 1)},
    )
