"""Where packs come from: planned beforehand, round by round along a border, or chosen by Optuna's sampler."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna import Trial

from lyapsweep.config import Config
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.execute.planning import SweepPlan
from lyapsweep.sweep.plan.definition import Sweep
from lyapsweep.sweep.plan.packing import packs, shared_params
from lyapsweep.sweep.plan.points import Point, match_recorded
from lyapsweep.sweep.plan.refinement import Refinement
from lyapsweep.sweep.plan.sampling import TRIES
from lyapsweep.sweep.plan.space import evaluate_space


@dataclass(frozen=True)
class PackSupply:
    """Packs of at most `size` members on `device`, whose trials are added to `study` when they are needed.

    Attributes:
        ended: Keys of trials that need no more training.
        failed: Keys of trials that an error ended.
        in_order: Whether planned packs come in the order of their points, not the longest work first.
    """

    study: OptunaStudy
    size: int
    device: str
    ended: Collection[str] = ()
    failed: Collection[str] = ()
    in_order: bool = False

    def remaining(
        self,
        planned: SweepPlan,
        slots: int,
        lost: Sequence[Mapping[str, Any]] = (),
        on_round: Callable[[int], None] = lambda requested: None,
    ) -> Iterator[list[Point]]:
        """The packs that remain of a sweep; `slots`, `lost` and `on_round` as in `refined` and `hunted`."""
        if planned.refinement:
            return self.refined(planned.refinement, slots, on_round)
        if planned.sweep.intent == "map":
            return self.planned(planned.parts)
        return self.hunted(planned.sweep, planned.base, planned.remaining, lost, planned.records)

    def planned(self, parts: Sequence[Sequence[Point]], size: int | None = None) -> Iterator[list[Point]]:
        """Packs of points that are known beforehand, part by part.

        Results depend bitwise on the composition of a pack, so a pack is resumed whole if a member has not ended.
        Members that failed are trained again by themselves.
        """
        for points in parts:
            for pack in packs(points, size or self.size, self.device, in_order=self.in_order):
                remaining = [point for point in pack if point.key not in self.ended]
                for point in remaining:
                    self.study.add(point)
                if remaining:
                    yield remaining if all(point.key in self.failed for point in remaining) else pack

    def refined(self, refinement: Refinement, slots: int, on_round: Callable[[int], None]) -> Iterator[list[Point]]:
        """Packs of every round of a refinement, small enough that none of `slots` is idle.

        Yields empty packs while the next round depends on trials that still train; calls `on_round` with the number
        of points requested so far.
        """
        results = self.study.results
        for points in refinement.rounds(results):
            on_round(refinement.requested)
            yield from self.planned([points], min(self.size, math.ceil(len(points) / max(slots, 1))))
            while any(point.key not in results for point in points):
                yield []

    def hunted(
        self,
        sweep: Sweep,
        base: Config,
        wanted: int,
        lost: Sequence[Mapping[str, Any]] = (),
        recorded: Collection[str] = (),
    ) -> Iterator[list[Point]]:
        """Packs of `wanted` distinct points that the sampler chooses, after those whose parameters were `lost`.

        The sampler chooses the first member of a pack freely, and of the others what members of a pack may differ in.
        Points that cannot share a pack form several. Ends early if the sampler finds no new point.
        """

        def make(trial: Trial) -> Point:
            return match_recorded([evaluate_space(sweep, base, trial)], recorded)[0]

        queue, seen = list(lost), set(self.study.results)
        while wanted > 0:
            new, shared = list[Point](), dict[str, Any]()
            for _ in range(TRIES * self.size):
                if len(new) == min(self.size, wanted):
                    break
                if queue:
                    self.study.study.enqueue_trial(dict(queue.pop(0)))
                elif shared and not self.study.waiting:
                    self.study.study.enqueue_trial(shared)
                point = self.study.ask(make)
                if point.key in seen:
                    shared = {}  # there may be no further point of this shape
                else:
                    seen.add(point.key)
                    new.append(point)
                    shared = shared_params(new[0], self.device)
            if not new:
                return
            wanted -= len(new)
            yield from packs(new, self.size, self.device)
