"""YAML of configs: the core schema of YAML 1.2, where `NO` is a word; no repeated keys, names as keys, bounded size.

PyYAML reads YAML 1.1, where `NO`, `on` and `1:30` are a truth value, another and 90, and the last of two equal keys
counts.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.parser import ParserError
from yaml.reader import ReaderError
from yaml.scanner import ScannerError

LONGEST = 300_000  # characters
MOST_VALUES = 100_000  # with aliases written out
NOT_YAML = (ScannerError, ParserError, ComposerError, ReaderError)
SCHEMA = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}


class Loader(yaml.SafeLoader):
    """Reads the core schema of YAML 1.2; refuses repeated keys, keys that are not names, and oversized documents."""

    yaml_implicit_resolvers: dict = {}

    def construct_document(self, node: yaml.Node) -> Any:
        if expanded_size(node, {}) > MOST_VALUES:
            raise problem(f"there are more than {MOST_VALUES} values once aliases are written out", node)
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                name = key.value if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
                raise problem(f"a key must be a name, but is {name}. Quote it or remove it", key)
            line = key.start_mark.line + 1
            if key.value in seen:
                raise problem(f"'{key.value}' is given twice, first on line {seen[key.value]}. Remove one", key)
            seen[key.value] = line
        return super().construct_mapping(node, deep)

    def construct_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        if len(text) > 100:
            raise problem(f"the integer {text[:20]}... has {len(text)} digits. Write a smaller one", node)
        return int(text, 0) if text[1:2] in ("o", "x") else int(text)


for name, (pattern, first) in SCHEMA.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"^(?:{pattern})$"), first)
Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_int)


def problem(text: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    """Return the error for a node."""
    return ConstructorError(None, None, text, node.start_mark)


def expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values of a node whose aliases are written out; an alias inside itself is an error."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise problem("an alias stands inside of its own anchor. Write the value out", node)
        return known[id(node)]
    known[id(node)] = 0
    children = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
    inner = children if isinstance(node, yaml.CollectionNode) else []
    known[id(node)] = 1 + sum(expanded_size(child, known) for child in inner)
    return known[id(node)]


def parse_yaml(text: str) -> Any:
    """Parse YAML text.

    Args:
        text: The text.

    Returns:
        The Python value.

    Raises:
        yaml.YAMLError: If the text is not YAML, or is refused as described above.

    Example:
        >>> parse_yaml("{lr: 1e-3, names: [NO, on, 1:30]}")
        {'lr': 0.001, 'names': ['NO', 'on', '1:30']}
    """
    if len(text) > LONGEST:
        raise yaml.YAMLError(f"the text has {len(text)} characters, more than {LONGEST}")
    try:
        return yaml.load(text, Loader=Loader)
    except RecursionError:
        raise yaml.YAMLError("the values are nested too deeply") from None
    except (ValueError, TypeError, AttributeError) as error:  # of an explicit tag, such as !!int x
        raise yaml.YAMLError(f"a value does not fit its tag ({error})") from error


def read_yaml(path: Path) -> Any:
    """Parse a YAML file in UTF-8.

    Args:
        path: The file.

    Returns:
        The Python value.

    Raises:
        ValueError: If the file is no YAML; the message names file and line.
    """
    content = path.read_bytes()
    try:
        return parse_yaml(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x}"
        raise ValueError(f"{path}, line {line}: the file is not text in UTF-8 ({byte}). Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        raise ValueError(located(error, str(path))) from error


def located(error: yaml.YAMLError, place: str) -> str:
    """Return the message of a YAML error with its line, on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        place = f"{place}, line {error.problem_mark.line + 1}"
    return f"{place}: {reason(error)}."


def reason(error: yaml.YAMLError) -> str:
    """Return the message of a YAML error on one line, without its place."""
    parts = (error.context, error.problem) if isinstance(error, yaml.MarkedYAMLError) else (str(error),)
    text = " ".join(", ".join(filter(None, parts)).split()).rstrip(".")
    return f"this is not YAML ({text})" if isinstance(error, NOT_YAML) else text
