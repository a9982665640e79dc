"""Small networks: drawn from their seed, alone or as stacks that compute the same."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.func import functional_call  # noqa: E402

from ganlab.checks import InputError  # noqa: E402
from ganlab.neural.models.mlp import ACTIVATIONS, Maxout, StackedLinear, mlp, stack, unstack  # noqa: E402


def test_the_same_seed_draws_the_same_weights_and_nothing_global():
    state = torch.random.get_rng_state()
    a, b, c = mlp(2, 1, seed=1), mlp(2, 1, seed=1), mlp(2, 1, seed=2)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a[0].weight, c[0].weight)
    assert torch.equal(state, torch.random.get_rng_state())


def test_default_weights_have_the_law_of_torchs_own_layers():
    weight = mlp(400, 400, hidden=(), seed=0)[0].weight
    assert weight.abs().max() <= 1 / math.sqrt(400)
    assert weight.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)


def test_orthogonal_and_normal_weights_are_what_they_say():
    weight = mlp(30, 30, hidden=(), init="orthogonal", gain=1.4)[0].weight
    torch.testing.assert_close(weight @ weight.T, 1.96 * torch.eye(30), rtol=0, atol=1e-4)
    layer = mlp(300, 300, hidden=(), init="normal", gain=0.02)[0]
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not layer.bias.any()


@pytest.mark.parametrize("outputs", [1, 2])  # one output has a product of its own
@pytest.mark.parametrize("keywords", [{"activation": name} for name in ACTIVATIONS] + [{"norm": "batch"}], ids=str)
def test_a_stack_computes_what_its_members_compute(keywords, outputs):
    seeds, x = (3, 1, 4), torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0))
    together = mlp(2, outputs, (6, 5), seed=seeds, **keywords)
    for k, seed in enumerate(seeds):
        alone = mlp(2, outputs, (6, 5), seed=seed, **keywords)
        torch.testing.assert_close(together(x)[k], alone(x[k]))
        torch.testing.assert_close(unstack(together, k)(x[k]), alone(x[k]))


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_a_stacked_layer_has_the_derivatives_of_a_product(outputs):
    g = torch.Generator().manual_seed(0)
    draws = [torch.randn(2, *shape, generator=g, dtype=torch.float64) for shape in ((3, 4), (4, outputs), (1, outputs))]
    x, weight, bias = (t.requires_grad_() for t in draws)
    layer = StackedLinear(torch.zeros(2, 4, outputs), torch.zeros(2, 1, outputs))

    def answer(x, weight, bias):
        return functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    torch.testing.assert_close(answer(x, weight, bias), x @ weight + bias)
    assert torch.autograd.gradcheck(answer, (x, weight, bias))
    assert torch.autograd.gradgradcheck(answer, (x, weight, bias))


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_a_stack_can_be_transformed_as_its_members_can(outputs):
    seeds, x = (0, 1), torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    together, alone = mlp(3, outputs, (4,), seed=seeds), [mlp(3, outputs, (4,), seed=s) for s in seeds]
    slope = torch.func.grad(lambda x: together(x).square().sum())(x)
    turned = torch.func.vmap(together)(torch.stack([x, -x]))
    for k, net in enumerate(alone):
        torch.testing.assert_close(slope[k], torch.func.grad(lambda x, net=net: net(x).square().sum())(x[k]))
        torch.testing.assert_close(turned[:, k], torch.func.vmap(net)(torch.stack([x[k], -x[k]])))


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_a_stack_trains_in_bf16(outputs):
    net = mlp(3, outputs, (8,), seed=range(2))
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        answer = net(x).float()
    assert (answer - net(x)).abs().max() < 0.05
    answer.sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


def test_maxout_keeps_the_largest_of_its_pieces():
    x = torch.randn(4, 3, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Maxout(5)(x), torch.stack([x[..., :5].max(-1).values, x[..., 5:].max(-1).values], dim=-1))


def test_layers_come_in_the_order_asked_for():
    names = [type(layer).__name__ for layer in mlp(2, 1, (4, 4), activation="tanh", norm="batch", dropout=0.5)]
    assert names == ["Linear", "Tanh", "Dropout", "Linear", "BatchNorm", "Tanh", "Dropout", "Linear"]


@pytest.mark.parametrize("keywords", [
    {"inputs": 0}, {"outputs": 1.5}, {"hidden": (0,)}, {"activation": "gelu"}, {"norm": "layer"}, {"dropout": 1.0},
    {"init": "he"}, {"seed": -1}, {"seed": ()}, {"seed": None}, {"seed": 1.5}, {"seed": "1"}, {"gain": float("nan")},
    {"gain": -1.0}, {"init": "orthogonal", "gain": "1.4"},
], ids=str)  # fmt: skip
def test_bad_networks_are_refused(keywords):
    with pytest.raises(InputError):
        mlp(**{"inputs": 2, "outputs": 1, "hidden": (4, 4), **keywords})


def test_a_whole_number_of_numpy_is_one_seed():
    mine, theirs = (mlp(2, 1, (4,), seed=seed) for seed in (np.arange(5)[3], 3))
    assert all(map(torch.equal, mine.parameters(), theirs.parameters()))


def test_networks_of_different_shapes_cannot_be_stacked():
    with pytest.raises(InputError, match="one architecture"):
        stack([mlp(2, 1, (4,)), mlp(2, 1, (5,))])
