"""The matrix of training cases: cells x forcings x readouts x tasks x window policies x optimisers."""

import json

BASE = {
    "dataset": {"kind": "simulated", "system": "lorenz63", "dt": 0.03, "length": 300, "test": 0.4, "seed": 0},
    "cell": {"kind": "vanilla", "units": 6},
    "readout": {"kind": "linear"},
    "init": {"kind": "uniform"},
    "forcing": {"kind": "sparse", "interval": 4},
    "windows": {"length": 12, "batch": 3},
    "training": {"steps": 4, "lr": 1e-3, "lr_end": 1e-4, "clip": 1.0},
    "lyapunov": {"steps": 8, "warmup": 2, "orbits": 2, "forced": True},
    "measures": ["loss", "divergence", "gradients", "prediction_error"],
    "seed": 0,
}
TASK = {
    "init": {"kind": "uniform"},
    "readout": {"kind": "affine"},
    "windows": {"length": None, "batch": 4},
    "training": {"steps": 4, "lr": 1e-3, "report_at": []},
    "lyapunov": {"steps": 6, "warmup": 2, "orbits": 2},
    "measures": ["loss", "gradients"],
}
CELLS = {
    "vanilla": {},
    "lstm": {},
    "gru": {},
    "plrnn": {},
    "dendritic_plrnn": {"bases": 4},
    "shallow_plrnn": {"hidden": 8},
    "alrnn": {},
    "antisymmetric": {},
    "cornn": {},
    "scornn": {},
    "scurnn": {},
    "sbo": {"rank": 3},
}
FORCINGS = {
    "none": {"kind": "none"},
    "zero": {"kind": "none", "start": "zero"},
    "full": {"kind": "full"},
    "sparse": {"kind": "sparse", "interval": 4},
    "ragged": {"kind": "sparse", "interval": 5},
    "annealed": {"kind": "annealed", "interval": 6},
    "random": {"kind": "random", "interval": 4, "spread": 2},
    "generalised": {"kind": "generalised", "alpha": 0.2},
    "adaptive": {"kind": "adaptive", "every": 2},
    "geometric": {"kind": "adaptive", "every": 2, "proxy": "geometric_mean"},
    "truncated": {"kind": "truncated", "interval": 4},
}
TASKS = {
    "adding": {"length": 12, "train": 40, "test": 10},
    "copying": {"delay": 5, "items": 3, "alphabet": 3, "train": 40, "test": 10},
    "flip_flop": {"bits": 2, "length": 12, "train": 40, "test": 10},
    "sines": {"length": 24, "train": 20, "test": 6},
    "image_rows": {},
    "characters": {"length": 600},
    "buckets": {"years": 2},
    "sentiment": {"length": 10, "train": 40, "test": 10},
}
PIECEWISE_LINEAR = ("plrnn", "dendritic_plrnn", "shallow_plrnn", "alrnn")


def merged(*parts):
    """The parts over each other, section by section; a section that names its kind replaces the one before."""
    out = {}
    for part in parts:
        for key, value in part.items():
            replaces = not isinstance(value, dict) or not isinstance(out.get(key), dict) or "kind" in value
            out[key] = value if replaces else out[key] | value
    return json.loads(json.dumps(out))


def pack(*parts):
    """Two members that differ in their seed."""
    return [merged(*parts, {"seed": seed}) for seed in range(2)]


def all_cases():
    """Name -> the configs of a pack."""
    made = {}
    for cell, more in CELLS.items():
        own = {"cell": {"kind": cell, "units": 6} | more}
        for force, forcing in FORCINGS.items():
            for readout in ("linear", "identity", *(("affine",) if cell == "vanilla" else ())):
                made[f"series/{cell}/{force}/{readout}"] = pack(
                    BASE, own, {"forcing": forcing, "readout": {"kind": readout}}
                )
        for task, settings in TASKS.items():
            windows = {"length": 8, "batch": 4} if task in ("characters", "buckets") else {"length": None, "batch": 4}
            made[f"task/{cell}/{task}"] = pack({"dataset": {"kind": task} | settings}, TASK, own, {"windows": windows})
        for policy in ("conditional", "stateful", "sequential"):
            windows = {"length": 8, "batch": 4, "policy": policy}
            made[f"policy/{cell}/{policy}"] = pack(
                {"dataset": {"kind": "buckets", "years": 2}}, TASK, own, {"windows": windows}
            )
        adding = {"dataset": {"kind": "adding"} | TASKS["adding"]}
        made[f"task/{cell}/neuroview"] = pack(adding, TASK, own, {"readout": {"kind": "neuroview"}})
        for optimizer in ("adam", "radam", "sgd"):
            training = {"optimizer": optimizer, "clip_value": 0.5}
            made[f"optimizer/{cell}/{optimizer}"] = pack(BASE, own, {"training": training})
        penalties = {"latent": 0.1, "observation": 0.1} | ({"attractor": 0.1} if cell in PIECEWISE_LINEAR else {})
        made[f"penalties/{cell}"] = pack(BASE, own, {"regularisation": penalties})
        made[f"flossing/{cell}"] = pack(BASE, own, {"flossing": {"exponents": 2, "steps": 3, "length": 6}})
    return made | others()


def others():
    """Cases of one cell."""
    mixed = [merged(BASE, {"forcing": {"kind": "sparse", "interval": i}, "seed": i}) for i in (3, 4)]
    pieces = {"trajectories": 3, "length": 600}
    few = {"cell": {"kind": "vanilla", "units": 2}}  # more features than units
    dies = {"training": {"steps": 130, "lr": 1e30, "clip": None, "lr_end": None, "optimizer": "sgd", "report_at": []}}
    return {
        "other/mixed intervals": mixed,
        "other/segments": pack(BASE, {"lyapunov": {"segments": 2}}),
        "other/leading exponents": pack(BASE, {"lyapunov": {"exponents": 2}}),
        "other/pieces": pack(BASE, {"dataset": BASE["dataset"] | pieces}),
        "other/more features than units": pack(BASE, few),
        "other/dies": pack(BASE, dies),
    }


def fast_cases():
    """60 cases in which every member of every family occurs, spread over the cells."""
    cells, made = list(CELLS), all_cases()
    names = [f"series/{cells[i % 12]}/{force}/linear" for i, force in enumerate(FORCINGS)]
    names += [f"series/{cells[(i + 5) % 12]}/{force}/identity" for i, force in enumerate(FORCINGS)]
    names += [f"task/{cells[i % 12]}/{task}" for i, task in enumerate((*TASKS, "neuroview"))]
    names += [f"policy/{cells[i]}/{policy}" for i, policy in enumerate(("conditional", "stateful", "sequential"))]
    names += [f"optimizer/{cells[i + 3]}/{optimizer}" for i, optimizer in enumerate(("adam", "radam", "sgd"))]
    names += [f"penalties/{cell}" for cell in ("vanilla", "gru", "plrnn", "shallow_plrnn", "cornn")]
    names += [f"flossing/{cell}" for cell in ("lstm", "plrnn", "scornn")]
    names += [f"series/{cell}/ragged/linear" for cell in ("gru", "plrnn", "scornn", "sbo")]
    names += [f"series/{cell}/generalised/linear" for cell in ("lstm", "alrnn", "scurnn")]
    names += ["series/vanilla/sparse/affine", "series/vanilla/adaptive/affine", *others()]
    return {name: made[name] for name in dict.fromkeys(names)}


def paths():
    """The ways through an update of a network of 30 units in windows of 64 steps, for the table in docs/gpu.md."""
    shape = {
        "dataset": BASE["dataset"] | {"length": 500},
        "windows": {"length": 64, "batch": 16},
        "training": {"steps": 10},
    }
    wide = {"cell": {"kind": "vanilla", "units": 30}}
    adding = {"dataset": {"kind": "adding", "length": 64, "train": 40, "test": 10}}
    forced = {
        "segments, interval 16": {"forcing": {"kind": "sparse", "interval": 16}},
        "segments, interval 12, cut short": {"forcing": {"kind": "sparse", "interval": 12}},
        "no forcing": {"forcing": {"kind": "none"}},
        "annealed": {"forcing": {"kind": "annealed", "interval": 16}},
        "random": {"forcing": {"kind": "random", "interval": 16}},
        "generalised": {"forcing": {"kind": "generalised", "alpha": 0.2}},
        "adaptive, every 5": {"forcing": {"kind": "adaptive", "every": 5}},
        "truncated": {"forcing": {"kind": "truncated", "interval": 16}},
        "identity readout": {"readout": {"kind": "identity"}, "forcing": {"kind": "sparse", "interval": 16}},
        "three penalties, plrnn": {
            "cell": {"kind": "plrnn", "units": 30},
            "forcing": {"kind": "sparse", "interval": 16},
            "regularisation": {"latent": 0.1, "observation": 0.1, "attractor": 0.1},
        },
    }
    made = {name: pack(BASE, shape, wide, change) for name, change in forced.items()}
    made["mixed intervals"] = [
        merged(BASE, shape, wide, {"forcing": {"kind": "sparse", "interval": i}}) for i in (12, 16)
    ]
    made["a task"] = pack(adding, TASK, wide, {"training": {"steps": 10}})
    return made


RECORDED = [
    "series/vanilla/sparse/affine",
    "series/plrnn/ragged/linear",
    "series/scornn/ragged/linear",
    "task/gru/flip_flop",
    "policy/lstm/stateful",
    "other/segments",
    "other/leading exponents",
    "other/dies",
]
"""Cases whose whole records are compared in the fast suite: evaluation costs ten times their training."""
