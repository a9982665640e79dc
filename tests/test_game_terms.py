"""The terms of the whole game, against finite differences, the Dirac-GAN's closed forms and the numpy half."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ganlab import OBJECTIVES, Consensus, InputError, dirac_gan  # noqa: E402
from ganlab.neural import parallel  # noqa: E402
from ganlab.neural._scores import scores  # noqa: E402
from ganlab.neural.game_terms import GAME_TERMS, consensus, gradient_norm  # noqa: E402
from ganlab.objectives import rest_score  # noqa: E402
from ganlab.relativistic import RELATIVISTIC, find  # noqa: E402

torch.set_num_threads(1)
ALL = [*OBJECTIVES, *RELATIVISTIC]
STATES = [(1.0, 0.9), (0.5, -1.5), (-0.7, 0.2), (-1.1, -0.4)]
terms = pytest.mark.parametrize("term", GAME_TERMS.values(), ids=GAME_TERMS)


def player(inputs, outputs, seed):
    """A small smooth network in double precision."""
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(nn.Linear(inputs, 3), nn.Tanh(), nn.Linear(3, outputs)).double()


def pair(seed=0):
    return player(2, 2, 10 + seed), player(2, 1, 20 + seed)


def batch(seed=0, n=6):
    generator = torch.Generator().manual_seed(seed)
    real, z = (torch.randn(n, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    return 0.8 * real + 0.5, z


def differences(players, value, h):
    """The gradient of ``value()`` by the parameters of several networks, one central difference each."""
    slopes = []
    for p in (p for network in players for p in network.parameters()):
        flat = p.data.view(-1)
        for i in range(p.numel()):
            kept, values = flat[i].item(), []
            for shift in (h, -h):
                flat[i] = kept + shift
                values.append(value())
            flat[i] = kept
            slopes.append((values[0] - values[1]) / (2 * h))
    return np.array(slopes)


def by_definition(term, G, D, name, real, z):
    """The two terms from slopes of the gains that are finite differences themselves."""
    objective = find(name)

    def answers():
        with torch.no_grad():
            return scores(D, real), scores(D, G(z))

    v_psi = differences([D], lambda: float(objective.d_gain(*answers())), 1e-5)
    v_theta = differences([G], lambda: float(objective.g_gain(*answers())), 1e-5)
    return v_psi @ v_psi if term is gradient_norm else (v_psi @ v_psi + v_theta @ v_theta) / 2


@terms
@pytest.mark.parametrize("name", ALL)
def test_a_term_is_the_square_of_the_slopes(term, name):
    for seed in range(2):
        G, D = pair(seed)
        found = term(G, D, name, *batch(seed))
        assert found.shape == ()
        assert found.item() == pytest.approx(by_definition(term, G, D, name, *batch(seed)), rel=1e-7)


@terms
@pytest.mark.parametrize("name", ALL)
def test_the_gradient_of_a_term_equals_finite_differences_for_both_players(term, name):
    G, D = pair()
    real, z = batch()
    slopes = torch.autograd.grad(term(G, D, name, real, z), [*G.parameters(), *D.parameters()], materialize_grads=True)
    truth = differences([G, D], lambda: term(G, D, name, real, z).item(), 1e-5)
    np.testing.assert_allclose(torch.cat([s.reshape(-1) for s in slopes]).numpy(), truth, rtol=1e-6, atol=1e-9)


class Point(torch.nn.Module):
    """The generator of the Dirac-GAN: every fake is theta."""

    def __init__(self, theta):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, z):
        return self.theta.expand(len(z), 1)


class Slope(torch.nn.Module):
    """The critic of the Dirac-GAN: the score ``bias - psi x``."""

    def __init__(self, psi, bias=0.0):
        super().__init__()
        self.psi, self.bias = torch.nn.Parameter(torch.tensor(psi, dtype=torch.float64)), bias

    def forward(self, x):
        return self.bias - self.psi * x


def dirac(term, name, theta, psi, bias=0.0, n=4):
    """The gradient of a term by (theta, psi), and the velocities (v_theta, v_psi) without it."""
    G, D, objective = Point(theta), Slope(psi, bias), find(name)
    zero = torch.zeros(n, 1, dtype=torch.float64)
    slopes = torch.autograd.grad(term(G, D, objective, zero, zero), [G.theta, D.psi], materialize_grads=True)
    answers = scores(D, zero), scores(D, G(zero))
    v = [torch.autograd.grad(gain, p, retain_graph=True)[0]
         for gain, p in ((objective.g_gain(*answers), G.theta), (objective.d_gain(*answers), D.psi))]  # fmt: skip
    return np.array([s.item() for s in slopes]), np.array([s.item() for s in v])


@pytest.mark.parametrize(("state", "truth", "halved"), [((1, 1), -0.0334, 0.0195), ((0.5, -1.5), 0.786, 0.508)])
def test_the_second_part_of_the_consensus_gradient_is_not_halved(state, truth, halved):
    """A published notebook halves it; the sign of the answer flips."""
    theta, psi = map(float, state)
    slope = 1 / (1 + np.exp(theta * psi))  # f'(t) of f(t) = -log(1 + exp(-t)), and f'' = -f' (1 - f')
    bend = -slope * (1 - slope)
    first, second = theta * slope**2, psi * (theta**2 + psi**2) * slope * bend
    found = dirac(consensus, "saturating", theta, psi)[0][0]
    assert found == pytest.approx(first + second, rel=1e-12)
    assert found == pytest.approx(truth, abs=5e-4)
    assert first + second / 2 == pytest.approx(halved, abs=5e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_consensus_term_is_that_of_the_symbolic_dirac_gan(name):
    bias, gamma = float(rest_score(name).score), 0.8
    for state in STATES:
        slopes, v = dirac(consensus, name, *state, bias)
        truth = [float(a) for a in dirac_gan(name, Consensus(gamma)).field(*state)]
        assert list(v - gamma * slopes) == pytest.approx(truth, rel=1e-11, abs=1e-13)


def eigenvalues(velocity, h=1e-5):
    columns = [(velocity(*shift) - velocity(*-shift)) / (2 * h) for shift in h * np.eye(2)]
    return np.sort_complex(np.linalg.eigvals(np.array(columns).T))


@pytest.mark.parametrize(("name", "slope"), [("saturating", 0.5), ("nonsaturating", 0.5), ("wasserstein", 1.0)])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_both_terms_damp_the_dirac_gan_as_their_theory_says(name, slope, weight):
    def with_consensus(*state):
        slopes, v = dirac(consensus, name, *state)
        return v - weight * slopes

    truth = -weight * slope**2 + slope * np.array([-1j, 1j])
    np.testing.assert_allclose(eigenvalues(with_consensus), truth, atol=1e-8)

    def with_gradient_norm(*state):
        slopes, v = dirac(gradient_norm, name, *state)
        return v - weight * slopes * [1, 0]  # the generator alone descends it

    damping = weight * slope**2
    root = np.sqrt(complex(damping**2 - slope**2))
    truth = np.sort_complex([-damping - root, -damping + root])
    np.testing.assert_allclose(eigenvalues(with_gradient_norm), truth, atol=1e-6)


@terms
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_term_and_its_gradient_are_zero_where_the_game_rests(term, name):
    bias = float(rest_score(name).score)
    zero = torch.zeros(4, 1, dtype=torch.float64)
    assert term(Point(0.0), Slope(0.0, bias), name, zero, zero).item() == 0
    assert not dirac(term, name, 0.0, 0.0, bias)[0].any()


@terms
def test_only_the_player_whose_loss_it_joins_gets_a_gradient(term):
    for receiver in (0, 1):
        players = pair()
        loss = term(*players, "nonsaturating", *batch())
        assert all(p.grad is None for player in players for p in player.parameters()), "the term itself leaves none"
        loss.backward(inputs=list(players[receiver].parameters()))
        assert all(p.grad is None for p in players[1 - receiver].parameters())
        assert any(p.grad is not None and p.grad.any() for p in players[receiver].parameters())


class Stack(torch.nn.Module):
    """Several networks of `player` side by side."""

    def __init__(self, networks):
        super().__init__()
        self.weights = torch.nn.ParameterList(torch.stack([net[i].weight.T for net in networks]) for i in (0, 2))
        self.biases = torch.nn.ParameterList(torch.stack([net[i].bias[None] for net in networks]) for i in (0, 2))
        self.scale = torch.nn.Parameter(torch.ones(len(networks), dtype=torch.float64))  # one number a network

    def forward(self, x):
        hidden = torch.tanh(torch.baddbmm(self.biases[0], x, self.weights[0]))
        return self.scale[:, None, None] * torch.baddbmm(self.biases[1], hidden, self.weights[1])


class Scaled(torch.nn.Module):
    """One network of such a stack."""

    def __init__(self, network):
        super().__init__()
        self.network, self.scale = network, torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        return self.scale * self.network(x)


@terms
@pytest.mark.parametrize("name", ALL)
def test_a_stack_has_one_term_for_each_pair(term, name):
    pairs = [pair(s) for s in range(3)]
    real, z = (torch.stack(column) for column in zip(*(batch(s) for s in range(3)), strict=True))
    G, D = (Stack(column) for column in zip(*pairs, strict=True))
    found = term(G, D, name, real, z)
    assert found.shape == (3,)
    slopes = torch.autograd.grad(found.sum(), [G.scale, D.scale, D.weights[0]])
    for s, (g, d) in enumerate(pairs):
        one, other = Scaled(g), Scaled(d)
        alone = term(one, other, name, real[s], z[s])
        torch.testing.assert_close(found[s], alone, rtol=1e-11, atol=1e-13)
        truth = torch.autograd.grad(alone, [one.scale, other.scale, d[0].weight])
        for mine, hers in zip(slopes, truth, strict=True):
            torch.testing.assert_close(mine[s], hers.T if hers.ndim else hers, rtol=1e-9, atol=1e-12)


@terms
def test_a_frozen_layer_does_not_count_and_a_frozen_player_is_refused(term):
    G, D = pair()
    real, z = batch()
    everything = term(G, D, "saturating", real, z)
    D[0].requires_grad_(False)
    assert term(G, D, "saturating", real, z) < everything
    with pytest.raises(InputError, match="D has no trainable parameters"):
        term(G, D.requires_grad_(False), "saturating", real, z)


def test_a_frozen_generator_and_an_unknown_objective_are_refused():
    G, D = pair()
    frozen = copy.deepcopy(G).requires_grad_(False)
    assert gradient_norm(frozen, D, "saturating", *batch()) == gradient_norm(G, D, "saturating", *batch())
    with pytest.raises(InputError, match="G has no trainable parameters"):
        consensus(frozen, D, "saturating", *batch())
    with pytest.raises(InputError, match="unknown objective 'gan'"):
        consensus(G, D, "gan", *batch())


def one_process(rank, path):
    """One of two processes: half the batch, averaged slopes, averaged gradients."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}/meet", rank=rank, world_size=2)
    found = {}
    for name, term in GAME_TERMS.items():
        players, (real, z) = pair(), batch()
        parameters = [p for player in players for p in player.parameters()]
        value = term(*players, "nonsaturating", real[rank::2], z[rank::2])
        value.backward()
        slopes = [parallel.average(p.grad) for p in parameters]
        found[name] = [value.detach(), *slopes]
    torch.save(found, f"{path}/{rank}")
    torch.distributed.destroy_process_group()


def test_two_processes_with_half_a_batch_agree_with_one_with_the_whole(tmp_path):
    torch.multiprocessing.spawn(one_process, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        for name, (value, *slopes) in torch.load(tmp_path / str(rank), weights_only=True).items():
            players = pair()
            whole = GAME_TERMS[name](*players, "nonsaturating", *batch())
            parameters = [p for player in players for p in player.parameters()]
            torch.testing.assert_close(value, whole.detach(), rtol=1e-12, atol=0)
            for mine, truth in zip(slopes, torch.autograd.grad(whole, parameters, materialize_grads=True), strict=True):
                torch.testing.assert_close(mine, truth, rtol=1e-11, atol=1e-13)
