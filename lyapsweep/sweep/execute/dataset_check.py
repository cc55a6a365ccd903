"""Reading a sweep's data sets before any work starts."""

import json
from collections.abc import Iterable

from lyapsweep.config import Config
from lyapsweep.problems import check_config


def check_datasets(configs: Iterable[Config]) -> None:
    """Read each recorded data set once, with one of its configs; raise what would end that config's trial.

    Data sets from equations cannot be missing and are left to the workers.
    """
    for config in {json.dumps(c.dataset): c for c in configs if "path" in c.dataset}.values():
        check_config(config)
