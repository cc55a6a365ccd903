"""What MLflow is told of one record, so that its tables and charts can be read: names, tags, metrics, the data.

Everything before the last `/` of a metric's name is a section of MLflow's charts, and a table shows the value at a
metric's last step. So what is read in tables is one number a training step, and a curve whose steps are no training
steps (`spectrum by index`) has a section of its own.
"""

import json
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric

from lyapsweep import systems
from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.record import Outcome, Record

LONGEST_PARAM = 6000  # MLflow's limit
LONGEST_DIGEST = 36
CURVE_POINTS = 60  # at most, of a training curve
DIGITS = 5  # that a table of MLflow has room for; the record's file holds them all
TRACES = ("loss", "gradient_norm")


def interrupted(record: Record) -> bool:
    """Ended by a person or a dying driver, not by its own training: a resumed sweep goes on with it."""
    return record.outcome is Outcome.STOPPED and record.provenance.interrupted


def metrics(record: Record, start: int, first: str = "") -> Iterator[Metric]:
    """Every metric of a record, at a time that the record alone decides: told twice, it is one.

    The measure `first` is told first: the page on which runs are compared begins with that one. Infinite values are
    left to the record's file: MLflow would store them as 1.8e308 and its charts would show nothing else.
    """
    for key, value in sorted(scalars(record).items(), key=lambda told: told[0] != f"measures/{first}"):
        if not math.isinf(value):
            yield Metric(key, short(value), start + record.step, record.step)
    if record.outcome.final and not interrupted(record):
        for key, points in curves(record).items():
            for step, value in points:
                if math.isfinite(value):
                    yield Metric(key, short(value), start + step, step)


def short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def scalars(record: Record) -> dict[str, float]:
    """One number each at this training step: lambda_max/... in nats per unit time, spectra/... per step.

    Floors and saturations do not change while a network trains, so they come with its last record.
    """
    told = {f"measures/{k}": v for k, v in record.measures.items()}
    if record.outcome.final:
        told |= {f"floors/{k}": v for k, v in record.floors.items()}
        told |= {f"saturations/{k}": v for k, v in record.saturations.items()}
    for name, spectrum in record.spectra.items():
        told |= {f"spectra/{name}/{k}": v for k, v in spectrum.summary().items()}
        told[f"lambda_max/{name}"] = float(spectrum.per_time[0])
    told |= against_data(record)
    seconds = record.provenance.seconds
    return told | ({} if seconds is None else {"training/seconds": float(seconds)})


def against_data(record: Record) -> dict[str, float]:
    """The data's largest exponent in nats per unit time, and the network's over it, where both are known."""
    data, spectrum = record.provenance.data, record.spectra.get("closed loop")
    known = data.lambda_max if data else None
    if data is None or known is None or spectrum is None:
        return {}
    told = {"lambda_max/of the data": known / (data.dt or 1.0)}
    return told | ({"lambda_max/ratio to the data": spectrum.maximum / known} if known else {})


def curves(record: Record) -> dict[str, list[tuple[int, float]]]:
    """Points (step, value): training curves over updates, and spectra over the exponents' index, from 1."""
    told = {f"training/{name}": thinned(name, record) for name in TRACES if name in record.traces}
    for name, spectrum in record.spectra.items():
        told[f"spectrum by index/{name}"] = list(enumerate(spectrum.per_time.tolist(), start=1))
    if "closed loop" in record.spectra and (known := literature(record.config)):
        told["spectrum by index/of the data"] = list(enumerate(known, start=1))
    return told


def thinned(name: str, record: Record) -> list[tuple[int, float]]:
    """At most CURVE_POINTS of a training curve up to the record's step, each at its update, first and last included.

    Records of before `updates` do not say which updates their values belong to: they have no curve here.
    """
    pairs = zip(record.traces.get("updates", ()), record.traces[name])
    points = [(int(update), float(value)) for update, value in pairs if update <= record.step]
    return [points[i] for i in np.unique(np.linspace(0, len(points) - 1, CURVE_POINTS).astype(int))] if points else []


def literature(config: Config) -> tuple[float, ...]:
    """The exponents of the data's own system as the literature has them, nats per unit time; none where unknown."""
    if config.dataset["kind"] != "simulated":
        return ()
    parameters = json.dumps(config.dataset.get("parameters") or {}, sort_keys=True)
    return published(config.dataset["system"], parameters)


@lru_cache(maxsize=16)
def published(system: str, parameters: str) -> tuple[float, ...]:
    known = systems.build(system, **json.loads(parameters)).known
    return known.exponents if known else ()


def marks(config: Config) -> dict[str, str]:
    """Tags to filter by, known before training."""
    dataset = config.dataset
    return {
        "trial_key": config.id,
        "cell": config.cell["kind"],
        "dataset": dataset["kind"],
        "forcing": config.forcing["kind"],
        **({"system": str(dataset["system"])} if "system" in dataset else {}),
    }


def verdicts(record: Record) -> dict[str, str]:
    """Tags that only a trial's end decides."""
    told = {
        "outcome": record.outcome.value,
        "chaotic": chaotic(record.spectrum),
        "mlflow.note.content": sentence(record),
    }
    error = (record.provenance.error or "")[:LONGEST_PARAM]
    return told | ({"error": error} if error else {})


def sentence(record: Record) -> str:
    """A run's description: how it ended, what its exponents say beside the data's, and how long that took."""
    told, spectrum, data = (
        [f"**{record.outcome.capitalize()}.** {record.outcome.sentence}"],
        record.spectrum,
        against_data(record),
    )
    if spectrum is not None:
        verdict = {"yes": "Chaotic", "no": "Not chaotic"}.get(chaotic(spectrum), "Of unknown dynamics")
        value = f"{spectrum.per_time[0]:.4g} ± {spectrum.stderr_per_time[0]:.2g}"
        known = f"; the data's is {data['lambda_max/of the data']:.4g}" if data else ""
        unit = "unit time" if spectrum.dt else "step"
        told.append(f"{verdict}: lambda_max = {value} nats per {unit} ({spectrum.map}){known}.")
    if taken := seconds(record):
        told.append(f"{record.step} of {record.config.training.steps} updates in {taken:.0f} s.")
    return " ".join(told)


def chaotic(spectrum: Spectrum | None) -> str:
    """`yes` where the largest exponent is above zero by more than two standard errors."""
    if spectrum is None or not spectrum.finite:
        return "unknown"
    return "yes" if spectrum.maximum > 2 * np.nan_to_num(spectrum.stderr[0]) else "no"


def seconds(record: Record) -> float:
    """How long the trial had trained, 0 where nobody took the time."""
    return record.provenance.seconds or 0.0


def dataset(record: Record) -> DatasetInput | None:
    """The data as MLflow knows them: by the name of their system or file and the digest of their numbers."""
    data, settings = record.provenance.data, record.config.dataset
    if data is None or not data.digest:
        return None
    paths = settings.get("path") or []
    where = next(iter(paths if isinstance(paths, list) else [paths]), None)
    name = settings.get("system") or (Path(where).name if where else settings["kind"])
    facts = {k: v for k, v in data.to_json().items() if k != "digest" and v is not None}
    told = Dataset(
        name=str(name),
        digest=data.digest[:LONGEST_DIGEST],
        source_type="local" if where else "code",
        source=json.dumps({"uri": str(where)} if where else {"tags": {"dataset": json.dumps(settings)}}),
        profile=json.dumps(facts, default=str),
    )
    return DatasetInput(told, [InputTag("mlflow.data.context", "training")])


def run_name(config: Config, varied: Sequence[str]) -> str:
    """What tells this trial from its neighbours, readable in a list: `lstm interval=30 seed=1`."""
    leaves = [path.rpartition("/")[2] for path in varied]
    words = []
    for path in varied or ("cell/kind", "seed"):
        value, leaf = config.flat.get(path), path.rpartition("/")[2]
        if value is not None:
            words.append(text(value) if leaf == "kind" else f"{path if leaves.count(leaf) > 1 else leaf}={text(value)}")
    return " ".join(words)[:200]


def text(value: Any) -> str:
    """A parameter as MLflow shows it: words as they are, all else as JSON, cut at MLflow's limit."""
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:LONGEST_PARAM]
