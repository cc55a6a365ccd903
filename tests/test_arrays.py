"""Arrays as Python users hold them: frames, structured, masked, big-endian, reversed; and what are no numbers."""

import numpy as np
import pandas as pd
import pytest
import torch

from lyapsweep.arrays import BadArray, real_array
from lyapsweep.datasets import Series
from lyapsweep.exponents import BadInputs, lyapunov_spectrum
from lyapsweep.timeseries import NoExponent, estimate

X = np.random.default_rng(0).normal(size=(60, 3))
PLAIN = [("a", float), ("b", float), ("c", float)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return torch.nn.LSTM(3, 4, num_layers=2)


@pytest.mark.parametrize(
    "values",
    [
        pd.DataFrame(X),
        pd.DataFrame(X, columns=["a", "b", "c"], index=pd.date_range("2020", periods=60)),
        pd.DataFrame(X).astype("Float64"),
        pd.DataFrame(X, dtype=object),
        X.astype(">f8"),
        X[::-1][::-1],
        X[:, ::-1][:, ::-1],
        np.rec.fromarrays(X.T, dtype=PLAIN),
        np.ma.masked_greater(X, 100),
        X.tolist(),
        list(X),
        torch.as_tensor(X),
        [torch.as_tensor(row) for row in X],
        np.asfortranarray(X),
    ],
)
def test_a_series_is_read_as_what_it_is(network, values):
    found = lyapunov_spectrum(network, values, k=2)
    np.testing.assert_array_equal(found.exponents, lyapunov_spectrum(network, X, k=2).exponents)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (X + 1j, "inputs: real numbers are needed, but it holds complex128. Pass real and imaginary part as columns"),
        (torch.as_tensor(X + 1j), "inputs: real numbers are needed, but it holds torch.complex128"),
        ([[1.0, 2.0], [1.0]], "inputs: rows differ in length or hold no numbers"),
        (np.array([["a", "b", "c"]]), "inputs: real numbers are needed, but it holds <U1. Convert it first"),
        (pd.DataFrame({"a": ["x"], "b": [1], "c": [2]}), "inputs: real numbers are needed .could not convert"),
        (np.array(["2020-01-01"], "M8[s]"), "holds datetime64.s.. Leave dates out"),
        (np.zeros(3, [("a", "U3"), ("b", float)]), "field 'a' holds <U3. Choose the fields that are numbers"),
        (np.ma.masked_equal(np.where(X > 2, 1e3, X), 1e3), "inputs are not finite, the first at batch 0, time"),
        (X.T, "takes 3 inputs a step, but the series has 60 features: .3, 60. must end in 3. Transpose it"),
        (X[:, 0], "inputs must be .time, features."),
        (None, "Give inputs"),
        ({"a": 1}, "inputs: real numbers are needed"),
    ],
)
def test_what_is_no_series_is_refused_in_words(network, values, message):
    with pytest.raises(BadInputs, match=message):
        lyapunov_spectrum(network, values)


def test_first_states_as_torch_takes_them(network):
    h, c = torch.randn(2, 1, 4, dtype=torch.float64), torch.randn(2, 1, 4, dtype=torch.float64)
    state = torch.cat([h[0, 0], c[0, 0], h[1, 0], c[1, 0]])
    wanted = lyapunov_spectrum(network, X, start=state, warmup=0, steps=5).exponents
    for start in ((h, c), (h[:, 0], c[:, 0]), (h.numpy(), c.numpy())):
        np.testing.assert_array_equal(lyapunov_spectrum(network, X, start=start, warmup=0, steps=5).exponents, wanted)
    assert not np.allclose(lyapunov_spectrum(network, X, warmup=0, steps=5).exponents, wanted)
    gru = torch.nn.GRU(3, 4)
    wanted = lyapunov_spectrum(gru, X, start=h[0, 0]).exponents
    np.testing.assert_array_equal(lyapunov_spectrum(gru, X, start=h[:1]).exponents, wanted)
    with pytest.raises(ValueError, match=r"start must be \(16,\) or \(1, 16\), but is \(1, 8\)"):
        lyapunov_spectrum(network, X, start=h)
    with pytest.raises(BadArray, match="start: real numbers are needed"):
        lyapunov_spectrum(network, X, start=np.zeros(16, complex))


def test_other_functions_read_arrays_alike():
    frame = pd.DataFrame({"left": X[:, 0], "right": np.nan})
    with pytest.raises(NoExponent, match="500 samples are needed"):
        estimate(frame)
    with pytest.raises(NoExponent, match="sample 0 of column 'right' is not"):
        estimate(pd.concat([frame] * 10))
    with pytest.raises(NoExponent, match="500 samples are needed"):
        estimate(X[:, 0])
    with pytest.raises(BadArray, match="values: real numbers are needed"):
        estimate(X + 1j)
    series = Series(pd.DataFrame(X[:50]), X[50:].astype(">f8"), 1.0, ("a", "b", "c"), np.zeros(3), np.ones(3))
    assert series.digest == Series(X[:50], X[50:], 1.0, ("a", "b", "c"), np.zeros(3), np.ones(3)).digest
    assert real_array(X.astype(np.float32), "x").dtype == np.float32
