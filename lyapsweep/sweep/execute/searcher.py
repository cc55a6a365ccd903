"""Ray's search algorithm: hands out one pack per suggestion, and resubmits lost packs."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from lyapsweep.sweep.execute.budget import BudgetMeter
from lyapsweep.sweep.execute.failures import RETRIES, PackFailure, writing
from lyapsweep.sweep.execute.halving import SuccessiveHalving
from lyapsweep.sweep.execute.pack import PackSettings, PackSpec
from lyapsweep.sweep.execute.promotion import PromotionQueue
from lyapsweep.sweep.plan.packing import split_evenly
from lyapsweep.sweep.plan.points import Point
from lyapsweep.training.checkpoint import SavedState, name


class PackSearcher(Searcher):
    """Suggest packs to Ray, at most `capacity()` at a time.

    `TuneCallback` follows a pack member by member and calls `release` when it is over, `resubmit` when it was lost.
    Ray's own retries are not used: they forget a pack whose worker is lost between two packs. Nothing is saved for Ray
    to restore: a resumed sweep is planned anew from its records.

    Args:
        supply: Yields packs; an empty one while the next packs depend on trials that still train.
        settings: What all packs share.
        capacity: How many packs can train at a time now.
        ended: Whether the trial with this key has ended.
        size: Members of a pack.
        halving: Stops packs at rungs, where members are compared; None trains packs to their end.
        meter: Says how many fresh points the budget allows to start.
        states: Checkpoints of a hunt's members that an earlier run left unfinished, by their key.
        then: Called once when no pack is left and none trains: sets what follows, and returns its packs.
    """

    def __init__(
        self,
        supply: Iterator[list[Point]],
        settings: PackSettings,
        capacity: Callable[[], int],
        ended: Callable[[str], bool] = lambda key: False,
        size: int = 1,
        halving: SuccessiveHalving | None = None,
        meter: BudgetMeter | None = None,
        states: Mapping[str, SavedState] | None = None,
        then: "Callable[[PackSearcher], Iterator[list[Point]]] | None" = None,
    ):
        super().__init__()
        self.supply, self.settings, self.capacity, self.ended = supply, settings, capacity, ended
        self.meter, self.held, self.then = meter or BudgetMeter(None), list[Point](), then
        self.halving, self.promoted = halving, PromotionQueue(size, settings.device, states or {})
        self.packs: dict[int, list[Point]] = {}
        self.parents: dict[int, list[str]] = {}  # checkpoints of the packs that a pack is a part of, the nearest first
        self.files: dict[int, set[str]] = {}  # checkpoints of a pack: its own, and those that it began from
        self.starts: dict[int, int] = {}  # updates that the members of a pack have made before
        self.stops: dict[int, int | None] = {}  # the rung at which a pack ends; None if it trains to its end
        self.training: set[int] = set()
        self.waiting: list[int] = []
        self.losses: Counter[int] = Counter()  # of a pack since it last advanced
        self.steps: Counter[int] = Counter()  # the latest step that a pack reported
        self.limits: dict[str, int] = {}  # shape -> members that memory suffices for
        self.limited: set[int] = set()  # packs that were too large for memory

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next pack as a Ray config; None while there is no capacity or no pack yet."""
        if len(self.training) >= self.capacity():
            return None
        if not self.waiting and not self.add_packs() and (self.training or not self.go_on()):
            return None if self.training else self.FINISHED  # a pack in training may yet be resubmitted
        number = self.waiting.pop(0)
        self.training.add(number)
        points = self.packs[number]
        keys = [point.key for point in points]
        ended = [key for key in keys if self.ended(key)]
        configs = [point.config for point in points]
        parents, interrupted = self.parents[number], not self.promoted.interrupted.isdisjoint(keys)
        start = 0 if interrupted else self.starts[number]  # resuming there is as planned
        return PackSpec(number, configs, keys, ended, parents, self.settings, start, self.stops[number]).to_dict()

    def add_packs(self) -> bool:
        """Queue the next pack, split to the size that memory suffices for; False if there is none.

        Members that passed a rung come first where they fill a pack, and last where the supply has ended.
        """
        pack = self.promoted.take() or self.fresh() or self.promoted.take(fewest=1)
        if not pack:
            return False
        limit = self.limits.get(pack[0].config.shape, len(pack))
        for same in self.promoted.by_step(pack):
            self.waiting += [self.add(part, pack) for part in split_evenly(same, limit)]
        return True

    def go_on(self) -> bool:
        """Begin what follows the search; False if there is nothing."""
        if self.then is None:
            return False
        self.supply, self.then, self.held = self.then(self), None, []
        return self.add_packs()

    def fresh(self) -> list[Point]:
        """The next pack of the supply, as far as the budget allows."""
        if not self.held:
            with writing("The Optuna journal"):
                self.held = next(self.supply, None) or []
        admitted = self.meter.admit(self.held)
        pack, self.held = self.held[:admitted], self.held[admitted:]
        return pack

    def add(self, pack: list[Point], whole: list[Point], parents: Sequence[str] = ()) -> int:
        """Number a pack that is `whole` or a part of it."""
        number, states = len(self.packs), self.promoted.states
        self.packs[number] = pack
        before = [states[point.key] for point in pack if point.key in states]
        sources, start = [state.file for state in before], before[0].step if before else 0
        names = [*([checkpoint_name(whole)] if pack != whole else []), *parents, *sources]
        self.parents[number], self.files[number] = list(dict.fromkeys(names)), {checkpoint_name(pack), *sources}
        self.starts[number], self.stops[number] = start, None
        if self.halving:
            self.stops[number] = self.halving.next_rung(pack[0].config.training, start)
        return number

    def promote(self, number: int, points: Sequence[Point], step: int, file: str) -> None:
        """Members of a pack passed the rung at `step`, where a checkpoint `file` holds them: they train on later."""
        self.promoted.add(points, step, file)
        self.packs[number] = [point for point in self.packs[number] if point not in points]

    def release(self, number: int) -> None:
        """The pack no longer trains."""
        self.training.discard(number)

    def obsolete(self, number: int) -> set[str]:
        """Checkpoints of a pack that nobody resumes from any more."""
        states = self.promoted.states
        return self.files[number] - {state.file for key, state in states.items() if not self.ended(key)}

    def advance(self, number: int, step: int) -> None:
        """Note a report. A pack that advances was not the cause of earlier losses."""
        if step > self.steps[number]:
            self.steps[number], self.losses[number] = step, 0

    def limit_size(self, number: int, fitting: int) -> None:
        """Split later packs of this pack's shape to `fitting` members, since memory did not suffice for it.

        Only the first call for a pack counts: later ones may stem from one member that no memory suffices for.
        """
        if number not in self.limited:
            self.limited.add(number)
            shape = self.packs[number][0].config.shape
            self.limits[shape] = min(fitting, self.limits.get(shape, fitting))

    def resubmit(self, number: int, remaining: list[Point], failure: PackFailure) -> list[Point]:
        """Queue a lost pack again; return the members that are given up.

        A lost worker is most often a machine's fault: the whole pack is queued up to RETRIES times, counted anew after
        it has advanced. After that, and at once where memory or time ran out, it is queued in halves, until the member
        at fault is alone. All resume from the pack's checkpoint, if there is one.
        """
        self.release(number)
        self.losses[number] += 1
        retry = failure is PackFailure.WORKER and self.losses[number] <= RETRIES
        if not retry and len(remaining) == 1:
            return remaining
        if failure is PackFailure.MEMORY:
            self.limit_size(number, math.ceil(len(remaining) / 2))
        whole = self.packs[number]
        for part in [whole] if retry else split_evenly(remaining, math.ceil(len(remaining) / 2)):
            new = self.add(part, whole, self.parents[number])
            self.losses[new], self.steps[new] = self.losses[number], self.steps[number]
            self.waiting.append(new)
        return []

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict, **spec: Any) -> bool:
        return True

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        open(checkpoint_path, "wb").close()

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError(
            "PackSearcher: Ray's snapshots cannot be restored. Resume the sweep from its records."
        )

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles its search algorithm for the snapshots that nobody restores


def checkpoint_name(pack: Sequence[Point]) -> str:
    """The name of a pack's checkpoint file."""
    return name([point.key for point in pack])
