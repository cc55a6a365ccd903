"""Completion and checks of a config: members and types, and constraints between sections."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from lyapsweep.cells import CELLS
from lyapsweep.config.parsing import ConfigError
from lyapsweep.config.sections import FAMILIES, LAST, PLAIN, defaults_of
from lyapsweep.datasets import DATASETS, check_validation, is_task
from lyapsweep.forcing import AUTO, FORCINGS
from lyapsweep.measures import chosen, fitting, listed
from lyapsweep.readouts import READOUTS
from lyapsweep.registry import listing, nearest, readable, unknown
from lyapsweep.setting_types import Range, check_setting, cut, shown, type_of
from lyapsweep.trust import code_named, trusted

SEED = Annotated[int, Range(least=-(2**62), below=2**62)]  # generators are seeded with 2 s and 2 s + 1


def complete(content: Mapping[str, Any]) -> dict[str, Any]:
    """Check every section against its family or dataclass and fill in defaults."""
    known = [*FAMILIES, *PLAIN, "measures", "seed"]
    for section in content:
        if section not in known:
            raise unknown_setting(str(section), known)
    task = names_task(content.get("dataset"))
    sections: dict[str, Any] = {}
    for section in FAMILIES:
        sections[section] = complete_member(section, content.get(section, defaults_of(section, task)))
    for section in PLAIN:
        given = {} if content.get(section) is None else content[section]
        sections[section] = complete_plain(section, given, defaults_of(section, task) or {})
    sections["measures"] = listed(content.get("measures", defaults_of("measures", task)))
    sections["seed"] = content.get("seed", defaults_of("seed", task))
    check_setting("seed", sections["seed"], SEED)
    if all(map(trusted, code_named([sections[name] for name in (*FAMILIES, "measures")]))):
        check_sections(sections)
    return sections


def names_task(dataset: Any) -> bool:
    """Whether the section `dataset` names a task; it need not be valid."""
    kind = dataset.get("kind") if isinstance(dataset, Mapping) else None
    return isinstance(kind, str) and kind in DATASETS and is_task(kind)


def complete_member(section: str, given: Any) -> dict[str, Any]:
    """Return a family section: its kind, and the arguments of that member with defaults."""
    family = FAMILIES[section]
    if not isinstance(given, Mapping) or "kind" not in given:
        raise ConfigError(f"{section} needs a kind. Known: {', '.join(family)}.")
    kind = family.full_name(given["kind"])
    if kind not in family:
        raise unknown(section, kind, list(family), f"{section}/kind")
    if not readable(kind):
        return dict(given) | {"kind": kind}
    knobs = family.knobs(kind)
    member = family[kind].__init__ if isinstance(family[kind], type) else family[kind]
    for key, value in given.items():
        if key == "kind":
            continue
        if key not in knobs:
            raise unknown_setting(f"{section}/{key}", [f"{section}/{k}" for k in knobs], f" for {section} '{kind}'")
        check_setting(f"{section}/{key}", value, type_of(member, key))
    for key, knob in knobs.items():
        if knob.default is knob.empty and key not in given:
            raise ConfigError(f"{section}/{key} is missing. {section} '{kind}' has no default for it.")
    return {"kind": kind} | {k: given.get(k, p.default) for k, p in knobs.items()}


def complete_plain(section: str, given: Any, defaults: Mapping[str, Any]) -> Any:
    """Return the dataclass of a section without a family."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{section} must be a section of settings, but got {shown(given)}.")
    plain = PLAIN[section]
    names = [f.name for f in dataclasses.fields(plain)]
    for key in given:
        if key not in names:
            raise unknown_setting(f"{section}/{key}", [f"{section}/{n}" for n in names])
    return plain(**{**defaults, **given})


def unknown_setting(path: str, known: list[str], context: str = "") -> ConfigError:
    near = nearest(path, known)
    hint = f" Did you mean {near}?" if near else ""
    return ConfigError(f"{cut(path)} is not known{context}.{hint} Known: {listing(known) or 'no settings'}.")


def check_sections(sections: Mapping[str, Any]) -> None:
    """Check what must hold between sections."""
    forcing = dict(sections["forcing"])
    FORCINGS[forcing.pop("kind")](**forcing)
    cell = dict(sections["cell"])
    sections["flossing"].fit(CELLS[cell.pop("kind")](inputs=0, population=1, **cell).state)
    sections["regularisation"].fit(CELLS[sections["cell"]["kind"]], READOUTS[sections["readout"]["kind"]])
    task = is_task(sections["dataset"]["kind"])
    check_validation(sections["dataset"]["validation"], sections["dataset"]["kind"] == "recorded")
    fitting(sections["measures"], "task" if task else "series", f"dataset '{sections['dataset']['kind']}'")
    keep, measures = sections["training"].keep, list(chosen(sections["measures"]))
    if keep not in (LAST, *measures):
        known = f"{LAST} or one of the measures ({', '.join(measures)})"
        raise ConfigError(f"training/keep must be {known}, but got {keep!r}. Add it to measures.")
    (check_task if task else check_series)(sections)


def check_series(sections: Mapping[str, Any]) -> None:
    """Check windows, forcing and readout of a config whose dataset is a series."""
    interval, length = sections["forcing"].get("interval"), sections["windows"].length
    if length is None:
        raise ConfigError("windows/length must be a number for a series, but got null. Only tasks have sequences.")
    windows = sections["windows"]
    if windows.policy != "random" or windows.spin_up:
        raise ConfigError(
            f"windows/policy must be random and windows/spin_up 0 where dataset/kind is a series, but got "
            f"{windows.policy} and {windows.spin_up}. The initial states of a series' windows are inferred from data."
        )
    if interval not in (None, AUTO) and interval > length:
        raise ConfigError(
            f"forcing/interval <= windows/length must hold, but got interval={interval}, length={length}: "
            f"no step inside a window would be forced. Increase windows/length or set forcing: {{kind: none}}."
        )
    readout = sections["readout"]["kind"]
    if READOUTS[readout].whole:
        raise ConfigError(
            f"readout/kind '{readout}' maps whole sequences, so it cannot be forced: dataset/kind must be a "
            f"task ({', '.join(filter(is_task, DATASETS))}), but is '{sections['dataset']['kind']}'."
        )


def check_task(sections: Mapping[str, Any]) -> None:
    """Check that a config whose dataset is a task has no forcing."""
    kind = sections["dataset"]["kind"]
    reason = "The network of a task is driven by inputs, and there is no known state to force it to."
    if (forcing := sections["forcing"]["kind"]) != "none":
        raise ConfigError(f"forcing/kind must be none where dataset/kind is '{kind}', but got '{forcing}'. {reason}")
    if sections["lyapunov"].forced:
        raise ConfigError(f"lyapunov/forced must be false where dataset/kind is '{kind}', but got true. {reason}")
