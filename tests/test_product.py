"""B z of many states: the product, its way back and its tangent are those of z @ B^T."""

import pytest
import torch

from lyapsweep.readouts.product import observed, squared_error


def given() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((2, 7, 5), (2, 3, 5)))


def plain(z: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    return z @ B.mT


def test_gradients_of_both_orders():
    z, B = (v.requires_grad_() for v in given())
    torch.testing.assert_close(observed(z, B), plain(z, B))
    assert torch.autograd.gradcheck(observed, (z, B))
    assert torch.autograd.gradgradcheck(observed, (z, B))


def test_forward_mode_of_the_states_of_the_weights_and_of_both():
    z, B = given()
    dz, dB = torch.cos(z), torch.sin(B)
    for moving in (lambda f: (lambda z: f(z, B), (z,), (dz,)), lambda f: (lambda B: f(z, B), (B,), (dB,))):
        torch.testing.assert_close(torch.func.jvp(*moving(observed)), torch.func.jvp(*moving(plain)))
    torch.testing.assert_close(*(torch.func.jvp(f, (z, B), (dz, dB)) for f in (observed, plain)))


def test_many_tangents_at_once():
    z, B = given()
    jacobian = torch.func.vmap(lambda dz: torch.func.jvp(lambda z: observed(z, B), (z,), (dz,))[1])
    units = torch.eye(z.numel(), dtype=z.dtype).view(-1, *z.shape)
    torch.testing.assert_close(jacobian(units), plain(units, B))


@pytest.mark.parametrize("counted", [None, torch.tensor([True, False, True, True, False, True, True])])
def test_the_squared_error_is_that_of_the_observations(counted):
    z, B = given()
    x = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = slice(None) if counted is None else counted
    wanted = (plain(z, B) - x.mT)[:, rows].square().mean(dim=(1, 2))
    torch.testing.assert_close(squared_error(z, B, x, counted), wanted)
    inputs = tuple(v.requires_grad_() for v in (z, B, x))
    assert torch.autograd.gradcheck(lambda *v: squared_error(*v, counted), inputs)


def test_what_does_not_count_may_be_anything():
    z, B = given()
    x = torch.zeros(2, 3, 7, dtype=torch.float64)
    counted = torch.arange(7) < 6
    calm = squared_error(z, B, x, counted)
    z[:, 6] = torch.inf
    assert torch.equal(squared_error(z, B, x, counted), calm)
