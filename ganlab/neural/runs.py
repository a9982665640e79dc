"""A training run: two networks, data, a recipe, and how far it has come. `ganlab.neural.training.train` trains it."""

import copy
import dataclasses
import inspect
import math
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from ganlab.checks import InputError, whole
from ganlab.neural import parallel
from ganlab.neural._entry import as_tensor, share_of_batch, try_out
from ganlab.neural._scores import scores
from ganlab.neural._weights import Weights
from ganlab.neural.devices import find_device, keep_memory, repeatable
from ganlab.neural.draws import Draws
from ganlab.neural.game_terms import GAME_TERMS
from ganlab.neural.minibatch import give_rng, pack
from ganlab.neural.models._images import Scores
from ganlab.neural.models.mlp import Maxout, Stack, StackedLinear
from ganlab.neural.penalties import PENALTIES, clip_weights, drift, warn_if_batch_norm
from ganlab.neural.recipes import PLAYERS, SCHEDULES, Recipe
from ganlab.neural.unrolled import look_ahead, warn_if_large
from ganlab.relativistic import find

__all__ = ["DivergedError", "Run"]


# Layers, and the container, whose answer to a sample depends on nothing else: not on the batch, not on chance.
SAMPLE_BY_SAMPLE = {nn.Sequential, Stack, nn.Linear, StackedLinear, nn.Identity, nn.ReLU, nn.LeakyReLU, nn.Tanh,
                    nn.Softplus, nn.SiLU, nn.ELU, Maxout, nn.Conv2d, nn.ConvTranspose2d, nn.Flatten, nn.Unflatten,
                    Scores}  # fmt: skip


class DivergedError(ArithmeticError):
    """Training left the finite numbers; the message names the step and the quantity."""


@dataclass(eq=False, repr=False)
class Run:
    """A training run: two networks, data, a recipe, and how far it has come.

    Parameters
    ----------
    G, D : nn.Module
        Generator (noise of shape (B, latent) to samples) and critic (samples to one score each, no sigmoid); both
        stacks of S networks (`ganlab.neural.models.mlp`) if `seed` is a sequence.
    data : tensor (N, ...), a law of `ganlab.data`, or a set of `ganlab.pictures` or `ganlab.drawings`
        A law is sampled `points` times, the same points for every seed.
    recipe : Recipe
    seed : int or sequence of int
        Of batches and noise.
    device : str
        See `ganlab.neural.devices.find_device`.
    points : int
        How many samples of a data set to keep.
    view : callable, optional
        What D is shown instead of a batch of real samples, a function of the batch: growing GANs soften their pictures.

    Raises
    ------
    InputError
        If data, batch, processes and networks do not fit together.

    Examples
    --------
    >>> from ganlab.data import ring
    >>> from ganlab.neural.models.mlp import mlp
    >>> from ganlab.neural.training import train
    >>> run = Run(mlp(2, 2), mlp(2, 1), ring(), Recipe(steps=2), device="cpu")
    >>> [record.step for record in train(run)]
    [1, 2]
    """

    G: nn.Module
    D: nn.Module
    data: object
    recipe: Recipe = field(default_factory=Recipe)
    seed: object = 0
    device: object = "auto"
    points: int = 100_000
    view: object = None
    step: int = field(default=0, init=False)

    def __post_init__(self):
        if not isinstance(self.recipe, Recipe):
            raise InputError(f"recipe must be a Recipe, such as Recipe(steps=1000), got {self.recipe!r}")
        recipe, self.device = self.recipe, find_device(self.device, parallel.join())
        self.rng = Draws(self.seed, self.device, parallel.rank(), parallel.world())
        self.dtype = next(self.G.parameters()).dtype
        self.data = as_tensor(self.data, self.points).to(self.device, self.dtype)
        self.objective = find(recipe.objective)
        if self.objective.compares:  # with a mean that spans all processes
            self.objective = dataclasses.replace(self.objective, mean=lambda t: parallel.average(t.mean(-1)))
        self.compares = self.objective.compares or recipe.unroll > 0
        self.n = share_of_batch(recipe, len(self.data), self.rng)
        layout = torch.channels_last if recipe.channels_last else torch.preserve_format
        for player in (self.G, self.D):
            player.to(self.device, memory_format=layout).train()
            parallel.broadcast(player)
        self.ema = copy.deepcopy(self.G).requires_grad_(False).eval() if recipe.ema else self.G
        give_rng(self.G, self.rng)
        give_rng(self.D, self.rng)
        if recipe.penalties:
            warn_if_batch_norm(self.D)
        self.one_pass = _is_plain(self.D)
        named = all(isinstance(choice, str) for choice in (recipe.objective, *recipe.penalties, *recipe.game_terms))
        self.ours = named and self.one_pass and _is_plain(self.G)  # so nobody draws from torch's global generator
        keep_memory()
        self.zero = torch.zeros(len(self.rng.seeds) if self.rng.stacked else (), device=self.device)
        try_out(self)
        self.opt_G = _optimizer(Weights(self.G, self.rng.stacked), recipe, recipe.lr_g or recipe.lr)
        self.opt_D = _optimizer(Weights(self.D, self.rng.stacked), recipe, recipe.lr)
        self.fixed_D = _without_gradients(self.D) if type(self.D) is Stack and self.one_pass else self.D
        if recipe.unroll and recipe.unroll_through:
            with self.turn(), self.autocast():
                warn_if_large(self.D, self.objective, self.batch()[0], recipe.unroll)

    def __repr__(self):
        sizes = " and ".join(f"{sum(p.numel() for p in player.parameters()):,}" for player in (self.G, self.D))
        seeds = f"{len(self.rng.seeds)} seeds" if self.rng.stacked else f"seed {self.seed}"
        return f"Run at step {self.step} of {self.recipe.steps}: {sizes} weights, {seeds}, {self.device}, {self.recipe}"

    @contextmanager
    def turn(self):
        """Set up everything that depends on the step; layers that use torch's global generator repeat, too."""
        done = self.step / max(self.recipe.steps, 1)
        rate = SCHEDULES[self.recipe.schedule](done)
        self.opt_D.param_groups[0]["lr"] = rate * self.recipe.lr
        self.opt_G.param_groups[0]["lr"] = rate * (self.recipe.lr_g or self.recipe.lr)
        self.noise = self.recipe.instance_noise * max(0.0, 1 - done / self.recipe.noise_until)
        self.rng.at(self.step)
        on_gpu = self.device.type == "cuda"
        with ExitStack() as stack:
            if on_gpu:
                stack.enter_context(repeatable())
            if not self.ours:
                stack.enter_context(torch.random.fork_rng([self.device] if on_gpu else []))
                theirs = torch.cuda.default_generators[self.device.index] if on_gpu else torch.default_generator
                theirs.manual_seed(self.rng.generators[0].initial_seed() + self.rng.rank)
            yield

    def autocast(self):
        """Forward passes in bfloat16, if the recipe says so."""
        bf16 = self.recipe.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if bf16 else nullcontext()

    def batch(self):
        """Draw real samples, ready for D, and the noise for as many fakes."""
        chosen = self.rng.integers(len(self.data), self.n)
        real = self.data.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)  # quicker than self.data[chosen]
        if self.view is not None:
            real = self.view(real)
        return self.prepare(real), self.rng.normal(self.n, self.recipe.latent).to(self.dtype)

    def prepare(self, x):
        """Make samples into what D sees: with instance noise, and packed."""
        if self.noise:
            x = x + self.noise * self.rng.normal_like(x)
        return pack(x, self.recipe.pack) if self.recipe.pack > 1 else x

    def scores(self, real, fake):
        """Scores of both batches; in one pass, which is quicker, where D looks at every sample by itself."""
        if not self.one_pass:
            return scores(self.D, real), scores(self.D, fake)
        both = scores(self.D, torch.cat([real, fake], dim=int(self.rng.stacked)))
        return both.tensor_split(2, dim=-1)

    def penalty(self, k, real, fake, z, t_real):
        """What D pays at the k-th of its steps, in which it gave the real samples the scores `t_real`."""
        if not (self.recipe.penalties or self.recipe.game_terms):
            return self.zero
        lazy, paid = self.recipe.lazy, self.zero + self.game_terms("D", real, z)
        fake = fake.to(real.dtype)  # a generator in bf16 makes other numbers than the data
        if (self.step * self.recipe.n_critic + k) % lazy == 0:
            for name, weight in self.recipe.penalties.items():
                term = name if callable(name) else PENALTIES[name]
                known = {"t_real": t_real} if term is drift else {}
                paid = paid + lazy * weight * term(self.D, real, fake, self.rng, **known)
        return paid

    def game_terms(self, player, real, z):
        """What `player` pays for the gradients of the whole game."""
        paid = 0
        for name, weight in self.recipe.game_terms.items():
            if player in PLAYERS.get(name, ("D", "G")):
                term = name if callable(name) else GAME_TERMS[name]
                paid = paid + weight * term(self.G, self.D, self.objective, real, z)
        return paid

    def clip(self):
        """Clamp the critic's weights, if the recipe says so."""
        if self.recipe.clip is not None:
            clip_weights(self.D, self.recipe.clip)

    def g_gain(self, real, fake):
        """What the generator raises. One that looks ahead lowers all of J: the critic ahead depends on its fakes."""
        objective = self.objective
        return -objective.d_gain(real, fake) if self.recipe.unroll else objective.g_gain(real, fake)

    def critic(self, real, fake):
        """The critic whose scores the generator raises."""
        r = self.recipe
        if r.unroll == 0:
            return self.fixed_D
        return look_ahead(self.D, self.objective, real, fake, r.unroll, r.unroll_lr, r.unroll_through)

    def check(self, weights, gain):
        """Return the length of the gradient, one a seed; stop before what is not finite can reach the weights."""
        norm = torch.linalg.vector_norm(weights.grad, dim=-1)
        if self.step % self.recipe.check_every == 0 and not any(map(math.isfinite, norm.reshape(-1).tolist())):
            who = "discriminator" if weights is self.opt_D.param_groups[0]["params"][0] else "generator"
            raise DivergedError(
                f"step {self.step}: the {who}'s gradient is not finite (gain {gain.detach().mean():.3g}); "
                f"the weights of step {self.step} are untouched. Lower lr or raise the penalty")  # fmt: skip
        return norm

    @torch.no_grad()
    def average(self):
        """Move the averaged generator towards the present one; its buffers follow at once."""
        if self.ema is self.G:
            return
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.G.parameters()), 1 - decay)
        for mine, theirs in zip(self.ema.buffers(), self.G.buffers(), strict=True):
            mine.copy_(theirs)

    @torch.no_grad()
    def sample(self, n=2500, seed=0, averaged=True):
        """Draw samples from the generator, by default from the averaged one.

        Parameters
        ----------
        n : int
        seed : int
            Which samples; the same for every step of training, so that a film shows the same noise.
        averaged : bool

        Returns
        -------
        array (n, ...), or (S, n, ...) for a stack
        """
        G = self.ema if averaged else self.G
        seeds = [seed] * len(self.rng.seeds) if self.rng.stacked else seed
        z = Draws(seeds, self.device).at("sample").normal(whole("n", n), self.recipe.latent).to(self.dtype)
        training = G.training
        few = 4096 if self.data.ndim == 2 else 256  # at a time: pictures take memory on their way through G
        samples = torch.cat([G.eval()(part) for part in z.split(few, dim=int(self.rng.stacked))], int(self.rng.stacked))
        G.train(training)
        return samples.cpu().numpy()


def _is_plain(network):
    return all(type(m) in SAMPLE_BY_SAMPLE for m in network.modules())


def _without_gradients(network):
    """The same network with the same weights, which takes no time for gradients by them when G asks for its own."""
    twin = copy.deepcopy(network).requires_grad_(False)
    for mine, theirs in zip(twin.parameters(), network.parameters(), strict=True):
        mine.data = theirs.data
    return twin


def _optimizer(weights, recipe, lr):
    """The optimiser of one player, which raises its gain."""
    if recipe.optimizer == "rmsprop":
        optimizer = torch.optim.RMSprop([weights], lr, alpha=recipe.betas[1], maximize=True)
    elif recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD([weights], lr, fused=True, maximize=True)
    else:
        optimizer = torch.optim.Adam([weights], lr, betas=tuple(map(float, recipe.betas)), fused=True, maximize=True)
    # without the profiler's hook around it, which takes longer than the step of a small network
    optimizer.step = torch.no_grad()(partial(inspect.unwrap(type(optimizer).step), optimizer))
    return optimizer
