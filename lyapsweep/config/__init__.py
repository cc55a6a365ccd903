"""The configuration of one training run.

- `config`: `Config`, all settings of a run
- `sections`: families, dataclasses of the plain sections, defaults
- `validation`: completion, types, constraints between sections
- `parsing`: YAML and paths of settings
- `identity`: ids, stable across versions
- `migrations`: renamed settings and changed defaults
"""

from lyapsweep.config.config import Config
from lyapsweep.config.migrations import migrate
from lyapsweep.config.parsing import ConfigError, parse_value
from lyapsweep.config.sections import FAMILIES, PLAIN, Lyapunov, Training

__all__ = ["FAMILIES", "PLAIN", "Config", "ConfigError", "Lyapunov", "Training", "migrate", "parse_value"]
