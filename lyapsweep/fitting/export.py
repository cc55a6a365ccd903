"""The fitted network as TorchScript, which needs no lyapsweep."""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lyapsweep.cells import AbstractCell
from lyapsweep.results.record import Record
from lyapsweep.trial import restore_network


class Affine(nn.Module):
    """y = M x + c: a readout or its inverse as one matrix, so that TorchScript can hold it.

    Args:
        function: An affine function of rows (1, rows, numbers).
        numbers: Numbers of a row that it takes.
    """

    offset: Tensor
    matrix: Tensor

    def __init__(self, function: Callable[[Tensor], Tensor], numbers: int):
        super().__init__()
        rows = torch.cat((torch.zeros(1, numbers), torch.eye(numbers))).double()
        with torch.no_grad():
            offset, *units = function(rows[None])[0]
        self.register_buffer("offset", offset)
        self.register_buffer("matrix", torch.stack(units) - offset)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix + self.offset


class Step(nn.Module):
    """One step of a cell, for a batch of states (batch, state) and inputs (batch, inputs)."""

    def __init__(self, cell: AbstractCell):
        super().__init__()
        self.cell = cell

    def forward(self, z: Tensor, s: Tensor) -> Tensor:
        return self.cell.step(z[None], s[None] if self.cell.inputs else None)[0]


class ScriptableForecaster(nn.Module):
    """A network that forecasts, in the units of the data and in double precision, of parts that TorchScript can hold.

    Of a series with delay coordinates an observation holds, for each column, its value and its earlier values: `names`.

    Args:
        record: The final record of a network.

    Attributes:
        names: Names of the numbers of an observation.

    Raises:
        ValueError: If the record is not of a series, or holds no weights.

    Example:
        >>> module = ScriptableForecaster(found.model)  # doctest: +SKIP
        >>> module(observed, torch.zeros(1, 100, 0), 100).shape  # doctest: +SKIP
        torch.Size([1, 100, 3])
    """

    mean: Tensor
    std: Tensor
    input_mean: Tensor
    input_std: Tensor

    def __init__(self, record: Record):
        super().__init__()
        data = record.provenance.data
        if data is None or not data.mean:
            raise ValueError(f"{record.trial}: the record holds no moments of its data. Take a record of a series.")
        network, problem = restore_network(record.config, record.weights)
        network = problem.double_precision(network)
        for weight in network.parameters():
            weight.requires_grad_(False)
        self.names = list(data.names)
        self.inputs = len(data.inputs.names) if data.inputs else 0
        self.infer, self.step = Affine(network.readout.back, len(self.names)), Step(network.cell)
        self.observe = Affine(network.readout, network.cell.state)
        drives = ((), ()) if data.inputs is None else (data.inputs.mean, data.inputs.std)
        for name, values in zip(("mean", "std", "input_mean", "input_std"), (data.mean, data.std, *drives)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))

    def forward(self, observed: Tensor, inputs: Tensor, steps: int) -> Tensor:
        """Forecast the steps that follow observations.

        Args:
            observed: Observations, (batch, features).
            inputs: Inputs of the steps ahead, (batch, steps, inputs); of a network without inputs (batch, steps, 0).
            steps: Number of steps.

        Returns:
            (batch, steps, features).
        """
        z = self.infer((observed - self.mean) / self.std)
        drives = (inputs - self.input_mean) / self.input_std
        rows: list[Tensor] = []
        for t in range(steps):
            z = self.step(z, drives[:, t])
            rows.append(self.observe(z) * self.std + self.mean)
        return torch.stack(rows, dim=1)


def save_torchscript(record: Record, path: Path) -> Path:
    """Write a network as TorchScript: `torch.jit.load(path)(observed, inputs, steps)` needs torch alone.

    Args:
        record: The final record of a network.
        path: The file.

    Returns:
        The file.

    Raises:
        RuntimeError: If the cell cannot be traced.
    """
    module = ScriptableForecaster(record).eval()
    z, s = torch.zeros(2, module.infer.matrix.shape[1]).double(), torch.zeros(2, module.inputs).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch keeps TorchScript, and prefers torch.export
        setattr(module, "step", torch.jit.trace(module.step, (z, s), check_trace=False))  # noqa: B010  # a traced Step
        torch.jit.script(module).save(str(path))
    return path
