"""Random numbers are a function of seed and step, whatever was drawn before and however many processes share them."""

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

from ganlab.checks import InputError  # noqa: E402
from ganlab.neural.draws import Draws  # noqa: E402


def test_a_step_draws_the_same_whatever_came_before():
    a, b = Draws(3), Draws(3)
    for step in range(5):
        a.at(step).normal(100, 2)
    assert torch.equal(a.at(7).normal(4, 2), b.at(7).normal(4, 2))


def test_neighbouring_seeds_and_steps_share_nothing():
    rows = {tuple(Draws(seed).at(step).normal(3).tolist()) for seed in range(20) for step in range(20)}
    assert len(rows) == 400


def test_words_name_streams_of_their_own():
    assert not torch.equal(Draws(0).at("sample").normal(4), Draws(0).at(0).normal(4))
    assert torch.equal(Draws(0).at("sample").normal(4), Draws(0).at("sample").normal(4))


@pytest.mark.parametrize(("draw", "law"), [("normal", "norm"), ("uniform", "uniform")])
def test_draws_follow_their_law_across_steps(draw, law):
    draws = Draws(0)
    x = np.concatenate([getattr(draws.at(step), draw)(20).numpy() for step in range(500)])
    assert stats.kstest(x, law).pvalue > 1e-3


def test_whole_numbers_cover_their_range_evenly():
    x = Draws(0).integers(10, 50_000).numpy()
    assert stats.chisquare(np.bincount(x, minlength=10)).pvalue > 1e-3


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("seed", [0, (0, 1, 2)])
def test_processes_see_together_what_one_would_see(world, seed):
    whole = Draws(seed).at(9)
    parts = [Draws(seed, rank=rank, world=world).at(9) for rank in range(world)]
    axis = 1 if isinstance(seed, tuple) else 0
    for draw in (lambda d, n: d.normal(n, 3), lambda d, n: d.uniform(n), lambda d, n: d.integers(50, n)):
        assert torch.equal(torch.cat([draw(part, 8 // world) for part in parts], dim=axis), draw(whole, 8))


def test_a_row_of_a_stack_is_what_its_seed_draws_alone():
    together = Draws((4, 5)).at(2)
    x = together.normal(3, 2)
    assert x.shape == (2, 3, 2)
    assert torch.equal(x[1], Draws(5).at(2).normal(3, 2))


@pytest.mark.parametrize("shape", [(6, 2), (6, 3, 4, 4)])
def test_draws_in_the_shape_of_a_batch(shape):
    x = torch.zeros(shape, dtype=torch.float64)
    draws = Draws(0)
    assert draws.normal_like(x).shape == draws.uniform_like(x).shape == shape
    fraction = draws.fraction(x)
    assert fraction.shape == (6,) + (1,) * (len(shape) - 1)
    assert fraction.dtype == torch.float64
    assert len(fraction.unique()) == 6
    stack = Draws((0, 1)).fraction(torch.zeros(2, 6, 3))
    assert stack.shape == (2, 6, 1)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "0", True, (), (0, -1), 2**63])
def test_bad_seeds_are_refused(seed):
    with pytest.raises(InputError, match="seed"):
        Draws(seed)


def test_the_largest_seed_works():
    assert Draws(2**63 - 1).normal(1).isfinite().all()


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**63 - 1])
@pytest.mark.parametrize("step", [0, 500, 2**32 - 1, 2**32, "sample"])
def test_the_key_of_a_step_is_what_numpy_makes_of_the_two_numbers(seed, step):
    entropy = step if isinstance(step, int) else int.from_bytes(b"\xffsample", "big")
    (key,) = np.random.SeedSequence([seed, entropy]).generate_state(1, np.uint64).tolist()
    assert Draws(seed).at(step).generators[0].initial_seed() == key >> 1
