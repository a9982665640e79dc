"""Layers over the batch against loops in numpy, torch's own layers, one network at a time, and two processes."""

import copy
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.func import functional_call, stack_module_state  # noqa: E402

from ganlab import InputError  # noqa: E402
from ganlab.neural.draws import Draws  # noqa: E402
from ganlab.neural.minibatch import (  # noqa: E402
    BatchNorm,
    Dropout,
    MinibatchDiscrimination,
    MinibatchStdDev,
    VirtualBatchNorm,
    WithReference,
    give_rng,
    pack,
)

torch.set_num_threads(1)
REFERENCE = np.random.default_rng(9).normal(2, 3, (5, 3))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def jiggle(net, seed=0):
    """Move the parameters away from their start, where scales are 1 and shifts 0."""
    g = seeded(seed + 100)
    for p in net.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=g, dtype=p.dtype)
    return net


class Linear(nn.Module):
    """A linear layer whose parameters can be stacked."""

    def __init__(self, inputs, outputs, seed):
        super().__init__()
        self.weight = nn.Parameter(normal(inputs, outputs, seed=seed))
        self.bias = nn.Parameter(normal(1, outputs, seed=seed + 30))

    def forward(self, x):
        return x @ self.weight + self.bias


def virtual(seed=0, rows=6):
    """A network with two virtual normalisations, so that the reference must pass through the first."""
    vbn = [jiggle(VirtualBatchNorm(4).double(), seed + k) for k in range(2)]
    net = nn.Sequential(Linear(3, 4, seed), vbn[0], nn.Tanh(), Linear(4, 4, seed + 1), vbn[1], Linear(4, 1, seed + 2))
    return WithReference(net, normal(rows, 3, seed=seed + 50))


def discrimination(seed=0):
    return MinibatchDiscrimination(3, kernels=4, kernel_dim=2, generator=seeded(seed)).double()


def batch_norm(seed=0):
    return jiggle(BatchNorm(3, eps=0.01, momentum=0.3).double(), seed)


LAYERS = {
    "discrimination": discrimination,
    "stddev": lambda seed=0: MinibatchStdDev(),
    "stddev by 3": lambda seed=0: MinibatchStdDev(3),
    "virtual": virtual,
    "batch norm": batch_norm,
}
every = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


# What every layer promises


@every
def test_a_stack_gives_what_its_networks_give_one_by_one(make):
    nets, x = [make(seed) for seed in range(3)], normal(3, 6, 3)
    tensors = stack_module_state(copy.deepcopy(nets))
    together = functional_call(make(), tensors, x)
    for s, net in enumerate(nets):
        torch.testing.assert_close(together[s], net(x[s]), rtol=1e-12, atol=1e-14)
        for name, buffer in net.named_buffers():
            torch.testing.assert_close(tensors[1][name][s], buffer, rtol=1e-12, atol=1e-14)


@every
def test_the_gradients_of_a_stack_are_those_of_its_networks(make):
    nets, x = [make(seed) for seed in range(2)], normal(2, 6, 3).requires_grad_()
    y = functional_call(make(), stack_module_state(copy.deepcopy(nets)), x)
    (together,) = torch.autograd.grad(y.pow(3).sum(), x)
    for s, net in enumerate(nets):
        (alone,) = torch.autograd.grad(net(x[s]).pow(3).sum(), x)
        torch.testing.assert_close(together[s], alone[s], rtol=1e-11, atol=1e-12)


@every
def test_first_and_second_derivatives_are_those_of_finite_differences(make):
    net, x = make(), normal(6, 3).requires_grad_()
    names = [name for name, _ in net.named_parameters()]

    def f(x, *parameters):
        return functional_call(copy.deepcopy(net), dict(zip(names, parameters, strict=True)), x)

    inputs = (x, *(p.detach().clone().requires_grad_() for p in net.parameters()))
    assert torch.autograd.gradcheck(f, inputs)
    assert torch.autograd.gradgradcheck(f, inputs)


@every
def test_shuffled_samples_give_shuffled_answers(make):
    groups = make is LAYERS["stddev by 3"]  # whose members stay together
    order, x = torch.tensor([4, 5, 3, 2, 0, 1] if groups else [3, 5, 1, 0, 4, 2]), normal(6, 3)
    torch.testing.assert_close(make()(x[order]), make()(x)[order], rtol=1e-12, atol=1e-13)


@every
def test_a_saved_layer_answers_the_same_when_loaded(make):
    net, other, x = make(seed=0), make(seed=7), normal(6, 3)
    net(normal(6, 3, seed=3))  # moves running statistics
    other.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(x), other.eval()(x))


@every
def test_replaced_parameters_are_used(make):
    net, x = make(), normal(6, 3)
    for name, p in net.named_parameters():
        # Unevenly, for a common factor would vanish in a normalisation; and so do the shifts before one
        other = {name: p.detach() * torch.linspace(0.5, 2, p.numel(), dtype=p.dtype).reshape(p.shape) + 0.1}
        if name not in ("net.0.bias", "net.3.bias"):
            assert not torch.allclose(functional_call(net, other, x), net(x)), name


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_answer_has_the_precision_of_the_question(make, dtype):
    assert make().to(dtype)(normal(6, 3).to(dtype)).dtype == dtype


@pytest.mark.parametrize("layer", [MinibatchStdDev(), discrimination(), batch_norm(), virtual()])
@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4, 5, 6)])
def test_what_is_no_batch_is_refused(layer, shape):
    with pytest.raises(InputError):
        layer(torch.ones(*shape, dtype=torch.float64))


# Minibatch discrimination


def discrimination_by_loops(f, T, kernels, kernel_dim):
    M = (f @ T).reshape(len(f), kernels, kernel_dim)
    o = np.zeros((len(f), kernels))
    for i in range(len(f)):
        for j in range(len(f)):
            for k in range(kernels):
                o[i, k] += np.exp(-sum(abs(M[i, k, d] - M[j, k, d]) for d in range(kernel_dim)))
    return np.concatenate([f, o], 1)


def test_minibatch_discrimination_is_the_published_sum():
    """M-24."""
    layer, x = discrimination(), normal(6, 3)
    expected = discrimination_by_loops(x.numpy(), layer.T.detach().numpy(), 4, 2)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-13)


def test_minibatch_discrimination_by_hand():
    """M-24: two samples whose distances are 1 and 2 in the two kernels."""
    layer = MinibatchDiscrimination(1, kernels=2, kernel_dim=2).double()
    layer.T.data = torch.tensor([[0.5, -0.5, 2.0, 0.0]], dtype=torch.float64)
    y = layer(torch.tensor([[3.0], [4.0]], dtype=torch.float64)).detach().numpy()
    np.testing.assert_allclose(y, [[3, 1 + np.exp(-1), 1 + np.exp(-2)], [4, 1 + np.exp(-1), 1 + np.exp(-2)]])


def test_copies_are_as_close_as_can_be_and_strangers_as_far():
    layer = discrimination()
    assert layer(normal(1, 3).expand(7, 3))[:, 3:].detach().numpy() == pytest.approx(np.full((7, 4), 7.0))
    far = 1e6 * torch.arange(7, dtype=torch.float64)[:, None] * torch.ones(3, dtype=torch.float64)
    assert torch.equal(layer(far)[:, 3:], torch.ones(7, 4, dtype=torch.float64))


def test_the_gradient_at_copies_is_finite():
    x = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    for layer in (discrimination(), MinibatchStdDev(), MinibatchStdDev(2), batch_norm()):
        assert torch.autograd.grad(layer(x).square().sum(), x)[0].isfinite().all()


@pytest.mark.parametrize(("features", "kernel_dim"), [(32, 3), (64, 5), (256, 16)])
def test_features_of_unit_variance_start_at_distances_near_one(features, kernel_dim):
    layer = MinibatchDiscrimination(features, 50, kernel_dim, generator=seeded())
    M = (torch.randn(2000, features, generator=seeded(1)) @ layer.T).detach().unflatten(-1, (50, kernel_dim))
    distance = (M[::2] - M[1::2]).abs().sum(-1).mean()
    assert float(distance) == pytest.approx(2 / np.sqrt(np.pi), rel=0.1)  # E|N(0, 2)|


def test_the_start_is_drawn_from_the_generator_alone():
    before = torch.get_rng_state()
    a, b, c = (MinibatchDiscrimination(3, 4, 2, generator=seeded(s)).T for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(before, torch.get_rng_state())


def test_a_critic_sees_a_collapse_through_the_layer():
    spread = normal(16, 3)
    collapsed = spread[:1] + 1e-3 * spread
    layer = discrimination()
    assert layer(collapsed)[:, 3:].min() > layer(spread)[:, 3:].max()


@pytest.mark.parametrize("x", [torch.ones(4, 2), torch.ones(4, 3, 2, 2), torch.ones(2, 4, 2)])
@pytest.mark.parametrize("layer", [MinibatchDiscrimination(3, 2, 2), BatchNorm(3)])
def test_vectors_of_another_width_and_images_are_refused(layer, x):
    with pytest.raises(InputError, match=r"takes \(B, 3\)"):
        layer(x)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (3, 0, 1), (3, 1, 0), (3, 1.5, 1), (3, True, 1)])
def test_the_sizes_of_minibatch_discrimination_are_whole_numbers(sizes):
    with pytest.raises(InputError, match="whole number"):
        MinibatchDiscrimination(*sizes)


# Minibatch standard deviation


def stddev_by_numpy(x, group):
    x, answers = x.numpy(), []
    for start in range(0, len(x), group):
        sd = np.sqrt(x[start : start + group].var(0) + 1e-8).mean()
        answers += [np.concatenate([row, np.full((1, *row.shape[1:]), sd)]) for row in x[start : start + group]]
    return np.stack(answers)


@pytest.mark.parametrize("shape", [(6, 4), (6, 2, 3, 5), (12, 1, 1, 1), (2, 1)])
@pytest.mark.parametrize("group", [None, 2])
def test_minibatch_stddev_is_numpys(shape, group):
    x = normal(*shape)
    expected = stddev_by_numpy(x, group or len(x))
    np.testing.assert_allclose(MinibatchStdDev(group)(x).numpy(), expected, rtol=1e-13)


def test_a_stack_of_images_has_a_deviation_for_each_network():
    x = normal(2, 4, 3, 5, 6)
    for group in (None, 2):
        y = MinibatchStdDev(group)(x)
        assert y.shape == (2, 4, 4, 5, 6)
        for s in range(2):
            torch.testing.assert_close(y[s], MinibatchStdDev(group)(x[s]))


@pytest.mark.parametrize("shape", [(1, 3), (1, 2, 4, 4), (2, 1, 3)])
def test_a_single_sample_deviates_by_the_floor_and_says_so_once(shape):
    """Fault 14."""
    layer, x = MinibatchStdDev(), torch.ones(shape, dtype=torch.float64)
    with pytest.warns(UserWarning, match="single sample"):
        y = layer(x)
    axis = 1 if x.ndim == 4 else -1
    torch.testing.assert_close(y, torch.cat([x, 1e-4 * torch.ones_like(x.narrow(axis, 0, 1))], axis))
    layer(x)  # a second warning would be an error here


def test_a_batch_of_copies_deviates_by_the_floor():
    y = MinibatchStdDev()(torch.full((5, 3), 2.0))
    torch.testing.assert_close(y[:, -1], torch.full((5,), 1e-4))


@pytest.mark.parametrize(("n", "group", "size"), [(6, 4, 2), (10, 4, 2), (9, 6, 3), (3, 4, 3), (2, 8, 2)])
def test_a_group_that_does_not_divide_shrinks_to_the_common_divisor_and_says_so_once(n, group, size):
    """Fault 15; a batch smaller than the group is one group, as in the authors' code."""
    layer, x = MinibatchStdDev(group), normal(n, 2)
    with pytest.warns(UserWarning, match=f"batch of {n} .* groups of {group}: .* uses {size}$"):
        y = layer(x)
    np.testing.assert_allclose(y.numpy(), stddev_by_numpy(x, size), rtol=1e-13)
    layer(x)
    layer(normal(group, 2))
    with pytest.raises(InputError, match=f"group={group} does not divide the batch of {n}"):
        MinibatchStdDev(group, strict=True)(x)


def test_a_group_without_common_divisor_leaves_single_samples_and_says_so():
    """Fault 15 ends in fault 14."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        layer = MinibatchStdDev(4)
        layer(normal(7, 2))
        y = layer(normal(7, 2))
    assert [("uses 1" in str(w.message), "single sample" in str(w.message)) for w in told] == [
        (True, False),
        (False, True),
    ]
    torch.testing.assert_close(y[:, -1], torch.full((7,), 1e-4, dtype=torch.float64))


def test_strict_accepts_a_group_that_divides():
    assert MinibatchStdDev(3, strict=True)(normal(6, 2)).shape == (6, 3)


@pytest.mark.parametrize("group", [0, 1, -2, 2.0, True, "2"])
def test_a_group_has_at_least_two_samples(group):
    with pytest.raises(InputError, match="group must be a whole number of at least 2"):
        MinibatchStdDev(group)


# Normalisation


@pytest.mark.parametrize("make", [virtual, batch_norm])
def test_virtual_normalisation_ignores_the_neighbours_and_batch_normalisation_does_not(make):
    """P-05."""
    net, x, others = make(), normal(1, 3), [5 * normal(n, 3, seed=s) for s, n in enumerate((2, 2, 9))]
    answers = [net(torch.cat([x, other]))[0] for other in others]
    alike = [torch.allclose(answers[0], other, rtol=1e-12, atol=1e-13) for other in answers[1:]]
    assert alike == [make is virtual] * 2


def test_virtual_normalisation_has_no_gradient_to_the_neighbours():
    """P-05."""
    x = normal(4, 3).requires_grad_()
    slope = torch.autograd.grad(virtual()(x)[1].sum(), x)[0]
    assert slope[1].abs().min() > 0
    assert slope[[0, 2, 3]].abs().max() == 0


def vbn_by_union(x, reference, weight, bias, eps):
    """Each sample normalised by mean and variance of the union of the reference and itself, over batch and pixels."""
    answers = []
    for row in x:
        union = np.concatenate([reference, row[None]])
        axes = (0, *range(2, x.ndim))
        shape = (-1, *[1] * (x.ndim - 2))
        mean, var = union.mean(axes).reshape(shape), union.var(axes).reshape(shape)
        answers.append((row - mean) / np.sqrt(var + eps) * weight.reshape(shape) + bias.reshape(shape))
    return np.stack(answers)


@pytest.mark.parametrize("pixels", [(), (2, 5)])
def test_virtual_normalisation_uses_the_reference_and_the_sample(pixels):
    layer = jiggle(VirtualBatchNorm(3, eps=0.02).double())
    reference, x = 2 + 3 * normal(5, 3, *pixels), normal(4, 3, *pixels, seed=1)
    expected = vbn_by_union(x.numpy(), reference.numpy(), layer.weight.detach().numpy(), layer.bias.detach().numpy(),
                            0.02)  # fmt: skip
    np.testing.assert_allclose(WithReference(layer, reference)(x).detach().numpy(), expected, rtol=1e-12)


def test_the_reference_itself_is_normalised_by_its_own_statistics():
    layer, plain = VirtualBatchNorm(3, eps=0.2).double(), nn.BatchNorm1d(3, eps=0.2).double()
    layer.rows = 5
    rows = torch.from_numpy(REFERENCE)
    torch.testing.assert_close(layer(torch.cat([rows, normal(2, 3)]))[:5], plain(rows))


def test_a_large_offset_does_not_cancel():
    x = normal(4, 1, seed=1)
    for shift in (0.0, 1e4):
        net = WithReference(VirtualBatchNorm(1), (normal(64, 1) + shift).float())
        y = net((x + shift).float())
        torch.testing.assert_close(y.double(), WithReference(VirtualBatchNorm(1).double(), normal(64, 1))(x),
                                   rtol=2e-3, atol=2e-3)  # fmt: skip


def test_a_generator_of_images_is_normalised_too():
    z = normal(3, 4)
    net = nn.Sequential(nn.Linear(4, 2 * 9), nn.Unflatten(1, (2, 3, 3)), VirtualBatchNorm(2), nn.Tanh()).double()
    G = WithReference(net, normal(7, 4, seed=2))
    images = G(z)
    assert images.shape == (3, 2, 3, 3)
    torch.testing.assert_close(G(z[1:2]), images[1:2])


def test_scores_without_an_axis_of_features_lose_the_reference_rows_too():
    net = nn.Sequential(VirtualBatchNorm(3), nn.Linear(3, 1), nn.Flatten(0)).double()
    assert WithReference(net, normal(5, 3))(normal(4, 3)).shape == (4,)


def test_the_reference_is_a_buffer_and_nothing_else_is_kept():
    batch = normal(6, 3)
    net = WithReference(VirtualBatchNorm(3).double(), batch)
    x, before = normal(4, 3, seed=1), {k: v.clone() for k, v in net.state_dict().items()}
    y = net(x)
    batch.zero_()
    net(normal(9, 3, seed=2))
    assert torch.equal(net(x), y)
    assert {k: torch.equal(v, before[k]) for k, v in net.state_dict().items()} == dict.fromkeys(before, True)
    assert set(before) == {"reference", "net.weight", "net.bias"}
    assert net.float().reference.dtype == torch.float32


def test_one_reference_serves_a_stack():
    net, x = virtual(), normal(2, 4, 3)
    y = net(x)
    assert y.shape == (2, 4, 1)
    torch.testing.assert_close(y[1], net(x[1]), rtol=1e-12, atol=1e-13)


def test_other_batch_layers_go_after_the_reference_rows_are_dropped():
    for layer in (MinibatchStdDev(), discrimination(), BatchNorm(3), nn.BatchNorm1d(3)):
        with pytest.raises(InputError, match=f"{type(layer).__name__} would see the reference"):
            WithReference(nn.Sequential(VirtualBatchNorm(3), layer), torch.ones(4, 3))
    outer = nn.Sequential(WithReference(VirtualBatchNorm(3), torch.randn(4, 3, generator=seeded())), MinibatchStdDev())
    assert outer(torch.randn(5, 3, generator=seeded())).shape == (5, 4)


def test_a_virtual_normalisation_belongs_to_one_reference():
    layer = VirtualBatchNorm(3)
    with pytest.raises(InputError, match="WithReference"):
        layer(torch.ones(4, 3))
    WithReference(layer, torch.ones(4, 3))
    with pytest.raises(InputError, match="already belongs"):
        WithReference(layer, torch.ones(4, 3))
    with pytest.raises(InputError, match="must have a VirtualBatchNorm"):
        WithReference(nn.Linear(3, 1), torch.ones(4, 3))


@pytest.mark.parametrize("shape", [(4, 2), (4, 3, 3, 3), (2, 4, 2)])
def test_a_batch_unlike_the_reference_is_refused(shape):
    with pytest.raises(InputError, match="the reference"):
        WithReference(VirtualBatchNorm(3), torch.ones(4, 3))(torch.ones(shape))
    with pytest.raises(InputError, match=r"VirtualBatchNorm\(3\) got"):
        WithReference(nn.Sequential(VirtualBatchNorm(3)), torch.ones(4, 5))(torch.ones(4, 5))


def test_a_stack_of_references_needs_a_stack_of_batches():
    net = WithReference(VirtualBatchNorm(3), torch.randn(2, 4, 3, generator=seeded()))
    assert net(torch.ones(2, 5, 3)).shape == (2, 5, 3)
    with pytest.raises(InputError, match="the reference"):
        net(torch.ones(5, 3))


def test_a_reference_of_one_sample_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        WithReference(VirtualBatchNorm(3), torch.ones(1, 3))


def test_batch_normalisation_is_torchs():
    ours, theirs = batch_norm(), nn.BatchNorm1d(3, eps=0.01, momentum=0.3).double()
    theirs.load_state_dict(ours.state_dict())
    for seed in range(4):
        x = 3 + normal(6, 3, seed=seed)
        torch.testing.assert_close(ours(x), theirs(x))
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours.num_batches_tracked == 4


def test_evaluation_of_a_stack_uses_each_networks_running_statistics():
    nets, x = [batch_norm(seed) for seed in range(3)], normal(3, 1, 3)
    for s, net in enumerate(nets):
        net(s + normal(6, 3, seed=s))
        net.eval()
    base = batch_norm().eval()
    y = functional_call(base, stack_module_state(nets), x)  # one sample is enough here
    for s, net in enumerate(nets):
        torch.testing.assert_close(y[s], net(x[s]), rtol=1e-12, atol=1e-14)


def test_copies_are_normalised_to_the_shift():
    torch.testing.assert_close(batch_norm()(torch.ones(5, 3, dtype=torch.float64)),
                               batch_norm().bias.detach().expand(5, 3), rtol=1e-12, atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 3), (2, 1, 3)])
def test_batch_normalisation_does_not_train_on_one_sample(shape):
    """Fault 14: torch says "more than 1 value per channel", and for a stack would have said nothing."""
    nets = stack_module_state([batch_norm(s) for s in range(2)]) if len(shape) == 3 else ({}, {})
    with pytest.raises(InputError, match="cannot train on a batch of 1"):
        functional_call(batch_norm(), nets, torch.ones(shape, dtype=torch.float64))


def test_a_stack_of_batches_needs_a_stack_of_statistics():
    with pytest.raises(InputError, match="leading axis"):
        batch_norm()(normal(2, 6, 3))


def test_two_forwards_before_one_backward_are_no_trouble():
    net = batch_norm()
    (net(normal(6, 3)).pow(3).sum() + net(normal(6, 3, seed=1)).pow(3).sum()).backward()
    assert net.weight.grad.isfinite().all()


def test_positional_constants_are_an_error():
    """Defect B6: ``BatchNorm(128, 0.8)`` would set eps."""
    for layer in (BatchNorm, VirtualBatchNorm):
        with pytest.raises(TypeError, match="positional"):
            layer(128, 0.8)
    assert (BatchNorm(128, momentum=0.8).eps, BatchNorm(128, momentum=0.8).momentum) == (1e-5, 0.8)


@pytest.mark.parametrize("wrong", [{"eps": 0}, {"eps": -1}, {"eps": float("nan")}, {"momentum": 1.5},
                                   {"momentum": None}])  # fmt: skip
def test_constants_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        BatchNorm(3, **wrong)
    if "eps" in wrong:
        with pytest.raises(InputError, match="eps"):
            VirtualBatchNorm(3, **wrong)


@pytest.mark.parametrize("layer", [BatchNorm, VirtualBatchNorm])
def test_the_layers_take_a_generator_and_a_whole_number_of_features(layer):
    assert torch.equal(layer(3, generator=seeded()).weight, torch.ones(3))
    with pytest.raises(InputError, match="features"):
        layer(2.5)


# Dropout


def dropout(p=0.4, seed=0, step=0):
    layer = Dropout(p)
    give_rng(layer, Draws(seed).at(step))
    return layer


def test_dropout_zeroes_the_share_and_keeps_the_mean():
    y = dropout(0.4)(torch.ones(400, 500, dtype=torch.float64))
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert (y == 0).double().mean().item() == pytest.approx(0.4, abs=5 * np.sqrt(0.24 / 2e5))


def test_masks_are_new_at_every_call_and_the_same_at_the_same_seed_and_step():
    x = torch.ones(8, 16)
    layer = dropout(seed=3, step=5)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    layer.rng.at(5)
    assert torch.equal(layer(x), first)
    assert torch.equal(layer(x), second)
    assert not torch.equal(dropout(seed=3, step=6)(x), first)
    assert not torch.equal(dropout(seed=4, step=5)(x), first)


def test_dropout_does_not_touch_the_global_generator():
    before = torch.get_rng_state()
    dropout()(torch.ones(3, 2))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(4, 5), (4, 2, 3, 3)])
def test_masks_of_a_stack_are_those_of_each_seed(shape):
    together = dropout(seed=[3, 8])(torch.ones(2, *shape))
    for s, seed in enumerate([3, 8]):
        assert torch.equal(together[s], dropout(seed=seed)(torch.ones(shape)))


@pytest.mark.parametrize(("seed", "shape"), [([0, 1], (2, 4)), ([0, 1], (3, 2, 4)), (0, (2, 3, 4)), ([0], (2, 3, 4))])
def test_a_stack_and_its_seeds_must_agree(seed, shape):
    with pytest.raises(InputError, match="does not fit rng"):
        dropout(seed=seed)(torch.ones(shape))


def test_dropout_without_random_numbers_does_not_train_but_evaluates():
    layer, x = Dropout(0.5), normal(3, 2)
    with pytest.raises(InputError, match="give_rng"):
        layer(x)
    assert layer.eval()(x) is x
    assert torch.equal(dropout().eval()(x), x)


def test_dropping_nothing_changes_nothing():
    x = normal(3, 2)
    assert torch.equal(dropout(0)(x), x)


def test_dropout_passes_second_derivatives():
    x = normal(5, 3).requires_grad_()
    layer = dropout()

    def f(x):
        layer.rng.at(0)
        return layer(x**3)

    assert torch.autograd.gradcheck(f, (x,))
    assert torch.autograd.gradgradcheck(f, (x,))


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan"), None, "half"])
def test_a_share_to_drop_lies_below_one(p):
    with pytest.raises(InputError, match="p must"):
        Dropout(p)


def test_random_numbers_are_given_to_every_layer_that_draws():
    net = nn.Sequential(Dropout(0.1), nn.Sequential(nn.Linear(2, 2), Dropout(0.2)))
    rng = Draws(seed=1)
    give_rng(net, rng)
    assert net[0].rng is rng
    assert net[1][1].rng is rng
    assert not hasattr(net[1][0], "rng")
    give_rng(net, None)
    assert net[0].rng is None
    for wrong in (0, torch.Generator(), np.random.default_rng(0)):
        with pytest.raises(InputError, match="Draws"):
            give_rng(net, wrong)


# Packing


@pytest.mark.parametrize("m", [1, 2, 3, 6])
@pytest.mark.parametrize("features", [(4,), (3, 2, 5)])
def test_packing_puts_consecutive_samples_side_by_side(m, features):
    x = normal(6, *features)
    packed = pack(x, m)
    expected = np.stack([np.concatenate(list(x.numpy()[i : i + m])) for i in range(0, 6, m)])
    np.testing.assert_array_equal(packed.numpy(), expected)
    assert torch.equal(packed.reshape(x.shape), x)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_packing_can_be_undone(m, packs, features, stack):
    x = normal(stack, m * packs, features)
    y = pack(x, m)
    assert y.shape == (stack, packs, m * features)
    assert torch.equal(y.reshape(x.shape), x)
    assert all(torch.equal(y[s], pack(x[s], m)) for s in range(stack))


def test_stacks_of_images_are_packed_one_by_one():
    x = normal(2, 4, 3, 5, 5)
    assert torch.equal(pack(x, 2)[1], pack(x[1], 2))


def test_packing_has_the_gradient_of_a_rearrangement():
    x = normal(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pack(x, 2) ** 2, (x,))


@pytest.mark.parametrize(("n", "m", "advice"), [(10, 4, "8 or 12"), (3, 4, "4"), (7, 2, "6 or 8")])
def test_a_batch_that_cannot_be_packed_is_refused_with_the_nearest_that_can(n, m, advice):
    """Fault 15."""
    with pytest.raises(InputError, match=f"batch of {n} cannot be packed by {m}: take a batch of {advice}$"):
        pack(torch.ones(n, 2), m)


@pytest.mark.parametrize("m", [0, -1, 2.0, True, None])
def test_the_degree_of_packing_is_a_whole_number(m):
    with pytest.raises(InputError, match="m must be a whole number"):
        pack(torch.ones(4, 2), m)


# Many processes

SCRIPT = """
import sys
import torch
from torch import nn
from ganlab.neural.draws import Draws
from ganlab.neural.minibatch import *
from ganlab.neural.parallel import average
torch.set_num_threads(1)
rank, world, file, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if world > 1:
    torch.distributed.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=world)
results = []
for width, layers in [(3, [BatchNorm(3)]), (3, [MinibatchStdDev()]), (3, [MinibatchStdDev(2)]), (3, [Dropout(0.4)]),
                      (3, [MinibatchDiscrimination(3, 2, 2, generator=torch.Generator().manual_seed(1))]),
                      (6, [nn.Identity()])]:
    torch.manual_seed(0)  # for the linear layers
    D = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), *layers).double()
    head = nn.LazyLinear(1).double()
    x = torch.randn(8, 3, dtype=torch.float64).chunk(world)[rank].requires_grad_()
    give_rng(D, Draws(0, rank=rank, world=world))
    scores = head((pack if width == 6 else lambda h, m: h)(D(x), 2))
    slope = torch.autograd.grad(scores.sum(), x, create_graph=True)[0]
    loss = (scores ** 2).mean() + slope.square().sum(-1).mean()
    parameters = [*D.parameters(), *head.parameters()]
    loss.backward()
    results.append(([average(p.grad) for p in parameters], dict(D.named_buffers())))
torch.save(results, out)
"""


def test_two_processes_with_half_batches_give_the_gradients_of_one(tmp_path, monkeypatch):
    """Through the loss and the square of a slope, which is differentiated twice; running statistics too."""
    arguments = [[str(rank), "2", str(tmp_path / "meet"), str(tmp_path / f"{rank}.pt")] for rank in (0, 1)]
    processes = [subprocess.Popen([sys.executable, "-c", SCRIPT, *a]) for a in arguments]
    monkeypatch.setattr(sys, "argv", ["", "0", "1", "", str(tmp_path / "one.pt")])
    exec(SCRIPT, {})
    assert [p.wait(timeout=100) for p in processes] == [0, 0]
    one, *halves = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", 0, 1))
    for half in halves:
        for (grads, buffers), (expected, statistics) in zip(half, one, strict=True):
            assert max(g.abs().max() for g in expected) > 1e-3
            torch.testing.assert_close(grads, expected, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(buffers, statistics, rtol=1e-12, atol=1e-14)
