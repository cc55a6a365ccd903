"""CELLS: one file is one equation, its tangent and its citation."""

from lyapsweep.cells.antisymmetric import Antisymmetric
from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.cornn import Cornn
from lyapsweep.cells.lstm import Lstm
from lyapsweep.cells.plrnn import Plrnn
from lyapsweep.cells.sbo import Sbo
from lyapsweep.cells.scornn import Scornn
from lyapsweep.cells.scurnn import Scurnn
from lyapsweep.cells.shallow_plrnn import ShallowPlrnn
from lyapsweep.cells.vanilla import Vanilla
from lyapsweep.registry import Registry

CELLS: Registry[type[AbstractCell]] = Registry(
    "cell",
    {
        "vanilla": Vanilla,
        "lstm": Lstm,
        "plrnn": Plrnn,
        "shallow_plrnn": ShallowPlrnn,
        "antisymmetric": Antisymmetric,
        "cornn": Cornn,
        "scornn": Scornn,
        "scurnn": Scurnn,
        "sbo": Sbo,
    },
    given=("inputs", "population"),
)

__all__ = [
    "CELLS",
    "AbstractCell",
    "Antisymmetric",
    "Cornn",
    "Lstm",
    "Plrnn",
    "Scornn",
    "Scurnn",
    "ShallowPlrnn",
    "Vanilla",
]
