"""Weights in files of other programs: parts, safetensors, checkpoints with other objects, and files that are none."""

import argparse
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import complaint, folder, ok  # noqa: F401
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from lyapsweep.cells import BadWeights, from_state_dict, from_torch
from lyapsweep.cells.torch_files import WeightChoice, load_network

NAME = "weight_hh_l0"
pytestmark = pytest.mark.filterwarnings("ignore:.*(weight_norm|spectral_norm).*:FutureWarning")


def layer(make=nn.LSTM, **settings):
    torch.manual_seed(0)
    return make(2, 4, **settings)


def pruned(module):
    return prune.random_unstructured(module, NAME, amount=0.5)


def train_a_little(module):
    """Run in training, so that spectral norm's vectors and the weights are not those of the start."""
    for _ in range(3):
        module.zero_grad()
        module(torch.randn(6, 1, 2))[0].square().sum().backward()
        with torch.no_grad():
            for w in module.parameters():
                w.sub_(0.1 * w.grad)
    return module.eval()


PARTS = {
    "weight norm": lambda m: parametrizations.weight_norm(m, NAME),
    "weight norm of columns": lambda m: parametrizations.weight_norm(m, NAME, dim=1),
    "weight norm of the whole": lambda m: parametrizations.weight_norm(m, NAME, dim=None),
    "weight norm, hook": lambda m: weight_norm(m, NAME),
    "weight norm of columns, hook": lambda m: weight_norm(m, NAME, dim=1),
    "spectral norm": lambda m: parametrizations.spectral_norm(m, NAME),
    "spectral norm of columns": lambda m: parametrizations.spectral_norm(m, NAME, dim=1),
    "spectral norm, hook": lambda m: spectral_norm(m, NAME),
    "pruning": pruned,
}


@pytest.mark.parametrize("parts", PARTS)
def test_parts_of_a_weight_are_the_weight_of_evaluation(parts):
    """The output of a layer in evaluation is the reference: whatever it computes its weights from."""
    module = train_a_little(PARTS[parts](layer()))
    x = torch.randn(12, 1, 2)
    with torch.no_grad():
        wanted = module(x)[0]
    for cell in (from_state_dict(module.state_dict()), from_torch(module)):
        torch.testing.assert_close(cell.orbit(torch.zeros(1, 1, 8), x.unsqueeze(1), 12)[:, 0, :, :4], wanted)


def dropped(raw, prefix="rnn.", wrapper=""):
    """Weight drop: the raw weight, and beside it the copy that dropout of the last step left."""
    weights = {f"{prefix}{wrapper}{n}": w for n, w in layer().state_dict().items() if n != NAME}
    weights[f"{prefix}{NAME}_raw"] = raw
    weights[f"{prefix}{wrapper}{NAME}"] = raw * (torch.rand(raw.shape) < 0.5)
    return weights


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_weight_drop_is_off_in_evaluation(wrapper):
    raw = torch.randn(16, 4)
    weights = dropped(raw, wrapper=wrapper)
    assert torch.equal(from_state_dict(weights).W[0], raw)
    del weights[f"rnn.{wrapper}{NAME}"]
    assert torch.equal(from_state_dict(weights).W[0], raw)


class Halved(nn.Module):
    def forward(self, w):
        return w / 2


def test_an_unknown_parametrisation_is_refused_by_name_unless_the_module_is_there():
    module = layer(nn.GRU)
    half = module.weight_hh_l0.detach() / 2
    parametrize.register_parametrization(module, NAME, Halved())
    with pytest.raises(BadWeights, match=r"weight_hh_l0 is held in parts \(original\).*remove_parametrizations"):
        from_state_dict(module.state_dict())
    torch.testing.assert_close(from_torch(module).W[0], half)
    weights = {f"a.{n}": w for n, w in module.state_dict().items()} | {
        f"b.{n}": w for n, w in layer(nn.GRU).state_dict().items()
    }
    assert from_state_dict(weights, prefix="b").units == 4  # of another layer, it does not matter
    orthogonal = parametrizations.orthogonal(layer(nn.RNN), NAME)
    with pytest.raises(BadWeights, match="weight_hh_l0 is held in parts"):
        from_state_dict(orthogonal.state_dict())
    with pytest.raises(BadWeights, match=r"its parts do not fit.*g \(3,\)"):
        from_state_dict(layer().state_dict() | {f"{NAME}_g": torch.ones(3), f"{NAME}_v": torch.ones(16, 4)})
    with pytest.raises(BadWeights, match=r"weight_hh_l0 is held in parts \(fake\)"):
        from_state_dict(layer().state_dict() | {f"{NAME}_fake": torch.ones(16, 4)})


# Files


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {f"rnn.{name}": w for name, w in layer().state_dict().items()}


def test_the_same_weights_in_every_file(weights):
    expected = from_state_dict(weights).W
    torch.save(weights, "w.pt")
    torch.save(weights, "w.pkl", _use_new_zipfile_serialization=False)
    save_file(weights, "w.safetensors", metadata={"format": "pt"})
    np.savez("w.npz", **{name: w.numpy().astype(w.numpy().dtype.newbyteorder(">")) for name, w in weights.items()})
    args = argparse.Namespace(lr=0.1, sizes=[4])
    beside = {"best": np.float64(0.5), "seen": np.int64(3), "curve": np.arange(3.0), "args": args, "epoch": 3}
    torch.save(beside | {"state_dict": weights}, "scalars.pt")
    torch.save({"models": [{"x": torch.ones(2)}, weights]}, "list.pt")
    for file in ("w.pt", "w.pkl", "w.safetensors", "w.npz", "scalars.pt", "list.pt"):
        loaded = load_network(Path(file))
        assert torch.equal(loaded.network.W, expected), file
        assert loaded.description == "lstm, 1 layer of 4 units, 2 inputs"


def test_what_weights_do_not_record_is_given():
    torch.save(layer(nn.RNN, nonlinearity="relu").state_dict(), "rnn.pt")
    assert "assuming tanh" in load_network(Path("rnn.pt")).description
    loaded = load_network(Path("rnn.pt"), WeightChoice(nonlinearity="relu"))
    assert (loaded.network.nonlinearity, loaded.description) == ("relu", "vanilla (relu), 1 layer of 4 units, 2 inputs")


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(2, 4)

    def forward(self, x):
        return self.rnn(x)[0]


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def truncated(name, share):
    torch.save(layer().state_dict(), "whole.pt")
    content = Path("whole.pt").read_bytes()
    Path(name).write_bytes(content[: int(len(content) * share)])


def damaged(name, first, value):
    """Bytes of a compressed archive replaced, from its start or, if negative, in its directory."""
    np.savez_compressed(name, weight_hh_l0=np.arange(400.0).reshape(20, 20))
    content = bytearray(Path(name).read_bytes())
    first = first if first > 0 else content.index(b"PK\x01\x02") - first
    content[first : first + len(value)] = value
    Path(name).write_bytes(content)


BAD = {
    "damaged data.npz": (lambda f: damaged(f, 70, b"\xff" * 20), "holds no arrays of numbers"),
    "unknown compression.npz": (lambda f: damaged(f, -10, b"\x63"), "holds no arrays of numbers"),
    "empty": (lambda f: Path(f).touch(), r"is no file of torch.save: it is empty"),
    "cut": (lambda f: truncated(f, 0.5), r"is no file of torch.save \("),
    "cut to bytes": (lambda f: truncated(f, 0.004), r"is no file of torch.save \("),
    "text": (lambda f: Path(f).write_text("W,b\n1,2"), r"is no file of torch.save \("),
    "zeros": (lambda f: Path(f).write_bytes(bytes(400)), r"is no file of torch.save \("),
    "pickled": (lambda f: Path(f).write_bytes(pickle.dumps({"a": 1})), r"is no file of torch.save \("),
    "module": (lambda f: torch.save(Network(), f), r"Python objects beside tensors \(\S*Network\).*state_dict\(\)"),
    "code": (lambda f: torch.save({"a": Malicious()}, f), r"Python objects beside tensors"),
    "script": (
        lambda f: torch.jit.script(Network()).save(f),
        r"TorchScript archive.*torch.jit.load\(path\).state_dict",
    ),
    "optimizer": (
        lambda f: torch.save(torch.optim.Adam(layer().parameters()).state_dict(), f),
        r"holds the state of an optimizer",
    ),
    "list": (lambda f: torch.save([1, 2], f), r"holds a list where a state dict is needed"),
    "nothing": (lambda f: torch.save({"epoch": 3}, f), r"weight_hh_l0 is not among the names"),
    "not weights of ours.npz": (lambda f: np.savez(f, a=np.zeros(3)), "weight_hh_l0 is not among"),
    "objects.npz": (lambda f: np.savez(f, a=np.array([{}], dtype=object)), "holds no arrays of numbers"),
    "words.npz": (lambda f: np.savez(f, a=np.array(["a"])), "holds no arrays of numbers"),
    "no.safetensors": (lambda f: Path(f).write_bytes(b"\x08" + bytes(20)), "is no file of safetensors"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_that_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write, message = BAD[case]
    file = case if "." in case else "w.pt"
    write(file)
    with pytest.raises(BadWeights, match=message) as error:
        load_network(Path(file))
    assert str(error.value).startswith(file)
    assert "weights_only" not in str(error.value)
    assert not Path("ran").exists()


def test_a_checkpoint_that_holds_itself_ends(weights):
    itself = {"model": weights}
    itself["self"] = itself
    torch.save(itself, "w.pt")
    with pytest.raises(BadWeights, match="recurrent layers"):
        load_network(Path("w.pt"))
    assert load_network(Path("w.pt"), WeightChoice(prefix="model.rnn")).network.units == 4


def test_safetensors_without_its_library(weights, monkeypatch):
    save_file(weights, "w.safetensors")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(BadWeights, match=r"pip install 'lyapsweep\[safetensors\]'"):
        load_network(Path("w.safetensors"))


# Commands


def test_commands_read_them(folder):  # noqa: F811
    np.save("s.npy", np.random.default_rng(0).normal(size=(60, 2)))
    save_file({f"rnn.{n}": w for n, w in layer(nn.RNN, nonlinearity="relu").state_dict().items()}, "w.safetensors")
    plain = ("w.safetensors", "--input", "s.npy")
    assert re.search(r"network +vanilla \(assuming tanh, .*--nonlinearity", ok("spectrum", *plain))
    assert re.search(r"network +vanilla \(relu\)", ok("spectrum", *plain, "--nonlinearity", "relu"))
    text = ok("fixed-points", *plain, "--nonlinearity", "relu", "--candidates", "8", "--prefix", "rnn")
    assert re.search(r"network +vanilla \(relu\)", text)
    torch.save(layer().state_dict(), "no_suffix")
    assert "lstm, 1 layer" in ok("spectrum", "no_suffix", "--input", "s.npy", "--exponents", "1")


WRONG = {
    "other file": (["spectrum", "w.h5"], r"w.h5 is a file, but weights end in \.pt, .*\.safetensors"),
    "negative dt": (["spectrum", "henon", "--dt", "-1"], r"--dt -1: 0 < dt < inf must hold"),
    "zero dt": (["spectrum", "lorenz63", "--dt", "0"], r"--dt 0: 0 < dt < inf must hold"),
    "nan dt": (["spectrum", "lorenz63", "--dt", "nan"], r"--dt nan: 0 < dt < inf must hold"),
    "dt of a parameter": (["spectrum", "lorenz63", "--set", "dt=-1"], "0 < dt < inf must hold, but got -1"),
    "dt of a suggestion": (["suggest", "lorenz63", "--dt", "0"], r"--dt 0: 0 < dt < inf must hold"),
    "infinite dt of a suggestion": (["suggest", "lorenz63", "--dt", "inf"], r"--dt inf: 0 < dt < inf must hold"),
    "nonlinearity of an LSTM": (
        ["spectrum", "w.pt", "--steps", "5", "--nonlinearity", "relu"],
        "belongs to cell 'lstm', which has no choice of nonlinearity",
    ),
    "nonlinearity of a system": (
        ["spectrum", "henon", "--nonlinearity", "relu"],
        "--nonlinearity is for weights, but henon is a system",
    ),
    "prefix of a system": (["fixed-points", "henon", "--prefix", "a"], "--prefix is for weights"),
    "rectified of an LSTM": (["spectrum", "w.pt", "--steps", "5", "--set", "rectified=2"], "settings of a PLRNN"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_line_that_helps(case, folder):  # noqa: F811
    torch.save(layer().state_dict(), "w.pt")
    Path("w.h5").write_bytes(b"\x89HDF")
    args, message = WRONG[case]
    assert re.search(message, complaint(2, *args))
