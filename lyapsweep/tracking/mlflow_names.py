"""What MLflow receives of one record: the run's name, tags, metrics, dataset.

The part of a metric's name before the last `/` is a section of MLflow's charts, and MLflow's tables show the value at
a metric's last step. Values that tables show have therefore one point per training step, and a curve over another
index (`spectrum by index`) has a section of its own.
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric

from lyapsweep import systems
from lyapsweep.config import Config
from lyapsweep.dynamics.spectrum import Spectrum
from lyapsweep.results.record import Record
from lyapsweep.tracking.run_names import MAX_PARAM_LENGTH

MAX_DIGEST_LENGTH = 36  # MLflow's limit
MAX_CURVE_POINTS = 60  # of a training curve
DIGITS = 5  # shown by MLflow's tables; the record's file holds all
TRACES = ("loss", "gradient_norm")


def record_metrics(record: Record, start: int, first: str = "") -> Iterator[Metric]:
    """All metrics of a record; the timestamps depend on the record alone, so that logging is idempotent.

    Infinite values stay in the record's file only: MLflow would store them as 1.8e308 and rescale its charts.

    Args:
        record: The record.
        start: Start of the run, milliseconds since 1970; timestamps are `start + step`.
        first: Measure that is logged first, because MLflow's comparison page begins with the first metric.
    """
    for key, value in sorted(scalars(record).items(), key=lambda item: item[0] != f"measures/{first}"):
        if not math.isinf(value):
            yield Metric(key, rounded(value), start + record.step, record.step)
    if record.outcome.final and not record.interrupted:
        for key, points in curves(record).items():
            for step, value in points:
                if math.isfinite(value):
                    yield Metric(key, rounded(value), start + step, step)


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def scalars(record: Record) -> dict[str, float]:
    """One value per metric at the record's step: lambda_max/... in nats per unit time, spectra/... per step.

    Floors, saturations and scores on the test part are logged with the final record only.
    """
    values = {f"measures/{k}": v for k, v in record.measures.items()}
    if record.outcome.final:
        values |= {f"test/{k}": v for k, v in record.test.items()}
        for kind, bounds in (("floors", record.floors), ("test_floors", record.test_floors)):
            values |= {f"{kind}/{k}": v for k, v in bounds.items() if "/" not in k}  # without the ends of intervals
        values |= {f"saturations/{k}": v for k, v in record.saturations.items()}
    for name, spectrum in record.spectra.items():
        values |= {f"spectra/{name}/{k}": v for k, v in spectrum.summary().items()}
        values[f"lambda_max/{name}"] = math.nan if spectrum.unbounded else float(spectrum.per_time[0])
    values |= data_comparison(record)
    seconds = record.provenance.seconds
    return values if seconds is None else values | {"training/seconds": float(seconds)}


def data_comparison(record: Record) -> dict[str, float]:
    """The data's lambda_max per unit time, and the network's divided by it, where both are known."""
    data, spectrum = record.provenance.data, record.spectra.get("closed loop")
    exponent = data.lambda_max if data else None
    if data is None or exponent is None or spectrum is None:
        return {}
    values = {"lambda_max/of the data": exponent / (data.dt or 1.0)}
    known = exponent and not spectrum.unbounded
    return values | ({"lambda_max/ratio to the data": spectrum.maximum / exponent} if known else {})


def curves(record: Record) -> dict[str, list[tuple[int, float]]]:
    """Points (step, value): training curves over updates, and spectra over the index of the exponents, from 1."""
    points = {f"training/{name}": training_curve(name, record) for name in TRACES if name in record.traces}
    for name, spectrum in ((name, s) for name, s in record.spectra.items() if not s.unbounded):
        points[f"spectrum by index/{name}"] = list(enumerate(spectrum.per_time.tolist(), start=1))
    if "closed loop" in record.spectra and (exponents := published_exponents(record.config)):
        points["spectrum by index/of the data"] = list(enumerate(exponents, start=1))
    return points


def training_curve(name: str, record: Record) -> list[tuple[int, float]]:
    """At most MAX_CURVE_POINTS points (update, value) up to the record's step, the first and the last included.

    Records without the trace `updates` do not hold the updates of their values and have no curve.
    """
    pairs = zip(record.traces.get("updates", ()), record.traces[name])
    points = [(int(update), float(value)) for update, value in pairs if update <= record.step]
    if not points:
        return []
    return [points[i] for i in np.unique(np.linspace(0, len(points) - 1, MAX_CURVE_POINTS).astype(int))]


def published_exponents(config: Config) -> tuple[float, ...]:
    """The published exponents of the simulated system, nats per unit time; empty if there are none."""
    if config.dataset["kind"] != "simulated":
        return ()
    parameters = json.dumps(config.dataset.get("parameters") or {}, sort_keys=True)
    return _known_exponents(config.dataset["system"], parameters)


@lru_cache(maxsize=16)
def _known_exponents(system: str, parameters: str) -> tuple[float, ...]:
    known = systems.build(system, **json.loads(parameters)).known
    return known.exponents if known else ()


def trial_tags(config: Config, trial: str) -> Mapping[str, str]:
    """Tags of a run that are known before training."""
    dataset = config.dataset
    return {
        "trial_key": trial,
        "cell": config.cell["kind"],
        "dataset": dataset["kind"],
        "forcing": config.forcing["kind"],
        **({"system": str(dataset["system"])} if "system" in dataset else {}),
    }


def final_tags(record: Record) -> Mapping[str, str]:
    """Tags of a run that the final record decides."""
    tags = {
        "outcome": record.outcome.value,
        "chaotic": chaos_verdict(record.spectrum),
        "mlflow.note.content": description(record),
    }
    error = (record.provenance.error or "")[:MAX_PARAM_LENGTH]
    return tags | ({"error": error} if error else {})


def description(record: Record) -> str:
    """The description of a run: its outcome, its largest exponent beside the data's, its duration."""
    sentences = [f"**{record.outcome.capitalize()}.** {record.outcome.sentence}"]
    spectrum, data = record.spectrum, data_comparison(record)
    if spectrum is not None:
        verdict = {"yes": "Chaotic", "no": "Not chaotic"}.get(chaos_verdict(spectrum), "Unbounded")
        value = f"{spectrum.per_time[0]:.4g} ± {spectrum.stderr_per_time[0]:.2g}"
        unit = "unit time" if spectrum.dt else "step"
        quantity = "growth rate" if spectrum.unbounded else "lambda_max"
        of_data = f"; the data's is {data['lambda_max/of the data']:.4g}" if data else ""
        said = f"{quantity} = {value} nats per {unit}" if spectrum.finite else "the orbit left the finite numbers"
        sentences.append(f"{verdict}: {said} ({spectrum.map}){of_data}.")
    if seconds := training_seconds(record):
        sentences.append(f"{record.step} of {record.config.training.steps} updates in {seconds:.0f} s.")
    return " ".join(sentences)


def chaos_verdict(spectrum: Spectrum | None) -> str:
    """`yes` if the 95 % interval of the largest exponent is above zero, `no`, `unbounded` or `unknown`."""
    if spectrum is None:
        return "unknown"
    if spectrum.unbounded:
        return "unbounded"
    if np.isnan(spectrum.stderr[0]):
        return "unknown"
    return "yes" if spectrum.chaotic else "no"


def training_seconds(record: Record) -> float:
    """Seconds of training; 0 if they are unknown."""
    return record.provenance.seconds or 0.0


def dataset_input(record: Record) -> DatasetInput | None:
    """MLflow's description of the data: the name of the system or file, and the digest of the numbers."""
    data, settings = record.provenance.data, record.config.dataset
    if data is None or not data.digest:
        return None
    paths = settings.get("path") or []
    path = next(iter(paths if isinstance(paths, list) else [paths]), None)
    name = settings.get("system") or (Path(path).name if path else settings["kind"])
    source = {"uri": str(path)} if path else {"tags": {"dataset": json.dumps(settings)}}
    dataset = Dataset(
        name=str(name),
        digest=data.digest[:MAX_DIGEST_LENGTH],
        source_type="local" if path else "code",
        source=json.dumps(source),
        profile=json.dumps({k: v for k, v in data.to_json().items() if k != "digest" and v is not None}, default=str),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
