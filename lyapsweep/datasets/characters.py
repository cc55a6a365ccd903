"""Next-character prediction on a text as one stream."""

import importlib.util
from pathlib import Path

import numpy as np

from lyapsweep.datasets.task import BadTask, Task
from lyapsweep.setting_types import Count, Share

TOPICS = "topics.py"  # of pydoc_data, 0.7 million characters: what Python's own help() says


def characters(*, path: str | None = None, length: Count | None = None, test: Share = 0.1) -> Task:
    """Predict the next character of a text, by cross-entropy.

    The data are one long stream, from which training windows (`windows/length`) are cut anywhere. The baseline is the
    cross-entropy of the training part's character frequencies on the held-out part. The alphabet is that of the whole
    text; a character that the training part lacks counts as if it had been seen once.

    Args:
        path: A text file in UTF-8; None (the default) is the help topics of Python.
        length: Number of leading characters used; None (the default) is all.
        test: Share of the text that is held out, the last part; 0.1 by default.

    Returns:
        A task with head "step" and loss "cross_entropy".

    Raises:
        BadTask: If the text is missing, empty or a single character.

    Example:
        >>> characters(length=1000).train_inputs.shape
        (1, 899)
    """
    text, source = read(path)
    text = text[:length]
    symbols, codes = np.unique(np.frombuffer(text.encode("utf-32-le"), "<u4"), return_inverse=True)
    held_out = round(test * len(codes))
    if not 0 < test < 1 or min(held_out, len(codes) - held_out) < 2 or len(symbols) < 2:
        raise BadTask(
            f"characters: {source} has {len(codes)} characters, {len(symbols)} different ones, and test={test}: two "
            f"different ones, and two in each part, must be there."
        )
    codes = codes.astype(np.int16 if len(symbols) < 2**15 else np.int32)
    train, ahead = codes[None, :-held_out], codes[None, -held_out - 1 :]
    counts = np.bincount(train[0], minlength=len(symbols)).clip(min=1)
    baseline = float(-np.log(counts / counts.sum())[ahead[0, 1:]].mean())
    return Task(
        train[:, :-1],
        train[:, 1:],
        ahead[:, :-1],
        ahead[:, 1:],
        head="step",
        loss="cross_entropy",
        outputs=len(symbols),
        baseline=baseline,
        baseline_is="cross-entropy of the characters' frequencies",
        symbols=len(symbols),
        source=f"characters: {source}",
        names=tuple(map(chr, symbols)),
    )


def read(path: str | None) -> tuple[str, str]:
    """The text and its description."""
    if path is None:
        found = importlib.util.find_spec("pydoc_data")
        file = Path(found.origin).parent / TOPICS if found and found.origin else Path(TOPICS)
    else:
        file = Path(path)
    try:
        return file.read_text(encoding="utf-8"), "Python's help topics" if path is None else str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise BadTask(f"characters: {file} cannot be read as UTF-8 text ({error}). Set dataset/path.") from error
