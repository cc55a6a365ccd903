"""The equations of dysts on torch tensors: its functions, with torch in place of numpy.

dysts (Gilpin 2021, NeurIPS Datasets and Benchmarks) writes every flow as a Python function of its coordinates over
`np`. The same code object with another `np` is the same equation on tensors, so it is differentiable and batched.
"""

import sys
import types
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor


@cache
def flows() -> types.ModuleType:
    """The module of all flows, imported as if there were no numba, which would change the last digits of its data."""
    numba = sys.modules.get("numba")
    sys.modules["numba"] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that numba is missing
            return import_module("dysts.flows")
    finally:
        del sys.modules["numba"]
        if numba is not None:
            sys.modules["numba"] = numba


def either(on_tensors: Callable[..., Any], on_numbers: Callable[..., Any]) -> Callable[..., Any]:
    """Equations mix coordinates (tensors) and parameters (numbers, as in `np.sinh(np.pi * b / a)`)."""
    return lambda x: on_tensors(x) if isinstance(x, Tensor) else float(on_numbers(x))


def smallest(x: Tensor, axis: int | None = None) -> Tensor:
    return x.min() if axis is None else x.amin(axis)


def step(x: Tensor, at_zero: float | int) -> Tensor:
    """numpy's heaviside; torch's own has no forward-mode derivative."""
    return (x > 0).to(x) + at_zero * (x == 0).to(x)


def larger(low: float | int, x: Any) -> Any:
    """Python's `max` of a number and a coordinate."""
    return x.clamp(min=low) if isinstance(x, Tensor) else max(low, x)


NUMPY = types.SimpleNamespace(
    **{
        name: either(getattr(torch, name), getattr(np, name))
        for name in ("abs", "cos", "cosh", "exp", "sign", "sin", "sinh", "sqrt", "tanh")
    },
    pi=np.pi,
    arange=lambda *bounds: torch.arange(*bounds, dtype=torch.float64),
    copy=torch.clone,
    dot=torch.dot,
    heaviside=step,
    hstack=torch.hstack,
    matmul=torch.matmul,
    min=smallest,
    sum=torch.sum,
    zeros_like=lambda x: 0 * x,  # not torch.zeros_like: what is written into it may carry tangents
)


def on_torch(member: Any) -> Any:
    """A function of a dysts class without numba and with `NUMPY` for its `np`; anything else unchanged."""
    plain = member
    while isinstance(plain, staticmethod):  # some are wrapped twice
        plain = plain.__func__
    plain = getattr(plain, "py_func", plain)
    if not isinstance(plain, types.FunctionType):
        return member
    names = {**plain.__globals__, "np": NUMPY, "max": larger}
    copy = types.FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__)
    return staticmethod(copy) if isinstance(member, staticmethod) else copy


def equations(name: str, parameters: dict[str, Any]) -> tuple[Callable[[Tensor], list[Any]], Any]:
    """(f, postprocessing) of a flow: f maps coordinates (state, ...) to a sequence of rates.

    The time argument is NaN, which reveals equations that depend on time. dysts makes the phase of almost every driven
    flow a coordinate; postprocessing (None without a phase) bounds it.
    """
    body: dict[str, Any] = {}
    for base in reversed(getattr(flows(), name).__mro__):
        if base.__module__ == flows().__name__:
            body |= {key: on_torch(member) for key, member in vars(base).items() if not key.startswith("__")}
    flow: Any = type(name, (), body)()
    vars(flow).update(parameters)
    values = [parameters[key] for key in sorted(parameters)]
    rates = (lambda z: flow.rhs(z, torch.nan)) if "rhs" in body else (lambda z: flow._rhs(*z, torch.nan, *values))
    return rates, flow._postprocessing if "_postprocessing" in body else None
