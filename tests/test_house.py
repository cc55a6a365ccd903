"""The house keeps its promises: light imports, documented members, configs and sweeps that run, pages that are true."""

import ast
import math
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lyapsweep.config import FAMILIES, Config
from lyapsweep.inits import INITS
from lyapsweep.maps import autodiff_push
from lyapsweep.measures import MEASURES
from lyapsweep.results.record import Outcome
from lyapsweep.systems import SYSTEMS
from lyapsweep.trial import run_trial

ROOT = Path(__file__).resolve().parents[1]
TABLES = {**FAMILIES, "measures": MEASURES, "systems": SYSTEMS}
MODULES = sorted(p for folder in ("lyapsweep", "sweeps", "benchmarks") for p in (ROOT / folder).rglob("*.py"))
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.exists()]
CONFIGS, SWEEPS = sorted((ROOT / "configs").glob("*.yaml")), sorted((ROOT / "sweeps").glob("*.py"))
MODULE_LINES, FUNCTION_LINES = 300, 45

by_name = {"ids": lambda path: path.relative_to(ROOT).as_posix()}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Paths in configs, sweeps and commands are seen from the top of the repository."""
    monkeypatch.chdir(ROOT)


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'torch', 'ray', 'pandas', 'mlflow', 'optuna', 'plotly', 'scipy', 'yaml'}"
    program = f"import sys, lyapsweep; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(("family", "name"), [(f, name) for f, table in TABLES.items() for name in table])
def test_every_member_says_what_it_is(family, name):
    member = TABLES[family][name]
    assert member.__doc__, f"{family} '{name}' has no docstring of its own"  # inherited ones do not count
    sentence = TABLES[family].sentence(name)
    assert len(sentence.split()) >= 4
    assert sentence[-1] in ".:;"


@pytest.mark.parametrize("name", [name for table in TABLES.values() for name in table])
def test_every_member_is_defined_in_the_mathematics(name):
    chapters = (page.read_text() for page in (ROOT / "docs/mathematics").glob("*.md"))
    assert any(f"`{name}`" in chapter for chapter in chapters)


def shrunk(config: Config, folder: Path) -> Config:
    """The same point with two updates of two windows, a short series and short spectra.

    A recording that is not there is the user's own: a made-up one in `folder` takes its place.
    """
    changes = {"training/steps": 2, "training/report_every": None, "windows/batch": 2}
    changes |= {"lyapunov/steps": 5, "lyapunov/warmup": 5, "lyapunov/orbits": 2}
    if "length" in config.dataset and config.windows.length:
        changes["dataset/length"] = max(200, 2 * config.windows.length + 1)
    if config.dataset["kind"] == "recorded" and not Path(config.dataset["path"]).exists():
        changes["dataset/path"] = str(folder / "recording.csv")
        rows = (f"{math.sin(t / 5)},{math.cos(t / 3)}" for t in range(500))
        (folder / "recording.csv").write_text("\n".join(["x,y", *rows]))
    return config.changed(changes)


@pytest.mark.parametrize("path", CONFIGS, **by_name)
def test_every_config_runs_two_steps(path, tmp_path):
    torch.set_default_dtype(torch.float32)  # as outside of tests
    *_, last = run_trial(shrunk(Config.load(path), tmp_path))
    assert (last.step, last.outcome) == (2, Outcome.FINISHED)
    assert all(math.isfinite(last.measures[name]) for name in last.config.measures if name != "prediction_time")
    assert last.spectrum.finite


@pytest.mark.parametrize("path", SWEEPS, **by_name)
def test_every_sweep_draws_its_configs(path):
    from lyapsweep.sweep import load
    from lyapsweep.sweep.plan.sampling import draw

    sweep = load(path)
    assert sweep.question, f"{path} asks nothing: its docstring is the question"
    if sweep.grid is not None:
        points, expected = draw(sweep), sweep.seeds * math.prod(len(values) for values in sweep.grid.values())
    else:
        points, expected = draw(sweep, 50), 50
    assert len({p.config.id for p in points}) == len(points) == expected
    assert all(sweep.objective in p.config.measures for p in points)


@pytest.mark.parametrize("path", MODULES, **by_name)
def test_modules_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= MODULE_LINES
    lengths = {f"line {node.lineno}: {node.name}": length(node) for node in ast.walk(ast.parse(text)) if function(node)}
    assert {place: lines for place, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def length(node: ast.FunctionDef) -> int:
    """Lines from `def` to the end, the docstring left out."""
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    return node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


@pytest.mark.parametrize("page", PAGES, **by_name)
def test_pages_name_no_file_that_is_not_there(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = {page.parent / link for link in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", prose)}
    folders = r"(?:lyapsweep|tests|docs|configs|sweeps|benchmarks|\.ci)"
    paths = {ROOT / path for path in re.findall(rf"`({folders}/[\w./-]*\w)/?`", prose)}
    assert [str(path) for path in sorted(links | paths) if not path.exists()] == []


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of these languages."""
    fence = re.compile(rf"^```(?:{'|'.join(languages)})\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return fence.findall(page.read_text())


def commands(page: Path) -> Iterator[list[str]]:
    """What the shell blocks of a page tell lyapsweep, as words."""
    for line in "\n".join(blocks(page, "sh", "bash", "shell", "console")).replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\||;", line.removeprefix("$ ")):
            words = shlex.split(part, comments=True)
            if words and words[0].endswith("lyapsweep"):
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, **by_name)
def test_pages_give_commands_that_exist(page):
    """Every command of a page is one of the CLI's, with options that it has and files that are there."""
    main = pytest.importorskip("lyapsweep.cli", reason="no command line yet").main
    for words in commands(page):
        named = main.commands.get(words[0]) if words else None
        assert named or words[0] in ("--help", "--version"), f"lyapsweep {words[0]} is no command"
        known = {option for p in named.params for option in p.opts + p.secondary_opts} | {"--help"} if named else words
        assert [w for w in words if w.startswith("--") and w.partition("=")[0] not in known] == []
        files = [w for w in words if re.match(r"(configs|sweeps)/", w)]
        assert [f for f in files if not (ROOT / f).exists()] == []


def test_the_readme_tells_continuous_integration_how_to_test():
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README yet")
    command = re.search(r"^<!-- tests -->\s*```\w*\n(.+)\n```$", readme.read_text(), re.MULTILINE)
    assert command, "README.md needs a fenced block with one command after <!-- tests -->"
    assert re.fullmatch(r'python3 -m venv \.venv && .*-e "\.\[dev\]" && \.venv/bin/python -m pytest.*', command[1])


def test_the_records_page_runs(tmp_path, monkeypatch):
    """The Python of docs/record.md, on the records of a short run where it looks for them."""
    config = shrunk(Config.load("configs/lorenz63.yaml"), tmp_path)
    for record in run_trial(config):
        file = record.save(tmp_path / "results/lorenz63/records")
    monkeypatch.chdir(tmp_path)
    programs = blocks(ROOT / "docs/record.md", "python")
    assert programs
    for program in programs:
        exec(program.replace("TRIAL", file.stem), {})


def test_the_architecture_of_the_house_page_passes_the_exam():
    """The page's example is a cell: its push is the derivative of its step."""
    (program,) = blocks(ROOT / "docs/architecture.md", "python")
    namespace = {}
    exec(program, namespace)
    cell = namespace["Antisymmetric"](inputs=2, population=3, units=4)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    cell.build([(INITS["gaussian"], g) for g in generators])
    z, x, V = (torch.randn(3, 2, *size, generator=generators[0]) for size in ((4,), (2,), (5, 4)))
    for got, want in zip(cell.push(z, x, V), autodiff_push(cell.step, z, x, V)):
        torch.testing.assert_close(got, want)


def test_files_beside_the_code_are_installed_with_it():
    """A wheel holds what `package-data` in pyproject.toml names: templates, scripts, frozen settings."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    named = {
        file
        for package, patterns in data.items()
        for p in patterns
        for file in (ROOT / package.replace(".", "/")).glob(p)
    }
    files = {
        f
        for f in (ROOT / "lyapsweep").rglob("*")
        if f.is_file() and f.suffix != ".py" and f.parent.name != "__pycache__"
    }
    assert files
    assert sorted(map(str, files - named)) == []
