"""How many random mutants of the code do the fast tests kill?

    python -m benchmarks.mutation                 # 100 mutants of the default packages, about an hour on one core
    python -m benchmarks.mutation --mutants 20 --only lyapsweep/windows.py --seed 1

A mutant differs from the code in one operator, comparison, constant, Boolean or returned value. It is applied to a copy
of the working tree, and the fast tests of its module run there: the file named after the module first, then those that
mention most of its names. A mutant is killed where a test fails or does not end. Results go to a JSON lines file as
they come; the same seed and number resume it.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGETS = (
    "lyapsweep/training",
    "lyapsweep/forcing",
    "lyapsweep/windows.py",
    "lyapsweep/dynamics",
    "lyapsweep/sweep",
    "lyapsweep/tracking",
)
COPIED = ("lyapsweep", "tests", "configs", "sweeps", "benchmarks", "docs", "deploy", "pyproject.toml", "README.md")
MOST_TEST_FILES = 3  # per mutant
SECONDS = 240  # that the tests of one mutant may take; a mutant that hangs is killed
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
LOGIC = {ast.And: ast.Or, ast.Or: ast.And}


@dataclass(frozen=True)
class Mutant:
    """One change of one expression: the source between two byte offsets is replaced."""

    path: str
    line: int
    begin: int
    end: int
    original: str
    replacement: str

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}: {self.original} -> {self.replacement}"


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module."""
    source = path.read_text()
    data, tree = source.encode(), ast.parse(source)
    offsets = [0]
    for line in data.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    skipped = {id(inner) for node in ast.walk(tree) for part in not_mutated(node) for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in skipped or not hasattr(node, "lineno"):
            continue
        begin = offsets[node.lineno - 1] + node.col_offset
        end = offsets[node.end_lineno - 1] + node.end_col_offset
        for changed in changes(node):
            original = data[begin:end].decode()
            yield Mutant(str(path.relative_to(ROOT)), node.lineno, begin, end, original, f"({ast.unparse(changed)})")


def not_mutated(node: ast.AST) -> list[ast.AST]:
    """Parts of a node that carry no behaviour: annotations, error messages, assertions, docstrings, typing code."""
    if isinstance(node, ast.arg):
        return [node.annotation] if node.annotation else []
    if isinstance(node, ast.FunctionDef):
        return [node.returns] if node.returns else []
    if isinstance(node, ast.AnnAssign):
        return [node.annotation]
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
        return [node]
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return [node]
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("log.", "warnings.")):
        return [node]
    return []


def changes(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that could stand in this one's place by mistake."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not isinstance(node.left, ast.JoinedStr):
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(LOGIC[type(node.op)](), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int | float):
            yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


def returned(path: Path) -> Iterator[Mutant]:
    """Mutants that return None in place of a name or an attribute."""
    source = path.read_text()
    lines = source.encode().splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        value = getattr(node, "value", None)
        if isinstance(node, ast.Return) and isinstance(value, ast.Name | ast.Attribute):
            before = sum(map(len, lines[: value.lineno - 1]))
            begin, end = before + value.col_offset, before + value.end_col_offset
            yield Mutant(str(path.relative_to(ROOT)), node.lineno, begin, end, f"return {ast.unparse(value)}", "None")


def test_files(path: str, root: Path) -> list[Path]:
    """The test files of a module: first the one named after it, then those that import it or mention its names."""
    leaf, parent = Path(path).stem, Path(path).parent.name
    tree = ast.parse((root / path).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)} | {leaf}
    mentions: dict[Path, int] = {}
    for file in sorted((root / "tests").glob("test_*.py")):
        words = set(re.findall(r"\w+", file.read_text()))
        named = file.stem in (f"test_{leaf}", f"test_{parent}", f"test_{parent}_{leaf}")
        imports = path.removesuffix(".py").replace("/", ".") in file.read_text()
        mentions[file] = len(defined & words) + len(defined) * (2 * named + imports)
    found = [file for file, count in mentions.items() if count]
    return sorted(found, key=lambda file: -mentions[file])[:MOST_TEST_FILES]


def survives(mutant: Mutant, copy: Path) -> bool:
    """Whether all tests pass with the mutant in place of the code."""
    file = copy / mutant.path
    original = file.read_bytes()
    file.write_bytes(original[: mutant.begin] + mutant.replacement.encode() + original[mutant.end :])
    files = [str(f) for f in test_files(mutant.path, copy)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not cluster"]
    try:
        for test in files:
            run = subprocess.run(
                [*command, test], cwd=copy, env=environment, capture_output=True, timeout=SECONDS, check=False
            )
            if run.returncode not in (0, 5):  # 5: no test was selected
                return False
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        file.write_bytes(original)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", default=None, help="a file or folder; may be repeated")
    parser.add_argument("--results", type=Path, default=Path("results/mutation.jsonl"))
    given = parser.parse_args()
    places = [ROOT / place for place in given.only or TARGETS]
    files = sorted(file for p in places for file in ([p] if p.is_file() else p.rglob("*.py")))
    candidates = [m for file in files for m in (*mutants(file), *returned(file))]
    chosen = random.Random(given.seed).sample(candidates, min(given.mutants, len(candidates)))
    given.results.parent.mkdir(parents=True, exist_ok=True)
    lines = given.results.read_text().splitlines() if given.results.exists() else []
    known = {entry["mutant"]: entry["killed"] for entry in map(json.loads, lines)}
    with tempfile.TemporaryDirectory() as scratch, given.results.open("a") as results:
        copy = Path(scratch)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        for number, mutant in enumerate(chosen, start=1):
            if mutant.name not in known:
                known[mutant.name] = not survives(mutant, copy)
                results.write(json.dumps({"mutant": mutant.name, "killed": known[mutant.name]}) + "\n")
                results.flush()
            print(
                f"{number:3d} / {len(chosen)}  {'killed  ' if known[mutant.name] else 'SURVIVED'}  {mutant.name}",
                flush=True,
            )
    killed = sum(known[m.name] for m in chosen)
    print(f"{killed} of {len(chosen)} mutants killed ({len(candidates)} candidates in {len(files)} files).")


if __name__ == "__main__":
    main()
