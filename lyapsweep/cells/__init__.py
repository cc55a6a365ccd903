"""CELLS: one file is one equation, its tangent and its citation."""

from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.gru import Gru
from lyapsweep.cells.lstm import Lstm
from lyapsweep.cells.plrnn import Plrnn
from lyapsweep.cells.shallow_plrnn import ShallowPlrnn
from lyapsweep.cells.vanilla import Vanilla
from lyapsweep.registry import Registry

CELLS: Registry[type[AbstractCell]] = Registry(
    "cell",
    {"vanilla": Vanilla, "lstm": Lstm, "gru": Gru, "plrnn": Plrnn, "shallow_plrnn": ShallowPlrnn},
    given=("inputs", "population"),
)

__all__ = ["CELLS", "AbstractCell", "Gru", "Lstm", "Plrnn", "ShallowPlrnn", "Vanilla"]
