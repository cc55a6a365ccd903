"""Which of ten related architectures learn tasks with memory, and do their spectra before training predict it?

Ten cells of 32 units on three tasks that need memory: adding (50 steps, one number), copying (5 symbols over a pause of
20 steps), digits shown pixel by pixel (64 steps). Expected from theory: the spectrum of SBO-RNN starts as a thin band
below zero, those of scoRNN and scuRNN at zero, those of coRNN and the antisymmetric RNN just below; all transport
gradients, so the open question is whether they can forget and mix. Spectra are under held-out inputs, before and after
training.
"""

from lyapsweep.sweep import Sweep

CELLS = [
    {"kind": "vanilla"},
    {"kind": "lstm"},
    {"kind": "gru"},
    {"kind": "antisymmetric"},
    {"kind": "cornn"},
    {"kind": "scornn"},
    {"kind": "scurnn"},
    {"kind": "sbo", "eta": 0.01},
    {"kind": "sbo", "eta": 0.01, "method": "heavy_ball"},
    {"kind": "sbo", "eta": 0.01, "method": "nesterov"},
]

SWEEP = Sweep(
    base="configs/adding.yaml",
    objective="loss",
    intent="map",
    grid={
        "dataset": [
            {"kind": "adding", "length": 50},
            {"kind": "copying", "items": 5, "delay": 20},
            {"kind": "image_rows", "pixels": True},
        ],
        "cell": [{**cell, "units": 32} for cell in CELLS],
    },
    seeds=3,
)
