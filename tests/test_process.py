"""Trials give the same numbers whatever state of torch their caller has, and end in order on every signal that ends."""

import contextlib
import os
import signal

import pytest
import torch

from lyapsweep import Config, network_spectrum, run_trial
from lyapsweep.process import stop_signals, terminable
from lyapsweep.sweep.execute.failures import stop_on_signals

SMALL = {
    "dataset": {"kind": "simulated", "system": "henon", "length": 300},
    "cell": {"kind": "vanilla", "units": 3},
    "windows": {"length": 20, "batch": 4},
    "training": {"steps": 4, "report_every": 2},
    "lyapunov": {"steps": 20, "warmup": 5, "orbits": 2},
    "measures": ["loss"],
}


@pytest.fixture(autouse=True)
def double_precision():
    """Single precision, as users train: autocast changes nothing in double precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(before)


def numbers():
    """Losses and exponents of all records, and those of the untrained network."""
    config, between = Config.of(SMALL), []
    found = [network_spectrum(config).exponents.tolist()]
    for record in run_trial(config):
        between.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")))
        assert record.spectrum is not None
        found.append([record.measures["loss"], *record.spectrum.exponents])
    return found, between


def test_contexts_of_the_caller_change_no_number_and_stay_its_own():
    expected, between = numbers()
    assert set(between) == {(True, False, False)}
    contexts = {
        (False, False, False): torch.no_grad(),
        (False, True, False): torch.inference_mode(),
        (True, False, True): torch.autocast("cpu", dtype=torch.bfloat16),
        (True, False, False): torch.device("meta"),
    }
    for state, context in contexts.items():
        with context:
            found, between = numbers()
        assert found == expected
        assert set(between) == {state}


def test_another_precision_is_noted_in_the_record_and_sixteen_bits_are_refused():
    assert next(run_trial(Config.of(SMALL))).provenance.dtype is None
    torch.set_default_dtype(torch.float64)
    assert next(run_trial(Config.of(SMALL))).provenance.dtype == "float64"
    torch.set_default_dtype(torch.float16)
    with pytest.raises(ValueError, match=r"torch\.float16.*set_default_dtype"):
        next(run_trial(Config.of(SMALL)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_a_trial_like_ctrl_c_and_a_sweep_by_its_event(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), terminable():
        os.kill(os.getpid(), number)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.is_set()
    assert signal.getsignal(number) is before


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in stop_signals()
        with contextlib.ExitStack() as stack:
            stack.enter_context(terminable())
            stop = stack.enter_context(stop_on_signals())
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)
