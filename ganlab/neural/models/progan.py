"""ProGAN: a GAN that grows from 4 x 4 to 1024 x 1024 (Karras et al. 2018), written from the paper.

Train a small pair, add a block of layers to each, fade it in, train on, and so on. Each level is a `Run` of its own
with `grow` between them, so the optimisers start afresh, as published. The paper's training: WGAN-GP with weight 10 and
drift 0.001 (``penalties={"wgan_gp": 10, "drift": 0.001}``), Adam with lr 0.001 and betas (0, 0.99), EMA 0.999, batches
of 16 up to 128 x 128, then 14, 6 and 3.
"""

import copy

from torch import nn

from ganlab.checks import InputError, whole
from ganlab.neural.minibatch import MinibatchStdDev
from ganlab.neural.models._growth import (
    LAST,
    EqualConv,
    Fade,
    PixelNorm,
    double,
    fade,
    filters,
    halve,
    resolution_of,
    schedule,
    soften,
    stage_of,
)
from ganlab.neural.models._images import Scores, seeded

__all__ = ["EqualConv", "Fade", "PixelNorm", "ProDiscriminator", "ProGenerator", "discriminator", "double", "fade",
           "filters", "generator", "grow", "halve", "resolution_of", "schedule", "soften", "stage_of"]  # fmt: skip


class ProGenerator(nn.Module):
    """A generator that can `grow`; `generator` builds it.

    Attributes
    ----------
    stage : int
        From 1 for 4 x 4.
    fade : Fade or None
        None if no block is to be faded in.
    """

    def __init__(self, channels, latent, width, generator):
        super().__init__()
        self.channels, self.width = channels, width
        n = filters(1, width)
        first = nn.Sequential(PixelNorm(), nn.Unflatten(1, (latent, 1, 1)),
                              EqualConv(latent, n, 4, first=True, generator=generator), nn.LeakyReLU(0.2),
                              PixelNorm(), *self._conv(n, n, generator))  # fmt: skip
        self.blocks = nn.ModuleList([first])
        self.rgb = EqualConv(n, channels, 1, gain=1.0, generator=generator)
        self.low = self.fade = None

    @property
    def stage(self):
        return len(self.blocks)

    def add(self, generator):
        """Add the layers of the next stage, in place."""
        old, n = filters(self.stage, self.width), filters(self.stage + 1, self.width)
        self.blocks.append(nn.Sequential(*self._conv(old, n, generator), *self._conv(n, n, generator)))
        self.rgb = EqualConv(n, self.channels, 1, gain=1.0, generator=generator)

    @staticmethod
    def _conv(inputs, outputs, generator):
        return EqualConv(inputs, outputs, 3, padding=1, generator=generator), nn.LeakyReLU(0.2), PixelNorm()

    def forward(self, z):
        h = self.blocks[0](z)
        for block in self.blocks[1:]:
            before, h = h, block(double(h))
        picture = self.rgb(h)
        alpha = 1.0 if self.fade is None else self.fade.now()
        return picture if alpha == 1 else fade(double(self.low(before)), picture, alpha)


class ProDiscriminator(nn.Module):
    """The mirror image of `ProGenerator`; `discriminator` builds it. Its blocks are in the order of growth.

    Attributes
    ----------
    stage : int
    fade : Fade or None
    """

    def __init__(self, channels, width, group, generator):
        super().__init__()
        self.channels, self.width = channels, width
        n = filters(1, width)
        self.rgb = EqualConv(channels, n, 1, generator=generator)
        last = nn.Sequential(MinibatchStdDev(group), *self._conv(n + 1, n, generator),
                             EqualConv(n, n, 4, generator=generator), nn.LeakyReLU(0.2),
                             EqualConv(n, 1, 1, gain=1.0, generator=generator), Scores())  # fmt: skip
        self.blocks = nn.ModuleList([last])
        self.low = self.fade = None

    @property
    def stage(self):
        return len(self.blocks)

    def add(self, generator):
        """Add the layers of the next stage, in place."""
        old, n = filters(self.stage, self.width), filters(self.stage + 1, self.width)
        self.rgb = EqualConv(self.channels, n, 1, generator=generator)
        self.blocks.append(nn.Sequential(*self._conv(n, n, generator), *self._conv(n, old, generator)))

    @staticmethod
    def _conv(inputs, outputs, generator):
        return EqualConv(inputs, outputs, 3, padding=1, generator=generator), nn.LeakyReLU(0.2)

    def forward(self, x):
        h = nn.functional.leaky_relu(self.rgb(x), 0.2)
        alpha = 1.0 if self.fade is None else self.fade.now()
        for block in self.blocks[:0:-1]:  # all but the first, from the newest
            h = halve(block(h))
            if alpha < 1:
                h = fade(nn.functional.leaky_relu(self.low(halve(x)), 0.2), h, alpha)
                alpha = 1.0  # only the newest fades
        return self.blocks[0](h)


def generator(resolution=4, channels=3, latent=512, width=512, seed=0):
    """Build the generator of a stage: noise (B, latent) to pictures (B, channels, resolution, resolution).

    Parameters
    ----------
    resolution : int
        A power of two from 4 to 1024. Built at once, not grown, it is the control of the paper's experiment.
    channels, latent : int
    width : int
        Filters of the small stages; later ones have fewer (`filters`). The paper's is 512.
    seed : int
        Of the weights; biases are 0.

    Returns
    -------
    ProGenerator
        The last layer is linear, as published: pictures are not clipped to [-1, 1].

    Raises
    ------
    InputError
        If a size is out of range; a wrong resolution is told the nearest right one.

    Examples
    --------
    >>> import torch
    >>> G = generator(8, latent=16, width=16)
    >>> G.stage, G(torch.zeros(5, 16)).shape
    (2, torch.Size([5, 3, 8, 8]))
    """
    last, g = stage_of(resolution), seeded(seed)
    G = ProGenerator(whole("channels", channels), whole("latent", latent), whole("width", width), g)
    for _ in range(1, last):
        G.add(g)
    return G


def discriminator(resolution=4, channels=3, width=512, group=None, seed=0):
    """Build the discriminator of a stage: pictures to one score each.

    Parameters
    ----------
    resolution, channels, width, seed
        As for `generator`.
    group : int, optional
        Of `ganlab.neural.minibatch.MinibatchStdDev`: the whole batch if not given, as in the paper.

    Returns
    -------
    ProDiscriminator

    Raises
    ------
    InputError
        As `generator` does.

    Examples
    --------
    >>> import torch
    >>> discriminator(8, width=16)(torch.zeros(5, 3, 8, 8)).shape
    torch.Size([5])
    """
    last, g = stage_of(resolution), seeded(seed)
    D = ProDiscriminator(whole("channels", channels), whole("width", width), group, g)
    for _ in range(1, last):
        D.add(g)
    return D


def grow(net, resolution=None, steps=None, seed=0):
    """Return a copy of a network with the layers of the next stage, alpha at 0: it computes what the old one did.

    A grown G makes the old pictures at twice the side, a grown D gives the old scores to pictures of half the side,
    until alpha rises. The old weights are the same bit by bit; `net` itself is left alone.

    Parameters
    ----------
    net : ProGenerator or ProDiscriminator
    resolution : int, optional
        Of the new stage, for a check: twice the present one.
    steps : float, optional
        Of a fade inside a `Run` (see `Fade`).
    seed : int
        Of the new weights.

    Returns
    -------
    ProGenerator or ProDiscriminator

    Raises
    ------
    InputError
        If a stage would be skipped, the last fade is not over, or 1024 x 1024 is reached.

    Examples
    --------
    >>> import torch
    >>> small = generator(4, latent=8, width=8)
    >>> large, z = grow(small, seed=1), torch.ones(2, 8)
    >>> torch.equal(large(z), double(small(z)))
    True
    """
    if not isinstance(net, (ProGenerator, ProDiscriminator)):
        raise InputError(f"grow needs a network of ganlab.neural.models.progan, got {type(net).__name__}")
    now = resolution_of(net.stage)
    if net.stage == LAST:
        raise InputError(f"the network has {now} x {now}, the last stage")
    if resolution is not None and stage_of(resolution) != net.stage + 1:
        raise InputError(f"a network of {now} x {now} grows to {2 * now} x {2 * now}, the nearest stage, got "
                         f"{resolution}: stages cannot be skipped")  # fmt: skip
    if net.fade is not None and net.fade.alpha < 1:
        raise InputError(f"the last fade is at alpha = {net.fade.alpha:.3g}: train on until it is 1, or fade.set(1)")
    large, weight = copy.deepcopy(net), net.rgb.weight
    large.low, large.fade = large.rgb, Fade(steps)
    large.add(seeded(seed))
    return large.to(weight.device, weight.dtype)
