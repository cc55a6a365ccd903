"""Evaluate networks of a series: Lyapunov spectra, free runs, forecasts and held-out losses, in double precision.

Where inputs drove the data, each run from a held-out row is driven by the rows of inputs that follow it, and is no
longer than they are.
"""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.config import Config, Lyapunov
from lyapsweep.datasets.series import Series
from lyapsweep.datasets.validation import Split
from lyapsweep.dynamics import Spectrum, lyapunov_spectra, tangent_growth
from lyapsweep.evaluation.evaluation import (
    LONGEST_LAG,
    Evaluation,
    bounded_exponents,
    double_precision,
    growth_lags,
    spectrum_settings,
)
from lyapsweep.evaluation.stable_points import stable_points
from lyapsweep.evaluation.truth import ERROR_STEPS, ORBITS, forecast_starts, forecast_targets, horizon
from lyapsweep.evaluation.truth import FORECASTS as FORECASTS
from lyapsweep.evaluation.truth import HORIZON_LYAPUNOV_TIMES as HORIZON_LYAPUNOV_TIMES
from lyapsweep.maps import Forced
from lyapsweep.measures import chosen
from lyapsweep.measures.evidence import Evidence
from lyapsweep.rollout import Network, Strengths, across_time, forced, free
from lyapsweep.training import TrainingProgress
from lyapsweep.windows import Windows, cut, driving

BURN_IN = 0.25  # share of a run's length that is discarded first (Hess et al. 2023)
ERROR_NUMBERS = 20_000_000  # numbers held in memory for them at a time
ON_DEMAND = ("orbit", "errors")  # evidence of one part of the data that only some measures need


@torch.no_grad()
def evaluate(network: Network, progress: TrainingProgress, split: Split[Series], config: Config) -> list[Evaluation]:
    """Evaluate every member: spectra along the held-out part, evidence on the part by which networks are judged.

    Args:
        network: The population, as it is in training.
        progress: The training so far; a population that still trains gets the shorter spectra and no test evidence.
        split: The data and their parts.
        config: Any config of the pack.

    Returns:
        One `Evaluation` per member.
    """
    network, held_out, inputs = prepare(network, split.whole)
    lyapunov, kind = progress.lyapunov(config), spectrum_kind(split.whole)
    start = on_attractor(network, held_out, shortened(lyapunov, held_out, inputs), inputs)
    spectra = {kind: free_spectra(network, split.whole, lyapunov, start)}
    if lyapunov.forced:
        spectra["forced"] = forced_spectra(network, progress.strengths, held_out, lyapunov, inputs)
    lags, growth = tangent_growth_by_lag(network, *start)
    searched = inputs is None and "stable_points" in needs_of(config)
    stable = stable_points(network, held_out) if searched else [None] * network.cell.population
    judged, norms = held_out_evidence(network, progress, split.judged, config), progress.gradient_norms
    tested: list[Evidence] | list[None] = [None] * len(judged)
    if split.test is not None and progress.step == config.training.steps:
        tested = held_out_evidence(network, progress, split.test, config)
    return [
        Evaluation(
            {name: members[p] for name, members in spectra.items()},
            dataclasses.replace(
                judged[p],
                gradient_norms=norms[:, p].cpu().numpy(),
                lags=lags,
                growth=growth[p],
                exponent=spectra[kind][p].maximum,
                exponents=bounded_exponents(spectra[kind][p]),
                half_widths=spectra[kind][p].half_width,
                stable_points=stable[p],
            ),
            tested[p],
        )
        for p in range(network.cell.population)
    ]


def held_out_evidence(network: Network, progress: TrainingProgress, series: Series, config: Config) -> list[Evidence]:
    """What each member does with the test part of `series`: free runs, forecasts and losses."""
    network, test, inputs = prepare(network, series)
    generated = generate(network, test, inputs)
    forecasts, targets = predict(network, test, horizon(series, len(test)), inputs)
    losses = window_losses(network, progress.strengths, test, config.windows, inputs)
    further = on_demand(network, test, needs_of(config).intersection(ON_DEMAND), inputs)
    return [
        Evidence(
            truth=series.test,
            orbits=ORBITS,
            generated=generated[p].cpu().numpy(),
            forecasts=forecasts[p].cpu().numpy(),
            targets=targets.cpu().numpy(),
            losses=losses[p].cpu().numpy(),
            lambda_max=series.lambda_max,
            known_exponents=known_exponents(series),
            dt=series.dt,
            **further[p],
        )
        for p in range(network.cell.population)
    ]


def known_exponents(series: Series) -> tuple[float, ...]:
    """The known exponents of the true dynamics, nats per step."""
    return series.exponents or (() if series.lambda_max is None else (series.lambda_max,))


def spectrum_kind(series: Series) -> str:
    """The spectrum that characterises a network of this series: conditional on the inputs where there are any."""
    return "driven" if series.inputs else "closed loop"


@torch.no_grad()
def free_spectra(
    network: Network, series: Series, lyapunov: Lyapunov, start: tuple[Tensor, Tensor | None] | None = None
) -> list[Spectrum]:
    """Compute the Lyapunov spectrum of each member in closed loop.

    The Jacobians are J_t = df/dz at z_t; under the held-out inputs, where there are any, at (z_t, s_{t+1}).

    Args:
        network: The population.
        series: The data: orbits start from states inferred from observations of its test part.
        lyapunov: Steps, warmup, orbits and number of exponents; shortened to the inputs where there are any.
        start: What `on_attractor` returned for them; None (the default) calls it.

    Returns:
        One `Spectrum` per member, of the map "closed loop", or "driven" under inputs.
    """
    network, test, inputs = prepare(network, series)
    lyapunov = shortened(lyapunov, test, inputs)
    z, ahead = on_attractor(network, test, lyapunov, inputs) if start is None else start
    settings = spectrum_settings(lyapunov, z.shape[-1])
    found = lyapunov_spectra(network.cell, z, ahead, kind=spectrum_kind(series), segments=lyapunov.segments, **settings)
    return with_input_count(found, inputs)


def with_input_count(spectra: list[Spectrum], inputs: Tensor | None) -> list[Spectrum]:
    """The same spectra with the number of inputs among their settings, where there are any."""
    if inputs is None:
        return spectra
    return [dataclasses.replace(s, settings=s.settings | {"inputs": inputs.shape[-1]}) for s in spectra]


def prepare(network: Network, series: Series) -> tuple[Network, Tensor, Tensor | None]:
    """The network in double precision, the test part (time, features) and its inputs (time, inputs) or None."""
    network = double_precision(network, series.dt)
    test = torch.as_tensor(series.test, dtype=torch.float64, device=next(network.parameters()).device)
    return network, test, torch.as_tensor(series.test_inputs).to(test) if series.inputs else None


def shortened(lyapunov: Lyapunov, test: Tensor, inputs: Tensor | None) -> Lyapunov:
    """The plan shortened to the inputs, where there are any: each orbit has rows of the test part of its own.

    An orbit takes two warm-ups, of state and frame. Where inputs are too few, steps and warm-ups shrink alike.
    """
    wanted, each = 2 * lyapunov.warmup + lyapunov.steps, max(2, (len(test) - 1) // lyapunov.orbits)
    if inputs is None or each >= wanted:
        return lyapunov
    warmup = lyapunov.warmup * each // wanted
    steps = each - 2 * warmup
    shorter = {"warmup": warmup, "steps": steps, "segments": min(lyapunov.segments, steps), "early": None}
    return dataclasses.replace(lyapunov, **shorter)


def infer(network: Network, x: Tensor) -> Tensor:
    """States (population, rows, state) inferred from observations (rows, features) that all members share."""
    readout = network.readout
    return readout.back(x.expand(readout.population, -1, -1))


def generate(network: Network, test: Tensor, inputs: Tensor | None = None) -> Tensor:
    """ORBITS free runs concatenated, together as long as the test part: (population, time, features).

    Starts are evenly spaced over the test part; the burn-in of each run is discarded. Under inputs the last run ends
    with them.
    """
    length = len(test) // ORBITS
    burn_in = int(BURN_IN * length)
    first = torch.arange(ORBITS, device=test.device) * length
    if inputs is not None:
        first = torch.linspace(0, len(test) - 1 - burn_in - length, ORBITS, device=test.device).long()
    ahead = driving(inputs, first[None], burn_in + length)
    run, _ = free(network.cell, network.readout, infer(network, test[first]), burn_in + length, ahead)
    return run[burn_in:].permute(1, 2, 0, 3).flatten(1, 2)


def predict(network: Network, test: Tensor, steps: int, inputs: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Free forecasts (population, starts, steps, features) and their targets (starts, steps, features)."""
    first = forecast_starts(test, steps)
    ahead = driving(inputs, first[None], steps)
    run, _ = free(network.cell, network.readout, infer(network, test[first]), steps, ahead)
    return run.permute(1, 2, 0, 3), forecast_targets(test, steps)


def needs_of(config: Config) -> set[str]:
    """The evidence that only some measures need."""
    return {name for measure in chosen(config.measures).values() for name in measure.needs}


def on_demand(network: Network, test: Tensor, needs: set[str], inputs: Tensor | None = None) -> list[dict[str, Any]]:
    """The evidence that only some measures need, by its name, for each member."""
    made = {"orbit": long_run, "errors": forecast_errors}
    found = {name: made[name](network, test, inputs).cpu().numpy() for name in needs}
    return [{name: values[p] for name, values in found.items()} for p in range(network.cell.population)]


def long_run(network: Network, test: Tensor, inputs: Tensor | None = None) -> Tensor:
    """A free run from the first test observation, 1.25 times as long as the test part: (population, time, features).

    Under inputs it ends with them.
    """
    steps = len(test) + len(test) // 4 if inputs is None else len(test) - 1
    ahead = driving(inputs, torch.zeros(1, 1, dtype=torch.long, device=test.device), steps)
    run, _ = free(network.cell, network.readout, infer(network, test[:1]), steps, ahead)
    return run[:, :, 0].transpose(0, 1)


def forecast_errors(network: Network, test: Tensor, inputs: Tensor | None = None) -> Tensor:
    """Mean squared error of free forecasts from every test observation: (population, steps ahead)."""
    steps = min(ERROR_STEPS, len(test) - 1)
    starts = torch.arange(len(test) - steps, device=test.device)
    total = torch.zeros(network.cell.population, steps, dtype=test.dtype, device=test.device)
    for chunk in starts.split(max(1, ERROR_NUMBERS // (steps * network.cell.population * network.cell.state))):
        ahead = driving(inputs, chunk[None], steps)
        run, _ = free(network.cell, network.readout, infer(network, test[chunk]), steps, ahead)
        targets = cut(test, chunk, steps)[1:].unsqueeze(1)
        total += (run - targets).square().mean(dim=3).sum(dim=2).T
    return total / len(starts)


def on_attractor(
    network: Network, test: Tensor, lyapunov: Lyapunov, inputs: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """States (population, orbits, state) after `warmup` free steps from evenly spaced test observations.

    With them the inputs (warmup + steps, population, orbits, inputs) of the steps that follow. A plan under inputs must
    have been `shortened`.
    """
    total = 0 if inputs is None else 2 * lyapunov.warmup + lyapunov.steps
    first = torch.linspace(0, len(test) - 1 - total, lyapunov.orbits, device=test.device).long()
    z, ahead = infer(network, test[first]), driving(inputs, first[None], total)
    for t in range(lyapunov.warmup):
        z = network.cell.step(z, None if ahead is None else ahead[t])
    return z, None if ahead is None else ahead[lyapunov.warmup :].expand(-1, len(z), -1, -1)


def tangent_growth_by_lag(network: Network, z: Tensor, ahead: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """Lags (lags,), and the mean log growth of tangents of free runs from z over each: (population, lags)."""
    lags = growth_lags(LONGEST_LAG if ahead is None else len(ahead))
    return lags, tangent_growth(network.cell, z, lags.tolist(), ahead)


def forced_spectra(
    network: Network, strengths: Strengths, test: Tensor, lyapunov: Lyapunov, inputs: Tensor | None = None
) -> list[Spectrum]:
    """Spectra under the forcing of training, repeated along the test part without the first step of each window.

    Under any forcing the first state of a window comes from the data; repeated, it would cut all products of Jacobians.
    """
    cell, readout = network.cell, network.readout
    steps = min(lyapunov.warmup + lyapunov.steps, (len(test) - (inputs is not None)) // lyapunov.orbits)
    first = torch.arange(lyapunov.orbits, device=test.device) * steps
    x = cut(test, first, steps - 1).unsqueeze(1).expand(-1, cell.population, -1, -1)
    inside = strengths[1:] if len(strengths) > 1 else strengths
    a = inside[torch.arange(steps) % len(inside)].double()[:, :, None, None].expand(-1, -1, lyapunov.orbits, 1)
    pulls, ahead = torch.cat((a, across_time(readout.back, x)), dim=-1), driving(inputs, first[None], steps)
    z = pulls[0, ..., 1:]
    if ahead is not None:
        pulls = torch.cat((pulls, ahead.expand(-1, cell.population, -1, -1)), dim=-1)
    warmup = min(lyapunov.warmup, steps // 2)
    settings: dict[str, Any] = spectrum_settings(lyapunov, cell.state) | {"steps": steps - warmup, "warmup": warmup}
    found = lyapunov_spectra(Forced(cell, readout.mask), z, pulls, kind="forced", **settings)
    return with_input_count(found, inputs)


def window_losses(
    network: Network, strengths: Strengths, test: Tensor, windows: Windows, inputs: Tensor | None = None
) -> Tensor:
    """Mean squared error (population, windows) of every complete test window under the forcing of training."""
    length = min(windows.steps, len(test) - 1)
    first = torch.arange(0, len(test) - length, length, device=test.device)
    x = cut(test, first, length).unsqueeze(1).expand(-1, network.cell.population, -1, -1)
    a, ahead = strengths[:length].double(), driving(inputs, first[None], length)
    return (forced(network.cell, network.readout, x, a, None, ahead) - x[1:]).square().mean(dim=(0, 3))
