"""What a population is like at one moment: its spectra, and the evidence that measures read. In double precision.

Where inputs drove the data, each run from a held-out row is driven by the rows of inputs that follow it, and is no
longer than they reach.
"""

import copy
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.config import Config, Lyapunov
from lyapsweep.datasets.series import Series
from lyapsweep.dynamics import Spectrum, lyapunov_spectra, tangent_growth
from lyapsweep.maps import Forced
from lyapsweep.measures import chosen
from lyapsweep.measures.evidence import Evidence
from lyapsweep.rollout import Network, Strengths, across_time, forced, free
from lyapsweep.training import Progress
from lyapsweep.windows import Windows, cut, driving

ORBITS = 5  # free runs: where a network has two attractors, a single run would score one of them
BURN_IN = 0.25  # of a run's length, thrown away before it counts (Hess et al. 2023)
FORECASTS = 100  # starts, evenly spaced over the test part
HORIZON_LYAPUNOV_TIMES = 10
HORIZON_UNKNOWN = 500  # samples, where nobody knows lambda_max
ERROR_STEPS = 50  # of the forecasts from every held-out observation
ERROR_NUMBERS = 20_000_000  # held at a time meanwhile
LAGS = 20
LONGEST_LAG = 1000


@torch.no_grad()
def evaluate(
    network: Network, progress: Progress, series: Series, configs: Sequence[Config]
) -> list[tuple[dict[str, Spectrum], Evidence]]:
    """Spectra by map and evidence, one pair a member."""
    network, test = in_double(network, series)
    inputs, lyapunov = held_out_inputs(series, test), progress.lyapunov(configs[0])
    strengths, norms = progress.strengths, progress.gradient_norms
    generated = generate(network, test, inputs)
    forecasts, targets = predict(network, test, horizon(series, len(test)), inputs)
    spectra = {own(series): free_spectra(network, series, lyapunov)}
    if lyapunov.forced:
        spectra["forced"] = under_forcing(network, strengths, test, lyapunov, inputs)
    lags, growth = growing(network, test, lyapunov, inputs)
    losses = window_losses(network, strengths, test, configs[0].windows, inputs)
    further = on_demand(network, test, {n for m in chosen(configs[0].measures).values() for n in m.needs}, inputs)
    return [
        (
            mine := {kind: members[p] for kind, members in spectra.items()},
            Evidence(
                truth=series.test,
                reference=series.train[: len(series.test)],
                orbits=ORBITS,
                generated=generated[p].cpu().numpy(),
                forecasts=forecasts[p].cpu().numpy(),
                targets=targets.cpu().numpy(),
                losses=losses[p].cpu().numpy(),
                gradient_norms=norms[:, p].cpu().numpy(),
                lags=lags,
                growth=growth[p],
                exponent=mine[own(series)].maximum,
                lambda_max=series.lambda_max,
                dt=series.dt,
                **further[p],
            ),
        )
        for p in range(len(configs))
    ]


def own(series: Series) -> str:
    """The kind of the spectrum that says what a network is: conditional on the inputs where any drive it."""
    return "driven" if series.inputs else "closed loop"


@torch.no_grad()
def free_spectra(network: Network, series: Series, lyapunov: Lyapunov) -> list[Spectrum]:
    """The spectrum of each member running freely, in double precision, from states inferred from the test part.

    Under the held-out inputs where there are any: J_t = df/dz at (z_t, s_{t+1}).
    """
    network, test = in_double(network, series)
    inputs = held_out_inputs(series, test)
    lyapunov = fitted(lyapunov, test, inputs)
    z, ahead = on_attractor(network, test, lyapunov, inputs)
    plan = counted(lyapunov, z.shape[-1])
    found = lyapunov_spectra(network.cell, z, ahead, kind=own(series), segments=lyapunov.segments, **plan)
    return told(found, inputs)


def told(spectra: list[Spectrum], inputs: Tensor | None) -> list[Spectrum]:
    """The same spectra, which say in their settings how many inputs drove the network, if any did."""
    if inputs is None:
        return spectra
    return [dataclasses.replace(s, settings=s.settings | {"inputs": inputs.shape[-1]}) for s in spectra]


def in_double(network: Network, series: Series) -> tuple[Network, Tensor]:
    """A double-precision copy of the network, with the data's time step, and the test part beside it."""
    network = copy.deepcopy(network).double()
    network.cell.dt = series.dt
    return network, torch.as_tensor(series.test, dtype=torch.float64, device=next(network.parameters()).device)


def held_out_inputs(series: Series, test: Tensor) -> Tensor | None:
    """What drove the test part (time, inputs), beside it; None where nothing did."""
    return torch.as_tensor(series.test_inputs).to(test) if series.inputs else None


def fitted(lyapunov: Lyapunov, test: Tensor, inputs: Tensor | None) -> Lyapunov:
    """The plan where inputs drive the network: each orbit has a part of the test part to itself, none sees another's.

    An orbit takes two warm-ups, of state and frame; of too few inputs for it all, steps and warm-ups have their share.
    """
    wanted, each = 2 * lyapunov.warmup + lyapunov.steps, max(2, (len(test) - 1) // lyapunov.orbits)
    if inputs is None or each >= wanted:
        return lyapunov
    warmup = lyapunov.warmup * each // wanted
    steps = each - 2 * warmup
    shorter = {"warmup": warmup, "steps": steps, "segments": min(lyapunov.segments, steps), "early": None}
    return dataclasses.replace(lyapunov, **shorter)


def counted(lyapunov: Lyapunov, state: int) -> dict[str, Any]:
    k = None if lyapunov.exponents is None else min(lyapunov.exponents, state)
    return {"steps": lyapunov.steps, "warmup": lyapunov.warmup, "k": k}


def horizon(series: Series, available: int) -> int:
    """Steps forecast ahead: ten Lyapunov times of the data where they are known, at most half the test part."""
    exponent = series.lambda_max or 0.0
    wanted = HORIZON_LYAPUNOV_TIMES / exponent if exponent > 0 else HORIZON_UNKNOWN
    return max(1, min(math.ceil(wanted), available // 2))


def infer(network: Network, x: Tensor) -> Tensor:
    """States (population, rows, state) inferred from observations (rows, features), the same for every member."""
    readout = network.readout
    return readout.back(x.expand(readout.population, -1, -1))


def generate(network: Network, test: Tensor, inputs: Tensor | None = None) -> Tensor:
    """ORBITS free runs one after the other, together as long as the test part: (population, time, features).

    Each starts at a test observation, far from the others, and counts after its burn-in. Under inputs the last one
    starts early enough to end with them, and the others are spread evenly before it.
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
    """Free predictions (population, starts, steps, features) and what came then (starts, steps, features)."""
    last = len(test) - steps - 1
    first = torch.linspace(0, last, min(FORECASTS, last + 1), device=test.device).long()
    ahead = driving(inputs, first[None], steps)
    run, _ = free(network.cell, network.readout, infer(network, test[first]), steps, ahead)
    return run.permute(1, 2, 0, 3), cut(test, first, steps)[1:].transpose(0, 1)


def on_demand(network: Network, test: Tensor, needs: set[str], inputs: Tensor | None = None) -> list[dict[str, Any]]:
    """The evidence that only some measures need, by its name, one a member."""
    made = {"orbit": follow, "errors": forecast_errors}
    found = {name: made[name](network, test, inputs).cpu().numpy() for name in needs}
    return [{name: values[p] for name, values in found.items()} for p in range(network.cell.population)]


def follow(network: Network, test: Tensor, inputs: Tensor | None = None) -> Tensor:
    """One free run from the first test observation, a quarter longer than that part: (population, time, features).

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
    for some in starts.split(max(1, ERROR_NUMBERS // (steps * network.cell.population * network.cell.state))):
        ahead = driving(inputs, some[None], steps)
        run, _ = free(network.cell, network.readout, infer(network, test[some]), steps, ahead)
        came = cut(test, some, steps)[1:].unsqueeze(1)
        total += (run - came).square().mean(dim=3).sum(dim=2).T
    return total / len(starts)


def on_attractor(
    network: Network, test: Tensor, lyapunov: Lyapunov, inputs: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """States (population, orbits, state) after `warmup` free steps from test observations far apart.

    Beside them the inputs (warmup + steps, population, orbits, inputs) that drive each from there on: of a plan that
    is `fitted`.
    """
    total = 0 if inputs is None else 2 * lyapunov.warmup + lyapunov.steps
    first = torch.linspace(0, len(test) - 1 - total, lyapunov.orbits, device=test.device).long()
    z, ahead = infer(network, test[first]), driving(inputs, first[None], total)
    for t in range(lyapunov.warmup):
        z = network.cell.step(z, None if ahead is None else ahead[t])
    return z, None if ahead is None else ahead[lyapunov.warmup :].expand(-1, len(z), -1, -1)


def growing(network: Network, test: Tensor, lyapunov: Lyapunov, inputs: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """Lags, and how tangents of the free run grow over each: (lags,), (population, lags)."""
    z, ahead = on_attractor(network, test, fitted(lyapunov, test, inputs), inputs)
    longest = LONGEST_LAG if ahead is None else min(LONGEST_LAG, len(ahead))
    lags = np.unique(np.geomspace(1, longest, LAGS).astype(int))
    return lags, tangent_growth(network.cell, z, lags.tolist(), ahead)


def under_forcing(
    network: Network, strengths: Strengths, test: Tensor, lyapunov: Lyapunov, inputs: Tensor | None = None
) -> list[Spectrum]:
    """The spectrum under the forcing of training, repeated along the test part without the start of each window.

    A window's first state comes from the data whatever the forcing; counted again and again it would cut every chain.
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
    plan: dict[str, Any] = counted(lyapunov, cell.state) | {"steps": steps - warmup, "warmup": warmup}
    return told(lyapunov_spectra(Forced(cell, readout.mask), z, pulls, kind="forced", **plan), inputs)


def window_losses(
    network: Network, strengths: Strengths, test: Tensor, windows: Windows, inputs: Tensor | None = None
) -> Tensor:
    """Mean squared error (population, windows) of every whole test window under the forcing of training."""
    length = min(windows.steps, len(test) - 1)
    first = torch.arange(0, len(test) - length, length, device=test.device)
    x = cut(test, first, length).unsqueeze(1).expand(-1, network.cell.population, -1, -1)
    a, ahead = strengths[:length].double(), driving(inputs, first[None], length)
    return (forced(network.cell, network.readout, x, a, None, ahead) - x[1:]).square().mean(dim=(0, 3))
