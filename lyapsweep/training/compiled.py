"""Updates of a population by compiled kernels: the arrays that kernels read, and one call per member and chunk."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import threadpoolctl
import torch
from torch import Tensor

from lyapsweep.cells import AbstractCell
from lyapsweep.compiled.batches import CROSS_ENTROPY, SQUARED, Data
from lyapsweep.compiled.blas import call_arguments
from lyapsweep.compiled.descent import ADAM, RADAM, SGD, Rule
from lyapsweep.compiled.elementwise import Elementwise, statement_of
from lyapsweep.compiled.engine import COMPILED
from lyapsweep.compiled.kernels import Kernel, make_kernel
from lyapsweep.compiled.layout import (
    AFFINE,
    ANTISYMMETRIC,
    HOLLOW,
    IDENTITY,
    LINEAR,
    NEUROVIEW,
    PLAIN,
    Arrays,
    Layout,
    allocate,
)
from lyapsweep.config import Training
from lyapsweep.regularisation import Penalty
from lyapsweep.rollout import Network
from lyapsweep.training.compiled_support import quadratic
from lyapsweep.training.objectives import DrivenWindows, ForcedWindows
from lyapsweep.training.sampling import CHUNK
from lyapsweep.training.trainer import Trainer

FORMS = {"plain": PLAIN, "hollow": HOLLOW, "antisymmetric": ANTISYMMETRIC}
READOUTS = {"Linear": LINEAR, "Affine": AFFINE, "Identity": IDENTITY, "Neuroview": NEUROVIEW}
OPTIMIZERS = {"sgd": SGD, "adam": ADAM, "radam": RADAM}
INFINITE = float("inf")


class Offsets:
    """Where weights and constants of a network lie in a member's vector."""

    def __init__(self, network: Network, weights: Sequence[Tensor], shared: Sequence[str] = ()):
        self.network, self.shared, self.constants = network, shared, []
        sizes = [w[0].numel() for w in weights]
        self.of = {id(w): start for w, start in zip(weights, np.cumsum([0, *sizes]).tolist())}
        self.weights = sum(sizes)

    def weight(self, owner: Any, name: str) -> int:
        """The offset of a weight; -1 if it has no entries."""
        return self.of.get(id(getattr(owner, name, None)), -1)

    def per_unit(self, name: str) -> tuple[int, int, int]:
        """Offset, stride along the units and stride along the terms of a weight or a setting of the cell."""
        value = getattr(self.network.cell, name)
        if id(value) in self.of:
            shared = name in self.shared
            return (self.of[id(value)], 0, 1) if shared else (self.of[id(value)], value[0][0].numel(), 1)
        row = [float(v) for v in torch.as_tensor(value).flatten()]
        self.constants += row
        return self.weights + len(self.constants) - len(row), int(len(row) > 1), 0


def make_layout(network: Network, statement: Elementwise, offsets: Offsets) -> Layout:
    """Where the kernel finds the numbers of a member."""
    cell, readout, s = network.cell, network.readout, statement
    biases = [offsets.weight(cell, name) + k * cell.units for name in s.biases for k in range(rows_of(cell, name))]
    parameters = [offsets.per_unit(name)[:2] for name in s.parameters]
    bend = [offsets.per_unit(name) for name in s.bend_parameters]
    kind = READOUTS[type(readout).__name__]
    matrix = {LINEAR: "B", AFFINE: "B", IDENTITY: "L", NEUROVIEW: "V"}[kind]
    return Layout(
        units=cell.units,
        hidden=cell.units if s.inner is None else getattr(cell, s.inner).shape[1],
        features=readout.features,
        inputs=cell.inputs,
        weights=offsets.weights,
        matrix=offsets.weight(cell, s.matrix),
        inner=-1 if s.inner is None else offsets.weight(cell, s.inner),
        entry=offsets.weight(cell, getattr(cell, "entry", ("U",))[0]),
        driven=np.array(s.driven, np.int64),
        biases=np.array(biases, np.int64),
        parameters=np.array(parameters, np.int64).reshape(-1, 2),
        bend=np.array(bend, np.int64).reshape(-1, 3),
        terms=1 if s.terms is None else getattr(cell, s.terms),
        gates=s.gates,
        reads=s.reads,
        bends=s.bend is not None,
        form=FORMS[s.form],
        gamma=float(getattr(cell, "gamma", 0.0)),
        readout=kind,
        B=offsets.weight(readout, matrix),
        b=offsets.weight(readout, "b"),
    )


def rows_of(cell: AbstractCell, bias: str) -> int:
    return getattr(cell, bias).shape[1] // cell.units


def series_data(objective: ForcedWindows) -> Data:
    """A series as one sequence."""
    none, inputs = np.zeros((1, 1, 0), np.float32), objective.inputs
    given, targets = none if inputs is None else inputs.numpy()[None], objective.series.numpy()[None]
    classes, mask = np.zeros((1, 1), np.int64), np.zeros(1, np.float32)
    return Data(given, none, 0, targets, classes, mask, 1, 2**62, objective.windows.steps, 0, False, SQUARED)


def task_data(objective: DrivenWindows) -> Data:
    """The sequences of a task; symbols become one-hot inputs."""
    examples, task = objective.examples, objective.examples.task
    inputs = examples.inputs if examples.codes is None else examples.codes[examples.inputs.long()]
    none, length = np.zeros((1, 1, 0), np.float32), examples.inputs.shape[1]
    targets = examples.targets.reshape(len(inputs), -1, *([] if task.classes else [examples.targets.shape[-1]])).numpy()
    mask = np.ones(length, np.float32) if examples.mask is None else examples.mask.numpy().astype(np.float32)
    return Data(
        inputs.float().contiguous().numpy(),
        none if examples.held is None else examples.before.contiguous().numpy(),
        examples.held or 0,
        np.zeros((1, 1, task.outputs), np.float32) if task.classes else np.ascontiguousarray(targets),
        np.ascontiguousarray(targets) if task.classes else np.zeros((len(inputs), 1), np.int64),
        mask,
        0,
        examples.places,
        examples.length,
        objective.windows.spin_up,
        task.head == "last",
        CROSS_ENTROPY if task.classes else SQUARED,
    )


def rules(plans: Sequence[Training], squares: tuple[Tensor, Tensor] | None = None) -> list[Rule]:
    """How the weights of each member move."""
    none, found = np.zeros(1, np.float32), []
    for p, plan in enumerate(plans):
        pull, anchor = (none, none) if squares is None else (part[p].numpy() for part in squares)
        rate, decay = plan.lr, ((plan.lr_end or plan.lr) / plan.lr) ** (1 / max(plan.steps, 1))
        clip, clip_value = (INFINITE if limit is None else limit for limit in (plan.clip, plan.clip_value))
        optimizer = OPTIMIZERS[plan.optimizer]
        found.append(Rule(optimizer, rate, decay, clip, clip_value, bool(pull.any()), pull, anchor))
    return found


class CompiledUpdates:
    """Updates by compiled kernels: one call per member and chunk, in threads where torch has more than one.

    Args:
        trainer: Holds weights, optimizer state and curves, which are moved in place.
        network: The population.
        plans: One per member.
        penalty: A sum of squares.
    """

    engine = COMPILED

    def __init__(self, trainer: Trainer, network: Network, plans: Sequence[Training], penalty: Penalty | None):
        statement = statement_of(network.cell)
        assert statement is not None, "`compiled_support.obstacle` has been asked"
        self.trainer, self.statement = trainer, statement
        self.objective: Any = trainer.objective  # of one of the two classes that `compiled_support` knows
        offsets = Offsets(network, trainer.weights, statement.shared)
        self.layout = make_layout(network, statement, offsets)
        self.constants = np.array(offsets.constants, np.float32)
        task = isinstance(self.objective, DrivenWindows)
        self.data = task_data(self.objective) if task else series_data(self.objective)
        self.rules = rules(plans, quadratic(penalty, trainer.weights) if penalty else None)
        self.whole = bool(network.readout.mask.all())
        self.workspaces: dict[int, Workspace] = {}
        self.blas = threadpoolctl.ThreadpoolController()

    def run(self, stop: int) -> None:
        """Update until `stop` updates are made or no member is alive."""
        trainer = self.trainer
        while trainer.step < stop and trainer.remaining:
            until = min(stop, (trainer.step // CHUNK + 1) * CHUNK)
            first, pulls, ends = self.plan(trainer.step, until)
            alive = [p for p, died in enumerate(trainer.died_at) if died is None]
            threads = max(1, min(torch.get_num_threads(), len(alive)))
            job = partial(self.update, first=first.numpy(), pulls=pulls, ends=ends)
            with self.blas.limit(limits=1, user_api="blas"):
                if threads == 1:
                    job(alive, 0)
                else:
                    with ThreadPoolExecutor(threads) as pool:
                        list(pool.map(job, [alive[t::threads] for t in range(threads)], range(threads)))
            made = len(first)
            trainer.step += (
                made if trainer.remaining else max(d for d in trainer.died_at if d is not None) + 1 - trainer.step
            )
            trainer.alive = torch.tensor([died is None for died in trainer.died_at])
            for name, value in trainer.optimizer.state.items():
                if name == "step":
                    value += made

    def plan(self, step: int, stop: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Windows, strengths (population, updates or 1, time) and ends of the gradient of the next updates."""
        objective = self.objective
        if isinstance(objective, DrivenWindows):
            none = np.zeros((len(self.rules), 1, objective.examples.length), np.float32)
            return objective.sampler.take(step, stop), none, np.zeros(none.shape[::2], np.uint8)
        schedule, first = objective.schedule, objective.sampler.take(step, stop)
        objective.adapt(step, first[0])
        due = next((s for s in range(step + 1, stop) if schedule.due(s)), stop) if schedule.adaptive else stop
        plans = [schedule.at(s) for s in range(step, due if schedule.fixed is None else step + 1)]
        pulls = torch.stack([plan.strengths for plan in plans]).permute(2, 0, 1).float().contiguous().numpy()
        ends = plans[0].truncations
        none = np.zeros((len(self.rules), pulls.shape[2]), np.uint8)
        return first[: due - step], pulls, none if ends is None else ends.T.contiguous().numpy().astype(np.uint8)

    def update(
        self, members: Sequence[int], thread: int, first: np.ndarray, pulls: np.ndarray, ends: np.ndarray
    ) -> None:
        """Update some members by one thread; a member that diverges keeps its last finite weights."""
        trainer, n, state = self.trainer, self.layout.weights, self.trainer.optimizer.state
        theta = trainer.theta.detach().numpy()
        none = np.zeros(n, np.float32)
        for p in members:
            space = self.workspace(thread, pulls[p], ends[p], first.shape[2])
            x = np.concatenate((theta[p], self.constants))
            m, v = (state[name][p].numpy() if name in state else none for name in ("exp_avg", "exp_avg_sq"))
            losses, norms = np.full(len(first), np.nan, np.float32), np.full(len(first), np.nan, np.float32)
            windows = np.ascontiguousarray(first[:, p])
            made = space.kernel.train(
                space.call,
                space.kernel.passes,
                self.layout,
                self.data,
                self.rules[p],
                x,
                space.gradient,
                m,
                v,
                space.arrays,
                trainer.step,
                windows,
                pulls[p],
                ends[p],
                self.whole,
                losses,
                norms,
            )
            theta[p] = x[:n]
            trainer.losses[trainer.step : trainer.step + len(first), p] = torch.from_numpy(losses)
            trainer.norms[trainer.step : trainer.step + len(first), p] = torch.from_numpy(norms)
            if made < len(first):
                trainer.died_at[p] = trainer.step + made

    def workspace(self, thread: int, pulls: np.ndarray, ends: np.ndarray, batch: int) -> "Workspace":
        """The arrays of a thread, large enough for these forcings."""
        rows, side = capacity(pulls, ends, self.whole, self.data.steps)
        space = self.workspaces.get(thread)
        if space is None or space.rows < rows * batch or space.side < side * batch:
            statement, layout = self.statement, self.layout
            arrays = allocate(layout, statement.parts, statement.kept, rows * batch, side * batch, len(pulls[0]))
            kernel = make_kernel(statement, layout, arrays)
            gradient = np.zeros(layout.weights + len(self.constants), np.float32)
            space = Workspace(rows * batch, side * batch, arrays, gradient, call_arguments(), kernel)
            self.workspaces[thread] = space
        return space


@dataclass(frozen=True)
class Workspace:
    """What one thread writes into, and the kernel that it runs."""

    rows: int
    side: int
    arrays: Arrays
    gradient: np.ndarray
    call: tuple[np.ndarray, np.ndarray, np.ndarray]
    kernel: Kernel


def capacity(pulls: np.ndarray, ends: np.ndarray, whole: bool, steps: int) -> tuple[int, int]:
    """The largest number of steps of all segments, and of segments, over some updates."""
    rows = side = 1
    for pull in pulls:
        starts = np.zeros(1, int)
        if whole and pull[0] == 1 and not ends.any() and np.isin(pull, (0, 1)).all():
            starts = np.flatnonzero(pull)
        longest = int(np.diff(np.append(starts, steps)).max())
        rows, side = max(rows, longest * len(starts)), max(side, len(starts))
    return rows, side
