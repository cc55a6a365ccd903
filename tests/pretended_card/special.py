"""Checks on the pretended card besides the matrix: checkpoints, memory, mixed devices, and CUDA-only numerics."""

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from audit import Audit, Lists
from cases import BASE, TASK, TASKS, merged, others, pack
from compare import apart, configs_of, trained

from lyapsweep.cells import CELLS
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.dynamics.growth import tangent_growth
from lyapsweep.flossing import Flossing, floss
from lyapsweep.forcing.growth import norm
from lyapsweep.inits import INITS
from lyapsweep.training import update
from lyapsweep.training.checkpoint import Checkpoints
from lyapsweep.trial import run_trials

CUT = {
    "fixed": pack(BASE, {"training": {"steps": 6, "report_every": 2}}),
    "random": pack(
        BASE, {"forcing": {"kind": "random", "interval": 4, "spread": 2}, "training": {"steps": 6, "report_every": 2}}
    ),
    "adaptive": pack(BASE, {"forcing": {"kind": "adaptive", "every": 2}, "training": {"steps": 6, "report_every": 2}}),
    "stateful": pack(
        {"dataset": {"kind": "buckets", "years": 2}, "cell": {"kind": "gru", "units": 6}},
        TASK,
        {"windows": {"length": 8, "batch": 4, "policy": "stateful"}, "training": {"steps": 6, "report_every": 2}},
    ),
}


LIMIT = 8_000_000  # bytes: enough for a pack of 2, not of 4


def checkpoints():
    """Per kind, the difference between a training that was cut after a report and one that was not."""
    found = {}
    for kind, contents in CUT.items():
        small = [merged(content, {"measures": ["loss"]}) for content in contents]
        configs = configs_of(small)
        *_, whole = run_trials(configs, "cuda")
        with tempfile.TemporaryDirectory() as folder:
            stream = run_trials(configs, "cuda", Checkpoints(Path(folder)))
            for _ in range(3):  # the checkpoint of a report is written when the next one is asked for
                next(stream)
            stream.close()
            *_, again = run_trials(configs, "cuda", Checkpoints(Path(folder)))
        pairs = [(a.weights[k], b.weights[k]) for a, b in zip(again, whole) for k in b.weights]
        pairs += [(a.traces["loss"], b.traces["loss"]) for a, b in zip(again, whole)]
        assert again[0].provenance.continued, f"{kind} was not resumed"
        found[kind] = max(apart(a, b) for a, b in pairs)
    return found


def memory(library):
    """Packs of 4 on a card that has memory for less: the sizes that failed, and the outcome of each member."""
    from lyapsweep.sweep.execute.trainable import train_pack

    shape = {"cell": {"kind": "vanilla", "units": 32}, "windows": {"length": 150, "batch": 32}}
    content = merged(BASE, shape, {"forcing": {"kind": "none"}, "measures": ["loss"]})
    configs = configs_of([merged(content, {"seed": s, "training": {"steps": 2}}) for s in range(4)])
    oversized = []
    library.pretended_memory_limit(library.pretended_memory_in_use() + LIMIT)
    try:
        records = [r for rs in train_pack(configs, "cuda", oversized) for r in rs if r.outcome.final]
    finally:
        library.pretended_memory_limit(2**63)
    packs = [r.provenance.pack for r in records]
    return {"oversized": oversized, "outcomes": [r.outcome.value for r in records], "packs": packs}


GRAPHED = {
    "segments": pack(BASE, {"training": {"steps": 8}}),
    "ragged": pack(BASE, {"forcing": {"kind": "sparse", "interval": 5}, "training": {"steps": 8, "lr_end": None}}),
    "stepwise": pack(BASE, {"forcing": {"kind": "generalised"}, "training": {"steps": 8, "clip_value": 0.5}}),
    "identity": pack(BASE, {"readout": {"kind": "identity"}, "training": {"steps": 8, "optimizer": "sgd"}}),
    "penalties": pack(BASE, {"regularisation": {"latent": 0.1, "observation": 0.1}, "training": {"steps": 8}}),
    "task": pack(
        {"dataset": {"kind": "adding"} | TASKS["adding"], "cell": {"kind": "lstm", "units": 6}},
        TASK,
        {"training": {"steps": 8}},
    ),
    "dies": [merged(c, {"training": {"lr": lr}}) for c, lr in zip(others()["other/dies"], (1e30, 1e-3))],
    "radam": pack(BASE, {"training": {"steps": 8, "optimizer": "radam"}}),
    "carried": [merged(c, {"training": {"report_every": None}}) for c in CUT["stateful"]],
    "annealed": pack(BASE, {"forcing": {"kind": "annealed", "interval": 6}, "training": {"steps": 8}}),
}


def graphs():
    """Per kind: whether updates were replayed from a graph, and how far their results are from those of the loop."""
    found, replays = {}, []
    for kind, contents in GRAPHED.items():
        update.LEAST = 10**9
        loop = trained(contents, "cuda")
        update.LEAST = 0
        replays.clear()
        plain = update.GraphedUpdate.__call__
        update.GraphedUpdate.__call__ = lambda self, step: (replays.append(step), plain(self, step))[1]  # noqa: B023
        try:
            graphed = trained(contents, "cuda")
        finally:
            update.GraphedUpdate.__call__, update.LEAST = plain, 10**9
        found[kind] = {"replays": len(replays), "apart": max(apart(graphed[k], loop[k]) for k in loop)}
    return found


def mixed_devices():
    """The operators that did not raise with one tensor on each device."""
    here, there = torch.ones(2, 3, 3), torch.ones(2, 3, 3, device="cuda")
    attempts = {
        "add": lambda: there + here,
        "bmm": lambda: torch.bmm(there, here),
        "where": lambda: torch.where(there > 0, here, there),
        "cat": lambda: torch.cat((there, here)),
        "numpy": lambda: there.numpy(),
        "index_select": lambda: there.index_select(0, torch.tensor([0])),
    }
    taken = []
    for name, attempt in attempts.items():
        try:
            attempt()
            taken.append(name)
        except (RuntimeError, TypeError):
            pass
    return taken


def network(device, dead, kind="vanilla", units=8, population=2):
    """A cell in double precision whose Jacobian annihilates `dead` directions."""
    cell = CELLS[kind](inputs=0, population=population, units=units)
    draw = lambda rows, columns, generator: INITS["gaussian"](rows, columns, generator, gain=1.2)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(s)) for s in range(population)])
    with torch.no_grad():
        cell.W[:, :, :dead] = 0
    return cell.double().to(device).requires_grad_(False)


def numerics():
    """Spectra with annihilated directions by every method: those of a CPU, and of the card."""
    found = {}
    for dead in (0, 1, 3):
        z = torch.full((2, 3, 8), 0.1, dtype=torch.float64)
        for method in ("qr", "adaptive", "batched_lu", "auto"):
            both = {}
            for device in ("cpu", "cuda"):
                spectra = lyapunov_spectra(network(device, dead), z.to(device), steps=40, warmup=10, method=method)
                both[device] = np.stack([s.exponents for s in spectra])
            found[f"{method}, {dead} annihilated"] = apart(both["cuda"], both["cpu"])
            if method != "qr":  # whose R_ii are of the size of the rounding error, on a CPU too
                found[f"{method}, {dead} annihilated: -inf"] = float(np.isneginf(both["cuda"]).sum() - 2 * dead)
    return found


def flossing():
    """What flossing says of 8 exponents of a network of rank 6, and of 4: the second runs, on both devices alike."""
    found = {}
    for device in ("cpu", "cuda"):
        try:
            floss(network(device, 2), [Flossing(exponents=8)] * 2)
            found[device] = "taken"
        except ValueError as error:
            found[device] = str(error)
    losses = {
        d: floss(copy.deepcopy(network(d, 2)), [Flossing(exponents=4, steps=4, length=8)] * 2) for d in ("cpu", "cuda")
    }
    found["apart"] = apart(losses["cuda"].cpu().numpy(), losses["cpu"].numpy())
    return found


def norms():
    """Spectral norms of random, nearly degenerate and zero matrices: the card's relative error, and what it called."""
    g = torch.Generator().manual_seed(0)
    q = torch.linalg.qr(torch.randn(5, 30, 30, generator=g))[0]
    close = q * torch.linspace(0.999, 1.0, 30) @ q.mT
    batch = torch.cat((torch.randn(20, 30, 30, generator=g), close, torch.zeros(1, 30, 30)))
    batch = torch.cat((batch, batch * 1e-15, torch.full((1, 30, 30), torch.nan))).unsqueeze(0)
    audit, on_card = Audit(), batch.cuda()
    with audit, Lists(audit):
        there = norm(on_card)
    exact = torch.linalg.matrix_norm(batch[:, :-1].double(), 2)
    relative = (there.cpu()[:, :-1] - exact).abs() / exact.clamp(min=1e-30)
    cell = {d: network(d, 0) for d in ("cpu", "cuda")}
    z = torch.full((2, 3, 8), 0.1, dtype=torch.float64)
    growth = [tangent_growth(cell[d], z.to(d), [1, 5, 30]) for d in ("cuda", "cpu")]
    unwanted = [*map(str, audit.unwanted), *map(str, audit.waits)]
    return {
        "error": float(relative.max()),
        "nan": bool(there[0, -1].isnan().cpu()),
        "growth": apart(*growth),
        "unwanted": unwanted,
    }
