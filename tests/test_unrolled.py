"""The critic some steps ahead, against a copy that torch's SGD really trains, finite differences and closed forms."""

import copy
import math
import os

import numpy as np
import pytest
import sympy as sp

torch = pytest.importorskip("torch")

from ganlab import OBJECTIVES, InputError, dirac_gan, simulate  # noqa: E402
from ganlab.neural import parallel, unrolled  # noqa: E402
from ganlab.neural._scores import scores  # noqa: E402
from ganlab.neural.devices import free_memory  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.unrolled import look_ahead, memory  # noqa: E402
from ganlab.objectives import rest_score  # noqa: E402
from ganlab.relativistic import RELATIVISTIC, find  # noqa: E402

torch.set_num_threads(1)
ALL = [*OBJECTIVES, *RELATIVISTIC]
LR = 0.3


def player(inputs, outputs, seed):
    """A small smooth network in double precision."""
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(nn.Linear(inputs, 4), nn.Tanh(), nn.Linear(4, outputs)).double()


def batch(seed=0, n=6):
    generator = torch.Generator().manual_seed(seed)
    real, z = (torch.randn(n, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    return 0.8 * real + 0.5, z


def trained_copy(D, objective, real, fake, K, lr):
    """A copy of the critic after K real steps of torch's own gradient ascent."""
    D, objective = copy.deepcopy(D), find(objective)
    sgd = torch.optim.SGD(D.parameters(), lr, maximize=True)
    for _ in range(K):
        sgd.zero_grad()
        objective.d_gain(scores(D, real), scores(D, fake.detach())).backward()
        sgd.step()
    return D


def loss_g(objective, critic, real, fake, whole=False):
    """What the generator descends: minus its own gain, or the paper's whole J."""
    answers = scores(critic, real), scores(critic, fake)
    return find(objective).d_gain(*answers) if whole else -find(objective).g_gain(*answers)


def by_differences(G, value, h=1e-5):
    """The gradient of ``value()`` by the parameters of G, one central difference each."""
    slopes = []
    with torch.no_grad():
        for p in G.parameters():
            for i in range(p.numel()):
                flat, kept = p.view(-1), p.view(-1)[i].item()
                values = []
                for shift in (h, -h):
                    flat[i] = kept + shift
                    values.append(value())
                flat[i] = kept
                slopes.append((values[0] - values[1]) / (2 * h))
    return np.array(slopes)


def gradient(loss, G):
    return torch.cat(
        [g.reshape(-1) for g in torch.autograd.grad(loss, list(G.parameters()), retain_graph=True)]
    ).numpy()


@pytest.mark.parametrize("through", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_the_critic_ahead_is_the_critic_that_takes_the_steps(name, through):
    G, D, (real, z) = player(2, 2, 1), player(2, 1, 2), batch()
    for K in (1, 2, 5):
        critic = look_ahead(D, name, real, G(z), K, LR, through)
        truth = trained_copy(D, name, real, G(z), K, LR)
        torch.testing.assert_close(critic(z), truth(z), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "whole"), [*((name, False) for name in ALL), ("saturating", True), ("quadratic", True), ("ragan", True)]
)
def test_the_gradient_through_the_steps_equals_finite_differences_and_a_frozen_copy_does_not(name, whole):
    G, D, (real, z) = player(2, 2, 1), player(2, 1, 2), batch()
    for K in (0, 1, 2, 5):

        def value(K=K):
            with torch.enable_grad():
                fake = G(z)
                return loss_g(name, trained_copy(D, name, real, fake, K, LR), real, fake, whole).item()

        truth = by_differences(G, value)
        fake = G(z)
        found = gradient(loss_g(name, look_ahead(D, name, real, fake, K, LR), real, fake, whole), G)
        np.testing.assert_allclose(found, truth, rtol=1e-6, atol=1e-8)
        frozen = gradient(loss_g(name, look_ahead(D, name, real, fake, K, LR, False), real, fake, whole), G)
        np.testing.assert_allclose(
            frozen, gradient(loss_g(name, trained_copy(D, name, real, fake, K, LR), real, fake, whole), G), rtol=1e-9
        )
        if K:
            assert np.linalg.norm(frozen - found) > 0.01 * np.linalg.norm(found)


def test_the_first_part_is_the_ordinary_gradient_only_without_a_step():
    G, D, (real, z) = player(2, 2, 1), player(2, 1, 2), batch()
    fake = G(z)
    ordinary = gradient(loss_g("saturating", D, real, fake), G)
    for K in (0, 1, 5):
        first = gradient(loss_g("saturating", look_ahead(D, "saturating", real, fake, K, LR, False), real, fake), G)
        assert np.allclose(first, ordinary, rtol=1e-12) == (K == 0)


def test_without_a_step_the_critic_itself_comes_back():
    D, (real, z) = player(2, 1, 2), batch()
    assert look_ahead(D, "hinge", real, z, 0, LR) is D
    assert look_ahead(D, "hinge", real, z, 0, LR, through=False) is D


def test_the_loss_can_be_differentiated_by_the_fakes_and_twice():
    D, (real, z) = player(2, 1, 2), batch(n=3)
    fake = z.requires_grad_()
    for K in (1, 3):

        def loss(x, K=K):
            return loss_g("nonsaturating", look_ahead(D, "nonsaturating", real[:3], x, K, LR), real[:3], x)

        assert torch.autograd.gradcheck(loss, fake)
        assert torch.autograd.gradgradcheck(loss, fake)


class Concave(torch.nn.Module):
    """A critic linear in its parameters: with the quadratic objective its gain is strongly concave."""

    def __init__(self, inputs=3):
        super().__init__()
        self.psi = torch.nn.Parameter(torch.linspace(-1, 1, inputs, dtype=torch.float64))

    def forward(self, x):
        return self.features(x) @ self.psi

    @staticmethod
    def features(x):
        return torch.cat([x, torch.ones_like(x[:, :1])], 1)


def test_the_critics_answer_stops_to_matter_when_it_has_settled():
    """``f_K`` tends to ``max_D J``, here in closed form, and its second part vanishes, geometrically in K."""
    G, D, (real, z) = player(2, 2, 1), Concave(), batch(n=40)
    fake = G(z)
    b = D.features(fake).mean(0)
    A = D.features(real).T @ D.features(real) / len(real)
    best = b @ torch.linalg.solve(A, b) / 2
    answers = []
    for K in (1, 60, 100, 1000):
        through, frozen = (look_ahead(D, "quadratic", real, fake, K, 0.4, t) for t in (True, False))
        parts = [gradient(loss_g("quadratic", critic, real, fake, whole=True), G) for critic in (through, frozen)]
        answers.append(np.linalg.norm(parts[0] - parts[1]))
    slowest = 1 - 0.4 * float(torch.linalg.eigvalsh(A)[0])
    assert answers[0] > 10 * answers[2]
    assert answers[2] / answers[1] == pytest.approx(slowest**40, rel=0.02)
    assert answers[3] < 1e-9
    assert loss_g("quadratic", through, real, fake, whole=True).item() == pytest.approx(best.item(), rel=1e-12)
    np.testing.assert_allclose(parts[0], gradient(best, G), rtol=1e-9, atol=1e-12)
    # the generator's own gain leaves the data out, and there the answer stays
    short = [gradient(loss_g("quadratic", critic, real, fake), G) for critic in (through, frozen)]
    assert np.linalg.norm(short[0] - short[1]) > 0.1 * np.linalg.norm(short[1])


class Slope(torch.nn.Module):
    """The critic of the Dirac-GAN: the score ``bias - psi x``."""

    def __init__(self, psi, bias=0.0):
        super().__init__()
        self.psi, self.bias = torch.nn.Parameter(torch.tensor(psi, dtype=torch.float64)), bias

    def forward(self, x):
        return self.bias - self.psi * x


def dirac_velocity(name, theta, psi, K, eta, through=True, bias=0.0):
    """Both players' velocities as tensors with their graph, and the two numbers they depend on."""
    D, x = Slope(psi, bias), torch.tensor([[theta]], dtype=torch.float64, requires_grad=True)
    objective, zero = find(name), torch.zeros(1, 1, dtype=torch.float64)
    critic = look_ahead(D, objective, zero, x, K, eta, through)
    gain_g = objective.g_gain(scores(critic, zero), scores(critic, x))
    gain_d = objective.d_gain(scores(D, zero), scores(D, x))
    (v_theta,) = torch.autograd.grad(gain_g, x, create_graph=True)
    (v_psi,) = torch.autograd.grad(gain_d, D.psi, create_graph=True)
    return [v_theta.squeeze(), v_psi], [x, D.psi]


@pytest.mark.parametrize("K", [0, 1, 2, 3])
@pytest.mark.parametrize(("theta", "psi"), [(1.0, 1.0), (0.5, -1.5), (-0.7, 0.2)])
def test_the_dirac_gan_is_unrolled_as_in_its_closed_form(K, theta, psi):
    t, p = sp.symbols("t p")
    eta = sp.Rational(2, 5)
    ahead = p
    for _ in range(K):  # f(x) = -log(1 + exp(-x)); the critic raises f(psi theta), the generator descends it
        ahead = ahead + eta * t / (1 + sp.exp(t * ahead))
    truth = sp.diff(sp.log(1 + sp.exp(-t * ahead)), t).subs({t: theta, p: psi}).evalf()
    v, _ = dirac_velocity("saturating", theta, psi, K, 0.4)
    assert float(v[0].detach()) == pytest.approx(float(truth), rel=1e-12)


@pytest.mark.parametrize("K", [1, 5, 12])
@pytest.mark.parametrize(("name", "slope"), [("saturating", 0.5), ("nonsaturating", 0.5), ("wasserstein", 1.0)])
def test_unrolling_damps_the_rotation_and_the_stopped_gradient_damps_half_as_much(name, slope, K):
    eta, h = 0.1, 1e-5
    for through in (True, False):
        damping = K * eta * slope**2 / (1 if through else 2)
        root = np.sqrt(complex(damping**2 - slope**2))
        columns = []
        for shift in h * np.eye(2):
            ends = [dirac_velocity(name, *(s * shift), K, eta, through)[0] for s in (1, -1)]
            columns.append([float((a - b).detach()) / (2 * h) for a, b in zip(*ends, strict=True)])
        found = np.linalg.eigvals(np.array(columns).T)
        truth = [-damping - root, -damping + root]
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(truth), atol=1e-6)
    v, state = dirac_velocity(name, 0.0, 0.0, K, eta)  # through the steps the Jacobian is exact, by autograd
    rows = [[float(g) for g in torch.autograd.grad(a, state, retain_graph=True, materialize_grads=True)] for a in v]
    np.testing.assert_allclose(rows, [[-2 * K * eta * slope**2, -slope], [slope, 0]], rtol=1e-12)


@pytest.mark.parametrize("through", [True, False])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_neural_and_the_symbolic_dirac_gan_unroll_alike(name, through):
    game, bias = dirac_gan(name), float(rest_score(name).score)
    for state in [(1.0, 0.9), (0.5, -1.5), (-0.7, 0.2)]:
        for K in (1, 4):
            step = simulate(game, state, "unrolled", lr=0.1, steps=1, K=K, eta=0.4, through=through).last - state
            v, _ = dirac_velocity(name, *state, K, 0.4, through, bias)
            assert [float(a.detach()) for a in v] == pytest.approx(list(step / 0.1), rel=1e-9, abs=1e-12)


def normalised(kind):
    """Critics whose forward pass moves buffers."""
    nn = torch.nn
    torch.manual_seed(3)
    if kind == "batch norm":
        layers = nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)
    else:
        normalise = nn.utils.parametrizations.spectral_norm
        layers = normalise(nn.Linear(2, 4)), nn.Tanh(), normalise(nn.Linear(4, 1))
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("kind", ["plain", "batch norm", "spectral norm"])
@pytest.mark.parametrize("through", [True, False])
def test_looking_ahead_leaves_the_critic_as_it_is(kind, through):
    G, D = player(2, 2, 1), player(2, 1, 2) if kind == "plain" else normalised(kind)
    real, z = batch()
    fake = G(z)
    before = copy.deepcopy(D.state_dict())
    truth = trained_copy(D, "nonsaturating", real, fake, 3, LR)
    critic = look_ahead(D, "nonsaturating", real, fake, 3, LR, through)
    torch.testing.assert_close(critic(z), truth(z), rtol=1e-10, atol=1e-12)
    loss_g("nonsaturating", critic, real, fake).backward(inputs=list(G.parameters()))
    memory(D, "nonsaturating", real, fake, 3)
    assert all(torch.equal(before[k], v) for k, v in D.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in D.parameters())
    assert all(p.grad is not None for p in G.parameters())


def test_a_stopped_gradient_reaches_no_critic_parameter_at_all():
    G, D, (real, z) = player(2, 2, 1), player(2, 1, 2), batch()
    critic = look_ahead(D, "hinge", real, G(z), 2, LR, through=False)
    assert not critic(z).requires_grad
    loss_g("hinge", critic, real, G(z)).backward()
    assert all(p.grad is None for p in D.parameters())


def test_a_frozen_layer_stays_where_it_is_and_an_unused_one_is_no_trouble():
    D, (real, z) = player(2, 1, 2), batch()
    D[0].requires_grad_(False)
    D.spare = torch.nn.Linear(1, 1).double()
    D.forward = lambda x: D[2](D[1](D[0](x)))
    truth = player(2, 1, 2)
    truth[0].requires_grad_(False)
    critic = look_ahead(D, "saturating", real, z, 3, LR)
    torch.testing.assert_close(critic(z), trained_copy(truth, "saturating", real, z, 3, LR)(z))


class Stack(torch.nn.Module):
    """Several critics side by side."""

    def __init__(self, critics):
        super().__init__()
        self.weights = torch.nn.ParameterList(torch.stack([D[i].weight.T for D in critics]) for i in (0, 2))
        self.biases = torch.nn.ParameterList(torch.stack([D[i].bias[None] for D in critics]) for i in (0, 2))

    def forward(self, x):
        hidden = torch.tanh(torch.baddbmm(self.biases[0], x, self.weights[0]))
        return torch.baddbmm(self.biases[1], hidden, self.weights[1])[..., 0]


@pytest.mark.parametrize("through", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_a_stack_looks_ahead_as_its_critics_do_one_by_one(name, through):
    critics = [player(2, 1, s) for s in range(3)]
    real, fake = (torch.stack([batch(s + k)[0] for s in range(3)]).requires_grad_() for k in (0, 7))
    critic = look_ahead(Stack(critics), name, real, fake, 4, LR, through)
    losses = loss_g(name, critic, real, fake)
    assert losses.shape == (3,)
    (found,) = torch.autograd.grad(losses.sum(), fake)
    for s, D in enumerate(critics):
        x = fake[s].detach().requires_grad_()
        loss = loss_g(name, look_ahead(D, name, real[s], x, 4, LR, through), real[s], x)
        torch.testing.assert_close(losses[s], loss, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(found[s], torch.autograd.grad(loss, x)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("K", [-1, True, 2.0, "3", None])
def test_a_number_of_steps_that_is_none_is_refused(K):
    D, (real, z) = player(2, 1, 2), batch()
    for call in (lambda: look_ahead(D, "hinge", real, z, K, LR), lambda: memory(D, "hinge", real, z, K)):
        with pytest.raises(InputError, match="K must be a whole number of at least 0"):
            call()


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), True, [0.1, 0.2]])
@pytest.mark.parametrize("K", [0, 2])
def test_a_step_that_is_none_is_refused(lr, K):
    D, (real, z) = player(2, 1, 2), batch()
    with pytest.raises(InputError, match="lr must"):
        look_ahead(D, "hinge", real, z, K, lr)


def test_other_bad_input_is_refused():
    D, (real, z) = player(2, 1, 2), batch()
    with pytest.raises(InputError, match="unknown objective 'gan'"):
        look_ahead(D, "gan", real, z, 1, LR)
    with pytest.raises(InputError, match="through"):
        look_ahead(D, "hinge", real, z, 1, LR, through="no")
    with pytest.raises(InputError, match="do not freeze"):
        look_ahead(D.requires_grad_(False), "hinge", real, z, 1, LR)


@pytest.mark.parametrize("K", [0, 1, 6])
def test_the_memory_that_is_foretold_is_what_the_allocator_gives(K):
    torch.manual_seed(0)
    nn = torch.nn
    D = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    real, fake = torch.randn(500, 2), torch.randn(500, 2, requires_grad=True)
    memory(D, "saturating", real, fake, 1)  # so that what is allocated once and for all is there
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        critic = look_ahead(D, "saturating", real, fake, K, LR)
        kept = scores(critic, real), scores(critic, fake)
    taken = sum(event.self_cpu_memory_usage for event in profile.events())
    assert kept[0].shape == (500,)
    assert memory(D, "saturating", real, fake, K) == pytest.approx(taken, rel=0.15)


def test_looking_ahead_in_one_run_and_in_bfloat16_is_near_float32():
    torch.manual_seed(0)
    D, (real, z) = player(2, 1, 2).float(), batch()
    real, z = real.float(), z.float()
    with torch.autocast("cpu", torch.bfloat16):
        critic = look_ahead(D, "nonsaturating", real, z, 3, LR)
        half = scores(critic, z)
    torch.testing.assert_close(half.float(), look_ahead(D, "nonsaturating", real, z, 3, LR)(z)[:, 0], atol=0.05, rtol=0)


def one_process(rank, path):
    """One of two processes: half the batch, averaged slopes, averaged gradients."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}/meet", rank=rank, world_size=2)
    found = {}
    for name in ("saturating", "rpgan"):
        for through in (True, False):
            G, D, (real, z) = player(2, 2, 1), player(2, 1, 2), batch()
            real, z = real[rank::2], z[rank::2]
            fake = G(z)
            critic = look_ahead(D, name, real, fake, 3, LR, through)
            loss_g(name, critic, real, fake).backward(inputs=list(G.parameters()))
            slopes = [parallel.average(p.grad) for p in G.parameters()]
            found[name, through] = slopes
    torch.save(list(found.items()), f"{path}/{rank}")
    torch.distributed.destroy_process_group()


def test_two_processes_with_half_a_batch_look_ahead_as_one_with_the_whole(tmp_path):
    torch.multiprocessing.spawn(one_process, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        for (name, through), slopes in torch.load(tmp_path / str(rank), weights_only=True):
            G, D, (real, z) = player(2, 2, 1), player(2, 1, 2), batch()
            fake = G(z)
            loss = loss_g(name, look_ahead(D, name, real, fake, 3, LR, through), real, fake)
            for mine, truth in zip(slopes, torch.autograd.grad(loss, list(G.parameters())), strict=True):
                torch.testing.assert_close(mine, truth, rtol=1e-11, atol=1e-13)


def looking_ahead(K, **recipe):
    """A run of 67,000 weights, whose generator looks K steps ahead."""
    G, D = mlp(2, 2, (8,), seed=1), mlp(2, 1, (256, 256), seed=2)
    return Run(G, D, torch.ones(128, 2), Recipe(unroll=K, **recipe), device="cpu")


def test_a_run_whose_critics_ahead_do_not_fit_into_the_memory_says_so_at_once(monkeypatch):
    """Fault 13."""
    x = torch.ones(128, 2)
    need = memory(mlp(2, 1, (256, 256), seed=2), "nonsaturating", x, x.clone().requires_grad_(), 100)
    monkeypatch.setattr(unrolled, "free_memory", lambda device: need - 1)
    with pytest.warns(UserWarning, match=rf"unroll 100 needs about {need / 1e9:.2g} GB on cpu.*lower unroll") as told:
        looking_ahead(100)
    assert told[0].filename.endswith("test_unrolled.py")
    # in a run the biases, which no step needs, lie in one storage with the weights
    monkeypatch.setattr(unrolled, "free_memory", lambda device: 1.001 * need)
    looking_ahead(100)  # a warning would be an error


@pytest.mark.parametrize("recipe", [{"K": 0}, {"K": 2}, {"K": 10**6, "unroll_through": False}])
def test_a_run_that_is_small_or_keeps_no_graph_is_not_measured(monkeypatch, recipe):
    monkeypatch.setattr(unrolled, "memory", None)
    looking_ahead(**recipe)


def test_measuring_changes_neither_run_nor_global_random_numbers(monkeypatch):
    monkeypatch.setattr(unrolled, "free_memory", lambda device: math.inf)
    runs, states = [], []
    for small in (0, math.inf):
        monkeypatch.setattr(unrolled, "SMALL", small)
        torch.manual_seed(5)
        runs.append(looking_ahead(3, instance_noise=0.1))
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    for mine, theirs in zip(*(run.D.parameters() for run in runs), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.grad is None


def test_free_memory_is_what_the_system_tells(monkeypatch):
    free = free_memory(torch.device("cpu"))
    if os.path.exists("/proc/meminfo"):
        assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 80))
    assert free_memory(torch.device("cuda:0")) == 7
    assert free_memory(torch.device("mps")) == math.inf
