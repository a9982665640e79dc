"""The weights of a player in one tensor: the same numbers as one by one, in the same memory."""

import pytest
import torch
from torch import nn

from ganlab.checks import InputError
from ganlab.data import ring
from ganlab.neural._weights import Weights
from ganlab.neural.models.mlp import StackedLinear, mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train


def images():
    """A network whose weights lie in memory with the channels last."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 1)).to(memory_format=torch.channels_last)
    return net, torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))


NETWORKS = {
    "plain": lambda: (mlp(2, 1, (5, 4), seed=1), torch.ones(3, 2)),
    "few inputs": lambda: (mlp(2, 1, (20, 4), seed=1), torch.ones(3, 2)),
    "stack": lambda: (mlp(2, 1, (5, 4), seed=range(3)), torch.ones(3, 6, 2)),
    "channels last": images,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_as_before_and_follows_its_weights(name):
    net, x = NETWORKS[name]()
    before, strides = net(x).detach(), [p.stride() for p in net.parameters() if p.ndim == 4]
    weights = Weights(net, stacked=name == "stack")
    assert weights.shape[-1] * (3 if name == "stack" else 1) == sum(p.numel() for p in net.parameters())
    assert torch.equal(net(x), before)
    assert [p.stride() for p in net.parameters() if p.ndim == 4] == strides
    with torch.no_grad():
        weights.zero_()
    assert all((p == 0).all() for p in net.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_along_the_slope_moves_every_weight_along_its_own_gradient(name):
    net, x = NETWORKS[name]()
    weights = Weights(net, stacked=name == "stack")
    gains = net(x).sin().sum((-2, -1)) if name == "stack" else net(x).sin().sum()
    slope = weights.slope(gains)
    alone = torch.autograd.grad(net(x).sin().sum(), list(net.parameters()))
    before = [p.clone() for p in net.parameters()]
    with torch.no_grad():
        weights += 0.5 * slope
    for p, old, g in zip(net.parameters(), before, alone, strict=True):
        torch.testing.assert_close(p.detach(), old + 0.5 * g, rtol=1e-6, atol=1e-7)


def test_every_network_of_a_stack_has_its_own_row():
    net, x = NETWORKS["stack"]()
    weights = Weights(net, stacked=True)
    gains = net(x).sum((-2, -1)) * torch.tensor([1.0, 0.0, 0.0])
    assert [bool(row.any()) for row in weights.slope(gains)] == [True, False, False]
    assert isinstance(net[0], StackedLinear)


def test_a_weight_that_the_gain_does_not_know_has_slope_0_and_a_frozen_one_has_none():
    net = nn.ParameterList([torch.ones(2), torch.ones(3), torch.ones(())])
    assert Weights(net, stacked=False).slope(net[0].sum() + 2 * net[2]).tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 2.0]
    net[1].requires_grad_(False)
    assert len(Weights(net, stacked=False)) == 3


@pytest.mark.parametrize("parts", [[], [torch.ones(1), torch.ones(1, dtype=torch.float64)]])
def test_nothing_to_train_and_two_precisions_are_refused(parts):
    with pytest.raises(InputError, match="weights of a network must be there, and of one dtype, got"):
        Weights(nn.ParameterList(parts), stacked=False)


MOVES = {
    "another dtype": lambda run: run.G.double(),
    "other parameters": lambda run: run.D.load_state_dict(run.D.state_dict(), assign=True),
    "another run": lambda run: Run(run.G, run.D, ring(), run.recipe, device="cpu", points=99),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_run_whose_networks_went_elsewhere_says_so_instead_of_training_without_effect(name):
    run = Run(mlp(2, 2, (8,)), mlp(2, 1, (8,)), ring(), Recipe(steps=5, batch=8), device="cpu", points=99)
    steps = train(run)
    next(steps)
    MOVES[name](run)
    with pytest.raises((InputError, RuntimeError), match=r"make a new Run|same dtype|dtype"):
        list(steps)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_weights_keep_their_layout_even_with_one_channel(channels, layout):
    """A first layer that loses it makes every later one copy, and bfloat16 pays for it with a third of its speed."""
    D = nn.Sequential(nn.Conv2d(channels, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4)).to(memory_format=layout)
    before, x = [p.stride() for p in D.parameters()], torch.zeros(2, channels, 8, 8)
    maps = D[0](x).stride()
    Weights(D, stacked=False)
    assert [p.stride() for p in D.parameters()] == before
    assert D[0](x).stride() == maps


@pytest.mark.parametrize(("inputs", "outputs", "turned"), [(2, 16, True), (15, 16, True), (16, 16, False),
                                                           (2, 15, False), (1, 128, False)])  # fmt: skip
def test_a_matrix_of_few_inputs_lies_the_other_way_round(inputs, outputs, turned):
    """So that its gradients are products of few rows, which a CPU makes five times as fast as those of few columns."""
    layer = nn.Linear(inputs, outputs)
    state, x = {k: v.clone() for k, v in layer.state_dict().items()}, torch.randn(7, inputs, requires_grad=True)
    answer = layer(x).detach()
    weights = Weights(layer, stacked=False)
    assert layer.weight.stride() == ((1, outputs) if turned or inputs == 1 else (inputs, 1))
    assert all(torch.equal(layer.state_dict()[k], v) for k, v in state.items())
    torch.testing.assert_close(layer(x), answer)
    assert torch.autograd.grad(layer(x).sum(), layer.weight)[0].stride() == layer.weight.stride()
    assert torch.equal(weights[: inputs * outputs].view(inputs, outputs), layer.weight.mT) or not turned
