"""Docstrings of public names: every one has the standard form, and the examples of all modules run.

Public is what the `__all__` of a package exports, what a family's table lists, and what a page of docs names as
`lyapsweep.module.name`.
"""

import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from lyapsweep.registry import Registry

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "lyapsweep").rglob("*.py"))
NAMES = [".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in FILES]
MODULES = [name for name in NAMES if not name.endswith("__main__")]
SECTIONS = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example):$", re.MULTILINE)

# Packages and modules below `lyapsweep` whose docstrings are not yet in the standard form.
EXEMPT = ()


def exported() -> Iterator[Any]:
    for name in MODULES:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            yield value
            if isinstance(value, Registry):
                yield from (getattr(member, "function", member) for member in value.values())


def named_by_pages() -> Iterator[Any]:
    pages = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    names = {name for page in pages for name in re.findall(r"\blyapsweep(?:\.\w+)+", page.read_text())}
    for name in sorted(names):
        module = name
        while module not in MODULES:
            module = module.rpartition(".")[0]
        value = importlib.import_module(module)
        for attribute in name.removeprefix(module).split(".")[1:]:
            value = getattr(value, attribute, None)  # a file's suffix is no attribute
        if value is not None:
            yield value


@cache
def public() -> dict[str, dict[str, Any]]:
    """Public classes and functions by the module that defines them."""
    found: dict[str, dict[str, Any]] = {}
    for value in (*exported(), *named_by_pages()):
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("lyapsweep."):
            found.setdefault(value.__module__, {})[value.__qualname__] = value
    return found


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def parameters(member: Any) -> list[str]:
    """What has to be given: arguments of a function or of `__init__`, fields of a dataclass."""
    own = is_dataclass(member) or any(name in vars(member) for name in ("__init__", "_fields"))
    if inspect.isclass(member) and not own:
        return []
    return [p.name for p in inspect.signature(member).parameters.values() if p.name not in ("self", "args", "kwargs")]


def faults(member: Any) -> list[str]:
    """What a docstring lacks of the standard form."""
    text = inspect.cleandoc(vars(member).get("__doc__") or "" if inspect.isclass(member) else member.__doc__ or "")
    if not text:
        return ["has no docstring"]
    found = [] if text.partition("\n")[0].endswith((".", ":")) else ["its first line is no sentence"]
    if inspect.isclass(member) and issubclass(member, BaseException):
        return found
    sections = set(SECTIONS.findall(text))
    missing = [n for n in parameters(member) if not re.search(rf"^    (\w+, )*\*{{0,2}}{n}\b.*:", text, re.MULTILINE)]
    if missing:
        found.append(f"Args lacks {', '.join(missing)}")
    returns = inspect.signature(member).return_annotation if inspect.isfunction(member) else None
    if returns not in (None, "None", inspect.Signature.empty) and not {"Returns", "Yields"} & sections:
        found.append("Returns is missing")
    if "Example" not in sections or ">>> " not in text:
        found.append("Example is missing")
    return found


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) not in EXEMPT])
def test_public_names_have_docstrings_in_the_standard_form(module):
    found = {name: faults(member) for name, member in public().get(module, {}).items()}
    assert {name: lacking for name, lacking in found.items() if lacking} == {}


def test_no_exemption_is_left_over():
    """An exempt part that has only docstrings in the standard form leaves the list."""
    lacking = {part(m) for m, members in public().items() if any(faults(member) for member in members.values())}
    assert sorted(set(EXEMPT) - lacking) == []


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module, monkeypatch, tmp_path):
    """In single precision, as outside of tests; files that an example writes go to a folder of its own."""
    torch.set_default_dtype(torch.float32)
    loaded = importlib.import_module(module)
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(loaded, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0
