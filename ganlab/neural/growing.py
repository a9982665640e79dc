"""Progressive growing (Karras et al. 2018): one `Run` a resolution, each made of the two networks of the last one.

A level's run fades its new layers in, then trains on. Its optimisers, schedule and averaged generator are its own, so
they start afresh, as published for the optimisers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ganlab.checks import InputError, whole
from ganlab.neural._entry import as_tensor, share_of_batch
from ganlab.neural.models import progan
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run

__all__ = ["Growth", "levels", "pyramid"]

PUBLISHED = Recipe(
    objective="wasserstein", penalties={"wgan_gp": 10, "drift": 0.001}, betas=(0.0, 0.99), batch=16, latent=512
)


@dataclass(frozen=True)
class Growth:
    """What is chosen before a progressive training.

    Parameters
    ----------
    resolution : int
        Where growth ends: a power of two from 4 to 1024.
    start : int
        Where it begins. Equal to `resolution` it is training at full size, the control of the paper's experiment.
    stable, fade : int
        Real images that D is shown at each level after the fade, and during it; the paper's are 800,000.
    width : int
        Filters of the small levels (`ganlab.neural.models.progan.filters`).
    group : int, optional
        Of the minibatch standard deviation; the whole batch if not given.
    batches : mapping from resolution to batch, optional
        Where it is not the recipe's; the paper has ``{256: 14, 512: 6, 1024: 3}``.
    recipe : Recipe
        Of every level; its `steps` are not looked at.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> growth = Growth(16, stable=3200, fade=1600)
    >>> growth.resolutions, [growth.steps(r) for r in growth.resolutions]
    ((4, 8, 16), [(0, 200), (100, 300), (100, 300)])
    """

    resolution: int = 32
    start: int = 4
    stable: int = 800_000
    fade: int = 800_000
    width: int = 512
    group: int | None = None
    batches: Mapping[int, int] = field(default_factory=dict)
    recipe: Recipe = PUBLISHED

    def __post_init__(self):
        if not isinstance(self.recipe, Recipe):
            raise InputError(f"recipe must be a Recipe, such as Recipe(batch=16, latent=64), got {self.recipe!r}")
        first, last = progan.stage_of(self.start), progan.stage_of(self.resolution)
        if first > last:
            raise InputError(f"start {self.start} must not be above resolution {self.resolution}")
        for name in ("stable", "fade", "width"):
            whole(name, getattr(self, name))
        for resolution, batch in self.batches.items():
            progan.stage_of(resolution), whole(f"batches[{resolution}]", batch)

    @property
    def resolutions(self):
        """Of all levels, from the first one."""
        return tuple(
            map(progan.resolution_of, range(progan.stage_of(self.start), progan.stage_of(self.resolution) + 1))
        )

    def batch(self, resolution):
        """Return the batch of a level."""
        return self.batches.get(resolution, self.recipe.batch)

    def steps(self, resolution):
        """Return the steps of a level, as numbers of steps until its fade and until its training ends."""
        shown = self.batch(resolution) * self.recipe.n_critic
        fade = 0 if resolution == self.start else math.ceil(self.fade / shown)
        return fade, fade + math.ceil(self.stable / shown)


def levels(pictures, growth, seed=0, device="auto"):
    """Yield one `Run` after the other, each grown out of the last one: train it before you ask for the next.

    Parameters
    ----------
    pictures : Pictures or tensor (N, channels, side, side)
        A side of at least the last resolution, and a power of two; smaller levels see means over its pixels.
    growth : Growth
    seed : int
        Of all networks, batches and noise.
    device : str

    Yields
    ------
    Run
        Its D is shown real pictures as soft as the fade makes those of G.

    Raises
    ------
    InputError
        If the pictures do not fit, or a run was not trained to its end.

    Examples
    --------
    >>> import torch
    >>> from ganlab.neural.training import train
    >>> growth = Growth(8, stable=8, fade=8, width=8, recipe=Recipe(batch=4, latent=8))
    >>> for run in levels(torch.zeros(10, 1, 16, 16), growth, device="cpu"):
    ...     for record in train(run):
    ...         pass
    ...     print(run.data.shape[-1], run.step)
    4 2
    8 4
    """
    if not isinstance(growth, Growth):
        raise InputError(f"growth must be a Growth, such as Growth(16, stable=3200, fade=1600), got {growth!r}")
    whole("seed", seed, 0)
    data = pyramid(as_tensor(pictures, 1), growth.resolutions)
    channels, run = data[growth.start].shape[1], None
    for resolution in growth.resolutions:
        fade, steps = growth.steps(resolution)
        recipe = replace(growth.recipe, steps=steps, batch=growth.batch(resolution))
        if run is None:
            G = progan.generator(resolution, channels, recipe.latent, growth.width, seed=2 * seed)
            D = progan.discriminator(resolution, channels, growth.width, growth.group, seed=2 * seed + 1)
        elif run.step < run.recipe.steps:
            raise InputError(f"the run before stands at step {run.step} of {run.recipe.steps}: train it to its end")
        else:
            G, D = (progan.grow(net, resolution, fade, seed=2 * seed + k) for k, net in enumerate((run.G, run.D)))
        run = Run(G, D, data[resolution], recipe, seed, device)
        if resolution == growth.start:  # a later batch that does not fit is better told now than in a week
            for later in growth.resolutions:
                share_of_batch(replace(recipe, batch=growth.batch(later)), len(run.data), run.rng)
        if fade:
            run.view = lambda real, D=D: progan.soften(real, D.fade.now())
        yield run


def pyramid(images, resolutions):
    """Return pictures at several resolutions, the smaller ones as means over the pixels of the larger.

    Parameters
    ----------
    images : tensor (N, channels, side, side)
    resolutions : sequence of int

    Returns
    -------
    dict from resolution to tensor

    Raises
    ------
    InputError
        If the pictures are not square, or their side is no power of two or too small.

    Examples
    --------
    >>> import torch
    >>> {r: tuple(x.shape) for r, x in pyramid(torch.zeros(5, 3, 16, 16), (4, 16)).items()}
    {16: (5, 3, 16, 16), 4: (5, 3, 4, 4)}
    """
    if images.ndim != 4 or images.shape[2] != images.shape[3]:
        raise InputError(f"pictures must be square, of shape (N, channels, side, side), got {tuple(images.shape)}")
    side = images.shape[2]
    if progan.stage_of(side) < progan.stage_of(max(resolutions)):
        raise InputError(f"the pictures have {side} pixels a side, and growth is to end at {max(resolutions)}: resize "
                         f"them, or end at {side}")  # fmt: skip
    found = {}
    while side >= min(resolutions):
        if side in resolutions:
            found[side] = images
        images, side = progan.halve(images), side // 2
    return found
