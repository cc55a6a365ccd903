"""Two cells and two learning rates on a task."""

from lyapsweep.sweep import Sweep

SWEEP = Sweep(
    base="small_task.yaml",
    objective="loss",
    intent="map",
    grid={"cell/kind": ["gru", "cornn"], "training/lr": [3e-3, 3e-2]},
    pack=2,
)
