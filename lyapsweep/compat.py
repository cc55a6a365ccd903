"""Old names of modules, importable with a `DeprecationWarning` that names the new place."""

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED_MODULES = {
    "lyapsweep.checkpoint": "lyapsweep.training.checkpoint",
    "lyapsweep.driven": "lyapsweep.evaluation.task",
    "lyapsweep.foreign": "lyapsweep.results.imported",
    "lyapsweep.interval": "lyapsweep.problems.interval",
    "lyapsweep.notation": "lyapsweep.config.parsing",
    "lyapsweep.objectives": "lyapsweep.training.objectives",
    "lyapsweep.provenance": "lyapsweep.results.provenance",
    "lyapsweep.record": "lyapsweep.results.record",
    "lyapsweep.streams": "lyapsweep.evaluation.stateful",
    "lyapsweep.table": "lyapsweep.results.table",
    "lyapsweep.analysis.aelle": "lyapsweep.analysis.prediction.aelle",
    "lyapsweep.analysis.attractor": "lyapsweep.analysis.networks.attractor",
    "lyapsweep.analysis.bands": "lyapsweep.analysis.prediction.band_importance",
    "lyapsweep.analysis.border": "lyapsweep.analysis.settings.phase_plane",
    "lyapsweep.analysis.boundary": "lyapsweep.analysis.settings.box_counting",
    "lyapsweep.analysis.correlation": "lyapsweep.analysis.spectra.correlation",
    "lyapsweep.analysis.curve": "lyapsweep.analysis.settings.setting_curve",
    "lyapsweep.analysis.divergence": "lyapsweep.analysis.spectra.divergence_curves",
    "lyapsweep.analysis.features": "lyapsweep.analysis.shared.spectrum_features",
    "lyapsweep.analysis.finding": "lyapsweep.analysis.shared.selection",
    "lyapsweep.analysis.fixed_points": "lyapsweep.analysis.networks.fixed_point_census",
    "lyapsweep.analysis.foresight": "lyapsweep.analysis.shared.early_records",
    "lyapsweep.analysis.formation": "lyapsweep.analysis.spectra.spectrum_history",
    "lyapsweep.analysis.importance": "lyapsweep.analysis.settings.importance",
    "lyapsweep.analysis.incremental": "lyapsweep.analysis.prediction.incremental",
    "lyapsweep.analysis.optimum": "lyapsweep.analysis.settings.optimum",
    "lyapsweep.analysis.orbit": "lyapsweep.analysis.networks.orbit",
    "lyapsweep.analysis.partial": "lyapsweep.analysis.spectra.partial_correlation",
    "lyapsweep.analysis.portrait": "lyapsweep.analysis.networks.fixed_point_plot",
    "lyapsweep.analysis.spectrum": "lyapsweep.analysis.spectra.spectrum",
    "lyapsweep.analysis.stability": "lyapsweep.analysis.networks.best_trial_fixed_points",
    "lyapsweep.analysis.survival": "lyapsweep.analysis.prediction.survival",
    "lyapsweep.analysis.transfer": "lyapsweep.analysis.prediction.transfer",
    "lyapsweep.sweep.definition": "lyapsweep.sweep.plan.definition",
    "lyapsweep.sweep.driver": "lyapsweep.sweep.execute.runner",
    "lyapsweep.sweep.journal": "lyapsweep.sweep.execute.optuna_study",
    "lyapsweep.sweep.refinement": "lyapsweep.sweep.plan.refinement",
    "lyapsweep.sweep.trainable": "lyapsweep.sweep.execute.trainable",
    "lyapsweep.tracking.forecast": "lyapsweep.tracking.forecast_models",
}
# Names that are called otherwise in their new module; a name of a module that did not move may be listed too.
RENAMED: dict[str, str] = {"lyapsweep.sweep.trainable.outlast": "train_pack"}


def moved_attribute(old: str, new: str, name: str) -> Any:
    """Return what `name` in the old module is called in the new one."""
    return getattr(importlib.import_module(new), RENAMED.get(f"{old}.{name}", name))


def moved_names(old: str, new: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that was a module before, whose names are in its module `new` now."""

    def get(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module '{old}' has no attribute '{name}'")
        value = moved_attribute(old, new, name)
        warnings.warn(f"{old}.{name} was moved. Import it from {new}.", DeprecationWarning, stacklevel=2)
        return value

    return get


class MovedModule(ModuleType):
    """An old module; reading and setting its attributes reads and sets those of the new one."""

    def __getattr__(self, name: str) -> Any:
        return moved_attribute(self.__name__, MOVED_MODULES[self.__name__], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(importlib.import_module(MOVED_MODULES[self.__name__]), name, value)


class MovedModuleLoader(Loader):
    """Loader of `MovedModule`s."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return MovedModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        new = MOVED_MODULES[module.__name__]
        importlib.import_module(new)
        warnings.warn(f"{module.__name__} was moved. Import {new}.", DeprecationWarning, stacklevel=2)


class MovedModuleFinder(MetaPathFinder):
    """Finder of the old modules, asked where no module has the name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, MovedModuleLoader()) if fullname in MOVED_MODULES else None


def install() -> None:
    """Make the old names importable; idempotent."""
    if not any(isinstance(finder, MovedModuleFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedModuleFinder())
