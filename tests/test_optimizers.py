"""What an optimizer adds to the weights is what torch's adds, whatever the layout of a gradient in memory."""

import pytest
import torch

from lyapsweep.optimizers import OPTIMIZERS

THEIRS = {"adam": torch.optim.Adam, "radam": torch.optim.RAdam, "sgd": torch.optim.SGD}


@pytest.mark.parametrize("by_columns", [False, True], ids=["by rows", "by columns"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_updates_are_torchs(kind, by_columns):
    generator = torch.Generator().manual_seed(0)
    w, theirs = torch.zeros(5, 7), torch.nn.Parameter(torch.zeros(5, 7))
    own, reference = OPTIMIZERS[kind](w), THEIRS[kind]([theirs], lr=0.1)
    for _ in range(8):
        gradient = torch.randn(7, 5, generator=generator).T if by_columns else torch.randn(5, 7, generator=generator)
        w += 0.1 * own(gradient)
        theirs.grad = gradient
        reference.step()
    torch.testing.assert_close(w, theirs.detach())
    for name, value in own.state.items():
        torch.testing.assert_close(value, reference.state[theirs][name], check_dtype=False)
