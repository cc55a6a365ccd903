"""The forcings of a population over the whole of training: the strengths of every update."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyapsweep.forcing.forcing import AbstractForcing, Moment
from lyapsweep.forcing.growth import PROXIES, Driving, Path
from lyapsweep.forcing.varying import Adaptive
from lyapsweep.maps import AbstractMap

PopulationStrengths = Float[Tensor, "time population"]
Truncations = Bool[Tensor, "time population"]


class Plan(NamedTuple):
    """The forcing of one update.

    Args:
        strengths: a(t), shape (time, population).
        truncations: True at steps where backpropagation ends, shape (time, population); None (the default) if it ends
            nowhere.

    Example:
        >>> Plan(torch.ones(3, 1)).truncations is None
        True
    """

    strengths: PopulationStrengths
    truncations: Truncations | None = None


class Schedule:
    """The forcings of all members of a population over one training run.

    A schedule serves a single run, because random members advance their generators and adaptive members their alpha.

    Args:
        forcings: One forcing per member.
        length: Number of steps of a window.
        updates: Number of updates of the run.
        generators: One source of random numbers per member; None (the default) draws nothing.

    Strengths lie on the CPU, where the loss decides by them how a window is run.

    Example:
        >>> from lyapsweep.forcing import Full, Sparse
        >>> Schedule([Full(), Sparse(interval=2)], length=3, updates=10).at(0).strengths
        tensor([[1., 1.],
                [1., 0.],
                [1., 1.]])
    """

    def __init__(
        self,
        forcings: Sequence[AbstractForcing],
        length: int,
        updates: int,
        generators: Sequence[torch.Generator] | None = None,
    ):
        self.forcings, self.length, self.updates = list(forcings), length, updates
        self.generators = generators or [None] * len(self.forcings)
        self.adaptive = [(p, f) for p, f in enumerate(self.forcings) if isinstance(f, Adaptive)]
        self.fixed = None if any(f.varies for f in self.forcings) else self.stack(0, [None] * len(self.forcings))
        self.truncations = self.truncate()

    def at(self, update: int) -> Plan:
        """Return the plan of one update. Random forcings draw, so call it once per update, in order."""
        strengths = self.stack(update, self.generators) if self.fixed is None else self.fixed
        return Plan(strengths, self.truncations)

    def nominal(self, update: int) -> PopulationStrengths:
        """Return the strengths (time, population) under which a network is evaluated: nothing is drawn."""
        return self.stack(update, [None] * len(self.forcings)) if self.fixed is None else self.fixed

    def due(self, update: int) -> bool:
        """Return whether `adapt` moves a member before this update."""
        return any(f.due(update) for _, f in self.adaptive)

    def adapt(self, update: int, map: AbstractMap, infer: Callable[[], Path], inputs: Driving | None = None) -> None:
        """Update the strength of the adaptive members that are due, from kappa along the data.

        Args:
            update: Number of updates done so far.
            map: The population's map.
            infer: Returns states inferred from data, (time, population, batch, state); called only if a member is due.
            inputs: Inputs that drive the steps from these states, (time, population, batch, inputs); None by default.
        """
        due = [(p, f) for p, f in self.adaptive if f.due(update)]
        if not due:
            return
        with torch.no_grad():
            states = infer()
            kappa = {proxy: PROXIES[proxy](map, states, inputs).tolist() for proxy in {f.proxy for _, f in due}}
        for p, forcing in due:
            forcing.follow(kappa[forcing.proxy][p])

    def state(self) -> dict[str, Tensor]:
        """Return what training has changed so far, population first: generators and the attributes in `moves`."""
        state = {
            f"forcing/{name}": torch.tensor([getattr(f, name, torch.nan) for f in self.forcings], dtype=torch.float64)
            for name in dict.fromkeys(name for f in self.forcings for name in f.moves)
        }
        drawn = [g.get_state() for g in self.generators if g is not None]
        return state | ({"forcing/generators": torch.stack(drawn)} if drawn else {})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a `state`."""
        for p, (forcing, generator) in enumerate(zip(self.forcings, self.generators)):
            for name in forcing.moves:
                setattr(forcing, name, state[f"forcing/{name}"][p].item())
            if generator is not None:
                generator.set_state(state["forcing/generators"][p].clone())  # torch misreads a view's memory

    def stack(self, update: int, generators: Sequence[torch.Generator | None]) -> PopulationStrengths:
        """Strengths (time, population); members of equal settings that draw nothing share one computation."""
        known: dict[object, Tensor] = {}
        columns = []
        for p, (forcing, generator) in enumerate(zip(self.forcings, generators)):
            key = p if forcing.drawn else (type(forcing), *sorted(map(str, vars(forcing).items())))
            if key not in known:
                known[key] = forcing.strengths(self.length, Moment(update, self.updates, generator))
            columns.append(known[key])
        return torch.stack(columns, dim=1)

    def truncate(self) -> Truncations | None:
        if not any(f.truncation for f in self.forcings):
            return None
        t = torch.arange(self.length)
        columns = [(t % f.truncation == 0) & (t > 0) if f.truncation else t < 0 for f in self.forcings]
        return torch.stack(columns, dim=1)
