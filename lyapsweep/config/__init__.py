"""The configuration of one trial: its sections, checks and identity.

`Config` is every setting of one training run, checked before anything starts. `sections` hold no family members
(`training`, `lyapunov`, ...); `validation` checks what must hold between sections; `parsing` reads YAML.
"""

from lyapsweep.config.config import (
    FAMILIES,
    PLAIN,
    Config,
    Lyapunov,
    Training,
)
from lyapsweep.config.parsing import ConfigError

__all__ = ["FAMILIES", "PLAIN", "Config", "ConfigError", "Lyapunov", "Training"]
