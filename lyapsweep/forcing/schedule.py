"""The forcings of a population over the whole of training: what each update asks of its windows."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lyapsweep.forcing.forcing import AbstractForcing, Moment
from lyapsweep.forcing.growth import PROXIES, Path
from lyapsweep.forcing.varying import Adaptive
from lyapsweep.maps import AbstractMap

Strengths = Float[Tensor, "time population"]
Truncations = Bool[Tensor, "time population"]


class Plan(NamedTuple):
    """One update's forcing: strengths a(t), and where backpropagation ends (None: nowhere) though the state goes on."""

    strengths: Strengths
    truncations: Truncations | None = None


class Schedule:
    """One forcing a member, over windows of `length` steps and `updates` updates; one generator a member for draws.

    What training moves in it, the generators and an adaptive member's alpha, makes it serve one training run.
    """

    def __init__(
        self,
        forcings: Sequence[AbstractForcing],
        length: int,
        updates: int,
        generators: Sequence[torch.Generator] | None = None,
        device: torch.device | str = "cpu",
    ):
        self.forcings, self.length, self.updates, self.device = list(forcings), length, updates, device
        self.generators = generators or [None] * len(self.forcings)
        self.adaptive = [(p, f) for p, f in enumerate(self.forcings) if isinstance(f, Adaptive)]
        self.fixed = None if any(f.varies for f in self.forcings) else self.stack(0, [None] * len(self.forcings))
        self.truncations = self.truncate()

    def at(self, update: int) -> Plan:
        """The plan of one update. Random forcings draw: to be asked once for each update, in order."""
        strengths = self.stack(update, self.generators) if self.fixed is None else self.fixed
        return Plan(strengths, self.truncations)

    def nominal(self, update: int) -> Strengths:
        """The strengths that a network is evaluated under: nothing is drawn."""
        return self.stack(update, [None] * len(self.forcings)) if self.fixed is None else self.fixed

    def adapt(self, update: int, map: AbstractMap, infer: Callable[[], Path]) -> None:
        """Let the adaptive members that are due see kappa at the states `infer()` (time, population, batch, state)."""
        due = [(p, f) for p, f in self.adaptive if f.due(update)]
        if not due:
            return
        with torch.no_grad():
            states = infer()
            kappa = {proxy: PROXIES[proxy](map, states).tolist() for proxy in {f.proxy for _, f in due}}
        for p, forcing in due:
            forcing.follow(kappa[forcing.proxy][p])

    def state(self) -> dict[str, Tensor]:
        """What the updates so far have moved, the population leading: generators, and what forcings say `moves`."""
        told = {
            f"forcing/{name}": torch.tensor([getattr(f, name, torch.nan) for f in self.forcings], dtype=torch.float64)
            for name in dict.fromkeys(name for f in self.forcings for name in f.moves)
        }
        drawn = [g.get_state() for g in self.generators if g is not None]
        return told | ({"forcing/generators": torch.stack(drawn)} if drawn else {})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        for p, (forcing, generator) in enumerate(zip(self.forcings, self.generators)):
            for name in forcing.moves:
                setattr(forcing, name, state[f"forcing/{name}"][p].item())
            if generator is not None:
                generator.set_state(state["forcing/generators"][p].clone())  # of a view torch reads the wrong memory

    def stack(self, update: int, generators: Sequence[torch.Generator | None]) -> Strengths:
        columns = [
            forcing.strengths(self.length, Moment(update, self.updates, generator))
            for forcing, generator in zip(self.forcings, generators)
        ]
        return torch.stack(columns, dim=1).to(self.device)

    def truncate(self) -> Truncations | None:
        if not any(f.truncation for f in self.forcings):
            return None
        t = torch.arange(self.length)
        columns = [(t % f.truncation == 0) & (t > 0) if f.truncation else t < 0 for f in self.forcings]
        return torch.stack(columns, dim=1).to(self.device)
