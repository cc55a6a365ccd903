"""A pack that was cut short and goes on from its checkpoint leaves the records of one that was not, to the last bit."""

import itertools
import json

import numpy as np
import pytest
import torch
from same import same_to_the_bit

from lyapsweep.config import Config
from lyapsweep.evaluation import evaluation
from lyapsweep.measures import MEASURES
from lyapsweep.problems import SeriesProblem
from lyapsweep.results.record import Outcome
from lyapsweep.training import checkpoint
from lyapsweep.training.checkpoint import (
    BadCheckpoint,
    Checkpoint,
    CheckpointConditions,
    Checkpoints,
    UnwrittenCheckpoint,
    name,
)
from lyapsweep.training.objectives import ForcedWindows
from lyapsweep.training.sampling import CHUNK, WindowSampler
from lyapsweep.trial import run_trials

SERIES = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "length": 600, "dt": 0.02},
    "cell": {"kind": "vanilla", "units": 4},
    "forcing": {"kind": "sparse", "interval": 5},
    "windows": {"length": 20, "batch": 2},
    "training": {"steps": 9, "lr": 0.01, "report_every": 3},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2, "early": 10},
    "measures": ["loss"],
}
STREAM = {
    "dataset": {"kind": "buckets", "years": 3},
    "cell": {"kind": "gru", "units": 5},
    "windows": {"length": 20, "batch": 4, "policy": "stateful"},
    "training": {"steps": 9, "lr": 0.01, "report_every": 3, "report_at": []},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss", "loss_reset", "loss_unbroken"],
}
TASK = {
    "dataset": {"kind": "adding", "length": 12, "train": 50, "test": 20},
    "cell": {"kind": "lstm", "units": 5},
    "windows": {"batch": 4},
    "training": {"steps": 9, "lr": 0.01, "report_every": 3, "report_at": []},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
}


@pytest.fixture(autouse=True)
def short_products_of_jacobians(monkeypatch):
    """Most of the time of so small trials goes into the longest ones."""
    monkeypatch.setattr(evaluation, "LONGEST_LAG", 20)


def pack(content, members=3, **changes):
    config = Config.of(content).changed({k.replace("__", "/"): v for k, v in changes.items()})
    return [config.changed({"seed": s}) for s in range(members)]


def cut_short(configs, folder, reports, known=()):
    """The records of so many reports of a pack that is lost before the next one is kept."""
    stream = run_trials(configs, checkpoints=Checkpoints(folder, known=known))
    kept = list(itertools.islice(stream, reports))
    next(stream, None)
    stream.close()
    return [record for records in kept for record in records]


def gone_on(configs, folder, ended=()):
    return [r for records in run_trials(configs, checkpoints=Checkpoints(folder, known=ended)) for r in records]


def assert_same(configs, folder, cuts=(2,)):
    """Cut short after so many reports, each counted from where it went on, against one that nobody disturbed."""
    whole = [record for records in run_trials(configs) for record in records]
    pieces = []
    for reports in cuts:
        ended = [r.trial for r in pieces if r.outcome.final]
        pieces += cut_short(configs, folder, reports, ended)
    pieces += gone_on(configs, folder, [r.trial for r in pieces if r.outcome.final])
    assert [(r.trial, r.step) for r in pieces] == [(r.trial, r.step) for r in whole]
    for undisturbed, record in zip(whole, pieces):
        same_to_the_bit(undisturbed, record)
    return pieces


FORCINGS = [
    {"kind": "sparse", "interval": 5},
    {"kind": "random", "interval": 6, "spread": 4},
    {"kind": "annealed", "interval": 9},
    {"kind": "adaptive", "every": 2, "gamma": 0.5},
    {"kind": "truncated", "interval": 4, "start": "zero"},
]


@pytest.mark.parametrize("forcing", FORCINGS, ids=lambda forcing: forcing["kind"])
def test_windows_of_a_series_under_every_kind_of_forcing(forcing, tmp_path):
    torch.set_default_dtype(torch.float32)  # as outside of tests
    records = assert_same(pack(SERIES | {"forcing": forcing}), tmp_path)
    assert [r.provenance.continued for r in records[::3]] == [(), (), (3,), (3,)]


def test_windows_of_a_series_under_inputs(tmp_path):
    data = {"kind": "simulated", "system": "duffing", "length": 600, "inputs": [2]}
    assert_same(pack(SERIES | {"dataset": data, "forcing": {"kind": "adaptive", "every": 2, "gamma": 0.5}}), tmp_path)


def test_a_pack_of_mixed_forcings(tmp_path):
    """Some draw, some adapt, some do neither: each goes on with its own."""
    assert_same([pack(SERIES | {"forcing": f}, 1, seed=p)[0] for p, f in enumerate(FORCINGS)], tmp_path)


@pytest.mark.parametrize("optimizer", ["adam", "radam", "sgd"])
def test_every_optimizer_with_decay_clips_and_pulls_on_the_weights(optimizer, tmp_path):
    settings = {"training__optimizer": optimizer, "training__lr_end": 1e-4, "training__clip": 0.5}
    settings |= {"regularisation__latent": 0.01, "regularisation__observation": 0.02, "training__clip_value": 0.3}
    assert_same(pack(SERIES, training__steps=12, **settings), tmp_path, cuts=(2, 1, 1))


@pytest.mark.parametrize("cell", ["lstm", "plrnn", "dendritic_plrnn", "scornn"])
def test_cells_of_every_kind(cell, tmp_path):
    """States of two halves, backpropagation of its own, weights with rates of their own, matrices that are kept."""
    assert_same(pack(SERIES | {"cell": {"kind": cell, "units": 4}}), tmp_path)


def test_every_measure_of_a_series_with_spectra_under_forcing(tmp_path):
    """Floors and saturations are worked out again by the process that goes on."""
    measures = [name for name, measure in MEASURES.items() if "series" in measure.data]
    assert_same(pack(SERIES | {"measures": measures}, 2, lyapunov__forced=True), tmp_path)


def test_flossed_weights(tmp_path):
    assert_same(pack(SERIES, flossing__exponents=2, flossing__steps=5), tmp_path)


@pytest.mark.parametrize("policy", ["random", "stateful", "sequential"])
def test_windows_of_a_stream(policy, tmp_path):
    """Carried states; data that are gone through more than once (13 updates a time)."""
    torch.set_default_dtype(torch.float32)
    content = STREAM | {"windows": {"length": 20, "batch": 4, "policy": policy}}
    assert_same(pack(content, 2, training__steps=30, training__report_every=9), tmp_path, cuts=(2, 1))


def test_windows_of_a_task(tmp_path):
    torch.set_default_dtype(torch.float32)
    assert_same(pack(TASK), tmp_path)


def test_windows_that_were_drawn_before_the_checkpoint_and_after(tmp_path):
    """A checkpoint inside what is drawn at a time, at its last update, and beyond."""
    generators = lambda: [torch.Generator().manual_seed(s) for s in (1, 2)]  # noqa: E731
    draw = lambda g: torch.randint(1000, (CHUNK, 3), generator=g)  # noqa: E731
    whole = WindowSampler(draw, generators(), torch.device("cpu"))
    windows = [whole.at(step).clone() for step in range(3 * CHUNK)]
    for stop in (1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7):
        first, second = (WindowSampler(draw, generators(), torch.device("cpu")) for _ in range(2))
        for step in range(stop):
            first.at(step)
        second.restore({k: v.clone() for k, v in first.state().items()})
        assert all(torch.equal(second.at(step), windows[step]) for step in range(stop, 3 * CHUNK))


def test_a_member_that_diverged_before_is_neither_trained_nor_reported_again(tmp_path, monkeypatch):
    """Though its loss is finite again at the next update."""
    loss, evaluate, alive, configs = ForcedWindows.loss, SeriesProblem.evaluate, [], pack(SERIES)
    once = torch.tensor([0.0, torch.inf, 0.0])

    def watched(problem, network, progress, configs):
        alive.append(progress.alive.tolist())
        return evaluate(problem, network, progress, configs)

    monkeypatch.setattr(SeriesProblem, "evaluate", watched)
    monkeypatch.setattr(ForcedWindows, "loss", lambda this, step: loss(this, step) + (once if step == 1 else 0))
    records = assert_same(configs, tmp_path)
    assert alive.count([True, False, True]) == len(alive) - 2  # the initialisation, undisturbed and not
    (end,) = [r for r in records if r.outcome is Outcome.DIVERGED]
    assert (end.trial, end.step) == (configs[1].id, 1)
    assert end.provenance.continued == ()


def test_it_goes_on_as_often_as_it_is_cut_short(tmp_path):
    records = assert_same(pack(SERIES, 2, training__steps=15), tmp_path, cuts=(2, 1, 1, 1))
    assert records[-1].provenance.continued == (3, 6, 9, 12)
    seconds = [r.provenance.seconds for r in records if r.config.seed == 0]
    assert seconds == sorted(seconds)  # those of all attempts


def test_nothing_is_written_by_a_pack_without_reports_on_its_way(tmp_path):
    configs = pack(SERIES, 1, training__report_every=None)
    assert len(gone_on(configs, tmp_path / "checkpoints")) == 2
    assert not (tmp_path / "checkpoints").exists()


# What is not used


@pytest.fixture
def left(tmp_path):
    """A pack and the file that it left when it was cut short after the report of update 3."""
    configs = pack(SERIES)
    cut_short(configs, tmp_path, 2)
    (file,) = tmp_path.iterdir()
    assert file == tmp_path / name([c.id for c in configs])
    return configs, file


def rewritten(file, change):
    with np.load(file) as old:
        arrays = {k: old[k] for k in old.files}
    header = json.loads(str(arrays["header"]))
    change(header, arrays)
    with file.open("wb") as new:
        np.savez(new, **arrays | {"header": np.array(json.dumps(header))})


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


SPOILT = {
    "empty": (lambda f: f.write_bytes(b""), "broken"),
    "cut off": (lambda f: f.write_bytes(f.read_bytes()[:-500]), "broken"),
    "a bit was flipped": (flipped, "broken"),
    "something else": (lambda f: f.write_bytes(b"nothing of the kind"), "broken"),
    "a folder": (lambda f: (f.unlink(), f.mkdir()), "broken"),
    "of a later format": (lambda f: rewritten(f, lambda h, a: h.update(format=2)), "its format is 2, here it is 1"),
    "of another torch": (
        lambda f: rewritten(f, lambda h, a: h["made"]["versions"].update(torch="1.0")),
        "its versions is",
    ),
    "of another commit": (lambda f: rewritten(f, lambda h, a: h["made"].update(commit="f00")), "its commit is f00"),
    "of a GPU": (lambda f: rewritten(f, lambda h, a: h["made"].update(device="cuda")), "its device is cuda"),
    "of other data": (lambda f: rewritten(f, lambda h, a: h["made"].update(data="f00")), "its data is f00"),
    "of another precision": (lambda f: rewritten(f, lambda h, a: h["made"].update(dtype="x")), "its dtype is x"),
    "of other members": (
        lambda f: rewritten(f, lambda h, a: h.update(members=["a", "b", "c"])),
        "no member of this pack",
    ),
    "with an array missing": (lambda f: rewritten(f, lambda h, a: a.pop("theta")), "broken"),
    "with an array of another shape": (lambda f: rewritten(f, lambda h, a: a.update(theta=a["theta"][:1])), "broken"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_does_not_fit_is_noted_and_the_pack_starts_over(left, spoilt):
    (configs, file), (spoil, why) = left, SPOILT[spoilt]
    spoil(file)
    checkpoints = Checkpoints(file.parent)
    records = next(run_trials(configs, checkpoints=checkpoints))
    assert [r.step for r in records] == [0, 0, 0]
    assert why in checkpoints.note
    assert str(file) in checkpoints.note


def test_a_flipped_bit_is_never_taken_for_a_number(left):
    """Wherever it is: the file is refused, or says what it said before."""
    _, file = left
    with np.load(file) as whole:
        conditions = CheckpointConditions(**json.loads(str(whole["header"]))["made"])
    state, content = Checkpoint.load(file, conditions).state, file.read_bytes()
    refused = 0
    for place in range(0, len(content), 101):
        file.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            found = Checkpoint.load(file, conditions).state
        except BadCheckpoint:
            refused += 1
            continue
        assert found.keys() == state.keys()
        assert all(torch.equal(found[k], state[k]) for k in state)
    assert refused > 100


def test_an_own_cell_that_was_edited_starts_over(left):
    """The shapes of its weights are another's, though its config is the same."""
    configs, file = left
    rewritten(file, lambda header, arrays: header["made"]["weights"].update({"cell.W": [9, 9]}))
    assert next(run_trials(configs, checkpoints=Checkpoints(file.parent)))[0].step == 0


def test_a_member_whose_last_record_was_removed_is_trained_again(tmp_path):
    """The checkpoint knows that it diverged; nobody else does."""
    configs = pack(SERIES | {"cell": {"kind": "plrnn", "units": 4}}, 2)
    configs[1] = configs[1].changed({"training/lr": 1e200})
    cut_short(configs, tmp_path, 2)
    checkpoints = Checkpoints(tmp_path)
    records = [r for some in run_trials(configs, checkpoints=checkpoints) for r in some]
    assert f"{configs[1].id} has ended without a record" in checkpoints.note
    assert {r.trial for r in records if r.outcome.final} == {c.id for c in configs}


# Parts of packs


def test_a_part_of_a_pack_goes_on_from_its_rows(tmp_path):
    """With the numbers it had: what follows differs from the whole pack's by rounding alone."""
    configs = pack(SERIES | {"forcing": FORCINGS[1]}, 4)
    whole = [r for records in run_trials(configs) for r in records if r.outcome.final]
    cut_short(configs, tmp_path, 2)
    ids = [c.id for c in configs]
    checkpoints = Checkpoints(tmp_path).part(ids)
    records = [r for some in run_trials(configs[2:], checkpoints=checkpoints) for r in some]
    assert [r.step for r in records] == [6, 6, 9, 9]
    for member, record in zip(whole[2:], records[2:]):
        np.testing.assert_allclose(record.traces["loss"], member.traces["loss"], rtol=1e-10)
        np.testing.assert_array_equal(record.traces["loss"][:3], member.traces["loss"][:3])
        np.testing.assert_allclose(record.weights["cell.W"], member.weights["cell.W"], rtol=1e-8)
    alone = Checkpoints(tmp_path).part(ids).part(ids[2:])  # of a part of the part, which has a checkpoint at update 6
    assert [r.step for some in run_trials(configs[3:], checkpoints=alone) for r in some] == [9]


# What cannot be written


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_trials(tmp_path):
    (tmp_path / "checkpoints").write_text("no folder")
    stream = run_trials(pack(SERIES, 1), checkpoints=Checkpoints(tmp_path / "checkpoints"))
    assert [r.step for r in next(stream)] == [0]
    assert [r.step for r in next(stream)] == [3]
    with pytest.raises(UnwrittenCheckpoint, match="cannot be written"):
        next(stream)


def test_what_was_written_before_survives_a_write_that_ends_half_way(left, monkeypatch):
    configs, file = left

    def savez(handle, **arrays):
        handle.write(b"half")
        raise OSError("No space left on device")

    before = file.read_bytes()
    monkeypatch.setattr(checkpoint.np, "savez", savez)
    stream = run_trials(configs, checkpoints=Checkpoints(file.parent))
    next(stream)
    with pytest.raises(UnwrittenCheckpoint):
        next(stream)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_nothing_is_unpickled(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        np.savez(file, header=np.array([print], dtype=object))
    with pytest.raises(BadCheckpoint, match="allow_pickle"):
        Checkpoint.load(tmp_path / "a", CheckpointConditions({}, "", "", "", "", {}))
