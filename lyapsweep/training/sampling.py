"""Random windows: each member draws from a generator of its own, so that its data do not depend on its pack."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

CHUNK = 256  # updates whose windows are drawn at a time


class WindowSampler:
    """The windows of every update, drawn for CHUNK updates at a time.

    Args:
        draw: Draws the windows of CHUNK updates with a generator: (updates, batch).
        generators: One per member.
        device: Where the windows are needed.
    """

    def __init__(
        self,
        draw: Callable[[torch.Generator], Int[Tensor, "updates batch"]],
        generators: Sequence[torch.Generator],
        device: torch.device,
    ):
        self.draw, self.generators, self.device = draw, generators, device
        self.drawn: Int[Tensor, "updates population batch"] = torch.empty(0, len(generators), 0)
        self.drawn_at: int | None = None

    def at(self, step: int) -> Int[Tensor, "population batch"]:
        """Return the windows of one update. Call it for every update, in order."""
        return self.take(step, step + 1)[0]

    def take(self, step: int, stop: int) -> Int[Tensor, "updates population batch"]:
        """Return the windows of updates `step` to `stop`, at most until the next multiple of CHUNK, in order."""
        if step % CHUNK == 0 and step != self.drawn_at:
            self.drawn_at = step
            drawn = torch.stack([self.draw(g) for g in self.generators], dim=1)
            self.drawn = drawn.to(self.device, non_blocking=True)
        return self.drawn[step % CHUNK : step % CHUNK + stop - step]

    def state(self) -> dict[str, Tensor]:
        """Return what updates have changed, the population leading."""
        return {"drawn": self.drawn.transpose(0, 1), "generators": generator_states(self.generators)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a `state`."""
        self.drawn, self.drawn_at = state["drawn"].transpose(0, 1).to(self.device), None
        set_generator_states(self.generators, state["generators"])


def generator_states(generators: Sequence[torch.Generator]) -> UInt8[Tensor, "population bytes"]:
    return torch.stack([g.get_state() for g in generators])


def set_generator_states(generators: Sequence[torch.Generator], states: UInt8[Tensor, "population bytes"]) -> None:
    for generator, state in zip(generators, states):
        generator.set_state(state.clone())  # torch reads the wrong memory of a view
