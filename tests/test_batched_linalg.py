"""Inverses, norms and condition numbers of small matrices without factorisations, against LAPACK."""

import pytest
import torch

from lyapsweep.batched_linalg import condition_numbers, inverse, pseudo_inverse, spectral_norms
from lyapsweep.cells.cayley import Eliminated, cayley, skew_hermitian


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_inverse_of_positive_definite_matrices():
    A = drawn(5, 4, 9)
    G = A @ A.mT
    torch.testing.assert_close(inverse(G), torch.linalg.inv(G))


@pytest.mark.parametrize("shape", [(4, 3, 20), (4, 20, 3), (4, 5, 5), (4, 1, 6)])
def test_the_pseudo_inverse_and_its_gradient_are_those_of_torch(shape):
    B, weights = drawn(*shape).requires_grad_(True), drawn(shape[0], shape[2], shape[1], seed=1)
    torch.testing.assert_close(pseudo_inverse(B), torch.linalg.pinv(B))
    ours, theirs = (torch.autograd.grad((f(B) * weights).sum(), B)[0] for f in (pseudo_inverse, torch.linalg.pinv))
    torch.testing.assert_close(ours, theirs)


def test_the_pseudo_inverse_keeps_the_digits_of_single_precision():
    B = drawn(3, 3, 30) * torch.tensor([1.0, 1e-2, 1e-4])[:, None]
    exact, found = torch.linalg.pinv(B.float().double()), pseudo_inverse(B.float()).double()
    assert ((found - exact).abs().amax((1, 2)) / exact.abs().amax((1, 2))).max() < 1e-6


@pytest.mark.parametrize("row", [0.0, 1.0])
def test_rank_deficient_matrices_have_the_shortest_solution(row):
    B = drawn(2, 3, 10).float()
    B[0, 2] = row * B[0, 1]
    torch.testing.assert_close(pseudo_inverse(B), torch.linalg.pinv(B), atol=1e-4, rtol=1e-4)


def test_spectral_norms():
    J = drawn(3, 6, 12, 12)
    J[0, 0] = 0
    close = torch.diag(torch.linspace(0.999, 1.0, 12))
    J[0, 1], J[0, 2] = close, 1e-200 * close
    torch.testing.assert_close(spectral_norms(J), torch.linalg.matrix_norm(J, 2), rtol=1e-5, atol=0)


def test_condition_numbers_and_their_gradient():
    B = drawn(4, 3, 9).requires_grad_(True)
    sizes = torch.linalg.svdvals(B)
    torch.testing.assert_close(condition_numbers(B), sizes[:, 0] / sizes[:, -1])
    ours, theirs = (torch.autograd.grad(s.sum(), B)[0] for s in (condition_numbers(B), sizes[:, 0] / sizes[:, -1]))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_cayley_transform_by_elimination_and_its_gradient(kind):
    packed = 3 * drawn(3, 7, 7)
    made = (lambda p: p - p.mT) if kind == "real" else skew_hermitian
    leaves = [packed.clone().requires_grad_(True) for _ in range(2)]
    ours, theirs = Eliminated.apply(made(leaves[0]))[0], cayley(made(leaves[1]))
    torch.testing.assert_close(ours, theirs)
    ours.abs().pow(3).sum().backward()
    theirs.abs().pow(3).sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad)
    weights = torch.randn_like(theirs.detach())
    a, b = (
        torch.autograd.grad((f(made(leaf)) * weights).sum().abs(), leaf)[0]
        for f, leaf in zip((lambda A: Eliminated.apply(A)[0], cayley), leaves)
    )
    torch.testing.assert_close(a, b)
