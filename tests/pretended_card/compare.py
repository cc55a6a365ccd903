"""Training and records of a pack on the CPU and on the pretended card, and how far they are apart."""

import numpy as np
import torch
from audit import Audit, Lists

from lyapsweep.config import Config
from lyapsweep.flossing import floss
from lyapsweep.problems import problem_of
from lyapsweep.problems.network import build_network
from lyapsweep.regularisation import penalty
from lyapsweep.training import train
from lyapsweep.trial import run_trials


def configs_of(contents):
    return [Config.of(content) for content in contents]


def trained(contents, device, audit=None):
    """Losses, norms and weights (population first) after the last update, and the step that it ended at."""
    configs = [
        config.changed({"training/report_every": None, "training/report_at": []}) for config in configs_of(contents)
    ]
    problem = problem_of(configs[0])
    network = build_network(configs, *problem.size).to(device)
    floss(network.cell, [c.flossing for c in configs])
    penalties = penalty(network, [c.regularisation for c in configs])
    steps = train(network, problem.objective(network, configs, device), [c.training for c in configs], penalties)
    next(steps)
    if audit is None:
        *_, progress = steps
    else:
        with audit, Lists(audit):
            *_, progress = steps
    found = {name: w.detach().cpu().numpy() for name, w in network.named_parameters()}
    curves = {"losses": progress.losses.T.cpu().numpy(), "norms": progress.gradient_norms.T.cpu().numpy()}
    ends = {"died_at": np.array([-1 if d is None else d for d in progress.died_at]), "step": np.array(progress.step)}
    return {**found, **curves, **ends}


def apart(a, b):
    """0 for equal bits, else the largest difference over the largest size; infinite if other entries are finite."""
    if a.shape != b.shape:
        return float("inf")
    if np.array_equal(a, b, equal_nan=True):
        return 0.0
    a, b = a.astype(float), b.astype(float)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    finite = np.isfinite(a)
    return float(np.abs(a[finite] - b[finite]).max() / np.abs(b[finite]).max().clip(1e-12))


def compare_training(contents):
    """The difference of each result, and what one update cost on the card."""
    here, audit = trained(contents, "cpu"), Audit()
    there = trained(contents, "cuda", audit)
    updates = int(there["losses"].shape[1])
    waits = {f"{what} at {where}": n / updates for (what, where), n in audit.waits.items() if where != "report"}
    unwanted = {f"{what} at {where}": n / updates for (what, where), n in audit.unwanted.items() if where != "report"}
    return {
        "apart": {name: apart(there[name], value) for name, value in here.items()},
        "launches": audit.launches / updates,
        "waits": waits,
        "unwanted": unwanted,
    }


def compare_records(contents):
    """The difference of each part of the records."""
    here, there = ([r for rs in run_trials(configs_of(contents), device) for r in rs] for device in ("cpu", "cuda"))
    found = {"records": float(len(here) != len(there))}
    for a, b in zip(there, here):
        found["ends"] = max(found.get("ends", 0.0), float((a.outcome, a.step) != (b.outcome, b.step)))
        parts = {f"weights/{k}": (a.weights[k], b.weights[k]) for k in b.weights}
        parts |= {f"spectra/{k}": (a.spectra[k].exponents, b.spectra[k].exponents) for k in b.spectra}
        parts |= {f"measures/{k}": (np.array(a.measures[k]), np.array(b.measures[k])) for k in b.measures}
        for name, (x, y) in parts.items():
            found[name] = max(found.get(name, 0.0), apart(x, y))
    return {"apart": found}


def default_precision():
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(1)
