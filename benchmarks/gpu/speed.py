"""How long an update takes: by cell, size of the pack, and with and without CUDA graphs and Triton's kernels."""

import logging
from functools import partial
from typing import Any

import torch

from benchmarks.gpu.check import Section
from benchmarks.gpu.networks import ADDING, LORENZ, all_apart, cell_of, pace, pack, stream, trained, using
from lyapsweep.cells import AbstractCell, unrolled
from lyapsweep.training import update

SIZES = (1, 32, 256, 1024, 4096)
PATHS = {
    "segments": (LORENZ, {}),
    "ragged": (LORENZ, {"forcing": {"kind": "sparse", "interval": 12}}),
    "identity": (LORENZ, {"readout": {"kind": "identity"}}),
    "generalised": (LORENZ, {"forcing": {"kind": "generalised", "alpha": 0.2}}),
    "task": (ADDING, {}),
    "annealed": (LORENZ, {"forcing": {"kind": "annealed", "interval": 16}}),
    "adaptive": (LORENZ, {"forcing": {"kind": "adaptive", "every": 5}, "windows": {"length": 64, "batch": 4}}),
    "radam": (LORENZ, {"training": {"optimizer": "radam"}}),
}


class Refusals(logging.Handler):
    """The warnings of a training: why it has no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage()[:300])


def graphs(section: Section) -> None:
    """Of every path: whether its update became a graph, and how far its results are from those of the loop."""
    members, log = 4 if section.quick else 256, logging.getLogger("lyapsweep")
    paths = {name: (base, change, "vanilla") for name, (base, change) in PATHS.items()}
    paths |= {f"segments, {cell}": (LORENZ, {}, cell) for cell in ("plrnn", "lstm", "dendritic_plrnn", "scornn")}
    for name, (base, change, cell) in list(paths.items())[: 2 if section.quick else None]:
        configs = pack(base, members, {"training": {"steps": 60}}, change, cell_of(cell, 30))

        def compared(configs: list = configs) -> dict[str, Any]:
            refusals, replays = Refusals(), [0]
            log.addHandler(refusals)
            plain = update.GraphedUpdate.__call__

            def counted(self: update.GraphedUpdate, step: int) -> None:
                replays[0] += 1
                plain(self, step)

            update.GraphedUpdate.__call__ = counted  # type: ignore[method-assign]
            try:
                with using(graph=True):
                    graphed = trained(configs, section.device)
            finally:
                log.removeHandler(refusals)
                update.GraphedUpdate.__call__ = plain  # type: ignore[method-assign]
            with using(graph=False):
                loop = trained(configs, section.device)
            return {"replays": replays[0], "apart": all_apart(graphed, loop), "warnings": refusals.texts}

        section.attempt(name, compared)


def kernels(section: Section) -> None:
    """Triton's kernels of many steps against the cells' loops: differences, microseconds, and their settings."""
    if not unrolled.has_triton():
        section.found["skipped"] = "triton is not installed"
        return
    from lyapsweep.cells import triton_steps

    section.found["works"] = triton_steps.works(torch.device(section.device))
    for kind in ("vanilla", "plrnn", "alrnn"):
        for members, rows in ((64, 64), (1024, 64)):
            section.attempt(
                f"{kind}, {members} x {rows}", lambda k=kind, m=members, r=rows: both_ways(section, k, m, r)
            )
    before = triton_steps.ROWS, triton_steps.WARPS
    for rows in (16, 32, 64):
        for warps in (1, 2, 4):
            triton_steps.ROWS, triton_steps.WARPS = rows, warps
            section.attempt(
                f"plrnn, 1024 x 64, {rows} rows, {warps} warps", lambda: both_ways(section, "plrnn", 1024, 64)
            )
    triton_steps.ROWS, triton_steps.WARPS = before


def both_ways(section: Section, kind: str, members: int, rows: int, steps: int = 16) -> dict[str, Any]:
    """Forward and back over `steps` steps: by the loop, by the kernels."""
    network, _ = stream(pack(LORENZ, members, cell_of(kind)), section.device)
    cell: AbstractCell = network.cell
    draw = torch.Generator().manual_seed(0)
    z = (0.3 * torch.randn(members, rows, 30, generator=draw)).to(section.device).requires_grad_(True)
    g = torch.randn(steps, members, rows, 30, generator=draw).to(section.device)
    weights = [z, *(w for w in cell.parameters() if w.numel())]
    results, took = {}, {}
    for name, use in (("loop", False), ("kernels", True)):
        with using(kernels=use):
            way = partial(forward_and_back, cell, z, g, weights)
            results[name] = [t.detach().double().cpu() for t in way()]
            took[f"{name} us"] = round(section.seconds_of(way, 10) * 1e6, 1)
    differs = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(results["kernels"], results["loop"])]
    return took | {"apart": max(differs)}


def forward_and_back(cell: AbstractCell, z: torch.Tensor, g: torch.Tensor, weights: list) -> list[torch.Tensor]:
    states = unrolled.unroll(cell, z, len(g))
    return [states, *torch.autograd.grad(states, weights, g)]


def updates(section: Section) -> None:
    """Microseconds of an update at every size, as users get it, and one thread of the CPU at 32 members."""
    sizes = (2,) if section.quick else SIZES
    for cell in ("plrnn", "vanilla", "lstm", "shallow_plrnn", "dendritic_plrnn", "scornn"):
        for members in sizes:
            configs = pack(LORENZ, members, cell_of(cell))
            section.attempt(f"{cell}, {members}", lambda c=configs: pace(section, c, section.device, 0.5))
        section.attempt(
            f"{cell}, 32, cpu", lambda cell=cell: pace(section, pack(LORENZ, 32, cell_of(cell)), "cpu", 0.5)
        )


def variants(section: Section) -> None:
    """The same with and without graphs and kernels, and every path at 256 members."""
    for members in (2,) if section.quick else (256, 1024):
        configs = pack(LORENZ, members, cell_of("plrnn"))
        for graph in (False, True):
            for kernel in (False, True):
                with using(graph, kernel):
                    name = f"plrnn, {members}, {'graph' if graph else 'loop'}, {'Triton' if kernel else 'no Triton'}"
                    section.attempt(name, lambda c=configs: pace(section, c, section.device, 0.5))
    for name, (base, change) in PATHS.items():
        configs = pack(base, 2 if section.quick else 256, change)
        section.attempt(f"vanilla, 256, {name}", lambda c=configs: pace(section, c, section.device, 0.5))


def waits(section: Section) -> None:
    """Calls of the CUDA runtime in an update of 64 members, and the share of the time that the card works."""
    if section.device == "cpu":
        section.found["skipped"] = "needs a card"
        return
    from torch.profiler import ProfilerActivity, profile

    for name in ("segments", "identity", "generalised", "annealed"):
        base, change = PATHS[name]
        for graph in (False, True):
            configs = pack(base, 64, {"training": {"steps": 80, "report_every": 40, "report_at": []}}, change)

            def counted(configs: list = configs, graph: bool = graph) -> dict[str, float]:
                with using(graph=graph):
                    _, steps = stream(configs, section.device)
                    next(steps), next(steps)
                    section.synchronise()
                    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
                        next(steps)
                        section.synchronise()
                calls = {e.key: e.count / 40 for e in found.key_averages() if e.key.startswith("cuda")}
                return {k: n for k, n in calls.items() if any(word in k for word in ("ynchron", "Memcpy", "Launch"))}

            section.attempt(f"{name}, {'graph' if graph else 'loop'}", counted)
