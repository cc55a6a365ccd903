"""A family's table of contents: name -> member, with an error that knows the neighbours."""

import difflib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

Member = TypeVar("Member", bound=Callable[..., Any])


class UnknownName(ValueError):
    """A name that no table holds; the message names the nearest one and the whole list."""


def unknown(what: str, name: object, known: list[str], place: str = "") -> UnknownName:
    """The one sentence for every misspelling: `No cell is called 'lsmt'. Did you mean 'lstm'? Known: ...`."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    where = f"{place}: " if place else ""
    return UnknownName(f"{where}No {what} is called '{name}'.{hint} Known: {', '.join(known)}.")


def is_from_file(name: object) -> bool:
    """Whether a member is named as `path/to/file.py:Name`."""
    return isinstance(name, str) and name.rpartition(":")[0].endswith(".py")


def from_file(family: str, name: str) -> Any:
    """What a Python file calls so. Raises `UnknownName` where there is no such file, or no such name in it."""
    path, _, attribute = name.rpartition(":")
    file = Path(path).expanduser()
    if not file.is_file():
        raise UnknownName(f"{family} '{name}': there is no file {path}, seen from {Path.cwd()}.")
    contents = executed(str(file.resolve()), file.stat().st_mtime_ns)
    if attribute not in contents:
        raise unknown(f"{family} in {path}", attribute, [n for n, v in contents.items() if inspect.isclass(v)])
    return contents[attribute]


@lru_cache(maxsize=64)
def executed(path: str, changed: int) -> dict[str, Any]:
    """The names of a Python file, once a process as long as it does not change."""
    spec = importlib.util.spec_from_file_location(f"lyapsweep_member_{Path(path).stem}", path)
    assert spec is not None, "a file that ends in .py"
    assert spec.loader is not None, "a file that ends in .py"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


@lru_cache(maxsize=256)
def parameters(member: Any) -> Mapping[str, inspect.Parameter]:
    """The arguments of a class or function; kept, for every config of every record that is read asks for them."""
    return inspect.signature(member).parameters


class Registry(Mapping[str, Member], Generic[Member]):
    """The members of one family (`CELLS`, `SYSTEMS`, ...), in the order in which they are listed.

    `given` names the arguments that the library supplies when it builds a member (a cell's `inputs`, `units`'s place
    in the population, a generator, ...); every other argument of the member is a knob that a config may set.

    A member need not be listed: `path/to/file.py:Name` is what that file calls Name. The file's code is run, here and
    in every worker, so it must be where they see it.
    """

    def __init__(self, family: str, members: Mapping[str, Member], given: tuple[str, ...] = ()):
        self.family, self.members, self.given = family, dict(members), given

    def __getitem__(self, name: str) -> Member:
        if is_from_file(name):
            return from_file(self.family, name)
        if name not in self:
            raise unknown(self.family, name, list(self.members))
        return self.members[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.members or is_from_file(name))  # Mapping's asks for a KeyError

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def knobs(self, name: str) -> dict[str, inspect.Parameter]:
        """The settings that a config may give to a member: its keyword arguments, defaults included."""
        return {k: p for k, p in parameters(self[name]).items() if k not in self.given and p.kind is not p.VAR_KEYWORD}

    def check(self, name: str, settings: Mapping[str, Any], place: str = "") -> None:
        """Raise `UnknownName` or `ValueError` where `settings` do not fit the member `name`."""
        if name not in self:
            raise unknown(self.family, name, list(self.members), place)
        knobs = self.knobs(name)
        open_ended = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(self[name]).parameters.values())
        for key in settings:
            if key not in knobs and not open_ended:
                raise unknown(f"setting of {self.family} '{name}'", key, list(knobs), place)
        missing = [k for k, p in knobs.items() if p.default is p.empty and k not in settings]
        if missing:
            where = f"{place}: " if place else ""
            raise ValueError(f"{where}{self.family} '{name}' needs a value for {', '.join(missing)}.")

    def sentence(self, name: str) -> str:
        """The first line of a member's docstring: what `lyapsweep list` prints."""
        return (inspect.getdoc(self[name]) or "").partition("\n")[0]
