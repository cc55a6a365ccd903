"""Windows: uniformly drawn, and never across the border of two trajectories."""

import pytest
import torch

from lyapsweep.windows import Segments, Windows, cut, driving, starts


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


def test_starts_are_those_of_the_generator():
    """Draws count the places of all pieces; places at the end of a piece, where none begins, are skipped."""
    windows, pieces = Windows(length=5, batch=3), [8, 4, 7]
    draws = torch.randint(0, 3 + 2, (40, 3), generator=torch.Generator().manual_seed(6))
    where = torch.tensor([0, 1, 2, 12, 13])  # 8 - 5 starts in the first piece, none in the second, 2 after 8 + 4 steps
    assert torch.equal(starts(windows, pieces, 40, torch.Generator().manual_seed(6)), where[draws])


@pytest.mark.parametrize(
    ("policy", "state", "is_policy", "carried", "held"),
    [
        (None, None, "random", False, None),
        (None, "fresh", "random", False, None),
        (None, "carried", "stateful", True, None),
        ("random", None, "random", False, None),
        ("conditional", "fresh", "conditional", False, 7),
        ("stateful", None, "stateful", True, None),
        ("sequential", "carried", "sequential", True, None),
    ],
)
def test_policies(policy, state, is_policy, carried, held):
    windows = Windows(length=7, policy=policy, state=state)
    assert (windows.policy, windows.state, windows.carried, windows.held) == (is_policy, None, carried, held)


def test_lengths_and_defaults():
    assert (Windows().length, Windows().batch, Windows().spin_up, Windows().steps) == (200, 16, 0, 200)
    assert Windows(length=None).steps == 1
    assert Windows(length=1, batch=1).steps == 1
    assert Windows(length=None, spin_up=0).spin_up == 0
    assert Windows(length=5, spin_up=4).spin_up == 4


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"length": 0}, "windows/length must be .* got 0"),
        ({"batch": 0}, "windows/batch must be .* got 0"),
        ({"state": "frehs"}, "Did you mean 'fresh'"),
        ({"policy": "statefull"}, "Did you mean 'stateful'"),
        ({"policy": "random", "state": "carried"}, "policy 'random' is 'fresh'"),
        ({"policy": "stateful", "state": "fresh"}, "policy 'stateful' is 'carried'"),
        ({"length": 5, "spin_up": 5}, "spin_up=5"),
        ({"length": 5, "spin_up": -1}, "windows/spin_up must be .* got -1"),
        ({"length": None, "spin_up": 1}, "spin_up=1"),
    ],
)
def test_impossible_windows_are_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        Windows(**settings)


def test_a_series_must_hold_a_window_and_the_step_after_it():
    Windows(length=5).check_series(6)
    with pytest.raises(ValueError, match="length=5 for a series of 5 steps"):
        Windows(length=5).check_series(5)
    with pytest.raises(ValueError, match="null"):
        Windows(length=None).check_series(100)


def test_segments_are_as_long_as_the_longest_and_count_their_own_steps():
    windows = Windows(length=7, batch=2)
    segments = Segments.of([0, 3, 5], windows, torch.device("cpu"))
    assert segments.length == 3
    assert segments.cuts.tolist() == [[0], [3], [5]]
    steps = segments.counted.view(3, 3, 2)  # steps, segments, batch
    assert steps[:, :, 0].tolist() == [[True, True, True], [True, True, True], [True, False, False]]
    assert torch.equal(steps[:, :, 0], steps[:, :, 1])
    assert int(steps.sum()) == 7 * 2
    first = torch.tensor([[10, 20], [30, 40]])
    assert segments.first(first).tolist() == [[10, 20, 13, 23, 15, 25], [30, 40, 33, 43, 35, 45]]
    even = Segments.of([0, 4], Windows(length=8, batch=2), torch.device("cpu"))
    assert (even.length, even.counted) == (4, None)


def test_cuts_hold_both_ends_and_inputs_lead_to_the_steps_they_drive():
    series = torch.arange(20.0).view(10, 2)
    first = torch.tensor([[0, 4], [6, 2]])
    seen = cut(series, first, 3)
    assert seen.shape == (4, 2, 2, 2)
    for p in range(2):
        for b in range(2):
            assert torch.equal(seen[:, p, b], series[first[p, b] : first[p, b] + 4])
    ahead = driving(series, first, 3)
    assert torch.equal(ahead, seen[1:])
    assert driving(None, first, 3) is None
