"""Random tables of any shape that a sweep or an import can have: for the property test of the page."""

import numpy as np
import pandas as pd

from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

NAMES = ("lstm", "gru", "vanilla", "Zelle µ ∂", "细胞", "a,b", "<b>x</b>", "", "5", "nan", "é" * 60)
SETTINGS = (
    "training/lr",
    "init/gain",
    "forcing/interval",
    "training/steps",
    "cell/units",
    "seed",
    "größe/λ",
    "init/kind",
)
LAST = 100


def setting(n: int, rng: np.random.Generator) -> pd.Series:
    """One value per trial: a constant, few or many numbers or names, truth values, with or without gaps."""
    few = int(rng.integers(1, 6))
    shapes = (
        lambda: np.full(n, rng.normal()),
        lambda: rng.integers(1, few + 1, n),
        lambda: rng.choice(10.0 ** -np.arange(few), n),
        lambda: 10.0 ** rng.uniform(-6, 2, n),
        lambda: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300),
        lambda: rng.choice(NAMES[: few + 1], n),
        lambda: rng.integers(0, 2, n).astype(bool),
        lambda: np.array([f"name {i}" for i in range(n)]),
        lambda: pd.Series(rng.choice(np.array([8, 2.5, "auto", True, "[1, 2]"], object), n)),
        lambda: rng.choice([1.0, np.inf, -np.inf, np.nan, 0.0], n),
        lambda: pd.to_datetime(pd.Series(rng.integers(0, 2000, n)), unit="D"),
        lambda: pd.Series(rng.choice(NAMES, n)).astype("category"),
        lambda: pd.array(rng.integers(0, few + 1, n), dtype="Int64"),
        lambda: rng.integers(0, 2**62, n),
    )
    usual = rng.random() < 0.4
    values = pd.Series(shapes[3 if usual else rng.integers(len(shapes))]())
    if rng.random() < 0.25:
        values = values.astype(object if values.dtype in (bool, int) else values.dtype)
        values = values.mask(rng.random(n) < rng.choice([0.2, 0.9, 1.0]))
    return values


def scores(rows: int, rng: np.random.Generator) -> np.ndarray:
    """A measure of each row: of any size and sign, constant, with NaN and infinities, or nothing but NaN."""
    values = np.exp(rng.normal(size=rows) * rng.choice([0.0, 1.0, 100.0], p=[0.1, 0.8, 0.1]))
    values = values * rng.choice([1.0, -1.0, 0.0, 1e-300], p=[0.85, 0.05, 0.05, 0.05])
    for lost in (np.nan, np.inf, -np.inf):
        if rng.random() < 0.15:
            values[rng.random(rows) < rng.choice([0.1, 0.5, 1.0])] = lost
    return values


def spectra(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Exponents (rows, k), the largest first: gaps, missing spectra, annihilated directions."""
    values = rng.normal(size=(rows, rng.integers(1, 12))) * rng.choice([0.01, 1.0, 50.0])
    values[rng.random(values.shape) < rng.choice([0.0, 0.2], p=[0.8, 0.2])] = -np.inf
    values = -np.sort(-values, axis=1)
    values[rng.random(rows) < rng.choice([0.0, 0.3, 1.0], p=[0.7, 0.2, 0.1])] = np.nan
    return values


def orbits(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A true and a generated orbit: of any length, constant, with NaN, or escaping."""
    shape = (int(rng.choice([0, 1, 20, 100])), int(rng.integers(1, 4)))
    truth, generated = rng.normal(size=(2, *shape)) * rng.choice([0.0, 1.0, 1e30])
    if rng.random() < 0.3:
        generated[shape[0] // 2 :] = rng.choice([np.nan, np.inf])
    return {"truth": truth, "generated": generated}


def table(seed: int, largest: int = 120) -> Table:
    """The table of a seed, of at most `largest` trials; from 100 on early spectra are asked what they predict."""
    rng = np.random.default_rng(seed)
    trials = int(rng.choice([1, 2, 3, 12, 40, 120], p=[0.06, 0.06, 0.08, 0.25, 0.4, 0.15]))
    trials = min(trials, largest)
    chosen = list(rng.choice(SETTINGS, rng.integers(0, 5), replace=False))
    held = {name: setting(trials, rng) for name in chosen}
    held["cell/kind"] = pd.Series(rng.choice(NAMES[: rng.integers(1, 4)], trials))
    if rng.random() < 0.3:
        held["dataset/kind"] = pd.Series(rng.choice(["simulated", "recorded"], trials))
        held["dataset/system"] = pd.Series(rng.choice(["lorenz63", "Rössler", "henon"], trials))
    steps = [0, 10, LAST][-int(rng.integers(1, 4)) :]
    settings = pd.DataFrame(held, index=range(trials))
    frame = pd.concat([settings.assign(step=step, final=step == LAST) for step in steps])
    frame.insert(0, "trial", [f"t{i:03d}" for i in frame.index])
    frame = frame.sort_values(["trial", "step"]).reset_index(drop=True)
    return with_results(frame, rng)


def with_results(frame: pd.DataFrame, rng: np.random.Generator) -> Table:
    """Add outcomes, measures, spectra and a description to the settings of each row."""
    rows = len(frame)
    kinds, shares = ["finished", "diverged", "failed", "stopped", "running"], rng.dirichlet([8, 1, 1, 0.5, 0.5])
    ended = np.where(rng.random() < 0.05, "failed", rng.choice(kinds, rows, p=shares))
    columns: dict[str, object] = {"outcome": np.where(frame["final"], ended, "running").astype(object)}
    columns["seconds"] = rng.choice([np.nan, 1.5], rows)
    measures = list(
        rng.choice(
            ["loss", "solved", "mein maß", "state_space"],
            rng.choice([0, 1, 2, 4], p=[0.05, 0.3, 0.4, 0.25]),
            replace=False,
        )
    )
    columns |= {f"measures/{name}": scores(rows, rng) for name in measures}
    columns |= {f"floors/{name}": scores(rows, rng) for name in measures if rng.random() < 0.3}
    columns |= {f"data/{key}": scores(rows, rng) for key in ("dt", "lambda_max") if rng.random() < 0.3}
    if rng.random() < 0.3:
        columns["provenance/error"] = rng.choice(["RuntimeError: <x> µ", None], rows)
    found = spectra(rows, rng) if rng.random() < 0.8 else None
    which = str(rng.choice(["driven", "closed loop", "eigenes"]))
    if found is not None:
        columns |= {f"spectra/{which}/maximum": found[:, 0], f"spectra/{which}/sum": found.sum(axis=1)}
        columns |= {f"spectra/{which}/kaplan_yorke": scores(rows, rng)}
    description = SweepDescription(
        name=str(rng.choice(["", "a_sweep", "Ünïcode 名"])),
        question=str(rng.choice(["", "Why <b>not</b>?\n\n    code µ"])),
        intent=(None, "map", "map", "hunt")[rng.integers(4)],
        objective=str(rng.choice([*measures, *measures, "", "unknown"])),
        direction=(None, "minimise", "maximise")[rng.integers(3)],
    )
    held = {} if found is None else {which: found}
    return Table(
        frame=pd.concat([frame, pd.DataFrame(columns)], axis=1),
        spectra=held,
        spectra_stderr={m: np.abs(v) * rng.choice([0.1, np.nan]) for m, v in held.items()},
        traces=[orbits(rng) if rng.random() < 0.3 else {} for _ in range(rows)],
        description=description,
    )
