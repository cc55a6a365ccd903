"""Strategies that damage valid inputs, and the rule that every input is read or refused in words."""

import contextlib
import io
import json
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from hypothesis import strategies as st

from lyapsweep.cli import main
from lyapsweep.cli.errors import CommandError, explained

LONGEST_MESSAGE = 6100  # characters
LONGEST = 10  # seconds of processor time per input
INTEGERS = (0, 1, -1, 2, 3, 5, 63, 2**31, 2**40, 2**62, 2**63, -(2**63), 10**30)
FLOATS = (0.0, -0.0, 0.5, 1.0, 1.5, -0.1, 1e-320, 1e-30, 1e30, 1e308, -1e308, *map(float, ("nan", "inf", "-inf")))
WORDS = ("", " ", "0", "nan", "auto", "none", "loss", "kind", "x", "../x", "/", "a/b", "é\u202e", "\ud800", "\0", "*")
WORDS += ("linear", "henon", "gone.csv", "gone.py:A", "[", "{0}", "%s", "1e400", "x" * 300, "\n")
EMPTY = (None, True, False, [], {}, [[]], [None], {"kind": "x"}, {"kind": None}, {"": 1}, {"a/b": {"c": [1]}})

plain = st.sampled_from(INTEGERS) | st.sampled_from(FLOATS) | st.sampled_from(WORDS) | st.sampled_from(EMPTY)
foreign = st.sampled_from(
    (np.int64(3), np.float32("nan"), np.arange(3), np.array("x"), 1j, b"x", {1, 2}, {1: 2}, object)
)
nested = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner))


class TooSlow(Exception):
    """An input took longer than LONGEST."""


@contextlib.contextmanager
def read_or_refused(folder: Path) -> Iterator[None]:
    """Re-raise what ends as unexpected, and fail for a hang or a file that a refused input leaves in `folder`."""
    before = set(folder.rglob("*"))

    def stop(*_: object) -> None:
        raise TooSlow(f"more than {LONGEST} s of processor time")

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
    refused = True
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
        refused = False
    except TooSlow:
        raise
    except click.UsageError:
        pass
    except Exception as error:
        message = explained(error).format_message()
        if "--debug shows" in message or not in_our_words(error) or len(message) > LONGEST_MESSAGE:
            raise
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    left = sorted(set(folder.rglob("*")) - before, reverse=True)
    assert not (left and refused), f"left {left}"
    for path in left:
        path.rmdir() if path.is_dir() else path.unlink()


def in_our_words(error: BaseException) -> bool:
    """Whether the message was written for it: an error of an own class, or one that a line of ours raises."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    raised = (place.line or "").lstrip().startswith("raise ")
    if not type(error).__module__.startswith(("lyapsweep", "click")) and not raised and not isinstance(error, OSError):
        return False
    cause, text = error.__cause__, str(error)
    return cause is None or not str(cause).strip() or not text.endswith(str(cause)) or in_our_words(cause)


def paths(tree: Any, path: tuple = ()) -> Iterator[tuple]:
    """The places in nested mappings and lists, their own first."""
    yield path
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def copied(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: copied(inner) for key, inner in tree.items()}
    return [copied(inner) for inner in tree] if isinstance(tree, list) else tree


@st.composite
def damaged(draw: Callable, trees: list, values: st.SearchStrategy = nested, most: int = 3) -> Any:
    """One of the trees with some values replaced, removed, renamed, wrapped, added or moved."""
    tree = copied(draw(st.sampled_from(trees)))
    for _ in range(draw(st.integers(1, most))):
        places = [place for place in paths(tree) if place]
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        parent = tree
        for key in parents:
            parent = parent[key]
        how = draw(st.sampled_from(("set", "set", "set", "remove", "rename", "wrap", "add", "move")))
        if how == "set":
            parent[last] = copied(draw(values))
        elif how == "remove":
            del parent[last]
        elif how == "wrap":
            parent[last] = draw(st.sampled_from((lambda v: [v], lambda v: {"kind": v}, str, lambda v: [v, v])))(
                parent[last]
            )
        elif how == "move":
            other = draw(st.sampled_from(places))
            value = tree
            with contextlib.suppress(LookupError, TypeError):
                for key in other:
                    value = value[key]
                parent[last] = copied(value)
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(WORDS))] = parent.pop(last) if how == "rename" else copied(draw(values))
        else:
            parent.insert(last, copied(draw(values)))
    return tree


@st.composite
def damaged_bytes(draw: Callable, contents: list[bytes], tokens: tuple[bytes, ...] = ()) -> bytes:
    """One of the contents with some spans removed, repeated, overwritten or filled with tokens, or cut short."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((0, 1, 1, 2, 4, 8, 32))))
        how = draw(st.sampled_from(("remove", "repeat", "bytes", "token", "token", "cut")))
        if how == "remove":
            del content[start:end]
        elif how == "repeat":
            content[end:end] = content[start:end] * draw(st.sampled_from((1, 2, 20)))
        elif how == "cut":
            del content[start:]
        elif how == "token" and tokens:
            content[start:end] = draw(st.sampled_from(tokens))
        else:
            content[start:end] = draw(st.binary(max_size=4))
    return bytes(content)


def as_json(tree: Any) -> str:
    """JSON with the numbers and the texts that Python's own reader takes: NaN, Infinity, lone surrogates."""
    return json.dumps(tree, default=str)


def npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, **{name or "unnamed": value for name, value in arrays.items()})  # pyright: ignore[reportArgumentType]


ARRAYS = (
    np.zeros(0),
    np.array(3.0),
    np.array([np.nan, np.inf]),
    np.zeros((2, 0, 3)),
    np.arange(12).reshape(3, 4),
    np.ones((3, 3), ">f4"),
    np.ones(3, complex),
    np.array(["a", "b"]),
    np.array([b"x"]),
    np.zeros(2, "datetime64[s]"),
    np.zeros(2, [("a", "f8"), ("b", "i4")]),
    np.full((3, 3), 1e300),
    np.ones(5, bool),
    np.ones((4, 4), np.float16),
)
TENSORS = (
    torch.zeros(0),
    torch.tensor(1.0),
    torch.full((12, 3), torch.nan),
    torch.ones(12, 4),
    torch.ones(3, 3, dtype=torch.cfloat),
    torch.ones(12, 3, dtype=torch.int64),
    torch.ones(12, dtype=torch.bool),
    torch.ones(3, 3, dtype=torch.bfloat16),
    torch.ones(3, 3).to_sparse(),
    torch.ones(12, 3, device="meta"),
    torch.full((3, 3), 1e300, dtype=torch.float64),
    torch.ones(2, 3, 4, 5),
    torch.quantize_per_tensor(torch.ones(3, 3, dtype=torch.float), 0.1, 0, torch.quint8),
)


def command(*args: str) -> None:
    """Run a command up to its work; an unexpected exception is raised as it is."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main.main(list(args), standalone_mode=False)
        except CommandError as error:
            if traceback.extract_tb(error.__traceback__)[-1].name == "invoke":  # by `explained`
                raise error.__cause__ or error from None
            raise
        except click.exceptions.Exit:
            pass
