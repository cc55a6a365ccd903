"""Networks from configs, and from the weights of records."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from lyapsweep.cells import CELLS
from lyapsweep.config import Config
from lyapsweep.flossing import floss
from lyapsweep.inits import INITS
from lyapsweep.readouts import READOUTS
from lyapsweep.rollout import Network


def build_network(configs: Sequence[Config], outputs: int, inputs: int = 0, steps: int = 0) -> Network:
    """Build the population of a pack: one cell and one readout, each member drawn from its own seed.

    Args:
        configs: Configs of equal shape, one per member.
        outputs: Numbers that the readout returns.
        inputs: Numbers that drive the cell at each time step.
        steps: Time steps of a sequence, for readouts of whole sequences.

    Returns:
        A `Network`; all weights lead with the population.
    """
    first, population = configs[0], len(configs)
    cell = CELLS[first.cell["kind"]](inputs=inputs, population=population, **first.settings("cell"))
    make = READOUTS[first.readout["kind"]]
    readout = make(outputs, cell.units, cell.state, population, **({"steps": steps} if make.whole else {}))
    generators = [torch.Generator().manual_seed(2 * c.seed) for c in configs]
    cell.build([(initialiser(c), g) for c, g in zip(configs, generators)])
    readout.build(generators)
    return Network(cell, readout)


def initialiser(config: Config) -> Callable[[int, int, torch.Generator], torch.Tensor]:
    """The initialisation of a config, with its settings."""
    init, settings = INITS[config.init["kind"]], config.settings("init")
    return lambda rows, columns, generator: init(rows, columns, generator, **settings)


def initialise(network: Network, configs: Sequence[Config]) -> None:
    """Set what training starts from: weights of a file where the configs name one, then flossing.

    Raises:
        ValueError: If the file cannot be read, or its weights do not fit.
    """
    if path := configs[0].training.weights:
        load_weights(network, read_weights(path))
    floss(network.cell, [config.flossing for config in configs])


def read_weights(path: Path | str) -> dict[str, np.ndarray]:
    """Read the weights of a record, or of an NPZ file of arrays by name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except Exception as error:  # numpy and zipfile raise many types
        raise ValueError(f"training/weights: {path} cannot be read ({error}). Name the file of a record.") from error
    held = {name.removeprefix("weights/"): value for name, value in found.items() if name.startswith("weights/")}
    if "header" in found and not held:
        raise ValueError(f"training/weights: {path} holds no weights. Name the last record of a trial.")
    return held or found


def load_weights(network: Network, weights: Mapping[str, np.ndarray]) -> None:
    """Copy the weights of a record into every member of a population.

    Raises:
        ValueError: If weights are missing, of another shape, or not finite.
    """
    for name, parameter in network.named_parameters():
        if not parameter.numel():
            continue
        if name not in weights:
            raise ValueError(
                f"weights: '{name}' is missing, found {', '.join(weights) or 'none'}. Use the record of this config."
            )
        if weights[name].shape != parameter.shape[1:]:
            raise ValueError(
                f"weights: {name} must have shape {tuple(parameter.shape[1:])}, but has {weights[name].shape}. "
                "Use the record of this config."
            )
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"weights: {name} holds values that are not finite. Use a record of an earlier step.")
        parameter.data.copy_(torch.as_tensor(weights[name]))
