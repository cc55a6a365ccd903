"""What must hold between the sections of a config."""

from collections.abc import Mapping
from typing import Any

from lyapsweep.cells import CELLS
from lyapsweep.config.parsing import ConfigError
from lyapsweep.datasets import DATASETS, is_task
from lyapsweep.forcing import AUTO, FORCINGS
from lyapsweep.measures import fitting
from lyapsweep.readouts import READOUTS


def agree(sections: Mapping[str, Any]) -> None:
    """What must hold between sections, found out before any work starts."""
    forcing = dict(sections["forcing"])
    FORCINGS[forcing.pop("kind")](**forcing)
    cell = dict(sections["cell"])
    sections["flossing"].fit(CELLS[cell.pop("kind")](inputs=0, population=1, **cell).state)
    sections["regularisation"].fit(CELLS[sections["cell"]["kind"]], READOUTS[sections["readout"]["kind"]])
    task = is_task(sections["dataset"]["kind"])
    fitting(sections["measures"], "task" if task else "series", f"dataset '{sections['dataset']['kind']}'")
    (suit_a_task if task else suit_a_series)(sections)


def suit_a_series(sections: Mapping[str, Any]) -> None:
    """What only a series asks for: windows of a length that its forcing reaches into, and a way back to states."""
    interval, length = sections["forcing"].get("interval"), sections["windows"].length
    if length is None:
        raise ConfigError("windows/length must be a number for a series, but got null: only tasks have sequences.")
    windows = sections["windows"]
    if windows.policy != "random" or windows.spin_up:
        raise ConfigError(
            f"windows/policy must be random and windows/spin_up 0 where dataset/kind is a series, but got "
            f"{windows.policy} and {windows.spin_up}: its windows begin at states that are read off the data."
        )
    if interval not in (None, AUTO) and interval > length:
        raise ConfigError(
            f"forcing/interval <= windows/length must hold, but got interval={interval}, length={length}: "
            f"no step inside a window would be forced. Lengthen windows/length or use forcing: {{kind: none}}."
        )
    readout = sections["readout"]["kind"]
    if READOUTS[readout].whole:
        raise ConfigError(
            f"readout/kind '{readout}' answers with whole sequences, so it cannot be forced: dataset/kind must be a "
            f"task ({', '.join(filter(is_task, DATASETS))}), but is '{sections['dataset']['kind']}'."
        )


def suit_a_task(sections: Mapping[str, Any]) -> None:
    """A task drives its network by inputs: there is no state that a forcing could pull toward."""
    kind = sections["dataset"]["kind"]
    reason = "a task drives its network by inputs, and no state is known to force it to."
    if (forcing := sections["forcing"]["kind"]) != "none":
        raise ConfigError(f"forcing/kind must be none where dataset/kind is '{kind}', but got '{forcing}': {reason}")
    if sections["lyapunov"].forced:
        raise ConfigError(f"lyapunov/forced must be false where dataset/kind is '{kind}', but got true: {reason}")
