"""Settings of measures, from a config to the score, and the evidence that is gathered on demand."""

import json

import numpy as np
import pytest
import torch
from made_up_evidence import lorenz_itself

from lyapsweep.config import Config, ConfigError
from lyapsweep.evaluation.series import forecast_errors, long_run
from lyapsweep.measures import MEASURES, chosen, listed
from lyapsweep.problems.network import build_network
from lyapsweep.registry import UnknownName
from lyapsweep.rollout import free
from lyapsweep.trial import run_trial

TINY = {
    "dataset": {"kind": "simulated", "system": "henon", "length": 300, "test": 0.5},
    "cell": {"kind": "vanilla", "units": 4},
    "windows": {"length": 10, "batch": 2},
    "training": {"steps": 2},
    "lyapunov": {"steps": 5, "warmup": 5, "orbits": 2},
}


def test_settings_change_the_score():
    seen = lorenz_itself()
    seen = type(seen)(**{**vars(seen), "orbit": seen.reference})
    (coarse,) = chosen(["state_space_mikhaeil2022"]).values()
    (fine,) = chosen([{"kind": "state_space_mikhaeil2022", "bins": 30}]).values()
    assert fine(seen) > 2 * coarse(seen)
    assert fine.floor(seen) == fine(seen)
    assert (fine.name, fine.direction, fine.__doc__) != (None, None, None)


def test_defaults_are_one_convention_under_one_name():
    assert listed(["loss", {"kind": "state_space"}, {"kind": "prediction_error", "steps": 20}]) == [
        "loss",
        "state_space",
        "prediction_error",
    ]
    full = {"kind": "power_spectrum_mikhaeil2022", "smoothing": 2.0, "segments": 20, "cutoff": 500}
    assert listed([{"kind": "power_spectrum_mikhaeil2022", "segments": 20}]) == [full]
    assert listed([full]) == [full]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("state_spaces", r"measures: No measure is called 'state_spaces'. Did you mean 'state_space'"),
        ({"kind": "state_space", "bin": 3}, r"setting of measure 'state_space' is called 'bin'. Did you mean 'bins'"),
        ({"kind": "state_space", "bins": 3.5}, r"state_space/bins must be a positive, finite int, but got 3.5"),
        ({"kind": "state_space", "bins": 0}, r"state_space/bins must be a positive, finite int, but got 0"),
        (
            {"kind": "state_space", "variance": True},
            r"state_space/variance must be a positive, finite float, but got True",
        ),
        ({"bins": 3}, r"an entry is a name or \{kind: name"),
        (7, r"an entry is a name or \{kind: name"),
        ("loss", r"'loss' is listed twice"),
    ],
)
def test_entries_that_cannot_be(entry, message):
    with pytest.raises(ConfigError, match=message):
        Config.of(TINY | {"measures": ["loss", entry]})
    with pytest.raises((UnknownName, ValueError), match=message):
        listed(["loss", entry])


def test_a_config_with_settings_is_another_one_and_its_record_says_so(tmp_path):
    plain, set_ = (
        Config.of(TINY | {"measures": ["loss", entry]})
        for entry in ("state_space_mikhaeil2022", {"kind": "state_space_mikhaeil2022", "bins": 5})
    )
    assert plain.id != set_.id
    assert plain.shape != set_.shape
    *_, record = run_trial(set_)
    again = type(record).load(record.save(tmp_path))
    assert again.config == set_
    assert json.dumps(again.config.measures) == json.dumps(set_.measures)
    assert np.isfinite(again.measures["state_space_mikhaeil2022"])
    assert {name.partition("/")[0] for name in again.floors} == again.saturations.keys() == {"state_space_mikhaeil2022"}
    assert again.saturations["state_space_mikhaeil2022"] > again.floors["state_space_mikhaeil2022"] > 0


def test_records_of_before_saturations_are_read(tmp_path):
    *_, record = run_trial(Config.of(TINY))
    file = record.save(tmp_path)
    with np.load(file) as stored:
        arrays = dict(stored)
    header = json.loads(str(arrays["header"]))
    del header["saturations"]
    np.savez(file, **arrays | {"header": np.array(json.dumps(header))})
    assert type(record).load(file).saturations == {}


def test_what_is_gathered_on_demand():
    """The orbit and the errors, against a network stepped by hand; in chunks as at once."""
    configs = [Config.of(TINY | {"seed": seed}) for seed in (0, 1)]
    network = build_network(configs, 2).double()
    test = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        orbit, errors = long_run(network, test), forecast_errors(network, test)
        z = network.readout.back(test[None, :1].expand(2, -1, -1))
        for t in range(75):
            z = network.cell.step(z)
            torch.testing.assert_close(orbit[:, t], network.readout(z)[:, 0])
        starts = network.readout.back(test[None, :10].expand(2, -1, -1))
        run, _ = free(network.cell, network.readout, starts, 50)
    assert orbit.shape == (2, 75, 2)
    assert errors.shape == (2, 50)
    for ahead in (1, 20, 50):
        truth = test[ahead : 10 + ahead]
        torch.testing.assert_close(errors[:, ahead - 1], (run[ahead - 1] - truth).square().mean(dim=(1, 2)))


def test_errors_come_in_chunks_as_at_once(monkeypatch):
    network = build_network([Config.of(TINY)], 2).double()
    test = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = forecast_errors(network, test)
        monkeypatch.setattr("lyapsweep.evaluation.series.ERROR_NUMBERS", 50 * 4 * 7)
        torch.testing.assert_close(forecast_errors(network, test), whole)


def test_only_some_measures_need_more():
    assert {name for name, measure in MEASURES.items() if measure.needs} == {
        name for name in MEASURES if name.endswith(("mikhaeil2022", "hess2023", "stable_fixed_points"))
    }
