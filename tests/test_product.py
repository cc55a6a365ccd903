"""B z of many states: the product, its way back and its tangent are those of z @ B^T."""

import torch

from lyapsweep.readouts.product import observed


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
