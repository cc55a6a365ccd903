"""States inferred from observations: values and gradients are those of torch.linalg.pinv, member by member."""

import pytest
import torch
from torch.nn.functional import pad

from lyapsweep.readouts.inverse import inferred

STATE = 7


def given(features, units=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, *shape, generator=generator, dtype=dtype) for shape in ((4, features), (features, units))
    )


def plain(x, B):
    return pad(x @ torch.linalg.pinv(B).mT, (0, STATE - B.shape[2]))


@pytest.mark.parametrize("features", [1, 3, 5, 6], ids=["a row", "wide", "square", "tall"])
def test_the_pseudo_inverse_and_its_gradients(features):
    x, B = (v.requires_grad_() for v in given(features))
    torch.testing.assert_close(inferred(x, B, STATE), plain(x, B))
    assert torch.autograd.gradcheck(lambda x, B: inferred(x, B, STATE), (x, B))


def test_a_member_short_of_full_rank_is_inferred_by_singular_values_and_the_other_as_ever():
    x, B = given(3, dtype=torch.float32)
    alone = inferred(x, B, STATE)
    B[1, 2] = B[1, 0] * (1 + 1e-7)  # alike up to rounding
    together = inferred(x, B, STATE)
    assert torch.equal(together[0], alone[0])
    torch.testing.assert_close(together[1], plain(x, B)[1])
    assert together[1].norm() < 100 * x[1].norm()


def test_a_matrix_of_zeros_infers_zeros():
    x, B = given(3)
    assert not inferred(x, torch.zeros_like(B), STATE).any()
