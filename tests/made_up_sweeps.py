"""The smallest sweep, and what an Optuna study says of it: for the tests of sweeps."""

import textwrap

import optuna

from lyapsweep.sweep import Sweep, spaces

TINY = """
dataset:  {kind: simulated, system: lorenz63, length: 600}
cell:     {kind: vanilla, units: 4}
windows:  {length: 20, batch: 4}
training: {steps: 4, report_every: 2}
lyapunov: {steps: 20, warmup: 5, orbits: 2}
measures: [loss]
"""


def written(tmp_path, text):
    file = tmp_path / "question.py"
    file.write_text(textwrap.dedent(text))
    return file


def states(tmp_path, name="a", url=None):
    storage = url or optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "optuna.journal"))
    )
    return [t.state.name for t in optuna.load_study(study_name=name, storage=storage).trials]


def lr_space(trial):
    spaces.log_float(trial, "training/lr", 1e-4, 1e-2)


def a_sweep(intent="map", objective="loss", **settings):
    """A sweep whose files nobody reads, for what only asks of its objectives and its sampler."""
    return Sweep(base="none.yaml", objective=objective, space=lr_space, trials=1, intent=intent, **settings)
