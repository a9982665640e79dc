"""A critic's answer has one score a sample, or it is refused."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from ganlab.checks import InputError  # noqa: E402
from ganlab.neural._scores import scores  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402


def counted(shape):
    """A critic that answers 0, 1, 2, ... in that shape, whatever it is asked."""
    return lambda x: torch.arange(float(torch.Size(shape).numel())).reshape(shape)


@pytest.mark.parametrize(("samples", "answer", "expected"), [
    ((5, 2), (5,), (5,)),
    ((5, 2), (5, 1), (5,)),
    ((1, 2), (), (1,)),  # a critic that squeezes
    ((1, 2), (1, 1), (1,)),
    ((5, 1), (5, 1), (5,)),
    ((5, 3, 8, 8), (5, 1), (5,)),
    ((5, 3, 8, 8), (5, 1, 1, 1), (5,)),
    ((5, 1, 28, 28), (5, 1), (5,)),  # grey images, and not a stack of five batches of one
    ((5, 3, 16), (5, 1), (5,)),  # sounds
    ((3, 5, 2), (3, 5, 1), (3, 5)),
    ((3, 5, 2), (3, 5), (3, 5)),
    ((3, 1, 2), (3, 1, 1), (3, 1)),
    ((3, 1, 2), (3, 1), (3, 1)),
    ((1, 5, 2), (1, 5, 1), (1, 5)),
    ((1, 1, 2), (1, 1, 1), (1, 1)),
    ((3, 5, 1, 8, 8), (3, 5, 1), (3, 5)),
    ((3, 1, 1, 8, 8), (3, 1, 1), (3, 1)),
])  # fmt: skip
def test_every_sample_gets_its_score_in_order(samples, answer, expected):
    t = scores(counted(answer), torch.zeros(samples))
    assert t.shape == expected
    assert t.flatten().tolist() == list(range(t.numel()))


@pytest.mark.parametrize(("samples", "answer"), [
    ((5, 2), (5, 2)),  # a layer of two outputs, as many as there are features
    ((5, 2), (2, 5)),
    ((5, 2), (10,)),
    ((5, 2), ()),
    ((5, 3, 8, 8), (5, 3)),
    ((5, 3, 8, 8), (5, 1, 8, 8)),
    ((3, 5, 2), (5, 3)),
    ((3, 5, 2), (15,)),
    ((3, 5, 2), (3, 5, 2)),
    ((3, 5, 2), (3, 1, 5)),
])  # fmt: skip
def test_any_other_answer_is_refused_and_both_shapes_are_named(samples, answer):
    with pytest.raises(InputError, match="one score a sample") as error:
        scores(counted(answer), torch.zeros(samples))
    assert f"{answer} for {samples}" in str(error.value)


def test_a_critic_with_two_outputs_is_no_stack():
    with pytest.raises(InputError, match="one output and no sigmoid"):
        scores(nn.Linear(2, 2), torch.zeros(5, 2))


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_stack_scores_as_its_networks_do_one_by_one(batch):
    x = torch.randn(3, batch, 2, generator=torch.Generator().manual_seed(0))
    together = scores(mlp(2, 1, hidden=(4,), seed=range(3)), x)
    alone = torch.stack([scores(mlp(2, 1, hidden=(4,), seed=s), x[s]) for s in range(3)])
    torch.testing.assert_close(together, alone)


def test_half_precision_ends_at_the_scores():
    t = scores(lambda x: x.sum(-1).bfloat16(), torch.ones(4, 2))
    assert t.dtype == torch.float32
    assert scores(lambda x: x.sum(-1), torch.ones(4, 2, dtype=torch.float64)).dtype == torch.float64
