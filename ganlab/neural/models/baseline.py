"""A small modern baseline: plain residual networks without normalisation, made for a paired loss with two penalties.

An idea after R3GAN (Huang et al. 2024, The GAN is dead; long live the GAN!), not a copy of it: what is kept is the
relativistic pairing loss with R1 and R2, residual blocks of 1x1 - grouped 3x3 - 1x1 without any normalisation, an
initialisation under which every block starts as the identity (fix-up, Zhang et al. 2019), leaky ReLU, resampling apart
from the convolutions. What is left out: its sizes, bilinear filters, schedules and tuning. A recipe to start from:
``Recipe(objective="rpgan", penalties={"r1": 1, "r2": 1}, betas=(0.0, 0.99), lr=2e-4)``.
"""

from torch import nn

from ganlab.checks import InputError, whole
from ganlab.neural.models._growth import double, halve
from ganlab.neural.models._images import Scores, drawn, he, normal, power, seeded

__all__ = ["Residual", "discriminator", "filters", "generator"]


class Residual(nn.Module):
    """A residual block ``x + f(x)`` with f = 1x1 - leaky ReLU - grouped 3x3 - leaky ReLU - 1x1, and f = 0 at the start.

    The last layer starts at 0, the others at He's scale times ``blocks^(-1/4)``: with m = 3 layers in a block, fix-up's
    ``L^(-1/(2m - 2))``, under which a step of the optimiser changes a network of any depth L by about as much.

    Parameters
    ----------
    width : int
        Channels that go in and come out.
    groups : int
        Of the 3x3 convolution in the middle, which has twice the channels; must divide them.
    blocks : int
        Residual blocks in the whole network.
    generator : torch.Generator

    Raises
    ------
    InputError
        If `groups` does not divide ``2 width``.

    Examples
    --------
    >>> import torch
    >>> block, x = Residual(4, generator=torch.Generator().manual_seed(0)), torch.ones(1, 4, 2, 2)
    >>> torch.equal(block(x), x)
    True
    """

    def __init__(self, width, groups=1, blocks=1, *, generator):
        super().__init__()
        inner = 2 * whole("width", width)
        if inner % whole("groups", groups):
            valid = [d for d in range(1, inner + 1) if inner % d == 0]
            below, above = max(d for d in valid if d <= groups), min([d for d in valid if d >= groups] or [inner])
            raise InputError(f"groups={groups} does not divide {inner} channels: the nearest is {below} or {above}")
        start = {"init": he(whole("blocks", blocks) ** -0.25), "generator": generator}
        self.net = nn.Sequential(
            drawn(nn.Conv2d, width, inner, 1, **start), nn.LeakyReLU(0.2),
            drawn(nn.Conv2d, inner, inner, 3, padding=1, groups=groups, **start), nn.LeakyReLU(0.2),
            drawn(nn.Conv2d, inner, width, 1, bias=False, init=normal(0.0), generator=generator))  # fmt: skip

    def forward(self, x):
        return x + self.net(x)


class _Resample(nn.Module):
    """Double or halve the side, and change the number of channels with a 1x1 convolution where they are fewest."""

    def __init__(self, inputs, outputs, up, generator):
        super().__init__()
        self.up, same = up, inputs == outputs
        self.mix = nn.Identity() if same else drawn(nn.Conv2d, inputs, outputs, 1, bias=False, init=he(0.5**0.5),
                                                    generator=generator)  # fmt: skip

    def forward(self, x):
        return double(self.mix(x)) if self.up else self.mix(halve(x))


def filters(resolution, width=32, most=256):
    """Return the channels at every resolution from the picture's down to 4 x 4: doubling, to at most `most`.

    Raises
    ------
    InputError
        If the resolution is no power of two from 4 to 1024, or a width is below 1.

    Examples
    --------
    >>> filters(64, width=32)
    [32, 64, 128, 256, 256]
    """
    w, most = whole("width", width), whole("most", most)
    return [min(w * 2**k, most) for k in range(power(resolution, 4, 1024) - 1)]


def generator(resolution=32, channels=3, latent=64, width=32, blocks=1, groups=1, seed=0):
    """Build the generator: noise (B, latent) to pictures (B, channels, resolution, resolution).

    Parameters
    ----------
    resolution : int
        A power of two from 4 to 1024.
    channels, latent : int
    width : int
        Channels at full resolution (`filters`).
    blocks : int
        Residual blocks at every resolution.
    groups : int
        See `Residual`.
    seed : int
        Of the weights.

    Returns
    -------
    torch.nn.Sequential
        The last layer is linear.

    Raises
    ------
    InputError
        If a size is out of range, or `groups` does not fit.

    Examples
    --------
    >>> import torch
    >>> generator(16, width=8)(torch.zeros(5, 64)).shape
    torch.Size([5, 3, 16, 16])
    """
    widths, g = filters(resolution, width)[::-1], seeded(seed)
    total = whole("blocks", blocks) * len(widths)
    layers = [nn.Unflatten(1, (whole("latent", latent), 1, 1)),
              drawn(nn.ConvTranspose2d, latent, widths[0], 4, init=normal(latent**-0.5), generator=g)]  # fmt: skip
    for k, w in enumerate(widths):
        layers += [_Resample(widths[k - 1], w, True, g)] if k else []
        layers += [Residual(w, groups, total, generator=g) for _ in range(blocks)]
    last = drawn(nn.Conv2d, widths[-1], whole("channels", channels), 1, init=he(0.5**0.5), generator=g)
    return nn.Sequential(*layers, last)


def discriminator(resolution=32, channels=3, width=32, blocks=1, groups=1, seed=0):
    """Build the discriminator: pictures to one score each, sample by sample.

    Parameters
    ----------
    resolution, channels, width, blocks, groups, seed
        As for `generator`.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    InputError
        As `generator` does.

    Examples
    --------
    >>> import torch
    >>> discriminator(16, width=8)(torch.zeros(5, 3, 16, 16)).shape
    torch.Size([5])
    """
    widths, g = filters(resolution, width), seeded(seed)
    total = whole("blocks", blocks) * len(widths)
    layers = [drawn(nn.Conv2d, whole("channels", channels), widths[0], 1, init=he(0.5**0.5), generator=g)]
    for k, w in enumerate(widths):
        layers += [_Resample(widths[k - 1], w, False, g)] if k else []
        layers += [Residual(w, groups, total, generator=g) for _ in range(blocks)]
    return nn.Sequential(*layers, drawn(nn.Conv2d, widths[-1], 1, 4, init=he(0.5**0.5), generator=g), Scores())
