"""Windows are drawn in chunks of updates, each member's from its own generator, and resume where they were."""

import torch

from lyapsweep.training.sampling import CHUNK, WindowSampler, generator_states, set_generator_states


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def sampler(*seeds, calls=None):
    def draw(generator):
        if calls is not None:
            calls.append(generator)
        return torch.randint(0, 10**6, (CHUNK, 2), generator=generator)

    return WindowSampler(draw, generators(*seeds), torch.device("cpu"))


def test_every_update_has_the_windows_of_its_row_in_the_members_stream():
    assert CHUNK == 256, "another length draws other windows for a seed"
    calls, (one, two) = [], generators(4, 5)
    drawn = sampler(4, 5, calls=calls)
    expected = [[torch.randint(0, 10**6, (256, 2), generator=g) for g in (one, two)] for _ in range(2)]
    for step in range(257):
        windows = drawn.at(step)
        chunk, row = divmod(step, 256)
        assert windows.shape == (2, 2)
        for p in range(2):
            assert torch.equal(windows[p], expected[chunk][p][row])
        assert len(calls) == 2 * (chunk + 1)


def test_members_do_not_depend_on_their_neighbours():
    together, alone = sampler(4, 5), sampler(5)
    assert torch.equal(together.at(0)[1], alone.at(0)[0])


def test_a_sampler_resumes_within_a_chunk_and_at_its_end():
    whole = sampler(1, 2)
    windows = [whole.at(step).clone() for step in range(2 * CHUNK)]
    for stop in (0, 3, CHUNK):
        first, second = sampler(1, 2), sampler(8, 9)
        for step in range(stop):
            first.at(step)
        state = {name: value.clone() for name, value in first.state().items()}
        assert state["drawn"].shape == ((2, CHUNK, 2) if stop else (2, 0, 0))
        second.restore(state)
        assert all(torch.equal(second.at(step), windows[step]) for step in range(stop, 2 * CHUNK))


def test_states_of_generators_are_theirs():
    from_here, to = generators(1, 2), generators(3, 4)
    from_here[0].manual_seed(77)
    set_generator_states(to, generator_states(from_here))
    for one, other in zip(from_here, to):
        assert torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=other))
