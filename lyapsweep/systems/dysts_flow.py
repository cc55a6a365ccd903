"""The flows of dysts by name: more than a hundred chaotic systems from the literature."""

import json
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyapsweep.dysts_table import table
from lyapsweep.maps import States, Tangents
from lyapsweep.registry import unknown
from lyapsweep.systems.equations import equations, flows
from lyapsweep.systems.system import AbstractFlow

POINTS = 100  # samples a period, as dysts itself resamples
TOLERANCE = 1e-6  # of a column's standard deviation: what doubling `substeps` may still change in one step


class UnusableFlow(ValueError):
    """A flow of dysts that is not an autonomous map of finitely many coordinates; the message says why."""


class DystsFlow(AbstractFlow):
    """A flow of dysts, z' = f(z), with its tangent by automatic differentiation.

    dysts' own estimates of exponents are too rough to serve as references: `known` is None.

    Args:
        name: Name in dysts, such as "Halvorsen".
        dt: Time of one step; None (the default) is a hundredth of the dominant period.
        substeps: Runge-Kutta steps per step; None (the default) doubles them until doubling again changes no step of a
            reference orbit by more than 1e-6 standard deviations, or they are as fine as the step that dysts stores.
        **parameters: Replace dysts' own parameters.

    Raises:
        UnknownName: If dysts has no such flow or parameter.
        UnusableFlow: If the flow is a delay equation or depends on time.

    Source: Gilpin 2021, Chaos as an interpretable benchmark for forecasting and data-driven modelling, NeurIPS
    Datasets.

    Example:
        >>> DystsFlow("Halvorsen", dt=0.01, substeps=1).names
        ('x', 'y', 'z')
    """

    def __init__(self, name: str, dt: float | None = None, substeps: int | None = None, **parameters: Any):
        if name not in table():
            raise unknown("flow of dysts", name, sorted(table()))
        entry = table()[name]
        if entry["delay"]:
            raise UnusableFlow(
                f"{name} is a delay equation, whose state has infinitely many coordinates. Choose another flow."
            )
        for key in parameters:
            if key not in entry["parameters"]:
                raise unknown(f"parameter of {name}", key, sorted(entry["parameters"]))
        super().__init__(entry["period"] / POINTS if dt is None else dt, 1 if substeps is None else substeps)
        self.name, self.state = name, entry["embedding_dimension"]
        self.names = tuple(f"x{i + 1}" for i in range(self.state)) if self.state > 3 else ("x", "y", "z")[: self.state]
        self.parameters = entry["parameters"] | parameters
        self.rest = torch.tensor(entry["initial_conditions"], dtype=torch.float64)
        self.spread = torch.tensor(entry["std"], dtype=torch.float64)
        values = {k: torch.tensor(v, dtype=torch.float64) if np.ndim(v) else v for k, v in self.parameters.items()}
        self.rates, bounded = equations(name, values)
        # Equations written by coordinate accept a batch; vectors among the parameters would broadcast against it.
        self.elementwise = not any(np.ndim(v) for v in self.parameters.values())
        self.observed = None if bounded is None else lambda z: stack(bounded(*z.unbind(-1)), z.unbind(-1)[0])
        self.check()
        if substeps is None:
            self.substeps = enough_substeps(name, self.dt, json.dumps(self.parameters, sort_keys=True))
        self.original = getattr(flows(), name)(parameters=self.parameters)
        self.advance = self.step_vector

    def step_vector(self, z: np.ndarray) -> np.ndarray:
        """The Runge-Kutta step of one state, (state,), on dysts' own right-hand side."""
        field, h = self.original.rhs, self.dt / self.substeps
        for _ in range(self.substeps):
            k1 = np.asarray(field(z, 0.0), dtype=np.float64)
            k2 = np.asarray(field(z + h / 2 * k1, 0.0), dtype=np.float64)
            k3 = np.asarray(field(z + h / 2 * k2, 0.0), dtype=np.float64)
            k4 = np.asarray(field(z + h * k3, 0.0), dtype=np.float64)
            z = z + h / 6 * (k1 + 2 * (k2 + k3) + k4)
        return z

    def check(self) -> None:
        """Raise `UnusableFlow` if the rates at dysts' initial condition cannot be computed."""
        try:
            rate = self.field(self.rest.reshape(1, 1, -1))
        except Exception as error:
            raise UnusableFlow(f"{self.name}: dysts' equation cannot be evaluated on tensors ({error}).") from error
        if rate.shape != (1, 1, self.state) or not rate.isfinite().all():
            raise UnusableFlow(
                f"{self.name}: its rates at dysts' initial condition are {rate.flatten().tolist()}: the flow depends "
                f"on time beside its coordinates, or the parameters {self.parameters} are out of its domain."
            )

    def field(self, z: States) -> States:
        if self.elementwise:
            return self.at(z.movedim(-1, 0))
        return torch.func.vmap(self.at)(z.reshape(-1, self.state)).reshape(z.shape)

    def at(self, coordinates: Tensor) -> Tensor:
        """(state, ...) -> (..., state)."""
        rates = self.rates(coordinates)
        return rates.movedim(0, -1) if isinstance(rates, Tensor) else stack(rates, coordinates[0])

    def tangent(self, z: States, V: Tangents) -> Tangents:
        copies = z.detach().expand(self.state, *z.shape[1:]).clone()  # one copy a row of the Jacobian
        with torch.enable_grad():
            copies.requires_grad_()
            rates = self.field(copies).diagonal(dim1=0, dim2=-1).sum()
            (rows,) = torch.autograd.grad(rates, copies)
        return V @ rows.permute(1, 2, 0)

    def start(self, batch: int, generator: torch.Generator) -> States:
        noise = torch.randn(1, batch, self.state, dtype=torch.float64, generator=generator)
        return self.rest + 1e-3 * self.spread * noise


def stack(columns: Any, like: Tensor) -> Tensor:
    """Columns side by side; a constant rate is expanded to the shape of the others."""
    return torch.stack([c if isinstance(c, Tensor) else torch.full_like(like, c) for c in columns], -1)


@cache
def enough_substeps(name: str, dt: float, parameters: str) -> int:
    """The fewest substeps, a power of two, that resolve two periods of the flow; `parameters` as JSON."""
    from scipy.integrate import solve_ivp  # 0.3 s that other systems need not wait

    flow, entry = DystsFlow(name, dt, 1, **json.loads(parameters)), table()[name]
    reference = solve_ivp(
        lambda t, z: np.asarray(flow.original.rhs(z, 0.0), dtype=np.float64),
        (0, 2 * entry["period"]),
        entry["initial_conditions"],
        method="LSODA",  # for stiff flows
        t_eval=np.linspace(0, 2 * entry["period"], 2 * POINTS),
        rtol=1e-8,
        atol=1e-8 * min(entry["std"]),
    )
    points = torch.tensor(reference.y.T[None])
    while flow.substeps < dt / entry["dt"]:
        coarse = flow.step(points)
        flow.substeps *= 2
        if ((flow.step(points) - coarse).abs() / flow.spread).max() < TOLERANCE:
            return flow.substeps // 2
    return flow.substeps
