"""Classification of images read row by row or pixel by pixel (Le, Jaitly, Hinton 2015)."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Seed, Share

DIGITS = "datasets/data/digits.csv.gz"  # 1797 digits of 8 x 8 pixels within scikit-learn (UCI, Alpaydin and Kaynak)
MNIST = {"images": "{}-images-idx3-ubyte", "labels": "{}-labels-idx1-ubyte"}


def image_rows(
    *, path: str | None = None, pixels: bool = False, permute: bool = False, test: Share = 0.25, seed: Seed = 0
) -> Task:
    """Classify an image after its rows or pixels have been read one by one.

    Inputs are grey values in 0 ... 1, a row per step or one value per step. The target, after the last step, is the
    class, by cross-entropy. The baseline is that of the training part's class frequencies, about ln 10.

    Args:
        path: A folder with MNIST in its own format (train-images-idx3-ubyte, ..., also with .gz), whose test part is
            used;
            None (the default) is scikit-learn's 1797 digits of 8 x 8.
        pixels: One pixel per step instead of one row; False by default.
        permute: Permute the steps, alike in all sequences; False by default.
        test: Share of the digits that is held out, 0.25 by default.
        seed: Seed of the permutation and of the held-out digits, 0 by default.

    Returns:
        A task with head "last" and loss "cross_entropy".

    Raises:
        BadTask: If files are missing or hold no images.

    Source: Le, Jaitly, Hinton 2015.

    Example:
        >>> image_rows().train_inputs.shape
        (1348, 8, 8)
    """
    if not 0 < test < 1:
        raise BadTask(f"image_rows: 0 < test < 1 must hold, but got {test}.")
    random = np.random.default_rng(seed)
    parts = shuffled_digits(test, random) if path is None else [mnist(Path(path), name) for name in ("train", "t10k")]
    (train, train_labels), (held_out, test_labels) = [(rows(images, pixels), labels) for images, labels in parts]
    if permute:
        order = random.permutation(train.shape[1])
        train, held_out = train[:, order], held_out[:, order]
    outputs = int(max(train_labels.max(), test_labels.max())) + 1
    frequencies = np.bincount(train_labels, minlength=outputs) / len(train_labels)
    return Task(
        train,
        train_labels,
        held_out,
        test_labels,
        head="last",
        loss="cross_entropy",
        outputs=outputs,
        baseline=float(-np.log(frequencies[test_labels]).mean()),
        baseline_is=f"cross-entropy of the classes' frequencies, about ln {outputs}",
        source=f"image_rows: {path or 'the digits of scikit-learn'}",
    )


def rows(images: np.ndarray, pixels: bool) -> np.ndarray:
    """(images, height, width) as sequences (images, steps, inputs) in single precision."""
    images = images.astype(np.float32)
    return images.reshape(len(images), -1, 1) if pixels else images


def shuffled_digits(test: float, random: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test part (images, labels); scikit-learn's file is read without importing the package."""
    found = importlib.util.find_spec("sklearn")
    file = Path(found.origin).parent / DIGITS if found and found.origin else None
    if file is None or not file.exists():
        raise BadTask("image_rows: scikit-learn, which holds the digits, is not installed. Install it, or give a path.")
    table = np.loadtxt(file, delimiter=",")  # which unpacks it
    table = table[random.permutation(len(table))]
    images, labels = table[:, :64].reshape(-1, 8, 8) / 16, table[:, 64].astype(np.int64)
    kept = len(table) - round(test * len(table))
    return [(images[:kept], labels[:kept]), (images[kept:], labels[kept:])]


def mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images in 0 ... 1 and labels of one part."""
    images, labels = (idx(folder / name.format(part)) for name in MNIST.values())
    if images.ndim != 3 or len(labels) != len(images) or not labels.size:
        raise BadTask(f"image_rows: {folder} holds {images.shape} images and {labels.shape} labels of '{part}'.")
    return images / 255, labels.astype(np.int64)


def idx(file: Path) -> np.ndarray:
    """The bytes of an IDX file: 0, 0, 8 (unsigned bytes), the number of axes, their sizes (big-endian), the values."""
    packed = file.with_name(file.name + ".gz")
    if not file.exists() and not packed.exists():
        raise BadTask(f"image_rows: there is no {file}, and no {packed.name} beside it.")
    raw = file.read_bytes() if file.exists() else gzip.decompress(packed.read_bytes())
    axes = raw[3] if len(raw) > 4 and raw[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(raw, ">u4", axes, 4) if axes and len(raw) >= 4 + 4 * axes else np.empty(0)
    if not axes or len(raw) != 4 + 4 * axes + int(np.prod(shape)):
        raise BadTask(f"image_rows: {file} is not an IDX file of unsigned bytes, or is cut short.")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape.astype(int))
