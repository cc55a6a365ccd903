"""What a population is like at one moment: its spectra, and the evidence that measures read. In double precision."""

import copy
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
from lyapsweep.windows import Windows, cut

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
    lyapunov, windows = progress.lyapunov(configs[0]), configs[0].windows
    strengths, norms = progress.strengths, progress.gradient_norms
    generated = generate(network, test)
    forecasts, targets = predict(network, test, horizon(series, len(test)))
    spectra = {"closed loop": closed_loop(network, series, lyapunov)}
    if lyapunov.forced:
        spectra["forced"] = under_forcing(network, strengths, test, lyapunov)
    lags = np.unique(np.geomspace(1, LONGEST_LAG, LAGS).astype(int))
    growth = tangent_growth(network.cell, on_attractor(network, test, lyapunov), lags.tolist())
    losses = window_losses(network, strengths, test, windows)
    further = on_demand(network, test, {n for m in chosen(configs[0].measures).values() for n in m.needs})
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
                exponent=mine["closed loop"].maximum,
                lambda_max=series.lambda_max,
                dt=series.dt,
                **further[p],
            ),
        )
        for p in range(len(configs))
    ]


@torch.no_grad()
def closed_loop(network: Network, series: Series, lyapunov: Lyapunov) -> list[Spectrum]:
    """The spectrum of each member running freely, in double precision, from states inferred from the test part."""
    network, test = in_double(network, series)
    z = on_attractor(network, test, lyapunov)
    return lyapunov_spectra(
        network.cell, z, kind="closed loop", segments=lyapunov.segments, **counted(lyapunov, z.shape[-1])
    )


def in_double(network: Network, series: Series) -> tuple[Network, Tensor]:
    """A double-precision copy of the network, with the data's time step, and the test part beside it."""
    network = copy.deepcopy(network).double()
    network.cell.dt = series.dt
    return network, torch.as_tensor(series.test, dtype=torch.float64, device=next(network.parameters()).device)


def counted(lyapunov: Lyapunov, state: int) -> dict[str, Any]:
    k = None if lyapunov.exponents is None else min(lyapunov.exponents, state)
    return {"steps": lyapunov.steps, "warmup": lyapunov.warmup, "k": k}


def horizon(series: Series, available: int) -> int:
    """Steps forecast ahead: ten Lyapunov times of the data where they are known, at most half the test part."""
    wanted = HORIZON_LYAPUNOV_TIMES / series.lambda_max if series.lambda_max else HORIZON_UNKNOWN
    return max(1, min(math.ceil(wanted), available // 2))


def infer(network: Network, x: Tensor) -> Tensor:
    """States (population, rows, state) inferred from observations (rows, features), the same for every member."""
    readout = network.readout
    return readout.back(x.expand(readout.population, -1, -1))


def generate(network: Network, test: Tensor) -> Tensor:
    """ORBITS free runs one after the other, together as long as the test part: (population, time, features).

    Each starts at a test observation, far from the others, and counts after its burn-in.
    """
    length = len(test) // ORBITS
    burn_in = int(BURN_IN * length)
    starts = infer(network, test[torch.arange(ORBITS, device=test.device) * length])
    run, _ = free(network.cell, network.readout, starts, burn_in + length)
    return run[burn_in:].permute(1, 2, 0, 3).flatten(1, 2)


def predict(network: Network, test: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Free predictions (population, starts, steps, features) and what came then (starts, steps, features)."""
    last = len(test) - steps - 1
    first = torch.linspace(0, last, min(FORECASTS, last + 1), device=test.device).long()
    run, _ = free(network.cell, network.readout, infer(network, test[first]), steps)
    return run.permute(1, 2, 0, 3), cut(test, first, steps)[1:].transpose(0, 1)


def on_demand(network: Network, test: Tensor, needs: set[str]) -> list[dict[str, Any]]:
    """The evidence that only some measures need, by its name, one a member."""
    made = {"orbit": lambda: follow(network, test), "errors": lambda: forecast_errors(network, test)}
    found = {name: made[name]().cpu().numpy() for name in needs}
    return [{name: values[p] for name, values in found.items()} for p in range(network.cell.population)]


def follow(network: Network, test: Tensor) -> Tensor:
    """One free run from the first test observation, a quarter longer than that part: (population, time, features)."""
    run, _ = free(network.cell, network.readout, infer(network, test[:1]), len(test) + len(test) // 4)
    return run[:, :, 0].transpose(0, 1)


def forecast_errors(network: Network, test: Tensor) -> Tensor:
    """Mean squared error of free forecasts from every test observation: (population, steps ahead)."""
    steps = min(ERROR_STEPS, len(test) - 1)
    starts = torch.arange(len(test) - steps, device=test.device)
    total = torch.zeros(network.cell.population, steps, dtype=test.dtype, device=test.device)
    for some in starts.split(max(1, ERROR_NUMBERS // (steps * network.cell.population * network.cell.state))):
        run, _ = free(network.cell, network.readout, infer(network, test[some]), steps)
        ahead = cut(test, some, steps)[1:].unsqueeze(1)
        total += (run - ahead).square().mean(dim=3).sum(dim=2).T
    return total / len(starts)


def on_attractor(network: Network, test: Tensor, lyapunov: Lyapunov) -> Tensor:
    """States (population, orbits, state) after `warmup` free steps from test observations far apart."""
    first = torch.linspace(0, len(test) - 1, lyapunov.orbits, device=test.device).long()
    z = infer(network, test[first])
    for _ in range(lyapunov.warmup):
        z = network.cell.step(z)
    return z


def under_forcing(network: Network, strengths: Strengths, test: Tensor, lyapunov: Lyapunov) -> list[Spectrum]:
    """The spectrum under the forcing of training, repeated along the test part without the start of each window.

    A window's first state comes from the data whatever the forcing; counted again and again it would cut every chain.
    """
    cell, readout = network.cell, network.readout
    steps = min(lyapunov.warmup + lyapunov.steps, len(test) // lyapunov.orbits)
    first = torch.arange(lyapunov.orbits, device=test.device) * steps
    x = cut(test, first, steps - 1).unsqueeze(1).expand(-1, cell.population, -1, -1)
    inside = strengths[1:] if len(strengths) > 1 else strengths
    a = inside[torch.arange(steps) % len(inside)].double()[:, :, None, None].expand(-1, -1, lyapunov.orbits, 1)
    inputs = torch.cat((a, across_time(readout.back, x)), dim=-1)
    warmup = min(lyapunov.warmup, steps // 2)
    plan: dict[str, Any] = counted(lyapunov, cell.state) | {"steps": steps - warmup, "warmup": warmup}
    return lyapunov_spectra(Forced(cell, readout.mask), inputs[0, ..., 1:], inputs, kind="forced", **plan)


def window_losses(network: Network, strengths: Strengths, test: Tensor, windows: Windows) -> Tensor:
    """Mean squared error (population, windows) of every whole test window under the forcing of training."""
    length = min(windows.steps, len(test) - 1)
    first = torch.arange(0, len(test) - length, length, device=test.device)
    x = cut(test, first, length).unsqueeze(1).expand(-1, network.cell.population, -1, -1)
    return (forced(network.cell, network.readout, x, strengths[:length].double()) - x[1:]).square().mean(dim=(0, 3))
