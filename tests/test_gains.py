"""Losses by value and by gradient: every objective, plain and relativistic, in torch against closed forms and numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

torch = pytest.importorskip("torch")

from ganlab.checks import InputError  # noqa: E402
from ganlab.objectives import OBJECTIVES, get  # noqa: E402
from ganlab.relativistic import RELATIVISTIC, Relativistic, find  # noqa: E402

EVERY = {**OBJECTIVES, **RELATIVISTIC}
NAMES = sorted(EVERY)
SMOOTH = [name for name in NAMES if "hinge" not in name]


def batches(n=6, seed=0, size=1.5):
    generator = torch.Generator().manual_seed(seed)
    return [size * torch.randn(n, generator=generator, dtype=torch.float64) for _ in range(2)]


def gains(objective, real, fake):
    return objective.d_gain(real, fake), objective.g_gain(real, fake)


# What the papers print, written out with logarithms: data scores r, fake scores f.
PRINTED = {
    "saturating": lambda r, f: (np.log(expit(r)).mean() + np.log(1 - expit(f)).mean(), -np.log(1 - expit(f)).mean()),
    "nonsaturating": lambda r, f: (np.log(expit(r)).mean() + np.log(1 - expit(f)).mean(), np.log(expit(f)).mean()),
    "wasserstein": lambda r, f: (r.mean() - f.mean(), f.mean()),
    "least_squares": lambda r, f: (-((r - 1) ** 2).mean() / 2 - (f**2).mean() / 2, -((f - 1) ** 2).mean() / 2),
    "hinge": lambda r, f: (np.minimum(0, r - 1).mean() + np.minimum(0, -1 - f).mean(), f.mean()),
    "maximum_likelihood": lambda r, f: (
        np.log(expit(r)).mean() + np.log(1 - expit(f)).mean(), (expit(f) / (1 - expit(f))).mean()),
    "rpgan": lambda r, f: (np.log(expit(r - f)).mean(), np.log(expit(f - r)).mean()),
    "ragan": lambda r, f: (
        np.log(expit(r - f.mean())).mean() + np.log(1 - expit(f - r.mean())).mean(),
        np.log(expit(f - r.mean())).mean() + np.log(1 - expit(r - f.mean())).mean()),
    "ralsgan": lambda r, f: (
        -((r - f.mean() - 1) ** 2).mean() - ((f - r.mean() + 1) ** 2).mean(),
        -((f - r.mean() - 1) ** 2).mean() - ((r - f.mean() + 1) ** 2).mean()),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PRINTED))
@given(seed=st.integers(0, 99))
def test_gains_are_the_papers_formulas(name, seed):
    real, fake = batches(seed=seed)
    ours = [g.item() for g in gains(EVERY[name], real, fake)]
    assert ours == pytest.approx(PRINTED[name](real.numpy(), fake.numpy()), rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_arrays_and_tensors_give_one_value(name):
    real, fake = batches()
    tensors = [g.item() for g in gains(EVERY[name], real, fake)]
    assert tensors == pytest.approx([float(g) for g in gains(EVERY[name], real.numpy(), fake.numpy())], rel=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
def test_first_and_second_derivatives_are_right(name):
    real, fake = (x.requires_grad_() for x in batches(4))
    for gain in (EVERY[name].d_gain, EVERY[name].g_gain):
        assert torch.autograd.gradcheck(gain, (real, fake))
        assert torch.autograd.gradgradcheck(gain, (real, fake))


@pytest.mark.parametrize("name", NAMES)
def test_who_compares_gets_gradient_through_the_data_and_nobody_else(name):
    real, fake = (x.requires_grad_() for x in batches())
    objective = EVERY[name]
    grads = torch.autograd.grad(objective.g_gain(real, fake), (real, fake), allow_unused=True, materialize_grads=True)
    assert grads[1].abs().sum() > 0
    assert bool(grads[0].abs().sum() > 0) == objective.compares
    both = torch.autograd.grad(objective.d_gain(real, fake), (real, fake))
    assert all(g.abs().sum() > 0 for g in both)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("copies", [2, 5])
def test_gains_do_not_depend_on_the_batch_size(name, copies):
    real, fake = batches()
    once, often = gains(EVERY[name], real, fake), gains(EVERY[name], real.repeat(copies), fake.repeat(copies))
    assert [g.item() for g in often] == pytest.approx([g.item() for g in once], rel=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "maximum_likelihood"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [50.0, 1e3, 1e5])
def test_extreme_scores_give_finite_gains_and_derivatives(name, dtype, size):
    real = torch.tensor([size, -size, size], dtype=dtype, requires_grad=True)
    fake = torch.tensor([-size, size, size / 2], dtype=dtype, requires_grad=True)
    for gain in gains(EVERY[name], real, fake):
        grads = torch.autograd.grad(gain, (real, fake), create_graph=True, allow_unused=True, materialize_grads=True)
        second = torch.autograd.grad(sum(g.sum() for g in grads), (real, fake), allow_unused=True,
                                     materialize_grads=True) if any(g.requires_grad for g in grads) else ()  # fmt: skip
        assert all(x.isfinite().all() for x in (gain, *grads, *second))


def test_maximum_likelihood_overflows_only_where_its_definition_does():
    scores = torch.tensor([700.0, 710.0], dtype=torch.float64)
    assert torch.equal(OBJECTIVES["maximum_likelihood"].f3(scores).isinf(), torch.tensor([False, True]))


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_has_one_gain_a_network(name):
    real, fake = (torch.stack([x, 2 * x, -x]) for x in batches())
    alone = zip(*(gains(EVERY[name], r, f) for r, f in zip(real, fake, strict=True)), strict=True)
    for together, one_by_one in zip(gains(EVERY[name], real, fake), alone, strict=True):
        assert together.shape == (3,)
        torch.testing.assert_close(together, torch.stack(one_by_one))


@pytest.mark.parametrize("name", sorted(RELATIVISTIC))
def test_relativistic_gains_ignore_a_shift_of_all_scores(name):
    # a critic's last bias moves every score alike, and these objectives see differences only
    real, fake = batches()
    before, after = (torch.stack(gains(EVERY[name], real + c, fake + c)) for c in (0.0, 17.0))
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize("name", sorted(RELATIVISTIC))
def test_relativistic_players_exchange_their_roles(name):
    real, fake = batches()
    assert torch.equal(EVERY[name].g_gain(real, fake), EVERY[name].d_gain(fake, real))


@pytest.mark.parametrize(
    ("name", "value"), [("rpgan", -np.log(2)), ("ragan", -2 * np.log(2)), ("ralsgan", -2.0), ("rahinge", -2.0)]
)
def test_relativistic_gains_at_equal_scores(name, value):
    zeros = torch.zeros(5)
    assert [g.item() for g in gains(EVERY[name], zeros, zeros)] == pytest.approx([value] * 2)


def test_paired_batches_must_be_of_one_size():
    with pytest.raises(InputError, match="as many fakes"):
        RELATIVISTIC["rpgan"].d_gain(torch.zeros(3), torch.zeros(4))
    RELATIVISTIC["ragan"].d_gain(torch.zeros(3), torch.zeros(4))


def test_names_and_records_are_found():
    assert find("rpgan") is RELATIVISTIC["rpgan"]
    assert find(RELATIVISTIC["ragan"]) is RELATIVISTIC["ragan"]
    assert find(get("hinge")) is OBJECTIVES["hinge"]
    with pytest.raises(InputError, match="rpgan"):
        find("rp")
    with pytest.raises(InputError, match="f2"):
        Relativistic(f1=lambda t: t, averaged=True)
