"""Which pack comes next: from a plan, or asked of Optuna as the sweep goes; and Ray's view of that."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from ray.tune.search import Searcher

from lyapsweep.config import Config
from lyapsweep.results.description import SweepDescription
from lyapsweep.sweep.execute.failures import PackFailure, writing
from lyapsweep.sweep.execute.optuna_study import OptunaStudy
from lyapsweep.sweep.plan.definition import Sweep, SweepError
from lyapsweep.sweep.plan.packing import cut, packs
from lyapsweep.sweep.spaces import TRIES, Point, point
from lyapsweep.training.checkpoint import name

RETRIES = 2  # of a whole pack whose worker was lost


def planned(
    parts: Sequence[Sequence[Point]],
    size: int,
    device: str,
    journal: OptunaStudy,
    ended: Collection[str] = (),
    failed: Collection[str] = (),
) -> Iterator[list[Config]]:
    """The packs of points that are known beforehand, `parts` (the sweep as first asked, each extension) by themselves.

    A pack is a matter of the plan alone: a resumed sweep goes on with it whole where a member has not `ended`, for
    who shares a pack decides the last bit of its numbers. Members that `failed` are tried again by themselves.
    """
    for points in parts:
        by_key = {p.config.id: p for p in points}
        for pack in packs([p.config for p in points], size, device):
            left = [config for config in pack if config.id not in ended]
            for config in left:
                journal.enter(by_key[config.id])
            if left:
                yield left if all(config.id in failed for config in left) else pack


def hunted(
    sweep: Sweep,
    base: Config,
    wanted: int,
    lost: Sequence[Mapping[str, Any]],
    size: int,
    device: str,
    journal: OptunaStudy,
) -> Iterator[list[Config]]:
    """Packs of `wanted` distinct points that the sampler chooses, after those whose parameters were `lost`.

    Members that must not share a pack form several. Ends early where the sampler finds no new point.
    """
    queue = list(lost)
    seen = set(journal.told)
    while wanted > 0:
        fresh: list[Config] = []
        for _ in range(TRIES * size):
            if len(fresh) == min(size, wanted):
                break
            if queue:
                journal.study.enqueue_trial(dict(queue.pop(0)))
            config = journal.ask(partial(point, sweep, base)).config
            if config.id not in seen:
                seen.add(config.id)
                fresh.append(config)
        if not fresh:
            return
        wanted -= len(fresh)
        yield from packs(fresh, size, device)


class PackSearcher(Searcher):
    """Hands Ray one pack a suggestion, with the settings that every pack gets, and never more than `room()` at a time.

    What comes of a pack is told by `Watch`, member by member, which also says that it is over (`close`) or was lost
    (`lose`). Ray's own retries are not used: they forget a pack whose worker is lost between two packs. No state is
    kept for Ray to restore: a resumed sweep is planned anew from the records.
    """

    def __init__(
        self,
        supply: Iterator[list[Config]],
        settings: Mapping[str, Any],
        room: Callable[[], int],
        ended: Callable[[str], bool] = lambda trial: False,
    ):
        super().__init__()
        self.supply, self.settings, self.room, self.ended = supply, dict(settings), room, ended
        self.handed_out: dict[int, list[Config]] = {}
        self.cut_from: dict[int, list[str]] = {}  # checkpoints of the packs that a pack is a part of, the nearest first
        self.out: set[int] = set()
        self.again: list[int] = []
        self.losses: Counter[int] = Counter()  # of a pack since it last came further
        self.reached: Counter[int] = Counter()  # the step of its latest report
        self.fits: dict[str, int] = {}  # members of a shape for which memory suffices, where it once did not
        self.learned: set[int] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.out) >= self.room():
            return None
        if self.again:
            number = self.again.pop(0)
        else:
            with writing("The Optuna journal"):
                pack = next(self.supply, None)
            if not pack:  # a pack that is out may yet have to be handed out again, or decide what comes next
                return None if self.out else self.FINISHED
            parts = cut(pack, self.fits.get(pack[0].shape, len(pack)))
            number, *later = [self.keep(part, pack) for part in parts]
            self.again += later
        self.out.add(number)
        configs = self.handed_out[number]
        known = [c.id for c in configs if self.ended(c.id)]  # which train along, for their neighbours' last bits
        told = {"pack": number, "configs": [c.to_dict() for c in configs], "known": known}
        return told | {"cut_from": self.cut_from[number], **self.settings}

    def keep(self, pack: list[Config], whole: list[Config], cut_from: Sequence[str] = ()) -> int:
        """Plan a pack, the `whole` of one that was planned or a part of it."""
        number = len(self.handed_out)
        self.handed_out[number] = pack
        self.cut_from[number] = [*([checkpoint(whole)] if pack != whole else []), *cut_from]
        return number

    def close(self, number: int) -> None:
        self.out.discard(number)

    def advance(self, number: int, step: int) -> None:
        """A pack reports. One that comes further than it ever did was not at fault when it was lost before."""
        if step > self.reached[number]:
            self.reached[number], self.losses[number] = step, 0

    def learn(self, number: int, fits: int) -> None:
        """A pack was too large for the memory, and `fits` of its members were not: packs of their shape are cut so.

        Only its first word counts: later ones may be of the member alone that no memory suffices for.
        """
        if number not in self.learned:
            self.learned.add(number)
            shape = self.handed_out[number][0].shape
            self.fits[shape] = min(fits, self.fits.get(shape, fits))

    def lose(self, number: int, left: list[Config], why: PackFailure) -> list[Config]:
        """Plan what is left of a lost pack again; what comes back is given up.

        A lost worker is most often a machine's fault: the pack goes out whole RETRIES times more, counted anew when it
        has come further, as packs do on machines that are taken away every hour. After that, and at once where memory
        or time ran out, it goes out in halves, until the member that is at fault is alone. All of them go on from the
        pack's checkpoint, where there is one.
        """
        self.close(number)
        self.losses[number] += 1
        again = why is PackFailure.WORKER and self.losses[number] <= RETRIES
        if not again and len(left) == 1:
            return left
        if why is PackFailure.MEMORY:
            self.learn(number, math.ceil(len(left) / 2))
        whole = self.handed_out[number]
        for part in [whole] if again else cut(left, math.ceil(len(left) / 2)):
            new = self.keep(part, whole, self.cut_from[number])
            self.losses[new], self.reached[new] = self.losses[number], self.reached[number]
            self.again.append(new)
        return []

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict, **spec: Any) -> bool:
        return True

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        open(checkpoint_path, "wb").close()

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("A sweep is resumed from its records, not from Ray's snapshots.")

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for the snapshot that Ray writes of its tuner


def checkpoint(pack: Sequence[Config]) -> str:
    """The name of a pack's file among the checkpoints."""
    return name([config.id for config in pack])


def asked(sweep: Sweep, before: SweepDescription, extend: int) -> list[int]:
    """How many points were asked for at first and by each extension (`before` is sweep.json); nothing of a grid."""
    if sweep.space is None:
        if extend:
            raise SweepError(f"A grid is trained whole and cannot be extended by {extend}: give it more values.")
        return []
    if extend and before == SweepDescription():
        raise SweepError(f"There is no sweep to extend by {extend} yet: run it first.")
    return [sweep.trials or 0, *before.extended, *([extend] if extend else [])]


def split(points: Sequence[Point], parts: Sequence[int]) -> list[Sequence[Point]]:
    """The points that each part asked for."""
    ends = list(accumulate(parts)) or [len(points)]
    return [points[begin:end] for begin, end in zip([0, *ends], ends)]
