"""The config and the sweep file of a fit: the search runs them, and `lyapsweep sweep` can continue from them."""

import json
from dataclasses import dataclass
from pathlib import Path

from lyapsweep.config import Config
from lyapsweep.fitting.search_space import SearchSpace

SWEEP = '''"""{question}"""

from pathlib import Path

from lyapsweep.sweep import Sweep

CELLS = {cells}
UNITS, HIDDEN = {units}, {hidden}
INITS = {inits}
INTERVALS = {intervals}  # of sparse forcing, in samples
ALPHAS = {alphas}  # of generalised forcing
RATES = {rates}  # first learning rates; the last is a hundredth of the first


def space(trial):
    cell = {{"kind": trial.suggest_categorical("cell/kind", CELLS)}}
    cell["units"] = trial.suggest_categorical("cell/units", UNITS)
    if cell["kind"] == "shallow_plrnn":
        cell["hidden"] = trial.suggest_categorical("cell/hidden", HIDDEN)
        forcing = {{"kind": trial.suggest_categorical("forcing/kind", ["sparse", "generalised"])}}
    else:
        forcing = {{"kind": "sparse"}}
    if forcing["kind"] == "sparse":
        forcing["interval"] = trial.suggest_categorical("forcing/interval", INTERVALS)
    else:
        forcing["alpha"] = trial.suggest_categorical("forcing/alpha", ALPHAS)
    trial.suggest_categorical("init/kind", INITS)
    rate = trial.suggest_float("training/lr", *RATES, log=True)
    return {{"cell": cell, "forcing": forcing, "training/lr_end": rate / 100}}


SWEEP = Sweep(
    base=Path(__file__).with_suffix(".yaml"), objective="{objective}", intent="map", space=space, trials={trials}
)
'''


@dataclass(frozen=True)
class SweepFiles:
    """The two files of a fit.

    Args:
        config: The base config.
        sweep: The sweep file.
    """

    config: Path
    sweep: Path

    @classmethod
    def write(cls, space: SearchSpace, folder: Path, name: str, question: str, trials: int) -> "SweepFiles":
        """Write both files to a folder.

        Args:
            space: What is searched.
            folder: Created if it is missing.
            name: Their name without the ending.
            question: The docstring of the sweep file.
            trials: Number of networks.

        Returns:
            Their paths.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = cls(folder / f"{name}.yaml", folder / f"{name}.py")
        files.config.write_text(config_text(space.base), "utf-8")
        lists = {key: repr(list(getattr(space, key))) for key in ("cells", "units", "hidden", "inits", "intervals")}
        question = question.replace("\\", "/").replace('"', "'")
        files.sweep.write_text(
            SWEEP.format(
                question=question,
                objective=space.objective,
                trials=trials,
                alphas=list(space.alphas),
                rates=space.rates,
                **lists,
            ),
            "utf-8",
        )
        return files


def config_text(config: Config) -> str:
    """A config as a YAML file, one line per section."""
    return "".join(f"{section}: {json.dumps(value)}\n" for section, value in config.to_dict().items())
