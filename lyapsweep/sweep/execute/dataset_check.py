"""What is checked of a sweep's data sets and sizes before any work starts."""

import json
import logging
from collections.abc import Iterable

from lyapsweep.config import Config
from lyapsweep.problems import blind_measures, check_config
from lyapsweep.problems.memory import check_memory

log = logging.getLogger("lyapsweep")
LARGEST_NODE = 2**40  # bytes of memory: nodes of a cluster may have more than the driver's machine
MOST = 3  # data sets whose objective is checked: those from equations are simulated for it


def check_datasets(configs: Iterable[Config]) -> None:
    """Read each recorded data set once, with one of its configs; raise what would end that config's trial.

    Data sets from equations cannot be missing and are left to the workers, unless they are larger than any memory.
    """
    configs = list(configs)
    for config in configs:
        check_memory(config, LARGEST_NODE)
    for config in {json.dumps(c.dataset): c for c in configs if "path" in c.dataset}.values():
        check_config(config)


def check_objective(configs: Iterable[Config], objective: str) -> None:
    """Log a warning if the objective cannot tell networks from the truth on a data set, before anything is trained."""
    for config in list({json.dumps(c.dataset): c for c in configs}.values())[:MOST]:
        try:
            blind = blind_measures(config, (objective,))
        except ValueError:  # of data that cannot be trained on; the trial's record says why
            continue
        for name, sentence in blind.items():
            log.warning("The objective %s is %s.", name, sentence)
