"""Networks from configs, and from the weights of records."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from lyapsweep.cells import CELLS
from lyapsweep.config import Config
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


def load_weights(network: Network, weights: Mapping[str, np.ndarray]) -> None:
    """Copy the weights of a record into a population of one.

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
