"""Seams between packages: no question of kind outside the two problems, no untyped dicts, no private vocabulary."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "lyapsweep").rglob("*.py"))
KINDS = {"Series", "Task", "SeriesProblem", "TaskProblem"}
OWN = {"datasets/series.py", "datasets/task.py", "problems/series.py", "problems/task.py"}
METAPHORS = {
    "scribe",
    "pulse",
    "watch",
    "supply",
    "trouble",
    "account",
    "ink",
    "rest",
    "portrait",
    "notation",
    "agreement",
    "foresight",
    "foretelling",
    "bands",
    "board",
    "room",
    "drive",
    "finding",
    "ledger",
    "journal",
    "heard",
    "hunted",
    "untracked",
}
UNTYPED = re.compile(r"\b(dict|Mapping|MutableMapping)\b(?!\[)|\b(dict|Mapping|MutableMapping)\[str, (Any|object)\]")
JSON_EDGE = {"to_dict", "from_dict", "to_json", "from_json"}  # what they return goes to disk, or comes from there
# Where a mapping of any values crosses a boundary, and why. A module stands for all of its functions.
ALLOWED = {
    "config/": "settings by path, of whatever type their members take; a section as its user wrote it",
    "compiled/caching.py": "globals of compiled functions by name",
    "fitting/search.py": "sections of a config, returned by a search space",
    "registry.py": "settings of a member, checked against its signature",
    "sweep/spaces.py": "sections of a config, returned by a user's search space",
    "sweep/plan/": "settings by path, as a grid or a space gives them",
    "sweep/execute/optuna_study.py": "parameters of Optuna trials by path",
    "sweep/execute/pack_source.py": "parameters of Optuna trials by path",
    "sweep/execute/planning.py:plan_sweep": "settings by path, from --set",
    "sweep/execute/runner.py:run": "settings by path, from --set",
    "sweep/execute/searcher.py": "Ray Tune's interface: its trials' configs and results are dicts",
    "sweep/execute/trainable.py": "Ray Tune's interface: its trials' configs and results are dicts",
    "cli/": "options as click passes them, settings from --set, and JSON for --json",
    "analysis/shared/theme.py": "layout of plotly figures, which plotly takes as dicts",
    "analysis/networks/best_trial_fixed_points.py": "JSON that the explorer embeds in its page",
    "atlas/orbits.py": "JSON that the explorer embeds in its page",
    "datasets/simulated.py": "parameters of a system by name",
    "systems/equations.py": "parameters of a system by name, from dysts' table",
    "dysts_table.py": "parameters of a flow by name, as dysts' JSON has them",
    "problems/suggestion.py": "parameters of a system by name",
    "measures/__init__.py": "a measure with settings, as its user wrote it",
    "dynamics/run.py:to_spectrum": "keyword arguments of Spectrum",
    "evaluation/evaluation.py:spectrum_settings": "keyword arguments of lyapunov_spectra",
    "results/provenance.py": "fields of a record's header on their way from or to JSON",
    "results/header.py": "fields of a record's header on their way from JSON",
    "results/imported.py:constants": "constant settings by path, as the user gives them",
    "results/imported.py:from_frame": "constant settings by path, as the user gives them",
    "forecaster.py:predict": "MLflow's interface of models",
    "api/": "settings as their user writes them",
    "data_files.py": "settings of the section dataset, as their user writes them",
    "fitting/pipeline.py:fit": "settings by path, as the user gives them",
}


def place(path: Path) -> str:
    return path.relative_to(ROOT / "lyapsweep").as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def untyped(function: ast.FunctionDef) -> bool:
    """Whether a parameter or the result is a mapping of values of any type."""
    arguments = function.args
    hints = [a.annotation for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)] + [
        function.returns
    ]
    return any(hint is not None and UNTYPED.search(ast.unparse(hint)) for hint in hints)


def allowed(module: str, name: str) -> bool:
    return name in JSON_EDGE or any(
        f"{module}:{name}" == entry or module == entry or (entry.endswith("/") and module.startswith(entry))
        for entry in ALLOWED
    )


def test_only_the_problems_ask_whether_data_are_a_series_or_a_task():
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            asks = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if asks and node.func.id in ("isinstance", "issubclass") and place(path) not in OWN:
                named = {
                    n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "") for n in ast.walk(node.args[1])
                }
                if named & KINDS and "pd.Series" not in ast.unparse(node):
                    found.append(f"{place(path)}:{node.lineno}")
    assert found == []


def test_no_untyped_dict_crosses_a_module_boundary():
    """A function that other modules use neither takes nor returns one, but for those in ALLOWED."""
    texts = {path: path.read_text() for path in MODULES}
    found = []
    for path in MODULES:
        for function in functions(path):
            if untyped(function) and not function.name.startswith("__") and not allowed(place(path), function.name):
                word = re.compile(rf"\b{function.name}\b")
                if any(word.search(text) for other, text in texts.items() if other != path):
                    found.append(f"{place(path)}:{function.name}")
    assert found == []


@pytest.mark.parametrize("entry", ALLOWED)
def test_every_exception_is_still_needed(entry):
    module, _, name = entry.partition(":")
    paths = [
        path for path in MODULES if place(path) == module or (module.endswith("/") and place(path).startswith(module))
    ]
    assert any(untyped(f) and name in ("", f.name) for path in paths for f in functions(path))


def test_no_module_and_no_class_has_a_private_name():
    classes = {
        node.name.lower(): place(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    modules = {word: place(path) for path in MODULES for part in path.parts[-3:] for word in Path(part).stem.split("_")}
    assert {word: place for word, place in (modules | classes).items() if word in METAPHORS} == {}


def test_every_finding_has_a_name_of_its_own():
    names = [
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Finding")
    ]
    assert len(names) > 10
    assert len(names) == len(set(names))
