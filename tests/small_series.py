"""A small series in memory, and the settings of a network for it."""

import numpy as np
import pytest

T = 0.1 * np.arange(400)
X = np.stack([3 + 2 * np.sin(T), np.cos(1.618 * T)], axis=1)
SMALL = {
    "cell": {"kind": "vanilla", "units": 3},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 3},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss"],
}


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
