"""Weights of piecewise-linear RNNs under the names of published code, against their equations in NumPy."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import complaint, folder, ok  # noqa: F401

from lyapsweep.cells import Alrnn, BadWeights, Plrnn, from_plrnn
from lyapsweep.cells.torch_files import WeightChoice, load_network
from lyapsweep.registry import UnknownName

M, L, B, N = 6, 9, 4, 3  # units, hidden units, bases, observed


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [0.5 * rng.normal(size=shape) for shape in shapes]


def relu(z):
    return np.maximum(z, 0)


AW, h, C, readout = arrays((M, M), M, (M, 2), (N, M))
A, W = np.diag(AW).copy(), AW - np.diag(np.diag(AW))
W1, W2, h1, h2, alpha, H, full = arrays((M, L), (L, M), M, L, B, (M, B), (M, M), seed=1)
MASK = (np.arange(M * M).reshape(M, M) % 3 > 0) * 1.0
STEP = "latent_model.latent_step."
CODE = {  # weights by their names, settings, and the equation of one step
    "ChaosRNN": (
        {f"{STEP}AW": AW, f"{STEP}h": h, "output_layer.weight": readout, "latent_model.obs_model.weight": readout},
        {},
        lambda z: A * z + W @ relu(z) + h,
    ),
    "GTF, PLRNN": ({"A": A, "W": W, "h": h, "B": readout}, {}, lambda z: A * z + W @ relu(z) + h),
    "A as a matrix": ({"A": np.diag(A), "W": W, "h": h[:, None]}, {}, lambda z: A * z + W @ relu(z) + h),
    "PLRNN, full W": ({"A": A, "W": full, "h": h}, {"kind": "plrnn"}, lambda z: A * z + full @ relu(z) + h),
    "RNNtopoDSR": (
        {"A": A, "W": full, "W_mask": MASK, "h": h},
        {"kind": "plrnn"},
        lambda z: A * z + (full * MASK) @ relu(z) + h,
    ),
    "ALRNN": (
        {"A": A, "W": full, "h": h, "B": readout},
        {"rectified": 2},
        lambda z: A * z + full @ np.append(z[:-2], relu(z[-2:])) + h,
    ),
    "dendPLRNN": (
        {f"{STEP}AW": AW, f"{STEP}h": h, f"{STEP}alphas": alpha, f"{STEP}thetas": H, "output_layer.weight": readout},
        {},
        lambda z: A * z + W @ (alpha * relu(z[:, None] + H)).sum(1) + h,
    ),
    "GTF, clipped dendPLRNN": (
        {"A": A, "W": full, "h": h, "α": alpha, "H": H},
        {"clipped": True},
        lambda z: A * z + full @ (alpha * (relu(z[:, None] - H) - relu(z)[:, None])).sum(1) + h,
    ),
    "GTF-shPLRNN": (
        {"A": A, "W₁": W1, "W₂": W2, "h₁": h1, "h₂": h2, "B": readout},
        {},
        lambda z: A * z + W1 @ relu(W2 @ z + h2) + h1,
    ),
    "CNS 2023, clipped": (
        {"plrnn.A": A, "plrnn.W1": W1, "plrnn.W2": W2, "plrnn.h1": h1, "plrnn.h2": h2},
        {"clipped": True},
        lambda z: A * z + W1 @ (relu(W2 @ z + h2) - relu(W2 @ z)) + h1,
    ),
}


def tensors(weights):
    return {name: torch.from_numpy(np.asarray(w)) for name, w in weights.items()}


@pytest.mark.parametrize("code", CODE)
def test_steps_are_those_of_the_equation(code):
    weights, settings, step = CODE[code]
    found = from_plrnn(tensors(weights), **settings)
    z = np.random.default_rng(3).normal(size=(5, M))
    got = found.cell.step(torch.from_numpy(z)[None])[0].detach().numpy()
    np.testing.assert_allclose(got, [step(row) for row in z], atol=1e-14)
    if any("weight" in name or name == "B" for name in weights):
        np.testing.assert_array_equal(found.readout, readout)
    else:
        assert found.readout is None


def test_inputs_enter_by_C():
    cell = from_plrnn(tensors({"A": A, "W": W, "h": h, "C": C})).cell
    z, x = np.ones((1, 1, M)), np.full((1, 1, 2), 0.3)
    got = cell.step(torch.from_numpy(z), torch.from_numpy(x))[0, 0].detach().numpy()
    np.testing.assert_allclose(got, A + W @ np.ones(M) + h + C @ x[0, 0], atol=1e-14)


def test_what_weights_do_not_record_is_said_or_asked_for():
    assert from_plrnn(tensors({"A": A, "W": W, "h": h})).assumptions == (
        "that all units are rectified",
        "no mean centring",
    )
    assert isinstance(from_plrnn(tensors({"A": A, "W": W, "h": h})).cell, Plrnn)
    assert isinstance(from_plrnn(tensors({"A": A, "W": W, "h": h}), rectified=1).cell, Alrnn)
    with pytest.raises(BadWeights, match=r"W has a diagonal.*rectified=P\), or kind plrnn"):
        from_plrnn(tensors({"A": A, "W": full, "h": h}))
    shallow = tensors(CODE["GTF-shPLRNN"][0])
    assert from_plrnn(shallow).assumptions == ("no clipping", "no mean centring")
    assert from_plrnn(shallow, clipped=True).assumptions == ("no mean centring",)


def with_(name, value, code="GTF, PLRNN"):
    return CODE[code][0] | {name: value}


REFUSED = {
    "transposed": (with_("W₁", W1.T, "GTF-shPLRNN"), {}, r"W1 must be \(6, 9\), but is \(9, 6\). Is it transposed"),
    "bias": (with_("h", h[:-1]), {}, r"h must be \(6,\), but is \(5,\)"),
    "not finite": (with_("h", h * np.nan), {}, "h holds values that are not finite"),
    "integers": (with_("h", np.arange(M)), {}, "h holds values that are not finite real numbers"),
    "full A": (with_("A", full), {}, r"A must be \(6,\), but is \(6, 6\)"),
    "kind": (CODE["GTF-shPLRNN"][0], {"kind": "plrnn"}, "cell 'plrnn' has other weights than A, W1"),
    "other kind": (CODE["GTF, PLRNN"][0], {"kind": "shallow_plrnn"}, "'shallow_plrnn' has other weights"),
    "rectified": (CODE["dendPLRNN"][0], {"rectified": 2}, "rectified is a setting of an ALRNN"),
    "clipped": (CODE["GTF, PLRNN"][0], {"clipped": True}, "clipped is a setting of dendritic"),
    "thresholds": (with_("alpha", alpha), {}, "thresholds H .* are missing"),
    "none": ({"A": A}, {}, "No piecewise-linear RNN is among A"),
    "two": (
        {f"{p}.{n}": w for p in "ab" for n, w in CODE["GTF, PLRNN"][0].items()},
        {},
        r"There are 2 networks. Select one by prefix: a\., b\.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_are_refused(case):
    weights, settings, message = REFUSED[case]
    with pytest.raises(BadWeights, match=message):
        from_plrnn(tensors(weights), **settings)


def test_unknown_names_are_said():
    two = {f"{p}.{n}": w for p in "ab" for n, w in CODE["GTF, PLRNN"][0].items()}
    assert from_plrnn(tensors(two), prefix="b").cell.units == M
    with pytest.raises(UnknownName, match="'c'"):
        from_plrnn(tensors(two), prefix="c")
    with pytest.raises(UnknownName, match="Did you mean 'plrnn'"):
        from_plrnn(tensors(two), kind="plrn")
    with pytest.raises(ValueError, match="rectified <= cell/units"):
        from_plrnn(tensors(CODE["ALRNN"][0]), rectified=7)


# Commands


def benettin(step, jacobian, z, frame, steps):
    """The mean log |R_ii| of QR at every step (Benettin et al. 1980)."""
    Q, logs = np.linalg.qr(frame)[0], 0.0
    for _ in range(steps):
        Q, R = np.linalg.qr(jacobian(z) @ Q)
        z, logs = step(z), logs + np.log(np.abs(np.diag(R)))
    return logs / steps


def chaotic():
    """A clipped shallow PLRNN of which the largest exponent is positive."""
    g = np.random.default_rng(2)
    return {
        "A": 0.3 * np.ones(M),
        "W1": 1.2 * g.normal(size=(M, L)),
        "W2": 1.2 * g.normal(size=(L, M)),
        "h1": g.normal(size=M),
        "h2": g.normal(size=L),
        "B": readout,
    }


def test_spectrum_and_fixed_points_of_a_file(folder):  # noqa: F811
    w = chaotic()
    np.savez("plrnn.npz", **w)
    torch.save(tensors(w), "plrnn.pt")
    run = ("--set", "clipped=true", "--steps", "1000")
    told = json.loads(ok("spectrum", "plrnn.npz", *run, "--json"))
    assert (told["map"], told["state"], told["steps"]) == ("closed loop", M, 1000)
    assert json.loads(ok("spectrum", "plrnn.pt", *run, "--json"))["exponents_per_step"] == told["exponents_per_step"]
    inner = lambda z: w["W2"] @ z  # noqa: E731
    step = lambda z: w["A"] * z + w["W1"] @ (relu(inner(z) + w["h2"]) - relu(inner(z))) + w["h1"]  # noqa: E731
    gate = lambda z: (inner(z) + w["h2"] > 0).astype(float) - (inner(z) > 0)  # noqa: E731
    jacobian = lambda z: np.diag(w["A"]) + w["W1"] @ (gate(z)[:, None] * w["W2"])  # noqa: E731
    expected = benettin(step, jacobian, np.full(M, 0.05), np.eye(M), 4000)
    np.testing.assert_allclose(told["exponents_per_step"][0], expected[0], atol=5 * told["stderr_per_step"][0] + 0.02)
    text = ok("spectrum", "plrnn.npz", "--set", "clipped=true", "--exponents", "1", "--steps", "20")
    assert re.search(r"network +shallow_plrnn \(assuming no mean centring, which", text)
    points = json.loads(ok("fixed-points", "plrnn.npz", "--set", "clipped=true", "--candidates", "64", "--json"))
    for z in (np.array(p["z"]) for p in points["fixed"]):
        np.testing.assert_allclose(step(z), z, atol=1e-8)
    assert points["fixed"]


WRONG = {
    "kind": (["spectrum", "al.npz"], r"al.npz: W has a diagonal.*--cell alrnn --set rectified=P"),
    "setting": (["spectrum", "al.npz", "--set", "units=3"], r"--set is for .*but al.npz is weights and got 'units'"),
    "type": (["spectrum", "al.npz", "--set", "rectified=two"], "--set rectified must be int"),
    "input": (
        ["spectrum", "al.npz", "--cell", "plrnn", "--input", "s.npy"],
        "--input s.npy: The network takes no inputs",
    ),
    "rest": (["fixed-points", "al.npz", "--cell", "plrnn", "--rest", "zero"], "--rest zero: al.npz takes no inputs"),
    "layers": (["spectrum", "al.npz", "--layers", "2"], "belong to networks of torch"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_line_that_helps(case, folder):  # noqa: F811
    np.savez("al.npz", A=A, W=full, h=h)
    np.save("s.npy", np.zeros((10, 2)))
    args, message = WRONG[case]
    assert re.search(message, complaint(2, *args))


def test_files_say_what_they_assume(tmp_path):
    np.savez(tmp_path / "al.npz", A=A, W=full, h=h)
    loaded = load_network(Path(tmp_path / "al.npz"), WeightChoice(kind="alrnn", rectified=2))
    assert loaded.description == "alrnn (assuming no mean centring, which weights do not record), 6 units, 0 inputs"
