"""DCGAN: the paper's recipe layer by layer, published parameter counts, and a run on real digits."""

import math

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from ganlab.checks import InputError  # noqa: E402
from ganlab.neural.models._images import ImageBatchNorm  # noqa: E402
from ganlab.neural.models.dcgan import discriminator, filters, generator  # noqa: E402
from ganlab.neural.penalties import PENALTIES  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

torch.set_num_threads(1)
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def count(net):
    return sum(p.numel() for p in net.parameters())


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def sides(net, x):
    """Side of the map after every convolution."""
    seen = []
    for layer in net:
        x = layer(x)
        if isinstance(layer, CONVOLUTIONS):
            seen.append(x.shape[-1])
    return seen


@pytest.mark.parametrize(("resolution", "up"), [(16, [4, 8, 16]), (32, [4, 8, 16, 32]), (64, [4, 8, 16, 32, 64])])
def test_sides_double_and_halve(resolution, up):
    G, D = generator(resolution, 1, 5, width=2), discriminator(resolution, 1, width=2)
    assert sides(G, noise(2, 5)) == up
    assert sides(D, noise(2, 1, resolution, resolution)) == [*up[:-1][::-1], 1]
    n = 1
    for layer in (m for m in G if isinstance(m, nn.ConvTranspose2d)):  # the formula of the page
        (k, _), (s, _), (p, _) = layer.kernel_size, layer.stride, layer.padding
        n = (n - 1) * s - 2 * p + k
    assert n == resolution


def test_published_parameter_counts():
    # PyTorch's own DCGAN example (latent 100, 64 filters, 64 x 64 x 3) has 3,576,704 and 2,765,568 weights and no
    # biases; ours has one at the output of G (3 channels), at the input of D (64 filters) and at its score.
    assert count(generator(64, 3, 100, 64)) == 3_576_704 + 3
    assert count(discriminator(64, 3, 64)) == 2_765_568 + 64 + 1
    assert filters(64, 128)[::-1] == [1024, 512, 256, 128]  # figure 1


@pytest.mark.parametrize("norm", ["batch", None])
@pytest.mark.parametrize("law", ["doubling", "constant"])
@pytest.mark.parametrize("resolution", [8, 32])
def test_parameter_counts_in_closed_form(resolution, norm, law):
    w, n = 6, int(math.log2(resolution)) - 2  # n hidden layers
    F = [w * (2**k if law == "doubling" else 1) for k in range(n)]
    inside = 16 * sum(a * b for a, b in zip(F[1:], F[:-1], strict=True))
    per_filter = 1 if norm is None else 2  # a bias, or the two numbers of batch normalisation
    G = 16 * 7 * F[-1] + inside + 16 * F[0] * 3 + 3 + per_filter * sum(F)
    D = 16 * 3 * F[0] + F[0] + inside + per_filter * sum(F[1:]) + 16 * F[-1] + 1
    assert count(generator(resolution, 3, 7, w, norm, law)) == G
    assert count(discriminator(resolution, 3, w, norm, law)) == D


def test_the_recipe_of_the_paper():
    G, D = generator(64, 3, 100, 2), discriminator(64, 3, 2)
    allowed = {*CONVOLUTIONS, ImageBatchNorm, nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Unflatten}
    assert {type(m) for m in (*G, *D[:-1])} == allowed  # no pooling, no upsampling, nothing fully connected
    assert [type(m).__name__ for m in G] == (["Unflatten"] + ["ConvTranspose2d", "ImageBatchNorm", "ReLU"] * 4
                                             + ["ConvTranspose2d", "Tanh"])  # fmt: skip
    assert [type(m).__name__ for m in D] == (["Conv2d", "LeakyReLU"] + ["Conv2d", "ImageBatchNorm", "LeakyReLU"] * 3
                                             + ["Conv2d", "Scores"])  # fmt: skip
    assert {m.negative_slope for m in D if isinstance(m, nn.LeakyReLU)} == {0.2}
    # sides change by strides alone
    assert [m.stride[0] for m in D if isinstance(m, nn.Conv2d)] == [2, 2, 2, 2, 1]
    plain = generator(64, 3, 100, 2, norm=None), discriminator(64, 3, 2, norm=None)
    assert not any(isinstance(m, ImageBatchNorm) for net in plain for m in net)


@pytest.mark.parametrize("build", [generator, discriminator])
def test_weights_come_from_their_seed_alone(build):
    state = torch.random.get_rng_state()
    a, b, c = build(32, seed=1), build(32, seed=1), build(32, seed=2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    weights = torch.cat([m.weight.flatten() for m in a if isinstance(m, CONVOLUTIONS)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert weights.mean().item() == pytest.approx(0, abs=2e-4)
    assert not torch.equal(*(next(net.parameters()) for net in (a, c)))
    assert not any(m.bias.any() for m in a if isinstance(m, CONVOLUTIONS) and m.bias is not None)


def test_batch_norm_of_images_is_torchs_and_refuses_what_it_cannot_do():
    x = 3 + 2 * noise(4, 5, 3, 3)
    mine, theirs = ImageBatchNorm(5), nn.BatchNorm2d(5)
    for _ in range(2):
        torch.testing.assert_close(mine(x), theirs(x))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(mine, name), getattr(theirs, name))
    torch.testing.assert_close(mine.eval()(x), theirs.eval()(x))
    assert mine(x[:1]).shape == (1, 5, 3, 3)
    with pytest.raises(InputError, match="batch of 1"):
        mine.train()(x[:1])
    with pytest.raises(InputError, match=r"\(B, 5, H, W\)"):
        mine(x[:, :4])


def test_batch_norm_over_processes_sees_the_whole_batch(monkeypatch):
    from ganlab.neural.models import _images

    x = 3 + 2 * noise(4, 5, 3, 3)
    whole, halves = ImageBatchNorm(5), ImageBatchNorm(5)  # the one sees all, the other its share
    monkeypatch.setattr(_images, "world", lambda: 2)
    monkeypatch.setattr("ganlab.neural._normalisation.world", lambda: 2)
    # both processes hold the same rows: the average of equal things is the thing, and the count is doubled
    y = halves(x)
    monkeypatch.undo()
    doubled = torch.cat([x, x])
    torch.testing.assert_close(y, whole(doubled)[:4])
    torch.testing.assert_close(halves.running_var, whole.running_var)


def test_without_normalisation_a_sample_does_not_see_its_batch():
    G, D = generator(16, 1, 5, 4, norm=None), discriminator(16, 1, 4, norm=None)
    z, x = noise(6, 5), noise(6, 1, 16, 16)
    torch.testing.assert_close(G(z)[:2], G(z[:2]))
    torch.testing.assert_close(D(x)[:2], D(x[:2]))
    normed = generator(16, 1, 5, 4)
    assert not torch.allclose(normed(z)[:2], normed(z[:2]), atol=1e-3)
    torch.testing.assert_close(normed.eval()(z)[:2], normed(z[:2]))  # but not after training


@pytest.mark.parametrize("norm", ["batch", None])
def test_penalties_can_be_differentiated_through_all_of_d(norm):
    D = discriminator(8, 1, 2, norm=norm).double()
    for p in D.parameters():  # away from weights so small that every difference vanishes
        p.data = p.data + 0.3 * noise(*p.shape, seed=p.numel(), dtype=torch.float64)
    parameters = list(D.parameters())
    x = noise(3, 1, 8, 8, dtype=torch.float64)

    def penalty(*values):
        def critic(y):
            return torch.func.functional_call(D, dict(zip(names, values, strict=True)), (y,))

        return PENALTIES["r1"](critic, x)

    names = [name for name, _ in D.named_parameters()]
    assert torch.autograd.gradcheck(penalty, parameters)
    y = x.clone().requires_grad_()
    slopes = torch.autograd.grad(D(y).sum(), y, create_graph=True)[0].square().sum()
    torch.testing.assert_close(penalty(*parameters), slopes / 2 / 3)


def digits(side):
    from sklearn.datasets import load_digits

    images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
    return nn.functional.interpolate(images, size=(side, side), mode="nearest")


@pytest.mark.parametrize(("precision", "channels_last"), [("float32", False), ("bf16", True)])
def test_a_few_steps_on_digits(precision, channels_last):
    recipe = Recipe(steps=5, batch=16, latent=10, lr=2e-4, precision=precision, channels_last=channels_last)
    run = Run(generator(16, 1, 10, 8), discriminator(16, 1, 8, seed=1), digits(16), recipe, device="cpu")
    before = [p.detach().clone() for p in (*run.G.parameters(), *run.D.parameters())]
    records = [record.row() for record in train(run)]
    assert all(math.isfinite(value) for row in records for value in row.values())
    after = [*run.G.parameters(), *run.D.parameters()]
    assert not any(torch.equal(p, q) for p, q in zip(before, after, strict=True))
    pictures = run.sample(3)
    assert pictures.shape == (3, 1, 16, 16)
    assert abs(pictures).max() <= 1


@pytest.mark.parametrize(("keywords", "words"), [
    ({"resolution": 48}, "32 or 64"), ({"resolution": 4}, "8"), ({"resolution": "64"}, "power of two"),
    ({"resolution": 64.5}, "64 or 128"), ({"width": 0}, "width"), ({"norm": "layer"}, "norm"),
    ({"law": "halving"}, "law of filters"), ({"channels": 0}, "channels"), ({"seed": -1}, "seed"),
], ids=str)  # fmt: skip
def test_bad_networks_are_refused(keywords, words):
    for build in (generator, discriminator):
        with pytest.raises(InputError, match=words):
            build(**keywords)
    with pytest.raises(InputError, match="latent"):
        generator(latent=0)
