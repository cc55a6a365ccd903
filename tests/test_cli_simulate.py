"""`lyapsweep simulate`: a recording of a known system."""

from pathlib import Path

import numpy as np
import pytest
from command_line import complaint, double_precision, folder, ok  # noqa: F401

from lyapsweep.datasets import build


def test_a_simulated_series_is_the_data_set_of_its_settings():
    said = ok("simulate", "lorenz63", "my.csv", "--samples", "300", "--dt", "0.03", "--set", "rho=38", "--seed", "3")
    same = {"system": "lorenz63", "length": 300, "dt": 0.03, "parameters": {"rho": 38.0}, "seed": 3}
    known = build("simulated", **same, standardise="none")
    assert Path("my.csv").read_text().startswith("x,y,z\n")
    assert np.loadtxt("my.csv", delimiter=",", skiprows=1) == pytest.approx(known.train, rel=1e-8)
    assert f"lambda_max  {known.lambda_max / 0.03:.4g} per unit time" in said
    assert "next        lyapsweep suggest my.csv --dt 0.03\n" in said


def test_noise_is_added_to_every_row():
    ok("simulate", "henon", "clean.npy", "--samples", "2000")
    ok("simulate", "henon", "noisy.npy", "--samples", "2000", "--noise", "0.1")
    clean, noisy = np.load("clean.npy"), np.load("noisy.npy")
    assert (noisy - clean).std(axis=0) == pytest.approx(0.1 * clean.std(axis=0), rel=0.1)


def test_a_file_is_not_overwritten_and_a_wrong_word_gets_one_line():
    ok("simulate", "henon", "my.csv", "--samples", "300")
    assert "FILE my.csv: already there" in complaint(2, "simulate", "henon", "my.csv")
    assert "FILE my.txt: the file must end in .csv, .npy" in complaint(2, "simulate", "henon", "my.txt")
    assert "Did you mean 'henon'" in complaint(2, "simulate", "henn", "new.csv")
    assert "no folder none" in complaint(2, "simulate", "henon", "none/new.csv")
