"""The documentation site builds without a warning, its Python runs, and its pages need no network."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from lyapsweep.config import Config
from lyapsweep.datasets import build as data_of
from lyapsweep.results.record import Outcome
from lyapsweep.trial import run_trial

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TINY = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.02},
    "cell": {"kind": "vanilla", "units": 4},
    "forcing": {"kind": "sparse", "interval": 5},
    "windows": {"length": 40, "batch": 4},
    "training": {"steps": 4},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss", "state_space"],
}


@pytest.fixture(autouse=True)
def single_precision():
    """As outside of tests."""
    torch.set_default_dtype(torch.float32)


def blocks(page, language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    return [text for of, text in found if of == language]


@pytest.fixture
def howto(tmp_path, monkeypatch):
    """The files of the how-to page, where its configs look for them."""
    monkeypatch.chdir(tmp_path)
    for program in blocks("howto.md", "python"):
        (tmp_path / program.partition("\n")[0].removeprefix("# ")).write_text(program)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/lorenz63.yaml").write_text(yaml.safe_dump(TINY))
    return tmp_path


@pytest.mark.parametrize("section", blocks("howto.md", "yaml"), ids=lambda text: text.partition(":")[0])
def test_what_the_how_to_page_adds_is_trained(howto, section):
    config = Config.of(TINY | yaml.safe_load(section))
    *_, last = run_trial(config)
    assert (last.step, last.outcome) == (4, Outcome.FINISHED)
    assert last.spectrum.finite
    assert all(torch.tensor(last.measures[name]).isfinite() for name in last.config.measures)


def test_the_how_to_pages_system_is_chaotic(howto):
    """Its exponents sum to log u^2 exactly, and the series knows its own."""
    from lyapsweep import lyapunov_spectrum, systems

    torch.set_default_dtype(torch.float64)
    spectrum = lyapunov_spectrum(systems.build("my_system.py:Ikeda"), steps=2000)
    assert spectrum.sum == pytest.approx(2 * torch.tensor(0.9).log().item(), abs=1e-6)
    assert data_of(kind="simulated", system="my_system.py:Ikeda", length=600).lambda_max == pytest.approx(0.5, abs=0.1)


def test_the_how_to_pages_map_has_a_spectrum(howto):
    from lyapsweep import lyapunov_spectrum
    from lyapsweep.registry import from_file

    torch.manual_seed(0)
    spectrum = lyapunov_spectrum(from_file("map", "my_map.py:LayerNormLSTM")(inputs=2, units=3), torch.randn(60, 2))
    assert (spectrum.map, spectrum.state, spectrum.finite) == ("driven", 6, True)


def test_the_how_to_pages_sweep_draws_its_grid(howto):
    from lyapsweep.sweep import load
    from lyapsweep.sweep.plan.sampling import draw

    sweep = load(howto / "my_sweep.py")
    assert sweep.question.startswith("Does a leaky network")
    assert len({point.config.id for point in draw(sweep)}) == 3 * 3 * 3


SMALLER = {  # what the page's test trains less of
    "length=7000": "length=600",
    '"steps": 2000, "lr"': '"steps": 4, "lr"',
    "steps=1000": "steps=2",
    "steps=100": "steps=5",
    "[4, 16, 32]": "[4, 16]",
    "seeds=3": "seeds=2",
    '"windows": {': '"lyapunov": {"steps": 20, "warmup": 5, "orbits": 2}, "windows": {',
}


@pytest.mark.cluster
def test_the_notebook_page_runs(tmp_path, monkeypatch, capsys):
    """Block after block, as in a notebook, on a shorter series with fewer updates."""
    pytest.importorskip("xarray", reason="the page's arrays need xarray")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYAPSWEEP_ENGINE", "torch")  # what takes time is to compile
    seen = {"__name__": "__main__"}  # as a notebook's cells
    for program in blocks("notebook.md", "python"):
        for text, less in SMALLER.items():
            program = program.replace(text, less)
        exec(program, seen)
    assert seen["forecast"].shape == (5, 3)
    assert seen["longer"].record.step == 2
    assert seen["warm"].record.trial != seen["result"].record.trial
    assert capsys.readouterr().out.count("finished") >= 6  # of the callback; a trial of four updates may diverge
    kinds = [kind.partition(":")[0] for kind in seen["best"].index]
    assert kinds == ["Leaky", "shallow_plrnn"]
    assert dict(seen["grid"].sizes) == {"cell.kind": 2, "forcing.interval": 2, "seed": 2, "exponent": 20}
    place = seen["finals"].frame.iloc[seen["winner"]][["cell/kind", "forcing/interval", "seed"]].to_dict()
    lowest = seen["finals"].frame["measures/state_space"].min()
    place = {name.replace("/", "."): value for name, value in place.items()}
    assert seen["grid"]["measures.state_space"].sel(place).item() == lowest


NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def says(printed, promised):
    """Whether a printed line is the promised one: the same words, and numbers within the spread between machines."""
    if re.sub(r"\W+", " ", NUMBER.sub("", printed)) != re.sub(r"\W+", " ", NUMBER.sub("", promised)):
        return False
    pairs = zip(map(float, NUMBER.findall(printed)), map(float, NUMBER.findall(promised)), strict=True)
    return all(abs(a - b) <= 0.5 * abs(b) + 0.01 for a, b in pairs)


@pytest.mark.slow
def test_the_tutorial_is_true_word_for_word(tmp_path):
    """Every command as it is typed, in an empty folder; the last one stays until it is interrupted."""
    shim = tmp_path / "bin" / "lyapsweep"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m lyapsweep "$@"\n')
    shim.chmod(0o755)
    environment = os.environ | {"PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    commands = [line for block in blocks("tutorial.md", "sh") for line in block.splitlines()]
    assert commands.pop().startswith("lyapsweep open")
    said = []
    for command in commands:
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        said += done.stdout.splitlines()
    promised = [line for block in blocks("tutorial.md", "") for line in block.splitlines()]
    assert len(promised) >= 15
    assert [line for line in promised if not any(says(printed, line) for printed in said)] == []
    scores = [float(s) / float(f) for s, f in re.findall(r"^state_space +(\S+) .*floor (\S+?),", "\n".join(said), re.M)]
    assert len(scores) == 2  # of the first network, and of the sweep's best
    assert max(scores) < 1.5
    assert (tmp_path / "results/my-intervals/atlas.html").is_file()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    for needed in ("mkdocs", "mkdocstrings", "material", "latex2mathml"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"the site is built where the docs extra is installed; {needed} is not")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_builds_without_a_warning_and_fetches_nothing(site):
    pages = {page.relative_to(site).as_posix(): page.read_text() for page in site.rglob("*.html")}
    expected = {"index.html", "tutorial.html", "howto.html", "notebook.html", "mathematics/exponents.html"}
    assert expected <= set(pages)
    fetched = {
        name: re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://[^"]+', text) for name, text in pages.items()
    }
    assert {name: urls for name, urls in fetched.items() if urls} == {}
    assert "lambda_max" in pages["reference.html"]  # docstrings are in


def test_formulas_are_mathml(site):
    mathematics = "\n".join(page.read_text() for page in (site / "mathematics").glob("*.html"))
    text = re.sub(r"<(pre|code|math|script)\b.*?</\1>", "", mathematics, flags=re.DOTALL)
    assert mathematics.count("<math") > 300
    assert re.findall(r"\$[^$\n]{1,40}\$|\\lambda|\\frac", text) == []
    assert re.findall(r"^<math|^</?p>\s*<math", mathematics, re.MULTILINE) == []  # no formula is a paragraph
    assert re.findall(r"<mi>(?:&amp;|&)</mi>", mathematics) == []  # no alignment mark is left as text


def test_no_page_is_wider_than_the_window(site):
    """At 1100 px; wide tables, code and formulas scroll inside their own boxes."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        widths = {}
        for file in sorted(site.rglob("*.html")):
            page.goto(file.as_uri())
            widths[file.relative_to(site).as_posix()] = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert len(widths) > 40
    assert {name: width for name, width in widths.items() if width > 1100} == {}
