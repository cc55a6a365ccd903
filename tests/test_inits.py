"""Shape and scale as promised."""

import pytest
import torch

from lyapsweep.inits import INITS, gaussian, near_identity, orthogonal, uniform


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", list(INITS))
@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (8, 3)])
def test_shape_and_seed(name, shape):
    assert INITS[name](*shape, generator()).shape == shape
    assert torch.equal(INITS[name](*shape, generator()), INITS[name](*shape, generator()))


def test_gaussian_has_the_gain_it_says():
    assert gaussian(400, 400, generator(), gain=1.5).std().item() == pytest.approx(1.5 / 20, rel=0.02)
    radius = torch.linalg.eigvals(gaussian(400, 400, generator(), gain=1.5)).abs().max().item()
    assert radius == pytest.approx(1.5, rel=0.08)


def test_uniform_fills_its_bound():
    matrix = uniform(200, 200, generator(), bound=0.3)
    assert 0.299 < matrix.abs().max() <= 0.3
    assert matrix.std().item() == pytest.approx(0.3 / 3**0.5, rel=0.02)
    assert uniform(10, 25, generator()).abs().max() <= 0.2


@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (8, 3)])
def test_orthogonal_keeps_lengths(shape):
    values = torch.linalg.svdvals(orthogonal(*shape, generator(), gain=0.7))
    torch.testing.assert_close(values, torch.full_like(values, 0.7))


def test_near_identity_starts_standing_still():
    square, flat = near_identity(50, 50, generator(), scale=0.1), near_identity(50, 200, generator(), scale=0.1)
    assert (square - torch.eye(50)).std().item() == pytest.approx(0.1 / 50**0.5, rel=0.05)
    assert flat.std().item() == pytest.approx(0.1 / 200**0.5, rel=0.05)
