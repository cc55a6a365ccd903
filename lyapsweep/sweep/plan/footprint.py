"""What an update of a pack asks of a device, counted in a few members on the CPU: launches, memory, operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from lyapsweep.config import Config
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.regularisation import penalty
from lyapsweep.training import Trainer
from lyapsweep.training.update import Update

MEMBERS = 4  # that are counted
FRAMES = 6  # copies of a frame of all directions that a spectrum holds, in double precision
LAUNCH, NODE = 7.5e-6, 2e-6  # seconds: of a kernel of its own, in a graph; measured on one H200
TRAFFIC, OPERATIONS = 3.9e12, 4.9e13  # bytes and single-precision operations per second, of the same card
UNUSED = ("empty", "detach", "alias", "set_", "lift_fresh")


@dataclass(frozen=True)
class Footprint:
    """One update of the members of a pack, without reports.

    Args:
        launches: Kernels, whatever the number of members.
        member_bytes: Memory per member, the larger one of training and spectra.
        traffic: Bytes that the kernels read and write per member.
        operations: Floating-point operations of products per member.
        graph: Whether a GPU replays the update from a CUDA graph.

    Example:
        >>> small = Footprint(100, 1e6, 1e7, 1e6, graph=True)
        >>> round(small.seconds(members=1), 6), small.limit(1)
        (0.0002, 'launches')
    """

    launches: int
    member_bytes: float
    traffic: float
    operations: float
    graph: bool

    def parts(self, members: int) -> dict[str, float]:
        """Seconds of an update on a card if one thing alone took time."""
        return {
            "launches": self.launches * (NODE if self.graph else LAUNCH),
            "memory": self.traffic * members / TRAFFIC,
            "operations": self.operations * members / OPERATIONS,
        }

    def seconds(self, members: int) -> float:
        """Return the seconds of an update on a card like the H200: of the part that takes longest."""
        return max(self.parts(members).values())

    def limit(self, members: int) -> str:
        """Return what an update waits for: launches, memory or operations."""
        parts = self.parts(members)
        return max(parts, key=lambda name: parts[name])


class Meter(TorchDispatchMode):
    """Counts launches and traffic, and the bytes that are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.launches, self.traffic, self.highest = 0, 0, 0
        self.alive: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if func.is_view or name.startswith(UNUSED):
            return out
        given, made = ([t for t in tree_leaves(part) if isinstance(t, torch.Tensor)] for part in ((args, kwargs), out))
        self.launches += 1
        self.traffic += sum(t.numel() * t.element_size() for t in given + made)
        for t in made:
            storage = t.untyped_storage()
            self.alive[StorageWeakRef(storage)] = storage.nbytes()
        self.alive = {held: size for held, size in self.alive.items() if not held.expired()}
        self.highest = max(self.highest, sum(self.alive.values()))
        return out


def footprint(configs: Sequence[Config]) -> Footprint:
    """Count one update of a pack in a few of its members, whose data are read or made.

    Args:
        configs: The pack.

    Returns:
        Its footprint, in single precision.

    Example:
        >>> henon = {"kind": "simulated", "system": "henon", "length": 300}
        >>> content = {"dataset": henon, "cell": {"kind": "vanilla", "units": 8}, "windows": {"length": 20}}
        >>> footprint([Config.of(content)]).graph
        True
    """
    first, spread = configs[0], max(1, len(configs) // MEMBERS)
    few = (list(configs[::spread]) * MEMBERS)[:MEMBERS]
    problem = problem_of(first)
    network = build_network(few, *problem.size)
    objective = problem.objective(network, few)
    trainer = Trainer(network, objective, first.training)
    update = Update(trainer, [c.training for c in few], penalty(network, [c.regularisation for c in few]))
    update(0)
    with FlopCounterMode(display=False) as flops, Meter() as meter:
        update(1)
    state = network.cell.state
    spectra = FRAMES * 8 * first.lyapunov.orbits * state * (first.lyapunov.exponents or state)
    kept = 4 * trainer.theta[0].numel() * trainer.theta.element_size() + 2 * 4 * first.training.steps
    return Footprint(
        launches=meter.launches,
        member_bytes=max(kept + meter.highest / MEMBERS, spectra),
        traffic=meter.traffic / MEMBERS,
        operations=flops.get_total_flops() / MEMBERS,
        graph=bool(getattr(objective, "repeats", False)) and first.training.optimizer != "radam",
    )
