"""What is chosen before a training run: objective, penalties, optimisers, schedules, sizes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ganlab.checks import InputError, choose, number, whole
from ganlab.neural.game_terms import GAME_TERMS
from ganlab.neural.penalties import PENALTIES
from ganlab.objectives import Objective
from ganlab.relativistic import Relativistic, find

__all__ = ["OPTIMIZERS", "SCHEDULES", "Recipe"]

# What a learning rate is multiplied with, as a function of the share of the run that is done.
SCHEDULES = {"constant": lambda done: 1.0, "cosine": lambda done: (1 + math.cos(math.pi * min(done, 1.0))) / 2,
             "linear": lambda done: max(1.0 - done, 0.0)}  # fmt: skip
OPTIMIZERS = ("adam", "rmsprop", "sgd")
PLAYERS = {"gradient_norm": ("G",), "consensus": ("D", "G")}


@dataclass(frozen=True)
class Recipe:
    """Everything about a training run that can be written down in a few words.

    Parameters
    ----------
    objective : str, Objective or Relativistic
    penalties : mapping from name (of `ganlab.neural.penalties.PENALTIES`) or function to its weight
        Added to the discriminator's loss.
    game_terms : mapping from name (of `ganlab.neural.game_terms.GAME_TERMS`) or function to its weight
        A function joins the losses of both players.
    clip : float, optional
        Clamp every weight of D to [-clip, clip] after each of its steps (WGAN).
    steps, batch : int
        Generator steps; samples a step and side, over all processes together.
    n_critic : int
        Discriminator steps for each generator step.
    optimizer : {"adam", "rmsprop", "sgd"}
    lr, lr_g : float
        Learning rate; `lr_g` gives the generator its own (TTUR).
    betas : (float, float)
        Of Adam; the second is RMSprop's smoothing.
    schedule : {"constant", "cosine", "linear"}
        Of the learning rates over the run.
    ema : float in [0, 1)
        Decay of the averaged generator; it starts shorter, as (1 + step) / (10 + step).
    lazy : int
        Apply the penalties at every `lazy`-th discriminator step only, `lazy` times as strong.
    instance_noise, noise_until : float
        Deviation of the noise on real and fake samples at the start, and the share of the run at which it reaches 0.
    unroll, unroll_lr : int, float
        Steps that the generator looks ahead, and their size (`ganlab.neural.unrolled`).
    unroll_through : bool
        Whether gradients flow through those steps, as they should.
    pack : int
        Samples that D sees side by side (PacGAN).
    latent : int
        Numbers of noise a sample.
    precision : {"float32", "bf16"}
        "bf16" runs forward passes under autocast; penalties stay in float32.
    channels_last : bool
        Memory layout of images.
    check_every : int
        Steps between two looks whether everything is finite; a look waits for the GPU.

    Raises
    ------
    InputError
        If a name is unknown or a number is out of range.

    Examples
    --------
    >>> Recipe(objective="hinge", penalties={"r1": 0.1}, steps=100)
    Recipe(objective='hinge', penalties={'r1': 0.1}, steps=100)
    """

    objective: str | Objective | Relativistic = "nonsaturating"
    penalties: Mapping[str | Callable, float] = field(default_factory=dict)
    game_terms: Mapping[str | Callable, float] = field(default_factory=dict)
    clip: float | None = None
    steps: int = 2000
    batch: int = 128
    n_critic: int = 1
    optimizer: str = "adam"
    lr: float = 1e-3
    lr_g: float | None = None
    betas: tuple[float, float] = (0.5, 0.999)
    schedule: str = "constant"
    ema: float = 0.999
    lazy: int = 1
    instance_noise: float = 0.0
    noise_until: float = 1.0
    unroll: int = 0
    unroll_lr: float = 1e-2
    unroll_through: bool = True
    pack: int = 1
    latent: int = 2
    precision: str = "float32"
    channels_last: bool = False
    check_every: int = 1

    def __post_init__(self):
        find(self.objective)
        for name, low in {"steps": 0, "batch": 1, "n_critic": 1, "lazy": 1, "unroll": 0, "pack": 1, "latent": 1,
                          "check_every": 1}.items():  # fmt: skip
            whole(name, getattr(self, name), low)
        for name in ("lr", "lr_g", "clip", "unroll_lr", "noise_until"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name), 0, open_low=True)
        number("instance_noise", self.instance_noise, 0)
        number("ema", self.ema, 0, 1, open_high=True)
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise InputError(f"betas must be two numbers in [0, 1), got {self.betas!r}")
        for beta in self.betas:
            number("betas", beta, 0, 1, open_high=True)
        for kind, weights, table in (
            ("penalty", self.penalties, PENALTIES),
            ("game term", self.game_terms, GAME_TERMS),
        ):
            if not isinstance(weights, Mapping):
                raise InputError(f"each {kind} needs its weight, as in {{'{next(iter(table))}': 0.1}}, got {weights!r}")
            for name, weight in weights.items():
                if not callable(name):
                    choose(kind, name, table)
                number(f"the weight of {name}", weight, 0)
        choose("schedule", self.schedule, SCHEDULES)
        for kind, name, known in (("optimizer", self.optimizer, OPTIMIZERS),
                                  ("precision", self.precision, ("float32", "bf16"))):  # fmt: skip
            choose(kind, name, dict.fromkeys(known))

    def __repr__(self):
        changed = [f"{k}={v!r}" for k, v in vars(self).items() if v != DEFAULTS.get(k)]
        return f"Recipe({', '.join(changed)})"


DEFAULTS = {}
DEFAULTS.update(vars(Recipe()))
