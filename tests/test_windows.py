"""Windows: uniformly drawn, and never across the border of two trajectories."""

import pytest
import torch

from lyapsweep.windows import Windows, cut, starts


def drawn(pieces, updates=50, seed=0):
    return starts(Windows(length=5, batch=1000), pieces, updates, torch.Generator().manual_seed(seed))


def test_every_window_inside_a_piece_is_equally_likely_and_no_other_is_drawn():
    """Of 10 steps there are windows of 5 + 1 at 0 ... 4; pieces of 3 and 5 steps hold none."""
    values, counts = torch.unique(drawn([10, 3, 5, 6, 20]), return_counts=True)
    assert values.tolist() == [*range(5), 18, *range(24, 39)]
    assert counts.double().std() < 3 * counts.double().mean().sqrt()
    assert counts.sum() == 50_000


def test_windows_hold_one_trajectory_each():
    lengths = [12, 7, 30]
    label = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[:, None].double()
    seen = cut(label, drawn(lengths), 5)
    assert (seen == seen[0]).all()
    assert set(seen[0].flatten().tolist()) == {0, 1, 2}


def test_one_piece_is_the_whole_series():
    torch.testing.assert_close(drawn(200), drawn([200]))
    assert drawn(200).max() == 194


def test_pieces_too_short_for_any_window():
    with pytest.raises(ValueError, match=r"length=5 for a series of 5 steps"):
        drawn([5, 4])
