"""`Registry`: the members of a family (cells, systems, measures, ...) by name."""

import difflib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from lyapsweep import in_memory, trust
from lyapsweep.setting_types import cut
from lyapsweep.user_code import described, in_this_folder, user_place

LONGEST_NAME = 200  # characters: comparing two texts takes time in proportion to the product of their lengths
MOST_NAMES = 50  # in a message
Member = TypeVar("Member", bound=Callable[..., Any])


class UnknownName(ValueError):
    """A name that is not registered; the message lists the known names and the most similar one."""


class BrokenMember(ValueError):
    """A file whose code raises an error, or an object in it that is no member; the message names file and line."""


def unknown(what: str, name: object, known: list[str], place: str = "") -> UnknownName:
    """Return the error for an unknown name.

    Args:
        what: What is named, such as "cell".
        name: The unknown name.
        known: All known names.
        place: Where the name was given, such as "cell/kind".

    Returns:
        The error, to be raised.

    Example:
        >>> print(unknown("cell", "lsmt", ["gru", "lstm"], "cell/kind"))
        cell/kind: No cell is called 'lsmt'. Did you mean 'lstm'? Known: gru, lstm.
    """
    near = nearest(str(name), known)
    hint = f" Did you mean '{near}'?" if near else ""
    where = f"{place}: " if place else ""
    return UnknownName(f"{where}No {what} is called '{cut(str(name))}'.{hint} Known: {listing(known)}.")


def nearest(name: str, known: list[str]) -> str:
    """Return the known name that is most similar; "" without one, and for texts that are too long to be names."""
    short = [each for each in known if len(each) <= LONGEST_NAME] if len(name) <= LONGEST_NAME else []
    return next(iter(difflib.get_close_matches(name, short, n=1, cutoff=0.5)), "")


def listing(known: list[str]) -> str:
    """Return names as a message lists them: the first ones, long ones cut."""
    more = len(known) - MOST_NAMES
    return ", ".join(map(cut, known[:MOST_NAMES])) + (f" and {more} more" if more > 0 else "")


def is_from_file(name: object) -> bool:
    """Whether a member is named as `path/to/file.py:Name`."""
    return isinstance(name, str) and name.rpartition(":")[0].endswith(".py")


def is_users(name: object) -> bool:
    """Whether a member is the user's own: named as a file's, or as an object in memory."""
    return is_from_file(name) or in_memory.is_in_memory(name)


def readable(name: object) -> bool:
    """Whether a member may be looked up: it is registered, or its code is trusted (`lyapsweep.trust`)."""
    return all(map(trust.trusted, trust.code_named(name)))


def from_file(family: str, name: str) -> Any:
    """Return the object `Name` of the file in `path/to/file.py:Name`; raise `UnknownName` or `UntrustedCode`."""
    path, _, attribute = name.rpartition(":")
    trust.require(path, f"{family} '{name}'")
    file = Path(path).expanduser()
    if not file.is_file():
        raise UnknownName(f"{family} '{name}': there is no file {path}, seen from {Path.cwd()}.")
    try:
        contents = executed(str(file.resolve()), file.stat().st_mtime_ns)
    except (Exception, SystemExit) as error:
        place = "" if user_place(error) else f"{path}: "
        raise BrokenMember(f"{family} '{name}': {place}{described(error).rstrip('.')}. Mend the file.") from error
    if attribute not in contents:
        raise unknown(f"{family} in {path}", attribute, [n for n, v in contents.items() if inspect.isclass(v)])
    if not callable(contents[attribute]):
        raise BrokenMember(
            f"{family} '{name}': {attribute} must be a class or a function, but is {contents[attribute]!r}."
        )
    return contents[attribute]


@lru_cache(maxsize=64)
def executed(path: str, changed: int) -> dict[str, Any]:
    """Return the names of a Python file, which is executed once per process and time of change."""
    spec = importlib.util.spec_from_file_location(f"lyapsweep_member_{Path(path).stem}", path)
    assert spec is not None, "a file that ends in .py"
    assert spec.loader is not None, "a file that ends in .py"
    module = importlib.util.module_from_spec(spec)
    with in_this_folder():
        spec.loader.exec_module(module)
    return vars(module)


@lru_cache(maxsize=256)
def parameters(member: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class or function; cached, because every config of every record needs them."""
    return inspect.signature(member).parameters


class Registry(Mapping[str, Member], Generic[Member]):
    """Mapping of names to the members of one family (`CELLS`, `SYSTEMS`, ...), in the order of registration.

    A member that is not registered can be named as `path/to/file.py:Name`. That file's code is executed, in this
    process and in every worker, so it must exist on each of their machines.

    Args:
        family: What a member is called in messages, such as "cell".
        members: Name to class or function.
        given: Parameters whose arguments the library passes (a cell's `inputs` and `population`, a generator, ...);
            all other parameters are settings of a config.
        shared: Settings of every member that the library reads in its place; none by default.

    Raises:
        UnknownName: By `registry[name]`, if there is no such member.
        UntrustedCode: By `registry[name]`, if only a record names the file and this user has not run it before.

    Example:
        >>> cells = Registry("cell", {"vanilla": lambda inputs, units=30: None}, given=("inputs",))
        >>> list(cells), list(cells.knobs("vanilla"))
        (['vanilla'], ['units'])
    """

    def __init__(
        self,
        family: str,
        members: Mapping[str, Member],
        given: tuple[str, ...] = (),
        shared: tuple[inspect.Parameter, ...] = (),
    ):
        self.family, self.members, self.given, self.shared = family, dict(members), given, shared
        self.aliases: dict[str, str] = {}  # of `register`
        for name, member in members.items():
            in_memory.note_member(name, member)

    def register(self, name: str, member: Any) -> None:
        """Let configs of this process call a class or function by a short name."""
        if name in self.members:
            raise ValueError(f"{self.family} '{name}': the library has one of this name. Choose another.")
        self.aliases[name] = in_memory.name_of(member, name)

    def full_name(self, name: Any) -> Any:
        """The name under which a config holds a member: `Name:digest` of one that was registered."""
        return self.aliases.get(name, name) if isinstance(name, str) else name

    def __getitem__(self, name: str) -> Member:
        if is_from_file(name):
            return from_file(self.family, name)
        if in_memory.is_in_memory(name := self.full_name(name)):
            trust.require(name, f"{self.family} '{name}'")
            return in_memory.get(name)
        if name not in self:
            raise unknown(self.family, name, [*self.members, *self.aliases])
        return self.members[name]

    def __contains__(self, name: object) -> bool:
        found = self.full_name(name)  # Mapping's own expects a KeyError
        return isinstance(found, str) and (found in self.members or is_users(found))

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def knobs(self, name: str) -> dict[str, inspect.Parameter]:
        """Return the settings of a member: its parameters that are not in `given`, and those that all members share.

        Of code that is not trusted, the shared ones alone.
        """
        shared = {p.name: p for p in self.shared}
        if not readable(name):
            return shared
        own = {k: p for k, p in parameters(self[name]).items() if k not in self.given and p.kind is not p.VAR_KEYWORD}
        return own | shared

    def check(self, name: str, settings: Mapping[str, Any], place: str = "") -> None:
        """Check the settings of a member.

        Args:
            name: The member.
            settings: Setting to value; settings with a default may be missing.
            place: Where the settings were given, for messages.

        Raises:
            UnknownName: If there is no such member or setting.
            ValueError: If a setting without a default is missing.
        """
        if name not in self:
            raise unknown(self.family, name, list(self.members), place)
        knobs = self.knobs(name)
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters(self[name]).values())
        for key in settings:
            if key not in knobs and not open_ended:
                raise unknown(f"setting of {self.family} '{name}'", key, list(knobs), place)
        missing = [k for k, p in knobs.items() if p.default is p.empty and k not in settings]
        if missing:
            where = f"{place}: " if place else ""
            raise ValueError(f"{where}{self.family} '{name}' needs a value for {', '.join(missing)}.")

    def sentence(self, name: str) -> str:
        """Return the first line of a member's docstring, which `lyapsweep list` prints."""
        return (inspect.getdoc(self[name]) or "").partition("\n")[0]
