"""`Config`: all settings of one training run."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lyapsweep import packaged
from lyapsweep import trust as trust_of_code
from lyapsweep.config import identity
from lyapsweep.config.parsing import ConfigError, flatten, set_path
from lyapsweep.config.sections import FAMILIES
from lyapsweep.config.validation import complete
from lyapsweep.config.yaml_text import read_yaml
from lyapsweep.display import html_table
from lyapsweep.setting_types import as_plain
from lyapsweep.user_code import described, user_place

# Settings in which the members of a pack may differ: they change neither a tensor's shape nor the number of steps.
PER_MEMBER = ("seed", "init/", "forcing/", "regularisation/", "training/lr", "training/lr_end", "training/clip")
PER_MEMBER += ("flossing/target", "flossing/lr", "flossing/clip")


@dataclass(frozen=True, eq=False)
class Config:
    """All settings of one training run, checked and complete with defaults.

    Make one with `Config.load` (YAML) or `Config.of` (a mapping). Two configs are equal if their `id`s are.

    Args:
        sections: Section name to settings. Sections of a family (`config.cell["units"]`) are mappings with the
            member's name under `kind`; the other sections are dataclasses (`config.training.lr`).

    Example:
        >>> config = Config.of({"dataset": {"kind": "simulated", "system": "henon"}, "cell": {"kind": "lstm"}})
        >>> config.cell["units"], config.changed({"cell/units": 8}).cell["units"]
        (30, 8)
    """

    sections: Mapping[str, Any]

    @classmethod
    def load(
        cls, path: "Path | str | Mapping[str, Any] | Config", changes: Mapping[str, Any] | None = None
    ) -> "Config":
        """Read a YAML file, or take settings as they are.

        Args:
            path: The file, or the name of a packaged config (`lyapsweep list configs`), such as `lorenz63`; or nested
                settings, or a `Config`.
            changes: Settings to change afterwards, such as `{"forcing/interval": 8}`.

        Returns:
            The complete config.

        Raises:
            ConfigError: If the file cannot be read or a setting is unknown or invalid; the message names both.
        """
        if isinstance(path, Mapping):
            path = cls.of(path)
        if isinstance(path, Config):
            return path.changed(changes or {})
        found = packaged.find_file("configs", path)
        if found is None:
            raise ConfigError(packaged.missing_file("configs", path))
        path = found
        try:
            content = read_yaml(path)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if not isinstance(content, dict):
            raise ConfigError(f"{path} must hold sections such as `cell:`, but holds {type(content).__name__}.")
        return cls.of(content, place=str(path)).changed(changes or {})

    @classmethod
    def of(cls, content: Mapping[str, Any], place: str = "", trust: bool = True) -> "Config":
        """Check and complete nested settings.

        Args:
            content: Section name to settings; `dataset` and `cell` are required.
            place: Where the settings come from, named in error messages.
            trust: Whether Python files that the settings name may be executed. False for settings of a record: what
                code of unknown files defines is taken as it is, unchecked.

        Returns:
            The complete config.

        Raises:
            ConfigError: If a setting is unknown or invalid.
        """
        content = as_plain(content)
        (trust_of_code.named_by_user if trust else trust_of_code.named_by_record)(content)
        return cls._complete(content, place)

    @classmethod
    def _complete(cls, content: Mapping[str, Any], place: str = "") -> "Config":
        try:
            return cls(complete(content))
        except (ValueError, TypeError) as error:
            text = described(error) if user_place(error) else str(error)
            raise ConfigError(text if not place or text.startswith(place) else f"{place}: {text}") from error

    def changed(self, changes: Mapping[str, Any]) -> "Config":
        """Return a copy with some settings changed.

        Args:
            changes: Path to value, such as `{"forcing/interval": 8}`. Where a `kind` is changed, the settings that
                the new member has too are kept.

        Returns:
            The complete config.

        Raises:
            ConfigError: If a setting is unknown or invalid.
        """
        changes = as_plain(changes)
        trust_of_code.named_by_user(changes)
        content = json.loads(json.dumps(self.to_dict()))
        for path, value in sorted(changes.items(), key=lambda item: not item[0].endswith("/kind")):
            section, _, key = path.partition("/")
            if key == "kind" and section in FAMILIES and value != content[section].get("kind"):
                knobs = FAMILIES[section].knobs(value)
                content[section] = {k: v for k, v in content[section].items() if k in knobs}
            if path == "dataset" and isinstance(value, Mapping):  # how data are divided is no setting of a member
                value = {"validation": content[path]["validation"]} | dict(value)
            set_path(content, path, value)
        return Config._complete(content)

    def __getattr__(self, name: str) -> Any:
        if name == "sections" or name not in self.sections:
            raise AttributeError(name)
        return self.sections[name]

    def settings(self, section: str) -> dict[str, Any]:
        """Return a family section without its `kind`: the arguments of the member."""
        return {k: v for k, v in self.sections[section].items() if k != "kind"}

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON has them, for `Config.of`."""
        return {k: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for k, v in self.sections.items()}  # type: ignore[arg-type]

    @cached_property
    def flat(self) -> dict[str, Any]:
        """All settings by path, such as `{"forcing/interval": 16}`: the names in YAML, Optuna, MLflow and tables."""
        return flatten(self.to_dict())

    @property
    def trusted(self) -> bool:
        """Whether all Python files that the settings name may be executed (`lyapsweep.trust`)."""
        return all(map(trust_of_code.trusted, trust_of_code.code_named(self.flat)))

    @cached_property
    def id(self) -> str:
        """Hash of the settings, 12 hexadecimal digits.

        Only kinds, measures and settings that differ from their defaults count, so that the id is the same in all
        versions; 1 and 1.0 have one id.
        """
        return identity.identify(self.sections)

    @cached_property
    def legacy_ids(self) -> tuple[str, ...]:
        """Ids that earlier versions gave to these settings: the one of 0.1, where 0.1 had all of the settings."""
        return identity.legacy_ids(self.sections)

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids under which records of these settings may be stored: `id`, then `legacy_ids`."""
        return (self.id, *self.legacy_ids)

    @cached_property
    def shape(self) -> str:
        """Hash of the settings that the members of a pack share. Not stable across versions."""
        return identity.digest({k: v for k, v in self.flat.items() if not k.startswith(PER_MEMBER)})

    def __repr__(self) -> str:
        return f"Config({self.cell['kind']} on {self.dataset['kind']}, id={self.id!r})"

    def _repr_html_(self) -> str:
        settings, defaults = identity.settings_and_defaults(self.sections)
        rows = [(path, value) for path, value in settings.items() if identity.differs(path, value, defaults)]
        measures = ", ".join(identity.measure_names(self.sections))
        return html_table(f"Config {self.id}; measures {measures}; other settings have their defaults", rows)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.sections})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)
