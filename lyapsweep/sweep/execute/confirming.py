"""What follows a search: the best settings are trained again, whole, from fresh seeds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lyapsweep.results.constraints import Constraint
from lyapsweep.sweep.execute.budget import BudgetMeter
from lyapsweep.sweep.execute.planning import SweepPlan
from lyapsweep.sweep.execute.results_folder import ResultsFolder
from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.observe.progress import ProgressCounter
from lyapsweep.sweep.plan.confirmation import choose, packs_to_train, without_confirmation
from lyapsweep.sweep.plan.packing import sequential_steps
from lyapsweep.sweep.plan.points import Point


@dataclass(frozen=True)
class ConfirmationStage:
    """The confirmation of a sweep whose search has ended.

    Optuna does not see these trials: they are no draws of its sampler, which would learn the same settings again.

    Attributes:
        planned: What the run trains.
        folder: The results folder, which says what the search found.
        counter: Counts these trials, too.
    """

    planned: SweepPlan
    folder: ResultsFolder
    counter: ProgressCounter

    def packs(self) -> list[list[Point]]:
        """Choose the settings, write them to sweep.json, and return the packs that remain to be trained."""
        if self.planned.confirmation is None:
            return []
        records = self.folder.last_records()
        search = without_confirmation(records, self.planned.confirmation)
        confirmation, groups = choose(self.planned.confirmation, search, self.folder.description())
        self.counter.asked = self.planned.total(confirmation.fresh) + max(0, len(search) - self.planned.asked)
        self.folder.describe(confirmation=confirmation, trials=self.counter.asked)
        return sorted(packs_to_train(groups, records), key=lambda pack: -sequential_steps(pack[0].config))

    def begin(self, searcher: PackSearcher) -> Iterator[list[Point]]:
        """Have a searcher, whose search has ended, train these packs to their end and measure what the criteria need.

        The budget is that of the search.
        """
        if self.planned.confirmation is not None:
            scores = [constraint.score for constraint in map(Constraint.parse, self.planned.confirmation.criteria)]
            searcher.settings = replace(searcher.settings, final_measures=tuple(scores))
            searcher.halving, searcher.meter = None, BudgetMeter(None)
        return iter(self.packs())
