"""InfoGAN: laws of the codes, the bound against exact channels, who is moved by the information, and sizes."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import chi2, entropy, kstest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from ganlab.checks import InputError  # noqa: E402
from ganlab.neural import runs  # noqa: E402
from ganlab.neural.draws import Draws  # noqa: E402
from ganlab.neural.models.infogan import (  # noqa: E402
    CodedGenerator,
    Codes,
    Reader,
    discriminator,
    exact_bound,
    exact_information,
    generator,
    information,
    information_bound,
    information_bounds,
    information_seen,
    log_likelihoods,
    matching_error,
)
from ganlab.neural.penalties import PENALTIES  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

torch.set_num_threads(1)
ALL = Codes((3, 4), uniform=2, gaussian=1)


def count(net):
    return sum(p.numel() for p in net.parameters())


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# ---- codes


def test_codes_have_their_laws():
    n = 20_000
    c = ALL.sample(n, Draws(5)).double().numpy()
    assert c.shape == (n, ALL.width) == (n, 10)
    for one_hot in (c[:, :3], c[:, 3:7]):
        assert set(one_hot.ravel()) == {0, 1}
        assert (one_hot.sum(1) == 1).all()
        expected = n / one_hot.shape[1]
        statistic = ((one_hot.sum(0) - expected) ** 2 / expected).sum()
        assert statistic < chi2.ppf(0.999, one_hot.shape[1] - 1)
    for k in (7, 8):
        assert kstest(c[:, k], "uniform", args=(-1, 2)).pvalue > 1e-3
    assert kstest(c[:, 9], "norm").pvalue > 1e-3


def test_codes_are_independent():
    n = 20_000
    c = ALL.sample(n, Draws(6)).double().numpy()
    columns = [c[:, :3].argmax(1), c[:, 3:7].argmax(1), *(c[:, 7:] > 0).T]
    for i, a in enumerate(columns):
        for b in columns[:i]:
            table = np.zeros((a.max() + 1, b.max() + 1))
            np.add.at(table, (a.astype(int), b.astype(int)), 1 / n)
            # G = 2 n I is chi-squared under independence
            assert 2 * n * exact_information(table) < chi2.ppf(0.9999, (a.max()) * (b.max()))


def test_the_prior_entropies():
    discrete, flat, normal = ALL.entropies[:2], ALL.entropies[2:4], ALL.entropies[4]
    assert discrete == pytest.approx([entropy(np.full(k, 1 / k)) for k in (3, 4)])
    assert flat == pytest.approx([math.log(2)] * 2)
    from scipy.stats import norm, uniform

    assert normal == pytest.approx(norm.entropy())
    assert flat[0] == pytest.approx(uniform(-1, 2).entropy())
    assert ALL.entropy == pytest.approx(sum(ALL.entropies))


def test_the_far_tail_of_the_noise_is_still_a_code():
    c, rest = Codes((4,), 1).split(torch.tensor([[40.0, 40.0, 3.0], [-40.0, -40.0, 4.0]]))
    assert c.tolist() == [[0, 0, 0, 1, 1], [1, 0, 0, 0, -1]]
    assert rest.tolist() == [[3], [4]]


# ---- exact channels


def tables(k, m):
    positive = st.lists(st.floats(0.01, 1), min_size=k * m, max_size=k * m)
    return positive.map(lambda values: np.reshape(values, (k, m)) / np.sum(values))


@given(tables(3, 4), tables(3, 4))
@settings(max_examples=50, deadline=None)
def test_information_is_the_bound_plus_the_mean_divergence(joint, q):
    q = q / q.sum(0)
    I = exact_information(joint)  # noqa: E741
    # I-04: H(c) + H(x) - H(c, x)
    assert pytest.approx(entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel()), abs=1e-12) == I
    # I-05: I - L_I = E_x KL(P(.|x) || Q(.|x)) >= 0, and 0 if Q is the posterior
    posterior = joint / joint.sum(0)
    gap = joint.sum(0) @ rel_entr(posterior, q).sum(0)
    assert I - exact_bound(joint, q) == pytest.approx(gap, abs=1e-12)
    assert exact_bound(joint, posterior) == pytest.approx(I, abs=1e-12)


def test_known_channels():
    h = entropy([0.2, 0.8])
    assert exact_information([[0.4, 0.1], [0.1, 0.4]]) == pytest.approx(math.log(2) - h)
    assert exact_information(np.outer([0.5, 0.3, 0.2], [0.25, 0.75])) == pytest.approx(0, abs=1e-15)
    joint = np.diag([0.5, 0.3, 0.2])
    assert exact_information(joint) == pytest.approx(entropy([0.5, 0.3, 0.2]))
    assert exact_bound(joint, np.full((3, 3), 1 / 3)) == pytest.approx(-0.06896, abs=5e-6)  # the number in claim I-05
    assert exact_bound(joint, np.eye(3)[[1, 2, 0]]) == -math.inf


@pytest.mark.parametrize(("joint", "q"), [
    ([0.5, 0.5], None), ([[0.5, 0.6]], None), ([[1.5, -0.5]], None), ([[math.nan, 1]], None),
    ([[0.5, 0.5]], [[1.0]]), ([[0.5], [0.5]], [[0.5], [0.6]]),
])  # fmt: skip
def test_tables_that_are_none_are_refused(joint, q):
    with pytest.raises(InputError):
        exact_information(joint) if q is None else exact_bound(joint, q)


# ---- the bound from samples


def test_the_bound_of_a_batch_is_the_exact_one():
    counts = np.array([[3, 1, 0], [1, 4, 1], [0, 4, 6]])  # a batch of 20 with exactly this joint law
    c, x = (torch.tensor(np.repeat(index.ravel(), counts.ravel())) for index in np.indices(counts.shape))
    table = noise(3, 3, dtype=torch.float64)
    q = table.softmax(0).numpy()
    codes = Codes((3,), 0)
    bound = information_bound(codes, table.T[x], F.one_hot(c, 3).double())
    prior = counts.sum(1) / 20  # not uniform here, so the constant differs
    assert bound.item() - codes.entropy + entropy(prior) == pytest.approx(exact_bound(counts / 20, q), abs=1e-12)


def test_q_says_logits_and_its_certainty_reaches_the_entropy():
    codes, c = Codes((3, 4), 0), Codes((3, 4), 0).sample(50, Draws(0))
    logits = noise(50, 7)
    rows = log_likelihoods(codes, logits, c)
    for k, (lo, hi) in enumerate([(0, 3), (3, 7)]):
        expected = -F.cross_entropy(logits[:, lo:hi], c[:, lo:hi].argmax(1), reduction="none")
        torch.testing.assert_close(rows[:, k], expected)
    # a Q that is sure and right reaches H(c); through a second softmax it would stay below
    assert information_bound(codes, 100 * c, c).item() == pytest.approx(codes.entropy, abs=1e-5)
    assert information_bound(codes, (100 * c).softmax(1), c).item() < codes.entropy - 0.5


@given(st.integers(0, 10**6), st.floats(0.1, 30))
@settings(max_examples=30, deadline=None)
def test_no_q_passes_the_entropy_of_categorical_codes(seed, scale):
    codes = Codes((3, 4), 0)
    assert information_bound(codes, scale * noise(16, 7, seed=seed), codes.sample(16, Draws(seed))) <= codes.entropy


def test_densities_are_those_of_scipy():
    from scipy.stats import norm

    codes, c, q = Codes((), 2, 1), Codes((), 2, 1).sample(20, Draws(0)), noise(20, 6)
    sd = np.exp(4 * np.tanh(q[:, 3:].numpy() / 4))
    np.testing.assert_allclose(log_likelihoods(codes, q, c), norm.logpdf(c, q[:, :3], sd), rtol=1e-4, atol=1e-5)


def test_the_bound_of_a_gaussian_channel():
    """x = c + 0.5 e: the posterior is N(x / 1.25, 0.2), and the bound then is I = ln(5) / 2."""
    n, codes = 200_000, Codes((), 0, 1)
    c = codes.sample(n, Draws(1)).double()
    x = c + 0.5 * noise(n, 1, dtype=torch.float64)
    raw = 4 * math.atanh(math.log(0.2) / 2 / 4)
    q = torch.cat([x / 1.25, torch.full_like(x, raw)], 1)
    spread = log_likelihoods(codes, q, c).std().item() / math.sqrt(n)
    assert information_bound(codes, q, c).item() == pytest.approx(math.log(5) / 2, abs=5 * spread)


def test_a_q_that_knows_nothing_of_a_uniform_code_has_a_negative_bound():
    codes = Codes((), 1)
    c = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None]
    q = torch.tensor([[0.0, 4 * math.atanh(math.log(1 / 3) / 2 / 4)]], dtype=torch.float64).expand(2001, 2)
    assert information_bound(codes, q, c).item() == pytest.approx(
        math.log(2) - math.log(2 * math.pi * math.e / 3) / 2, abs=2e-3
    )


def test_the_bound_is_the_sum_over_codes_and_continuous_ones_can_weigh_less():
    q, c = noise(8, ALL.outputs), ALL.sample(8, Draws(0))
    bounds = information_bounds(ALL, q, c)
    torch.testing.assert_close(bounds, log_likelihoods(ALL, q, c).mean(0) + torch.tensor(ALL.entropies))
    torch.testing.assert_close(information_bound(ALL, q, c), bounds.sum())
    G, D = generator(ALL, 8, width=2, noise=3), discriminator(ALL, 8, width=2)
    z = noise(16, G.latent)
    bounds = information_bounds(ALL, D.read(G(z)), ALL.split(z)[0])
    term = information(G, D, None, None, z, continuous=0.1)
    torch.testing.assert_close(term, -bounds[:2].sum() - 0.1 * bounds[2:].sum())
    with pytest.raises(InputError, match="continuous"):
        information(G, D, None, None, z, continuous=-1)


def test_even_absurd_outputs_have_finite_gradients():
    codes, c = ALL, ALL.sample(8, Draws(0))
    for scale in (0, 1, 1e4):
        q = (scale * noise(8, ALL.outputs)).requires_grad_()
        bound = information_bound(codes, q, c)
        (slope,) = torch.autograd.grad(bound, q)
        assert torch.isfinite(bound)
        assert torch.isfinite(slope).all()
    q = noise(4, ALL.outputs, dtype=torch.float64).requires_grad_()
    c = ALL.sample(4, Draws(0)).double()
    assert torch.autograd.gradcheck(lambda q: information_bound(ALL, q, c), q)


# ---- clusters


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_names_of_clusters_do_not_matter(names, labels):
    assert matching_error(np.array(names)[labels], labels) == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_the_matching_is_the_best_of_all(pairs):
    from itertools import permutations

    found, labels = np.array(pairs).T
    best = min(np.mean(np.array(p)[found] != labels) for p in permutations(range(4), 3))
    assert matching_error(found, labels) == pytest.approx(best)


@pytest.mark.parametrize(("found", "labels"), [([0, 1], [0]), ([0.5], [0]), ([-1], [0]), ([], []), ([[0]], [[0]])])
def test_what_is_no_cluster_is_refused(found, labels):
    with pytest.raises(InputError):
        matching_error(found, labels)


# ---- networks


def test_parameter_counts_of_the_paper():
    """Appendix C.1: 1024 - 7x7x128 - 64 - 1 with batch normalisation, and back; Q 128 - outputs."""
    codes, bn = Codes(), 2
    G = 74 * 1024 + 1024 * 6272 + bn * (1024 + 6272) + 16 * 128 * 64 + bn * 64 + 16 * 64 + 1
    assert count(generator(codes)) == G
    trunk = 16 * 64 + 64 + 16 * 64 * 128 + bn * 128 + 6272 * 1024 + bn * 1024
    D = discriminator(codes)
    assert count(D.trunk) == trunk
    assert count(D) == trunk + 1024 + 1 + 1024 * 128 + bn * 128 + 128 * 14 + 14
    assert generator(codes).latent == 65  # 62 and three that become 12: the paper's 74 inputs
    assert generator(codes).net[0].in_features == 74


def test_q_shares_all_of_d_but_the_heads():
    D = discriminator(Codes(), 12, width=4)
    x = noise(6, 1, 12, 12).requires_grad_()
    mine = {name for name, p in D.named_parameters() if name.split(".")[0] == "trunk"}
    for answer, head in ((D(x), "score"), (D.read(x), "q")):
        slopes = torch.autograd.grad(answer.square().sum(), list(D.parameters()), allow_unused=True)
        moved = {name for (name, _), g in zip(D.named_parameters(), slopes, strict=True) if g is not None}
        assert moved == mine | {name for name, _ in D.named_parameters() if name.startswith(head)}
    paper = discriminator(Codes())
    assert count(paper.trunk) > 0.97 * count(paper)  # "most"
    assert torch.equal(D.read(x), D.read(x, trunk=False))


@pytest.mark.parametrize("trunk", [True, False])
def test_whom_the_information_moves(trunk):
    G, D = generator(ALL, 8, width=2, noise=3), discriminator(ALL, 8, width=2)
    z = noise(16, G.latent)
    named = [*(("G." + n, p) for n, p in G.named_parameters()), *D.named_parameters()]
    term = information(G, D, None, None, z, trunk=trunk)
    slopes = torch.autograd.grad(term, [p for _, p in named], allow_unused=True)
    moved = {name.split(".")[0] for (name, _), g in zip(named, slopes, strict=True) if g is not None and g.any()}
    assert moved == ({"G", "q", "trunk"} if trunk else {"G", "q"})
    assert all(torch.isfinite(g).all() for g in slopes if g is not None)
    # what G feels does not depend on who else moves
    by_G = torch.autograd.grad(information(G, D, None, None, z), list(G.parameters()))
    for g, (_, _), mine in zip(slopes, named, by_G, strict=False):
        torch.testing.assert_close(g, mine)


def test_the_gradient_to_g_is_the_pathwise_one():
    """G shifts its code: dL_I/dG of a linear G and a Q with known slope, by hand."""
    codes = Codes((), 0, 1)
    linear = nn.Linear(1, 1, bias=False)
    nn.init.constant_(linear.weight, 0.5)
    G, D = CodedGenerator(codes, linear), Reader(nn.Identity(), nn.Identity(), lambda x: torch.cat([x, 0 * x], 1))
    z = torch.tensor([[1.0], [-2.0]])
    term = information(G, D, None, None, z)  # E (c - 0.5 c)^2 / 2 + constants
    (slope,) = torch.autograd.grad(term, linear.weight)
    assert slope.item() == pytest.approx(-0.5 * 2.5)  # -E (c - w c) c


@pytest.mark.parametrize("term", [information, information_seen])
def test_a_step_of_the_loop_is_the_step_of_the_paper(term):
    """min_{G,Q} max_D V - lambda L_I, with the loop as it is and the information as a game term."""
    codes, weight, rate = Codes((3,), 1), 0.7, 0.1
    G, D = generator(codes, 8, noise=2, width=2, seed=1), discriminator(codes, 8, width=2, norm=None, seed=2)
    for p in (*G.parameters(), *D.parameters()):
        p.data += 0.1 * noise(*p.shape, seed=p.numel())
    recipe = Recipe(steps=1, batch=8, latent=G.latent, optimizer="sgd", lr=rate, ema=0.0,
                    game_terms={term: weight}, penalties={lambda D, *_: 0 * D(noise(5, 1, 8, 8)).mean(): 1.0},
                    )  # fmt: skip
    g, d = copy.deepcopy(G), copy.deepcopy(D)
    run = runs.Run(G, D, noise(40, 1, 8, 8), recipe, seed=3, device="cpu")
    with run.turn():
        real, z = run.batch()
    (record,) = train(run)
    for net, gain in ((d, lambda: (F.logsigmoid(d(real)) + F.logsigmoid(-d(g(z)))).mean()),
                      (g, lambda: F.logsigmoid(d(g(z))).mean())):  # fmt: skip
        bound = information_bound(codes, d.read(g(z)), codes.split(z)[0])
        slopes = torch.autograd.grad(gain() + weight * bound, list(net.parameters()), materialize_grads=True)
        with torch.no_grad():
            for p, slope in zip(net.parameters(), slopes, strict=True):
                p += rate * slope
    for mine, theirs in ((G, g), (D, d)):
        for (name, p), q in zip(mine.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    assert math.isfinite(record.row()["d_norm"])


def test_what_d_saw_is_read_once_and_never_copied():
    codes = Codes((2,), 0)
    G, D = generator(codes, 8, width=2, noise=3), discriminator(codes, 8, width=2)
    z = noise(16, G.latent)
    D(G(z))
    with pytest.raises(InputError, match="there is none"):
        information_seen(G, copy.deepcopy(D), None, None, z)
    information_seen(G, D, None, None, z)
    with pytest.raises(InputError, match="use information"):
        information_seen(G, D, None, None, z)
    with pytest.raises(InputError, match="use information"):
        information_seen(G, nn.Identity(), None, None, z)


@pytest.mark.parametrize(("precision", "channels_last"), [("float32", False), ("bf16", True)])
@pytest.mark.parametrize("term", [information, information_seen])
def test_information_is_learned_on_pictures_that_have_it(precision, channels_last, term):
    codes = Codes((2,), 0)
    G, D = generator(codes, 8, noise=4, width=4, seed=0), discriminator(codes, 8, width=4, seed=1)
    data = torch.cat([torch.ones(64, 1, 8, 8), -torch.ones(64, 1, 8, 8)]) * 0.8
    recipe = Recipe(steps=150, batch=32, latent=G.latent, lr=4e-3, game_terms={term: 1.0},
                    precision=precision, channels_last=channels_last)  # fmt: skip
    run = runs.Run(G, D, data, recipe, device="cpu")
    z = noise(256, G.latent)

    def bound():
        with torch.no_grad():
            return -information(G, D, None, None, z).item()

    start = bound()
    assert start == pytest.approx(0, abs=0.05)
    assert all(math.isfinite(value) for record in train(run) for value in record.row().values())
    assert 0.6 < bound() <= codes.entropy


def test_penalties_can_be_differentiated_through_d_and_leave_q_alone():
    D = discriminator(Codes((2,), 0), 8, width=2, norm=None, seed=3).double()
    for p in D.parameters():
        p.data = p.data + 0.2 * noise(*p.shape, seed=p.numel(), dtype=torch.float64)
    names, x = [n for n, _ in D.named_parameters()], noise(3, 1, 8, 8, dtype=torch.float64)
    few = [n for n in names if n.startswith(("score", "trunk.0", "trunk.2"))]

    def penalty(*values):
        critic = dict(D.named_parameters()) | dict(zip(few, values, strict=True))
        return PENALTIES["r1"](lambda y: torch.func.functional_call(D, critic, (y,)), x)

    assert torch.autograd.gradcheck(penalty, [dict(D.named_parameters())[n] for n in few])
    slopes = torch.autograd.grad(PENALTIES["r1"](D, x), list(D.q.parameters()), materialize_grads=True)
    assert not any(g.any() for g in slopes)


def test_weights_come_from_their_seed_alone():
    state = torch.random.get_rng_state()
    for build in (generator, discriminator):
        a, b, c = (build(Codes(), 8, width=8, seed=s) for s in (1, 1, 2))
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
        assert not torch.equal(next(a.parameters()), next(c.parameters()))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Codes((1,)), "categorical"), (lambda: Codes(10), "tuple"), (lambda: Codes((), 0, 0), "at least one"),
    (lambda: Codes((2,), -1), "uniform"), (lambda: Codes((2,), 0, 0.5), "gaussian"),
    (lambda: generator(Codes(), 30), "28 and 32"), (lambda: discriminator(Codes(), 3), "resolution"),
    (lambda: generator(Codes(), norm="layer"), "norm"), (lambda: generator(Codes(), noise=-1), "noise"),
    (lambda: Codes().split(torch.zeros(5, 2)), r"\(B, 3\)"),
    (lambda: Codes().split(np.zeros((5, 3))), "a tensor of noise.* got ndarray"),
    (lambda: Codes().sample(5, 0), "Draws"),
    (lambda: generator(Codes(), 8, width=2).make(torch.zeros(5, 3), torch.zeros(5, 71)), r"one-hot, got \(5, 3\)"),
    (lambda: information_bound(Codes(), torch.zeros(5, 12), torch.zeros(5, 12)), r"\(B, 14\)"),
    (lambda: information_bound(Codes(), torch.zeros(4, 14), torch.zeros(5, 12)), "same B"),
    (lambda: information(nn.Identity(), nn.Identity(), None, None, None), "G with codes"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
