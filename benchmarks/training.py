"""Measure how many networks a core trains, compared with the training of one network in the reference.

    python -m benchmarks.training [--quick] [--json FILE]

The reference (Mikhaeil et al. 2022, written from its description): one process per network, a Python loop over time
around a one-step module (an nn.LSTM called with sequences of length one), the whole state replaced by
pinv(B) x at each forced step, autograd, Adam. Ours is `lyapsweep.training.train`. Series, window, batch, loss and
optimiser are the same; weights are copied, and gradients of the first update and final losses of independent seeds are
compared.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path

import torch
from scipy.stats import ks_2samp, mannwhitneyu
from torch import Tensor, nn

from benchmarks.timing import interleaved, markdown, one_thread, peak_megabytes, progress, verdict
from lyapsweep import datasets
from lyapsweep.config import Config
from lyapsweep.problems.network import build_network
from lyapsweep.problems.series import forcing_schedule
from lyapsweep.rollout import Network, forced
from lyapsweep.training import TrainingProgress, collect, train
from lyapsweep.training.objectives import ForcedWindows
from lyapsweep.windows import cut, starts

UNITS = {"plrnn": 30, "lstm": 32}
INTERVALS, POPULATIONS, LENGTH, BATCH = (5, 10, 25, 50, 100, 200), (1, 8, 32), 200, 16
GOALS = {  # ratios to the reference's way, processor time a network and update
    ("plrnn", 1): ("G9: one PLRNN, interval <= 25", 7.0),
    ("lstm", 1): ("G9: one LSTM", 14.0),
    ("plrnn", 8): ("G10: a PLRNN of 8, interval <= 25", 14.0),
    ("plrnn", 32): ("G10: a PLRNN of 32, interval <= 25", 14.0),
}
MEMORY_GOAL = 3.3  # megabytes a PLRNN of a population of 32


class OneStepPlrnn(nn.Module):
    """z' = A z + W relu(z) + h; A is the diagonal of one stored matrix, W the rest of it."""

    def __init__(self, network: Network, member: int):
        super().__init__()
        weights = {name: w[member].detach() for name, w in network.cell.named_parameters()}
        self.AW = nn.Parameter(weights["W"] * (1 - torch.eye(len(weights["A"]))) + torch.diag(weights["A"]))
        self.h = nn.Parameter(weights["h"].clone())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        diagonal = torch.diag(self.AW)
        z = diagonal * z + torch.relu(z) @ (self.AW - torch.diag(diagonal)).T + self.h
        return z, z

    def replaced(self, h: Tensor) -> Tensor:
        return h

    def gradients(self) -> dict[str, Tensor]:
        g = gradient(self.AW)
        return {"A": g.diagonal(), "W": g - torch.diag(g.diagonal()), "h": gradient(self.h)}


class OneStepLstm(nn.Module):
    """nn.LSTM called with one zero input at a time; one bias is fixed, else Adam moves the sum twice as fast."""

    def __init__(self, network: Network, member: int):
        super().__init__()
        weights = {name: w[member].detach() for name, w in network.cell.named_parameters()}
        self.lstm = nn.LSTM(1, network.cell.units)
        self.lstm.weight_hh_l0.data.copy_(weights["W"])
        self.lstm.bias_hh_l0.data.zero_()
        self.lstm.bias_hh_l0.requires_grad_(False)
        self.lstm.bias_ih_l0.data.copy_(weights["b"])

    def forward(self, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, state = self.lstm(state[0].new_zeros(1, state[0].shape[1], 1), state)
        return h[0], state

    def replaced(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return h[None], torch.zeros_like(h)[None]

    def gradients(self) -> dict[str, Tensor]:
        return {"W": gradient(self.lstm.weight_hh_l0), "b": gradient(self.lstm.bias_ih_l0)}


def gradient(weight: nn.Parameter | Tensor | nn.Module) -> Tensor:
    assert isinstance(weight, Tensor)
    assert weight.grad is not None
    return weight.grad


class Reference:
    """One network trained as in the reference, from the initial weights of member `member` of `network`."""

    def __init__(self, network: Network, member: int, config: Config, series: Tensor):
        self.cell = {"plrnn": OneStepPlrnn, "lstm": OneStepLstm}[config.cell["kind"]](network, member)
        self.B = nn.Parameter(network.readout.B[member].detach().clone())
        self.config, self.series = config, series
        self.optimizer = torch.optim.Adam([*self.cell.parameters(), self.B], lr=config.training.lr)
        self.generator = torch.Generator().manual_seed(2 * config.seed + 1)

    def loss(self, x: Tensor) -> Tensor:
        """Return the mean squared error over the steps of a window; x (time + 1, batch, features)."""
        hidden, state = [], None
        for t in range(len(x) - 1):
            if t % self.config.forcing["interval"] == 0:
                state = self.cell.replaced(x[t] @ torch.linalg.pinv(self.B).T)
            h, state = self.cell(state)
            hidden.append(h)
        return nn.functional.mse_loss(torch.stack(hidden) @ self.B.T, x[1:])

    def update(self) -> float:
        first = starts(self.config.windows, len(self.series), 1, self.generator)[0]
        loss = self.loss(cut(self.series, first, self.config.windows.length))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def configs(kind: str, interval: int, seeds: range) -> list[Config]:
    return [
        Config.of(
            {
                "dataset": {"kind": "simulated", "system": "lorenz63", "dt": 0.01, "length": 20000},
                "cell": {"kind": kind, "units": UNITS[kind]},
                "forcing": {"kind": "sparse", "interval": interval},
                "windows": {"length": LENGTH, "batch": BATCH},
                "training": {"steps": 10**6, "lr": 1e-3},
                "seed": seed,
            }
        )
        for seed in seeds
    ]


def ours(points: list[Config], series: Tensor, updates: int) -> Iterator[TrainingProgress]:
    """Our training of the same networks, pausing every `updates` updates; the pause at the start is behind us."""
    plans = [c.changed({"training/report_every": updates}).training for c in points]
    generators = [torch.Generator().manual_seed(2 * c.seed + 1) for c in points]
    network = build_network(points, series.shape[1])
    objective = ForcedWindows(network, forcing_schedule(points), series, points[0].windows, generators)
    running = train(network, objective, plans)
    next(running)
    return running


def speed(kind: str, interval: int, series: Tensor, rounds: int) -> dict[str, float]:
    """Return milliseconds of processor time per network and update, methods interleaved."""
    points = configs(kind, interval, range(max(POPULATIONS)))
    reference = Reference(build_network(points[:1], series.shape[1]), 0, points[0], series)
    updates = {"reference": 2} | {f"P={p}": max(2, 16 // p) for p in POPULATIONS}
    runs = {f"P={p}": ours(points[:p], series, updates[f"P={p}"]) for p in POPULATIONS}
    rivals = {"reference": lambda: [reference.update() for _ in range(updates["reference"])]}
    rivals |= {name: lambda run=run: next(run) for name, run in runs.items()}
    taken = interleaved(rivals, rounds)
    networks = {"reference": 1} | {f"P={p}": p for p in POPULATIONS}
    return {name: 1e3 * taken[name] / updates[name] / networks[name] for name in rivals}


def gradient_difference(kind: str, interval: int, series: Tensor) -> float:
    """Return the largest difference of first gradients, relative to the largest entry of each weight."""
    points = configs(kind, interval, range(2))
    network, schedule = build_network(points, series.shape[1]), forcing_schedule(points)
    reference = Reference(network, 1, points[1], series)
    first = starts(points[1].windows, len(series), 1, torch.Generator().manual_seed(0))[0]
    x = cut(series, first, LENGTH)
    reference.loss(x).backward()
    wanted = reference.cell.gradients() | {"B": gradient(reference.B)}
    both = x[:, None].expand(-1, 2, -1, -1)
    loss = (forced(network.cell, network.readout, both, *schedule.at(0)) - both[1:]).square().mean(dim=(0, 2, 3))
    names, weights = zip(*((n.rpartition(".")[2], w) for n, w in network.named_parameters() if w.numel()))
    parts = collect(loss, list(weights))[1].split([w[0].numel() for w in weights])
    found = {name: part.view(w.shape[1:]) for name, part, w in zip(names, parts, weights)}
    return max(float((found[n] - g).abs().max() / g.abs().max()) for n, g in wanted.items())


def final_losses(kind: str, series: Tensor, seeds: int, updates: int, interval: int = 25) -> dict[str, list[float]]:
    """Return the loss after `updates` updates (mean over the last tenth) of independent seeds, for each method."""
    last = updates // 10
    reference = []
    for i, point in enumerate(configs(kind, interval, range(seeds))):
        progress(f"{kind}: the reference's way, seed {i + 1} of {seeds}")
        one = Reference(build_network([point], series.shape[1]), 0, point, series)
        reference.append(statistics.fmean([one.update() for _ in range(updates)][-last:]))
    done = next(ours(configs(kind, interval, range(1000, 1000 + seeds)), series, updates))
    return {"reference": reference, "ours": done.losses[-last:].mean(dim=0).tolist()}


def compared(losses: dict[str, list[float]]) -> dict[str, object]:
    """Return medians and two-sample tests for equal distributions."""
    a, b = losses["reference"], losses["ours"]
    return {
        "seeds each": len(a),
        "median, reference": statistics.median(a),
        "median, ours": statistics.median(b),
        "p (Mann-Whitney)": float(mannwhitneyu(a, b).pvalue),
        "p (Kolmogorov-Smirnov)": float(ks_2samp(a, b).pvalue),
    }


def population(size: int):
    """Run three updates of a population of PLRNNs, to measure their memory."""
    points = configs("plrnn", 25, range(size))
    run = ours(points, lorenz(), 3)
    return lambda: next(run)


def lorenz() -> Tensor:
    return torch.tensor(datasets.build(**configs("plrnn", 25, range(1))[0].dataset).train, dtype=torch.float32)


def goals(table: list[dict], megabytes: float) -> list[dict[str, object]]:
    """Return goals and measured values at the worst interval of each goal."""
    rows = []
    for (kind, size), (goal, wanted) in GOALS.items():
        spoken = [r for r in table if r["cell"] == kind and (kind == "lstm" or r["interval"] <= 25)]
        if spoken:
            least = min(float(r[f"x, P={size}"]) for r in spoken)
            rows.append(verdict(f"{goal}: ratio", least, least=wanted))
    if any(r["cell"] == "plrnn" for r in table):
        rows.append(verdict("G11: megabytes a PLRNN of 32", megabytes, most=MEMORY_GOAL))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two intervals and few updates: about two minutes")
    parser.add_argument("--cells", nargs="+", choices=UNITS, default=list(UNITS))
    parser.add_argument("--intervals", nargs="+", type=int, help=f"default {INTERVALS}")
    parser.add_argument("--json", type=Path, help="file of raw figures")
    args = parser.parse_args()
    print(one_thread(), flush=True)
    series, rounds = lorenz(), 5 if args.quick else 9
    chosen = args.intervals or ((10, 25, 100) if args.quick else INTERVALS)
    table, equal = [], []
    for kind in args.cells:
        for interval in chosen:
            progress(f"{kind}, interval {interval}")
            ms = speed(kind, interval, series, rounds)
            ratios = {f"x, P={p}": ms["reference"] / ms[f"P={p}"] for p in POPULATIONS}
            table.append({"cell": kind, "interval": interval} | {f"ms, {k}": v for k, v in ms.items()} | ratios)
        difference = max(gradient_difference(kind, interval, series) for interval in chosen)
        losses = final_losses(kind, series, *((6, 60) if args.quick else (12, 500)))
        equal.append({"cell": kind, "gradients differ by": difference} | compared(losses))
    progress("")
    met = goals(table, statistics.median(peak_megabytes(population, 32) / 32 for _ in range(5)))
    for title, rows in (("Speed", table), ("Equal", equal), ("Goals", met)):
        print(f"\n## {title}\n\n{markdown(rows)}")
    if args.json:
        args.json.write_text(json.dumps({"speed": table, "equal": equal, "goals": met}, indent=1))


if __name__ == "__main__":
    main()
