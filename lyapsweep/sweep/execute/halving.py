"""Which trials of a hunt train on: asynchronous successive halving (ASHA, Li et al. 2020)."""

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from lyapsweep.config.sections import Training

REDUCTION_FACTOR = 3  # the best of so many trials trains on at each rung
FIRST_RUNG = 9  # the first rung lies at a ninth of training, or at the first report if that is later


def scheduler(intent: str, training: Training) -> TrialScheduler:
    """A map trains every trial to its end; a hunt stops all but the best third at each rung."""
    if intent == "map":
        return FIFOScheduler()
    steps, first_report = training.steps, training.report_every or training.steps
    return ASHAScheduler(
        time_attr="step",
        max_t=steps,
        grace_period=min(max(first_report, steps // FIRST_RUNG), steps),
        reduction_factor=REDUCTION_FACTOR,
    )
