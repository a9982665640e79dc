"""What a progressively grown GAN is made of: its stages, how one fades into the next, and its layers."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from ganlab.checks import InputError, number, whole
from ganlab.neural.models._images import power

LAST = 9  # 1024 x 1024
RELU = math.sqrt(2)  # the gain that keeps the variance through a ReLU


def stage_of(resolution):
    """Return the stage of a resolution, from 1 for 4 x 4 to 9 for 1024 x 1024.

    Raises
    ------
    InputError
        If the resolution is no power of two from 4 to 1024; the message names the nearest.

    Examples
    --------
    >>> [stage_of(r) for r in (4, 8, 1024)]
    [1, 2, 9]
    """
    return power(resolution, 4, 1024) - 1


def resolution_of(stage):
    """Return the resolution of a stage, ``2^(stage + 1)``.

    Raises
    ------
    InputError
        If the stage is no whole number from 1 to 9.

    Examples
    --------
    >>> [resolution_of(stage) for stage in range(1, 10)]
    [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    """
    if isinstance(stage, bool) or stage not in range(1, LAST + 1):
        raise InputError(f"stage must be a whole number from 1 (4 x 4) to {LAST} (1024 x 1024), got {stage!r}")
    return 2 ** (int(stage) + 1)


def filters(stage, width=512):
    """Return the filters of the layers of a stage: ``min(512, 8192 / 2^stage)``, scaled so that `width` is the most.

    Raises
    ------
    InputError
        If the stage is none, or `width` is below 1.

    Examples
    --------
    >>> [filters(stage) for stage in range(1, 10)]  # table 2 of the paper
    [512, 512, 512, 512, 256, 128, 64, 32, 16]
    >>> [filters(stage, width=32) for stage in (1, 5, 9)]
    [32, 16, 1]
    """
    resolution_of(stage)
    return max(1, min(whole("width", width), 16 * width // 2**stage))


def schedule(shown, resolution=1024, stable=800_000, fade=800_000):
    """Return ``(stage, alpha)`` after D has been shown so many real images.

    The first stage trains for `stable` images; every later one fades in during `fade` images, while alpha rises
    linearly from 0 to 1, and then trains for `stable` images. The last one goes on for as long as you like.

    Parameters
    ----------
    shown : int
        At least 0.
    resolution : int
        Where growth ends.
    stable, fade : int
        Images; the paper's are 800,000.

    Returns
    -------
    int, float

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> [schedule(shown) for shown in (0, 1_000_000, 2_000_000, 12_200_000, 10**8)]
    [(1, 1.0), (2, 0.25), (2, 1.0), (9, 0.25), (9, 1.0)]
    """
    last, stable, fade = stage_of(resolution), whole("stable", stable), whole("fade", fade)
    past = whole("shown", shown, 0) - stable
    if past < 0 or last == 1:
        return 1, 1.0
    level, inside = divmod(past, fade + stable)
    if level > last - 2:
        return last, 1.0
    return level + 2, min(1.0, inside / fade)


def fade(low, new, alpha):
    """Return ``(1 - alpha) low + alpha new``: exactly `low` at 0, and exactly `new` at 1.

    Raises
    ------
    InputError
        If alpha is not in [0, 1].

    Examples
    --------
    >>> fade(torch.tensor(2.0), torch.tensor(6.0), 0.25)
    tensor(3.)
    """
    return (1 - number("alpha", alpha, 0, 1)) * low + alpha * new


def double(x):
    """Return pictures of twice the side: every pixel four times, the nearest neighbour.

    Examples
    --------
    >>> double(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """
    return F.interpolate(x, scale_factor=2, mode="nearest")


def halve(x):
    """Return pictures of half the side: the means of four pixels. It undoes `double`.

    Examples
    --------
    >>> halve(double(torch.tensor([[[[1.0, 2.0]]]])))
    tensor([[[[1., 2.]]]])
    """
    return F.avg_pool2d(x, 2)


def soften(real, alpha):
    """Return real pictures as D is to see them during a fade: between those of half the resolution and themselves.

    Examples
    --------
    >>> soften(torch.tensor([[[[0.0, 4.0], [4.0, 8.0]]]]), 0.5)
    tensor([[[[2., 4.],
              [4., 6.]]]])
    """
    return fade(double(halve(real)), real, alpha)


class Fade(nn.Module):
    """The alpha of a network that has just grown.

    Inside a `ganlab.neural.runs.Run` it rises with the steps of the run, whose draws know the step: a resumed run finds
    it where it was, and the averaged generator has that of the last step. Elsewhere it is what `set` made it.

    Parameters
    ----------
    steps : float, optional
        Steps until alpha is 1: images of the fade / batch. Without, alpha is left to `set`.

    Raises
    ------
    InputError
        If `steps` is not positive.

    Examples
    --------
    >>> fading = Fade()
    >>> fading.set(0.5)
    >>> fading.now()
    0.5
    """

    def __init__(self, steps=None):
        super().__init__()
        self.steps, self.rng = steps if steps is None else number("steps", steps, 0, open_low=True), None
        self.register_buffer("alpha", torch.zeros(()))

    def set(self, alpha):
        """Set alpha, a number in [0, 1]."""
        self.alpha.fill_(number("alpha", alpha, 0, 1))

    def now(self):
        """Return alpha as a plain number."""
        if not self.training or self.rng is None or self.steps is None:
            return self.alpha.item()
        alpha = min(1.0, self.rng.step / self.steps)
        self.alpha.fill_(alpha)  # for the averaged generator and for checkpoints
        return alpha


class EqualConv(nn.Module):
    """A convolution with equalised learning rate: weights start as N(0, 1) and are scaled each time they are used.

    The scale is He's, ``gain / sqrt(fan-in)``. Adam moves every weight by about the same amount a step, whatever its
    size; with weights of one size in all layers they all learn at one speed.

    Parameters
    ----------
    inputs, outputs, kernel, padding : int
    gain : float
        sqrt(2) before a (leaky) ReLU, 1 before nothing.
    first : bool
        Make a (kernel x kernel) map of a 1 x 1 one.
    generator : torch.Generator

    Examples
    --------
    >>> layer = EqualConv(3, 8, 3, padding=1, generator=torch.Generator().manual_seed(0))
    >>> round(layer.scale, 4), layer(torch.zeros(5, 3, 4, 4)).shape  # sqrt(2 / 27)
    (0.2722, torch.Size([5, 8, 4, 4]))
    """

    def __init__(self, inputs, outputs, kernel, padding=0, gain=RELU, first=False, *, generator):
        super().__init__()
        shape = (inputs, outputs) if first else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(*shape, kernel, kernel, generator=generator))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding, self.first = gain / math.sqrt(inputs * kernel**2), padding, first

    def forward(self, x):
        convolve = F.conv_transpose2d if self.first else F.conv2d
        return convolve(x, self.weight * self.scale, self.bias, padding=self.padding)


class PixelNorm(nn.Module):
    """Divide the features of every pixel by their root mean square (and 1e-8, lest it be 0).

    Examples
    --------
    >>> PixelNorm()(torch.tensor([[3.0, 4.0]]))  # mean square 12.5
    tensor([[0.8485, 1.1314]])
    """

    def forward(self, x):
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt().to(x.dtype)  # autocast on a GPU widens rsqrt
