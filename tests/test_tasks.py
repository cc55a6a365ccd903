"""Driven datasets: their truths by computations of another kind, their baselines by simulation, and what is refused."""

import gzip
import math
from dataclasses import replace

import numpy as np
import pytest

from lyapsweep.datasets import DATASETS, BadTask, Task, build, is_task
from lyapsweep.registry import UnknownName

TASKS = [kind for kind in DATASETS if is_task(kind) and kind not in ("recorded_task", "sequences")]  # files of users


def constant_loss(task: Task) -> float:
    """Held-out squared error of the training part's mean answer."""
    mean = task.train_targets.mean(axis=tuple(range(task.train_targets.ndim - 1)))
    return float(np.square(task.test_targets - mean).mean())


# ---- the exam ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", TASKS)
class TestExam:
    def test_says_what_it_is(self, kind):
        task = build(kind)
        assert kind in task.source
        assert task.baseline_is
        assert len(task.names) in (0, task.inputs)

    def test_seed_or_file_decides_everything(self, kind):
        first, again = build(kind), DATASETS[kind]()
        for one, other in zip((*first.part("train"), *first.part("test")), (*again.part("train"), *again.part("test"))):
            np.testing.assert_array_equal(one, other)
        if "seed" in DATASETS.knobs(kind):
            assert not np.array_equal(build(kind, seed=1).train_inputs, first.train_inputs)

    def test_training_and_held_out_sequences_differ(self, kind):
        task = build(kind)
        if task.stream or kind == "image_rows":  # which cut one text, or one shuffled set, in two
            return
        seen = {row.tobytes() for row in task.train_inputs}
        assert not any(row.tobytes() in seen for row in task.test_inputs)


# ---- adding --------------------------------------------------------------------------------------------------------
def test_adding_is_the_sum_of_the_marked_values():
    task = build("adding", length=11, train=2000, test=50)
    for sequence, (target,) in zip(task.train_inputs[:100], task.train_targets):
        marked = [step for step, (_, marker) in enumerate(sequence) if marker]
        assert len(marked) == 2
        assert marked[0] < 5 <= marked[1]
        assert target == pytest.approx(sum(sequence[step][0] for step in marked), abs=1e-15)
    places = task.train_inputs[..., 1].mean(axis=0)
    np.testing.assert_allclose(places, [1 / 5] * 5 + [1 / 6] * 6, atol=0.05)
    assert set(np.unique(task.train_inputs[..., 1])) == {0.0, 1.0}


def test_adding_baseline_is_what_answering_one_loses():
    task = build("adding", length=10, train=10, test=100_000)
    assert np.square(task.test_targets - 1).mean() == pytest.approx(task.baseline, rel=0.02)


# ---- copying -------------------------------------------------------------------------------------------------------
def test_copying_says_again_what_was_said():
    task = build("copying", delay=7, items=3, alphabet=4, train=40, test=5)
    assert (task.length, task.inputs, task.outputs) == (13, 6, 5)
    for inputs, targets in zip(task.train_inputs.tolist(), task.train_targets.tolist()):
        assert inputs == [*inputs[:3], *[0] * 6, 5, *[0] * 3]
        assert targets == [0] * 10 + inputs[:3]
        assert set(inputs[:3]) <= {1, 2, 3, 4}


def test_copying_baseline_is_that_of_the_known_time():
    """Logits of one who knows when to speak and not what: log of the frequencies at each step."""
    task = build("copying", delay=20, test=20_000, train=1)
    assert task.baseline == pytest.approx(10 * math.log(8) / 40)
    steps, classes = task.test_targets.shape[1], np.arange(task.outputs)
    frequencies = np.array([(task.test_targets[:, [t]] == classes).mean(axis=0) for t in range(steps)])
    probabilities = frequencies[np.arange(steps), task.test_targets]
    assert -np.log(probabilities).mean() == pytest.approx(task.baseline, rel=2e-3)
    published = [build("copying", delay=delay, train=1, test=1).baseline for delay in (1000, 2000)]
    assert published == pytest.approx([0.02039, 0.01029], abs=5e-6)


# ---- flip_flop and sines -------------------------------------------------------------------------------------------
def test_flip_flop_holds_the_last_pulse():
    task = build("flip_flop", train=20, test=20, length=30, probability=0.2)
    assert set(np.unique(task.train_inputs)) == {-1.0, 0.0, 1.0}
    for pulses, said in zip(task.train_inputs, task.train_targets):
        held = np.zeros(3)
        for pulse, target in zip(pulses, said):
            held = np.array([p or h for p, h in zip(pulse, held)])
            np.testing.assert_array_equal(target, held)
        assert np.abs(pulses[0]).min() == 1


def test_flip_flop_baseline_is_what_repeating_the_input_loses():
    task = build("flip_flop", test=5000, probability=0.3, length=40)
    assert np.square(task.test_targets - task.test_inputs).mean() == pytest.approx(task.baseline, rel=0.01)


def test_sines_are_four_and_named_by_their_cue():
    task = build("sines", signals=3, train=9, length=400)
    for inputs, targets in zip(task.train_inputs, task.train_targets):
        cue = inputs[0].argmax()
        np.testing.assert_array_equal(targets, task.train_targets[cue])
        assert np.abs(inputs[1:]).max() < 0.1
    assert len({targets.tobytes() for targets in task.train_targets}) == 3
    times = np.arange(400) / 400
    for signal in task.train_targets[:3, :, 0]:  # nothing but frequencies of 1 to 6 cycles is left over
        grid = np.linspace(1, 6, 60)
        basis = np.concatenate(
            [[np.ones_like(times)], *[[f(2 * np.pi * c * times) for f in (np.sin, np.cos)] for c in grid]]
        )
        residual = signal - basis.T @ np.linalg.lstsq(basis.T, signal, rcond=1e-10)[0]
        assert np.abs(residual).max() < 1e-3
    assert constant_loss(task) == pytest.approx(task.baseline, rel=1e-9)


# ---- images and text -----------------------------------------------------------------------------------------------
def test_digits_are_those_of_scikit_learn():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    task = build("image_rows")
    known = {(image / 16).astype(np.float32).tobytes(): label for image, label in zip(digits.images, digits.target)}
    images, labels = (np.concatenate(parts) for parts in zip(task.part("train"), task.part("test")))
    assert len(images) == len(digits.target)
    assert [known[image.tobytes()] for image in images] == labels.tolist()
    assert task.baseline == pytest.approx(math.log(10), rel=0.01)
    pixels = build("image_rows", pixels=True)
    np.testing.assert_array_equal(pixels.train_inputs[:, :, 0], task.train_inputs.reshape(-1, 64))
    shuffled = build("image_rows", pixels=True, permute=True)
    order = [
        int((pixels.train_inputs == shuffled.train_inputs[:, [k]]).all(axis=(0, 2)).argmax()) for k in range(10, 20)
    ]
    assert order != sorted(order)


def written_mnist(folder, images: np.ndarray, labels: np.ndarray) -> None:
    """Both parts in IDX format, the images packed."""
    for part in ("train", "t10k"):
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, values.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in values.shape)
            raw, file = header + values.astype(np.uint8).tobytes(), folder / f"{part}-{name}-ubyte"
            file.write_bytes(raw) if values.ndim == 1 else file.with_name(f"{file.name}.gz").write_bytes(
                gzip.compress(raw)
            )


def test_mnist_is_read_from_its_own_files(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 3))
    written_mnist(tmp_path, images, np.array([0, 1, 2, 0, 1, 2]))
    task = build("image_rows", path=str(tmp_path))
    np.testing.assert_allclose(task.train_inputs, images / 255, rtol=1e-6)
    assert task.test_targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert task.baseline == pytest.approx(math.log(3))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\x06\1")
    with pytest.raises(BadTask, match="cut short"):
        DATASETS["image_rows"](path=str(tmp_path))
    with pytest.raises(BadTask, match=r"there is no .*train-images-idx3-ubyte"):
        build("image_rows", path=str(tmp_path / "nowhere"))


def test_characters_are_followed_by_the_next(tmp_path):
    text = "to be or not to be — that is the question. " * 20
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    task = build("characters", path=str(tmp_path / "text.txt"), test=0.25)
    said = lambda codes: "".join(task.names[code] for code in codes[0])  # noqa: E731
    assert said(task.train_inputs) + task.names[task.train_targets[0, -1]] + said(task.test_targets) == text
    np.testing.assert_array_equal(task.train_inputs[:, 1:], task.train_targets[:, :-1])
    assert task.stream
    counts = {c: text.count(c) / len(text) for c in set(text)}
    assert task.baseline == pytest.approx(-sum(p * math.log(p) for p in counts.values()), rel=0.02)
    with pytest.raises(BadTask, match="Set dataset/path"):
        build("characters", path=str(tmp_path / "nothing.txt"))


# ---- what is refused -----------------------------------------------------------------------------------------------
STEPS = {"head": "step", "outputs": 2, "train_targets": np.zeros((4, 5, 2)), "test_targets": np.zeros((2, 5, 2))}


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"head": "lats"}, UnknownName, "No head of a task is called 'lats'. Did you mean 'last'"),
        ({"loss": "mae"}, UnknownName, "No loss of a task is called 'mae'"),
        ({"baseline": math.nan}, BadTask, "finite baseline > 0"),
        ({"dt": 0.0}, ValueError, "0 < dt < inf"),
        ({"train_inputs": np.zeros((4, 5))}, BadTask, r"train_inputs must be \(sequences, time, inputs\)"),
        ({"test_inputs": np.full((2, 5, 3), np.inf)}, BadTask, r"test_inputs hold 30 values that are not finite"),
        ({"test_inputs": np.zeros((2, 5, 1))}, BadTask, "train and test differ in inputs: 3 and 1"),
        ({"train_targets": np.zeros((4, 2))}, BadTask, r"train_targets must be \(4, 1\) under head 'last'"),
        (
            {"loss": "cross_entropy", "train_targets": np.zeros(4)},
            BadTask,
            "whole numbers from 0 to 0, but are float64",
        ),
        ({"mask": np.ones(5, bool)}, BadTask, "under head 'step'"),
        (STEPS | {"mask": np.zeros(5, bool)}, BadTask, "true somewhere"),
        (STEPS | {"mask": np.ones(4, bool)}, BadTask, "a mask must be"),
    ],
)
def test_tasks_that_cannot_be(changes, error, text):
    task = Task(np.zeros((4, 5, 3)), np.zeros((4, 1)), np.zeros((2, 5, 3)), np.zeros((2, 1)), "last", "mse", 1, 1.0)
    with pytest.raises(error, match=text):
        replace(task, **changes)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("adding", {"length": 1}),
        ("copying", {"alphabet": 1}),
        ("flip_flop", {"probability": 1.0}),
        ("sines", {"length": 10}),
        ("image_rows", {"test": 1.0}),
        ("characters", {"length": 3}),
    ],
)
def test_settings_that_cannot_be(kind, settings):
    (name,) = settings
    with pytest.raises(BadTask, match=f"{kind}.*{name}|{kind}.*3 characters"):
        build(kind, **settings)
