"""The affine layer of a stack and the ReLU before it, against autograd's own operations."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from ganlab.neural.models import _affine  # noqa: E402
from ganlab.neural.models._affine import FEW, affine  # noqa: E402
from ganlab.neural.models.mlp import Stack, StackedLinear, mlp, stack  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

RELU = pytest.mark.parametrize("relu", [False, True])
OUTPUTS = pytest.mark.parametrize("outputs", [1, 2, FEW - 1, FEW])


def draw(outputs, dtype=torch.float64, grad=True):
    g = torch.Generator().manual_seed(outputs)
    shapes = (2, 3, 4), (2, 4, outputs), (2, 1, outputs)
    return [torch.randn(shape, generator=g, dtype=dtype).requires_grad_(grad) for shape in shapes]


def ours(x, weight, bias, relu):
    return affine(1 * x, weight, bias, relu)  # of a tensor that nobody else looks at


def plain(x, weight, bias, relu):
    return (x.relu() if relu else x) @ weight + bias


@OUTPUTS
@RELU
def test_values_and_derivatives_of_both_orders(outputs, relu):
    tensors = draw(outputs)
    torch.testing.assert_close(ours(*tensors, relu), plain(*tensors, relu))
    assert torch.autograd.gradcheck(lambda *t: ours(*t, relu), tensors)
    assert torch.autograd.gradgradcheck(lambda *t: ours(*t, relu), tensors)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, in forward mode
@OUTPUTS
@RELU
def test_transforms_and_other_precision_go_the_plain_way(outputs, relu):
    x, weight, bias = draw(outputs, grad=False)
    for transform in (
        lambda f: torch.func.grad(lambda x: f(x, weight, bias, relu).square().sum())(x),
        lambda f: torch.func.vmap(lambda x: f(x, weight, bias, relu))(torch.stack([x, -x])),
        lambda f: torch.func.hessian(lambda x: f(x, weight, bias, relu).square().sum())(x),
        lambda f: torch.func.jvp(lambda *t: f(*t, relu), (x, weight, bias), (x + 1, weight + 1, bias + 1))[1],
    ):
        torch.testing.assert_close(transform(ours), transform(plain))
    x, weight, bias = draw(outputs, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        answer = ours(x, weight, bias, relu)
    assert answer.dtype == torch.bfloat16
    slopes = torch.autograd.grad(answer.float().sum(), (x, weight, bias))
    for found, true in zip(
        slopes, torch.autograd.grad(plain(x, weight, bias, relu).sum(), (x, weight, bias)), strict=True
    ):
        torch.testing.assert_close(found, true, rtol=0.05, atol=0.05)


@RELU
def test_a_gradient_that_somebody_else_holds_is_left_alone(relu):
    """The layer masks its own gradient in place, never one that it was given."""
    x, weight, bias = draw(4)
    weight, bias = weight[:, :, :4], bias[:, :, :4]

    def answers(layer):
        before = 2 * x
        after = layer(before, weight, bias, relu)
        seen = before if layer is affine or not relu else before.relu()  # which the layer has changed in place
        return after, seen, after + seen, (after * seen).sum()

    def slopes(layer, *choice):
        total = sum((answers(layer)[k] * (k + 1)).sum() for k in choice)
        once = torch.autograd.grad(total, (x, weight), retain_graph=True, allow_unused=True)
        again = torch.autograd.grad(total, (x, weight), allow_unused=True)
        torch.testing.assert_close(once, again, rtol=0, atol=0)
        return once

    for choice in ((0,), (1,), (0, 1), (2,), (3,), (0, 1, 2, 3)):
        torch.testing.assert_close(slopes(affine, *choice), slopes(plain, *choice))
    given = torch.ones(2, 3, 4, dtype=torch.float64)
    before = 2 * x
    after = affine(before, weight, bias, relu)
    torch.autograd.grad(after, (x, weight), given, retain_graph=True)
    torch.autograd.grad(before, x, given)
    assert torch.equal(given, torch.ones_like(given))


def test_only_what_is_asked_for_is_made():
    x, weight, bias = draw(2)
    for wanted in ((x,), (weight,), (bias,), (x, bias)):
        for t in (x, weight, bias):
            t.requires_grad_(any(t is w for w in wanted))
        found = torch.autograd.grad(ours(x, weight, bias, True).square().sum(), wanted)
        true = torch.autograd.grad(plain(x, weight, bias, True).square().sum(), wanted)
        torch.testing.assert_close(found, true)


def test_what_does_not_fit_is_said_as_torch_says_it():
    x, weight, bias = draw(2, grad=False)
    with pytest.raises(RuntimeError, match="Expected size for first two dimensions of batch2 tensor"):
        affine(x, weight[:, :3], bias, True)


MEMBERS = {
    "relu in place": lambda s: mlp(2, 3, (5, 4), seed=s),
    "relu elsewhere": lambda s: nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3)),
    "relu at the end": lambda s: nn.Sequential(nn.Linear(2, 5), nn.ReLU(inplace=True)),
    "another one": lambda s: nn.Sequential(nn.Linear(2, 5), nn.LeakyReLU(0.2, inplace=True), nn.Linear(5, 3)),
    "first of all": lambda s: nn.Sequential(nn.Identity(), nn.ReLU(inplace=True), nn.Linear(2, 3)),
    "something between": lambda s: nn.Sequential(nn.Linear(2, 5), nn.ReLU(True), nn.Tanh(), nn.Linear(5, 3)),
}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("by", ["nothing", "weights", "input", "both"])
def test_a_stack_is_its_members(name, by):
    torch.manual_seed(0)
    nets = [MEMBERS[name](s) for s in range(3)]
    together, x = stack(nets), torch.randn(3, 7, 2, requires_grad=by in ("input", "both"))
    assert type(together) is type(together[:1]) is Stack
    for net in (together, *nets):
        net.requires_grad_(by in ("weights", "both"))
    answer, alone = together(1 * x), [net(1 * row) for net, row in zip(nets, x, strict=True)]
    torch.testing.assert_close(answer, torch.stack(alone))
    if x.requires_grad:
        mine, theirs = (
            torch.autograd.grad(t.square().sum(), x, retain_graph=True)[0] for t in (answer, torch.stack(alone))
        )
        torch.testing.assert_close(mine, theirs)
    if by in ("weights", "both"):
        answer.square().sum().backward()
        torch.stack(alone).square().sum().backward()
        for k, net in enumerate(nets):
            for mine, theirs in zip(together.parameters(), net.parameters(), strict=True):
                mine = mine.grad[k].T if theirs.ndim == 2 else mine.grad[k, 0]
                torch.testing.assert_close(mine, theirs.grad)


def test_penalties_make_no_gradients_that_nobody_asks_for(monkeypatch):
    """Where the input and the weights both have gradients, autograd's own operations know which are wanted."""
    made = []
    monkeypatch.setattr(_affine._Affine, "apply", lambda *args: made.append(1) or affine_of_torch(*args))
    D, x = mlp(2, 1, (4, 4), seed=range(2)), torch.randn(2, 5, 2)
    D(x)
    assert len(made) == 3
    D(x.requires_grad_())
    assert len(made) == 3
    D.requires_grad_(False)(x)
    assert len(made) == 6


def affine_of_torch(x, weight, bias, relu):
    return torch.baddbmm(bias, x.relu() if relu else x, weight), None


def test_a_relu_that_is_not_in_place_leaves_its_input():
    layer, x = StackedLinear(torch.ones(1, 2, 1), torch.ones(1, 1, 1)), -torch.ones(1, 3, 2)
    assert torch.equal(Stack(nn.ReLU(), layer)(x), torch.ones(1, 3, 1))
    assert torch.equal(x, -torch.ones(1, 3, 2))
    assert torch.equal(Stack(nn.ReLU(inplace=True), layer)(x), torch.ones(1, 3, 1))
    assert torch.equal(x, torch.zeros(1, 3, 2))


def test_the_twin_of_d_is_d():
    """G's gradient comes through a D that asks for none by its weights, and that is the same D at every step."""
    nets = [mlp(2, n, (8, 8), seed=range(2)) for n in (2, 1)]
    run = Run(*nets, torch.randn(64, 2), Recipe(steps=3, batch=8), seed=range(2), device="cpu")
    x = torch.randn(2, 5, 2)
    assert run.critic(x, x) is run.fixed_D is not run.D
    for _ in train(run):
        assert torch.equal(run.fixed_D(x), run.D(x))
        assert not run.fixed_D(x).requires_grad
        assert all(p.requires_grad for p in run.D.parameters())
    alone = Run(mlp(2, 2), mlp(2, 1), torch.randn(64, 2), Recipe(batch=8), device="cpu")
    assert alone.critic(x, x) is alone.D
