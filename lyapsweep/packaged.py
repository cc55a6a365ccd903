"""The configs and sweeps that come with the library, by name: `lorenz63`, `forcing_interval`.

A wheel carries them in `lyapsweep/starter/`; a clone and an editable install have them at the top of the repository.
"""

import ast
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE / "starter" if (HERE / "starter").is_dir() else HERE.parent
SUFFIXES = {"configs": ".yaml", "sweeps": ".py"}


@dataclass(frozen=True)
class PackagedFile:
    """A config or a sweep that comes with the library.

    Args:
        name: Its name, the file's without suffix.
        sentence: What it shows or asks: of a sweep the first line of its docstring, of a config its first comment.
        path: The file.
    """

    name: str
    sentence: str
    path: Path


def packaged_files(family: str) -> list[PackagedFile]:
    """Return the packaged files of a family, `configs` or `sweeps`, by name; nothing is executed.

    Example:
        >>> next(file.sentence for file in packaged_files("sweeps") if file.name == "forcing_interval")
        'Is the best forcing interval the predictability time of the data?'
    """
    paths = sorted((ROOT / family).glob(f"*{SUFFIXES[family]}"))
    return [PackagedFile(path.stem, first_sentence(path), path) for path in paths]


def first_sentence(path: Path) -> str:
    """What a packaged file says of itself."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    comment = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    sentence = re.split(r"(?<!et al)\. ", " ".join(line.lstrip("# ") for line in comment))[0]
    return sentence.rstrip(".:") + "."


def find_file(family: str, path: Path | str) -> Path | None:
    """Find a config or a sweep: a file, else one of this name in the folder of the family, else the packaged one.

    Args:
        family: `configs` or `sweeps`.
        path: A path, or a name without folder and suffix. Files of the current folder come before packaged ones.

    Returns:
        The file; None if there is none.

    Example:
        >>> find_file("sweeps", "forcing_interval").name, find_file("configs", "configs/lorenz63.yaml").name
        ('forcing_interval.py', 'lorenz63.yaml')
    """
    given, suffix = Path(path), SUFFIXES[family]
    places = [given]
    if given.parent in (Path(), Path(family)):
        name = given.name.removesuffix(suffix) + suffix
        places += [Path(name), Path(family, name), ROOT / family / name]
    return next((place for place in places if place.is_file()), None)


def short_name(path: Path | str) -> str:
    """Return the name of a packaged config by which commands find it again; of any other file its path."""
    given = Path(path)
    return given.stem if ROOT in given.parents and find_file("configs", given.stem) == given else str(path)


def missing_file(family: str, path: Path | str) -> str:
    """Return the error message for a config or a sweep that `find_file` does not find, with the most similar name."""
    from lyapsweep.registry import listing, nearest  # which imports NumPy

    given, suffix, what = Path(path), SUFFIXES[family], family.removesuffix("s")
    there = [str(file) for file in sorted(given.parent.glob(f"*{suffix}"))]
    known = [*there, *(file.name for file in packaged_files(family))]
    near = nearest(str(given), known) or nearest(given.name.removesuffix(suffix), known)
    hint = f" Did you mean '{near}'?" if near else ""
    return f"{path}: there is no such {what} file, and no packaged {what} of this name.{hint} Known: {listing(known)}."
