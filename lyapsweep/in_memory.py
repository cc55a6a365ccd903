"""Classes and functions that exist in memory only, such as those of a notebook's cells, as members of a family.

A config names one `Name:digest`. The digest is that of its source and of everything of the user's that the source
refers to: a changed cell, helper or constant makes another trial. Workers get objects pickled by value, from their
driver and from nowhere else. A record holds the name and no code: reading it runs nothing.
"""

import ast
import functools
import hashlib
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from lyapsweep.user_code import LIBRARY, is_users, relative

NAME = re.compile(r"[A-Za-z_]\w*:[0-9a-f]{12}")
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...))
UNNAMED = "<lambda>"

_objects: dict[str, Any] = {}  # by name, of this process
_members: dict[int, tuple[str, Any]] = {}  # id of a registered member to its name, and the member, whose id it stays


class NotPickled(ValueError):
    """An object that cannot be sent to workers; the message says what in it cannot be pickled."""


def is_in_memory(name: object) -> bool:
    """Whether a member is named as an object in memory, `Name:digest`.

    Example:
        >>> is_in_memory("Leaky:0123456789ab"), is_in_memory("lstm"), is_in_memory("my_cell.py:Leaky")
        (True, False, False)
    """
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def known(name: str) -> bool:
    """Whether this process holds the object."""
    return name in _objects


def get(name: str) -> Any:
    """Return the object of this name; `KeyError` if this process does not hold it."""
    return _objects[name]


def note_member(name: str, member: Any) -> None:
    """Note that a class or function is registered, so that a config may hold the object instead of its name."""
    _members[id(member)] = name, member


def name_of(value: Any, name: str = "") -> str:
    """Return what a config calls a class or function, and keep the object in this process.

    Args:
        value: The object: a registered member has its own name; one of a module that is no package is `file.py:Name`;
            any other is `Name:digest`.
        name: What is called `Name`; by default the object's own name.

    Returns:
        The name.

    Example:
        >>> def narrow(rows, columns, generator):
        ...     return generator
        >>> is_in_memory(name_of(narrow)), name_of(narrow, "mine").partition(":")[0]
        (True, 'mine')
    """
    if id(value) in _members:
        return _members[id(value)][0]
    if not name and (file := file_of(value)):
        return f"{file}:{value.__name__}"
    own = name or getattr(value, "__name__", None) or getattr(value, "name", None) or type(value).__name__
    own = "function" if own == UNNAMED else re.sub(r"\W", "_", str(own))
    digest = hashlib.sha256("\n".join(described(value, set())).encode()).hexdigest()[:12]
    _objects[f"{own}:{digest}"] = value
    return f"{own}:{digest}"


def file_of(value: Any) -> str:
    """The user's Python file from which an object can be loaded anywhere; "" for any other object."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is None or not file or module.__name__ == "__main__" or module.__package__ or not is_users(file):
        return ""
    return relative(file) if getattr(module, getattr(value, "__qualname__", ""), None) is value else ""


def pickled(names: Iterable[str]) -> dict[str, bytes]:
    """Pickle objects by value for workers.

    Args:
        names: Names of settings, of which those of objects in memory count.

    Returns:
        The pickled objects by name.

    Raises:
        NotPickled: If an object holds something that cannot be pickled, such as an open file.
    """
    import cloudpickle

    found = {}
    for name in filter(is_in_memory, names):
        value = _objects[name]
        for part in (value, getattr(value, "function", None)):  # of a measure
            module = sys.modules.get(getattr(part, "__module__", None) or "")
            if module is not None and module.__name__ != "__main__" and users_module(module.__name__):
                cloudpickle.register_pickle_by_value(module)  # workers cannot import it
        try:
            found[name] = cloudpickle.dumps(value)
        except Exception as error:  # of any object inside
            raise NotPickled(
                f"{name}: it cannot be sent to workers ({error}). Create what it refers to inside of it."
            ) from error
    return found


def receive(objects: Mapping[str, bytes]) -> None:
    """Keep what the driver of this worker pickled."""
    import cloudpickle

    for name, content in objects.items():
        if name not in _objects:
            _objects[name] = cloudpickle.loads(content)


def described(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield texts that determine an object: the source of functions, the attributes of classes, the values of data."""
    if isinstance(value, PLAIN):
        yield repr(value)
    elif id(value) in seen:
        return
    elif isinstance(value, list | tuple | set | frozenset):
        yield type(value).__name__
        parts = ["\n".join(described(each, seen)) for each in value]
        yield from sorted(parts) if isinstance(value, set | frozenset) else parts
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from (repr(key), *described(each, seen))
    else:
        seen.add(id(value))
        yield from described_object(value, seen)


def described_object(value: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(value, staticmethod | classmethod):
        yield from described(value.__func__, seen)
    elif isinstance(value, property):
        yield from described([value.fget, value.fset], seen)
    elif isinstance(value, functools.partial):
        yield from described([value.func, value.args, value.keywords], seen)
    elif isinstance(value, types.ModuleType):
        yield value.__name__
    elif not of_user(value):
        yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
        yield from () if isinstance(value, type) else described_data(value, seen)
    elif isinstance(value, types.FunctionType):
        yield from (source(value), *described([value.__defaults__, value.__kwdefaults__], seen))
        for name, each in references(value):
            yield from (name, *described(each, seen))
    elif isinstance(value, type):
        yield value.__qualname__
        yield from described(value.__bases__, seen)
        for name, each in sorted(vars(value).items()):
            if not (name.startswith("__") or name == "_abc_impl") or isinstance(each, types.FunctionType):
                yield from (name, *described(each, seen))
    else:
        yield from described([type(value), getattr(value, "__dict__", {})], seen)


def described_data(value: Any, seen: set[int]) -> Iterator[str]:
    """The contents of a dataclass, an array, a frame or a tensor."""
    if is_dataclass(value):
        yield from described([getattr(value, each.name) for each in fields(value)], seen)
    elif hasattr(value, "tobytes") and hasattr(value, "shape"):
        content = repr(value.tolist()).encode() if value.dtype.kind == "O" else value.tobytes()
        yield f"{value.dtype}{value.shape}{hashlib.sha256(content).hexdigest()}"
    elif hasattr(value, "to_numpy"):
        yield from (repr(list(getattr(value, "columns", ()))), *described_data(value.to_numpy(), seen))
    elif hasattr(value, "detach") and hasattr(value, "cpu"):
        yield from described_data(value.detach().cpu().numpy(), seen)


def of_user(value: Any) -> bool:
    """Whether a function, a class or an instance's class is neither the library's nor of an installed package."""
    kind = value if isinstance(value, type | types.FunctionType) else type(value)
    if isinstance(kind, types.FunctionType):
        return not kind.__code__.co_filename.startswith(LIBRARY) and users_module(kind.__module__)
    return users_module(kind.__module__)


def users_module(name: str | None) -> bool:
    if name in (None, "__main__"):
        return True
    file = getattr(sys.modules.get(str(name)), "__file__", None)
    return file is not None and is_users(file)


def source(function: types.FunctionType) -> str:
    """A function's source without comments and layout; its bytecode if it is a lambda or the source is not known."""
    try:
        if function.__name__ == UNNAMED:
            raise TypeError
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError):
        own = codes(function.__code__)
        return "\n".join(f"{c.co_code.hex()} {c.co_names} {[v for v in c.co_consts if not is_code(v)]}" for c in own)


def is_code(value: Any) -> bool:
    return isinstance(value, types.CodeType)


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and those of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if is_code(constant):
            yield from codes(constant)


def references(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The global and enclosing names that a function reads, with their values."""
    names = dict.fromkeys(name for code in codes(function.__code__) for name in code.co_names)
    yield from ((name, function.__globals__[name]) for name in names if name in function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        if name != "__class__":
            try:
                yield name, cell.cell_contents
            except ValueError:  # not bound yet
                continue
