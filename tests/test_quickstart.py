"""The notebook that is shipped runs from its first cell to its last, and says what is true."""

import ast
import json
from pathlib import Path

import pytest
import torch

NOTEBOOK = Path(__file__).parents[1] / "docs/quickstart.ipynb"


def executed(source, names):
    """Run a cell as a notebook does; the value of its last expression is displayed and returned."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    assert getattr(value, "_repr_html_", value.__repr__)()
    return value


def cells():
    return ["".join(c["source"]) for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs():
    stored = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in stored)


@pytest.mark.cluster
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.set_default_dtype(torch.float32)  # as outside of tests
    names = {}
    values = [executed(source, names) for source in cells()]
    score, floor, saturation = values[2]
    assert score < 1.5 * floor < 0.5 * saturation  # the first network learns the attractor
    largest, error = values[3][0][0], values[3][1][0]
    assert abs(largest - 0.906) < 0.1 + 3 * error
    assert (values[5] < 0.5).all()  # of a standard deviation, over four doubling times
    assert values[6][0] < 0  # an LSTM that was not trained forgets
    assert values[8].shape == (2, 2)
    assert names["sweep"].atlas.is_file()
