"""Damaged series, as text and as arrays."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import (
    damaged,
    damaged_bytes,
    nested,
    read_or_refused,
)
from hypothesis import strategies as st

from lyapsweep.datasets import build
from lyapsweep.datasets.driving import read_inputs
from lyapsweep.datasets.recording import Reading, read_recording
from lyapsweep.results import imported

BLOCK = """# a point
dataset: &data
  kind: simulated
  system: henon
  length: 200
cell: {kind: lstm, units: 3}
windows: {length: 10, batch: 2}
training:
  steps: 1
  report_at: [0.1, 0.5]
lyapunov: {steps: 5, warmup: 2, orbits: 1}
measures:
  - loss
  - kind: prediction_error
    steps: 3
seed: 3
"""

SERIES = "t,x,y\n" + "".join(f"{0.1 * t:.1f},{np.sin(t / 3):.4f},{np.cos(t / 7):.4f}\n" for t in range(40))

DIALECTS = (
    SERIES,
    SERIES.replace(",", ";").replace(".", ","),
    SERIES.replace(",", "\t"),
    "# made up\n" + SERIES.partition("\n")[2],
)

PARTS = (
    b",",
    b";",
    b"\n",
    b"\r",
    b'"',
    b"'",
    b"#",
    b" ",
    b"\t",
    b"|",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"nan",
)

PARTS += (
    b"inf",
    b"-999",
    b"1e400",
    b"1e308",
    b"NA",
    b"1,5",
    b"2020-01-01",
    b"x" * 100,
    b"9" * 5000,
    b"1_0",
    b"\xd9\xa3",
    b"sep=;\n",
)

READINGS = st.builds(
    Reading,
    time=st.sampled_from(("auto", "auto", None, 0, "t", 7, "x")),
    resample=st.booleans(),
    missing=st.sampled_from(("refuse", "interpolate", "keep")),
    decimal=st.sampled_from(("auto", "auto", ".", ",")),
)


def read_series(file: Path, reading: Reading) -> None:
    """Everything that reads a series."""
    name = str(file)
    for read in (
        lambda: build("recorded", path=name, test=0.5),
        lambda: build("recorded_task", path=name, inputs=[0], targets=[1]),
        lambda: read_inputs(file),
        lambda: read_recording(name, reading=reading),
    ):
        with read_or_refused(file.parent):
            read()


class Texts:
    """CSV files, as series and as tables of trials."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "series.csv"
        self.file.touch()
        self.inputs = st.tuples(damaged_bytes([text.encode() for text in DIALECTS], PARTS), READINGS)

    def check(self, given: tuple[bytes, Reading]) -> None:
        self.file.write_bytes(given[0])
        read_series(self.file, given[1])
        with read_or_refused(self.folder):
            imported.read(self.file, settings="x", outcomes="y", exponents=["t*"], step="t")
        with read_or_refused(self.folder):
            imported.read(self.file, settings="?", outcomes="y", trial="x", ended="t")


class Arrays:
    """NPY files: headers and bytes."""

    HEADER = {"descr": "<f8", "fortran_order": False, "shape": [40, 2]}
    KINDS = (
        "<f4",
        ">f8",
        "|b1",
        "<i8",
        "<U3",
        "|O",
        "<c16",
        "<M8[s]",
        "|V8",
        "<f2",
        "x",
        "<f99",
        [["a", "<f8"], ["b", "|O"]],
    )

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "series.npy"
        self.file.touch()
        wave = np.sin(np.arange(80.0)).reshape(40, 2)
        self.data = wave.tobytes()
        whole = io.BytesIO()
        np.save(whole, wave)
        header = damaged([self.HEADER], nested | st.sampled_from(self.KINDS))
        tokens = (
            b"\x93NUMPY",
            b"\x02\x00",
            b"\x03\x00",
            b"\xff\xff",
            b"(40",
            b"'|O'",
            b"True",
            b"__import__('os')",
            b"(",
        )
        content = header.map(self.written) | damaged_bytes([whole.getvalue()], tokens)
        self.inputs = st.tuples(content, READINGS)

    def written(self, header: Any) -> bytes:
        shown = {k: tuple(v) if isinstance(v, list) and k == "shape" else v for k, v in header.items()}
        text = repr(shown).encode(errors="replace").ljust(117) + b"\n"
        return b"\x93NUMPY\x01\x00" + (len(text) % 2**16).to_bytes(2, "little") + text + self.data

    def check(self, given: tuple[bytes, Reading]) -> None:
        self.file.write_bytes(given[0])
        read_series(self.file, given[1])
