"""What is checked of a sweep's data sets and sizes before any work starts."""

import json
from collections.abc import Iterable

from lyapsweep.config import Config
from lyapsweep.problems import check_config
from lyapsweep.problems.memory import check_memory

LARGEST_NODE = 2**40  # bytes of memory: nodes of a cluster may have more than the driver's machine


def check_datasets(configs: Iterable[Config]) -> None:
    """Read each recorded data set once, with one of its configs; raise what would end that config's trial.

    Data sets from equations cannot be missing and are left to the workers, unless they are larger than any memory.
    """
    configs = list(configs)
    for config in configs:
        check_memory(config, LARGEST_NODE)
    for config in {json.dumps(c.dataset): c for c in configs if "path" in c.dataset}.values():
        check_config(config)
