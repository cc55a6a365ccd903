"""Whether the card computes what the CPU does, the same twice, and the same for a member whatever its pack."""

import importlib.util
import math
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.check import Section
from benchmarks.gpu.networks import ADDING, CELLS, LORENZ, all_apart, apart, cell_of, pack, precision, trained
from lyapsweep.cells import CELLS as CLASSES
from lyapsweep.config import Config
from lyapsweep.dynamics import lyapunov_spectra
from lyapsweep.flossing import Flossing, refuse_low_rank
from lyapsweep.forcing.growth import norm
from lyapsweep.inits import INITS
from lyapsweep.training.checkpoint import Checkpoints
from lyapsweep.trial import run_trials

KINDS = {
    "segments": (LORENZ, {}),
    "ragged": (LORENZ, {"forcing": {"kind": "sparse", "interval": 12}}),
    "stepwise": (LORENZ, {"forcing": {"kind": "generalised", "alpha": 0.2}}),
    "driven": (ADDING, {}),
    "identity": (LORENZ, {"readout": {"kind": "identity"}}),
    "adaptive": (LORENZ, {"forcing": {"kind": "adaptive", "every": 5}, "windows": {"length": 16, "batch": 4}}),
    "penalties": (LORENZ, {"regularisation": {"latent": 0.01, "observation": 0.01}}),
}


def agreement(section: Section) -> None:
    """Losses, norms and weights of ten updates on card and CPU."""
    worst: dict[str, float] = {}
    for kind, (base, change) in list(KINDS.items())[: 2 if section.quick else None]:
        for dtype in (torch.float32, torch.float64):
            for cell in CELLS[:2] if section.quick else CELLS:
                with precision(dtype):
                    configs = pack(base, 3, change, cell_of(cell, 12))
                    key = f"{kind}, {cell}, {str(dtype)[6:]}"
                    difference = section.attempt(
                        key,
                        lambda configs=configs: all_apart(trained(configs, section.device), trained(configs, "cpu")),
                    )
                if difference is not None:
                    del section.found[key]
                    worst[f"{kind}, {str(dtype)[6:]}"] = max(worst.get(f"{kind}, {str(dtype)[6:]}", 0.0), difference)
                    section.found["compared"] = section.found.get("compared", 0) + 1
    section.found["worst"] = worst


def vanilla(device: str, dead: int, units: int = 12, population: int = 1, gain: float = 1.2):
    """A cell in double precision whose Jacobian annihilates `dead` directions."""
    cell = CLASSES["vanilla"](inputs=0, population=population, units=units)
    draw = lambda rows, columns, generator: INITS["gaussian"](rows, columns, generator, gain=gain)  # noqa: E731
    cell.build([(draw, torch.Generator().manual_seed(s)) for s in range(population)])
    with torch.no_grad():
        cell.W[:, :, :dead] = 0
    return cell.double().to(device).requires_grad_(False)


def numerics(section: Section) -> None:
    """What CUDA alone takes: frames of singular Jacobians, spectral norms, pseudo-inverses."""
    z = torch.full((1, 3, 12), 0.1, dtype=torch.float64)

    def spectrum(device: str, dead: int, method: str) -> np.ndarray:
        found = lyapunov_spectra(vanilla(device, dead), z.to(device), steps=60, warmup=10, method=method)
        return found[0].exponents

    def compared(dead: int, method: str) -> dict[str, float | bool]:
        a, b = spectrum("cpu", dead, method), spectrum(section.device, dead, method)
        ends = np.isfinite(a) & np.isfinite(b)
        same = bool(np.array_equal(np.isneginf(a), np.isneginf(b)) and not np.isnan(b).any())
        return {"same -inf, no NaN": same, "apart": float(np.abs(a[ends] - b[ends]).max(initial=0))}

    for dead in (0, 1, 3):
        for method in ("qr", "adaptive", "batched_lu"):
            section.attempt(f"{dead} annihilated, {method}", lambda dead=dead, method=method: compared(dead, method))

    def refused(device: str) -> str:
        try:
            refuse_low_rank(vanilla(device, 6), Flossing(exponents=8))
        except ValueError as error:
            return f"refused: {error}"[:80]
        return "TAKEN"

    section.attempt("flossing of rank 6 for 8 exponents", lambda: [refused("cpu"), refused(section.device)])
    J = torch.randn(200, 30, 30, generator=torch.Generator().manual_seed(0))
    exact = torch.linalg.matrix_norm(J.double(), 2)
    section.attempt("error of norms", lambda: float(((norm(J.to(section.device)).cpu() - exact) / exact).abs().max()))


def bits(section: Section) -> None:
    """Twice the same; a dying neighbour is not noticed; a dead member stays finite."""
    base = {"training": {"steps": 80, "optimizer": "sgd", "clip": None, "lr_end": None, "report_at": []}}

    def checked(cell: str) -> dict[str, float | bool | int | None]:
        alike = pack(LORENZ, 3, base, cell_of(cell, 12), {"training": {"lr": 1e-2}})
        dying = [alike[0], alike[1].changed({"training/lr": 1e38}), alike[2]]
        once, twice, beside, alone = (trained(configs, section.device) for configs in (alike, alike, dying, alike[:1]))
        return {
            "twice the same": all(torch.equal(once.weights[k], twice.weights[k]) for k in once.weights),
            "dies at": beside.progress.died_at[1],
            "dead member finite": all(bool(w[1].isfinite().all()) for w in beside.weights.values()),
            "neighbours the same": all(
                torch.equal(once.weights[k][[0, 2]], beside.weights[k][[0, 2]]) for k in once.weights
            ),
            "alone, apart": max(apart(alone.weights[k][0], once.weights[k][0]) for k in once.weights),
        }

    for cell in ("dendritic_plrnn", *(c for c in CELLS if c != "dendritic_plrnn"))[: 2 if section.quick else None]:
        section.attempt(cell, lambda cell=cell: checked(cell))


def records(section: Section) -> None:
    """Records of card and CPU; a training that was cut and resumed."""
    configs = pack(LORENZ, 3, {"training": {"steps": 120, "report_every": 60, "report_at": []}}, cell_of("plrnn", 12))

    def final(device: str, checkpoints: Checkpoints | None = None) -> list:
        return [r for rs in run_trials(configs, device, checkpoints) for r in rs if r.outcome.final]

    def compared() -> dict[str, float]:
        here, there = final("cpu"), final(section.device)
        spectra = [(a.spectra[k].exponents, b.spectra[k].exponents) for a, b in zip(there, here) for k in b.spectra]
        scores = [(a.measures[k], b.measures[k]) for a, b in zip(there, here) for k in b.measures]
        return {
            "spectra": max(float(np.nanmax(np.abs(a - b))) for a, b in spectra),
            "measures": max(abs(a - b) / max(abs(b), 1e-9) for a, b in scores if math.isfinite(a) and math.isfinite(b)),
        }

    def resumed() -> bool:
        whole = final(section.device)
        with tempfile.TemporaryDirectory() as folder:
            cut = run_trials(configs, section.device, Checkpoints(Path(folder)))
            for _ in range(3):  # a checkpoint is written when the next report is asked for
                next(cut, None)
            cut.close()  # type: ignore[attr-defined]
            again = final(section.device, Checkpoints(Path(folder)))
        return all(np.array_equal(a.weights[k], b.weights[k]) for a, b in zip(again, whole) for k in b.weights)

    section.attempt("card - CPU", compared)
    section.attempt("resumed to the bit", resumed)


def memory(section: Section) -> None:
    """A pack that does not fit is halved."""
    if importlib.util.find_spec("ray") is None or section.device == "cpu":
        section.found["skipped"] = "needs ray and a card"
        return
    from lyapsweep.sweep.execute.trainable import train_pack

    shape = {"forcing": {"kind": "none"}, "windows": {"length": 400, "batch": 64}, "training": {"steps": 5}}
    configs: list[Config] = pack(LORENZ, 32, shape, cell_of("vanilla", 64))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    for _ in train_pack(configs, section.device):
        pass
    peak, total = torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.75 * peak / total)
    oversized: list[int] = []
    try:
        ends = [r for rs in train_pack(configs, section.device, oversized) for r in rs if r.outcome.final]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    section.found |= {"peak MB": peak / 1e6, "oversized": oversized, "ends": len(ends)}
    section.found["outcomes"] = sorted({r.outcome.value for r in ends})
