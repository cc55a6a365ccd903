"""CELLS: recurrent cells; each file holds one equation, its tangent and its citation."""

from lyapsweep.cells.alrnn import Alrnn
from lyapsweep.cells.antisymmetric import Antisymmetric
from lyapsweep.cells.cell import AbstractCell
from lyapsweep.cells.cornn import Cornn
from lyapsweep.cells.dendritic_plrnn import DendriticPlrnn
from lyapsweep.cells.errors import BadWeights
from lyapsweep.cells.from_plrnn import PlrnnWeights, from_plrnn
from lyapsweep.cells.from_torch import from_state_dict, from_torch, to_state_dict, to_torch
from lyapsweep.cells.gru import Gru
from lyapsweep.cells.lstm import Lstm
from lyapsweep.cells.parametrised import AbstractParametrisedCell
from lyapsweep.cells.plrnn import Plrnn
from lyapsweep.cells.sbo import Sbo
from lyapsweep.cells.scornn import Scornn
from lyapsweep.cells.scurnn import Scurnn
from lyapsweep.cells.shallow_plrnn import ShallowPlrnn
from lyapsweep.cells.stack import Stack
from lyapsweep.cells.unrolled import AbstractFusedCell, AbstractUnrolledCell
from lyapsweep.cells.vanilla import Vanilla
from lyapsweep.registry import Registry

CELLS: Registry[type[AbstractCell]] = Registry(
    "cell",
    {
        "vanilla": Vanilla,
        "lstm": Lstm,
        "gru": Gru,
        "plrnn": Plrnn,
        "dendritic_plrnn": DendriticPlrnn,
        "shallow_plrnn": ShallowPlrnn,
        "alrnn": Alrnn,
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
    "AbstractFusedCell",
    "AbstractParametrisedCell",
    "AbstractUnrolledCell",
    "Alrnn",
    "Antisymmetric",
    "BadWeights",
    "Cornn",
    "DendriticPlrnn",
    "Gru",
    "Lstm",
    "Plrnn",
    "PlrnnWeights",
    "Sbo",
    "Scornn",
    "Scurnn",
    "ShallowPlrnn",
    "Stack",
    "Vanilla",
    "from_plrnn",
    "from_state_dict",
    "from_torch",
    "to_state_dict",
    "to_torch",
]
