"""Layers that look at the whole batch, so that a critic can see that all samples are alike; and dropout and packing.

A batch is ``(B, F)`` or ``(B, C, H, W)``, with a leading axis S when S networks are trained at once. One process or
many, the layers see the same batch: what they share goes through `ganlab.neural.parallel.average`, and every process
must hold equally many rows.
"""

import math
import warnings

import torch
from torch import nn
from torch.nn import functional as F

from ganlab.checks import InputError, number, whole
from ganlab.neural._batches import feature_axis, vectors
from ganlab.neural._normalisation import BatchNorm, VirtualBatchNorm, WithReference
from ganlab.neural.draws import Draws
from ganlab.neural.parallel import average, rank, world

__all__ = ["BatchNorm", "Dropout", "MinibatchDiscrimination", "MinibatchStdDev", "VirtualBatchNorm", "WithReference",
           "give_rng", "pack"]  # fmt: skip


def _everyone(x):
    """Return the rows (axis -2) of all processes: each adds its own to zeros, and sums can be differentiated."""
    n, after = x.shape[-2], world() - 1 - rank()
    return x if world() == 1 else world() * average(F.pad(x, (0, 0, rank() * n, after * n)))


class MinibatchDiscrimination(nn.Module):
    """Append to each sample how close it is to the others, in K learned ways.

    With ``M = f T``, feature k of sample i is ``o_k(x_i) = sum_j exp(-||M_ik - M_jk||_1)``. The sum runs over the whole
    batch, as published, so the sample itself contributes a constant 1 (the authors' released code leaves it out, and
    adds a bias).

    Parameters
    ----------
    features : int
        F, the width of the input; the output is ``F + kernels`` wide.
    kernels, kernel_dim : int
        K and the length of each ``M_ik``. A batch takes ``B * B * kernels * kernel_dim`` numbers of memory.
    generator : torch.Generator, optional
        Draws ``T`` from a normal law of standard deviation ``1 / (kernel_dim * sqrt(features))``: features of unit
        variance then start at distances near 1, where ``exp`` has a slope (the paper gives no start).

    Raises
    ------
    InputError
        If a size is not a whole number of at least 1, or the input has another width.

    Notes
    -----
    Salimans et al. 2016, Improved Techniques for Training GANs, section 3.2.

    Examples
    --------
    >>> layer = MinibatchDiscrimination(2, kernels=3, kernel_dim=4)
    >>> layer(torch.ones(5, 2))[0]  # five copies: each is at distance 0 from five
    tensor([1., 1., 5., 5., 5.], grad_fn=<SelectBackward0>)
    """

    mixes_rows = True  # asked by WithReference

    def __init__(self, features, kernels, kernel_dim, *, generator=None):
        super().__init__()
        self.features, self.kernel_dim = whole("features", features), whole("kernel_dim", kernel_dim)
        T = torch.randn(features, whole("kernels", kernels) * kernel_dim, generator=generator)
        self.T = nn.Parameter(T / (kernel_dim * math.sqrt(features)))

    def forward(self, x):
        vectors(x, self.features)
        M = x @ self.T
        mine, all_rows = (m.unflatten(-1, (-1, self.kernel_dim)) for m in (M, _everyone(M)))
        distance = (mine.unsqueeze(-3) - all_rows.unsqueeze(-4)).abs().sum(-1)  # (..., B, all, K)
        return torch.cat([x, (-distance).exp().sum(-2)], -1)


class MinibatchStdDev(nn.Module):
    """Append one feature: how much the samples of a group differ, averaged over features and pixels.

    The standard deviation over the group is ``sqrt(variance + 1e-8)`` with the biased variance, so a sample alone gets
    1e-4, never a NaN. Groups are consecutive samples (the authors' code takes every (B/group)-th), which keeps them
    the same when the batch is spread over processes.

    Parameters
    ----------
    group : int, optional
        Samples in a group, at least 2; the whole batch if not given. A smaller batch is one group, as in the authors'
        code; if the group does not divide the batch it shrinks to their greatest common divisor, with one warning.
    strict : bool
        Raise instead of shrinking the group.

    Raises
    ------
    InputError
        If `group` is not a whole number of at least 2, or `strict` and it does not divide the batch.

    Notes
    -----
    Karras et al. 2018, Progressive Growing of GANs, section 3.

    Examples
    --------
    >>> MinibatchStdDev()(torch.tensor([[0.0, 1.0], [2.0, 5.0]]))  # deviations 1 and 2
    tensor([[0.0000, 1.0000, 1.5000],
            [2.0000, 5.0000, 1.5000]])
    """

    mixes_rows = True  # asked by WithReference

    def __init__(self, group=None, *, strict=False):
        super().__init__()
        self.group, self.strict = group if group is None else whole("group", group, 2), strict
        self.told = set()

    def _tell(self, message):
        """Warn, but say nothing twice: a loop meets the same batch size at every step."""
        if message not in self.told:
            self.told.add(message)
            warnings.warn(message, stacklevel=3)

    def _size(self, n):
        """Return the group size that divides a batch of `n`."""
        if self.group is None or n % self.group == 0:
            return self.group or n
        size = math.gcd(n, min(n, self.group))
        if self.strict:
            raise InputError(f"group={self.group} does not divide the batch of {n}; choose a multiple of {self.group} "
                             "as batch size, or a divisor of the batch as group")  # fmt: skip
        self._tell(f"a batch of {n} cannot be split into groups of {self.group}: minibatch stddev uses {size}")
        return size

    def forward(self, x):
        axis = feature_axis(x)
        size = self._size(x.shape[axis - 1])
        whole_batch = self.group is None
        if size * (world() if whole_batch else 1) == 1:
            self._tell("minibatch stddev of a single sample is the constant 1e-4: use a larger batch or group")
        rows = x.flatten(axis).unflatten(-2, (-1, size))  # (..., groups, size, everything of a sample)
        mean = rows.mean(-2, keepdim=True)
        mean = average(mean) if whole_batch else mean
        variance = (rows - mean).square().mean(-2)
        variance = average(variance) if whole_batch else variance
        deviation = (variance + 1e-8).sqrt().mean(-1)
        column = deviation.repeat_interleave(size, -1)
        return torch.cat([x, column.reshape(*column.shape, *[1] * -axis).expand_as(x.narrow(axis, 0, 1))], axis)


class Dropout(nn.Module):
    """Zero each entry with probability `p` in training and divide the others by ``1 - p``; draw from ``rng``.

    ``torch.nn.Dropout`` draws from the global generator, which a resumed run does not find again.

    Parameters
    ----------
    p : float
        From 0 to below 1.

    Raises
    ------
    InputError
        If `p` is out of range, or the layer trains without an ``rng``, or with one of another number of networks.

    Notes
    -----
    Srivastava et al. 2014, Dropout; in a critic, Wei et al. 2018 (CT-GAN).

    Examples
    --------
    >>> layer = Dropout(0.5)
    >>> give_rng(layer, Draws(seed=0))
    >>> layer(torch.ones(2, 3)).unique()
    tensor([0., 2.])
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p, self.rng = number("p", p, 0, 1, open_high=True), None

    def forward(self, x):
        if not self.training:
            return x
        if self.rng is None:
            raise InputError("Dropout needs random numbers to train: give_rng(net, Draws(seed)), or net.eval()")
        seeds = self.rng.seeds if self.rng.stacked else ()
        if len(seeds) != (len(x) if x.ndim in (3, 5) else 0):
            raise InputError(f"a batch of shape {tuple(x.shape)} does not fit rng, {self.rng}: a stack of S networks "
                             "needs Draws with S seeds, and one network Draws with one seed")  # fmt: skip
        return x * (self.rng.uniform_like(x) >= self.p) / (1 - self.p)


def give_rng(module, rng):
    """Let every layer of `module` that draws random numbers draw them from `rng`.

    A copy of the module made later draws from a copy of `rng`: give it its own.

    Parameters
    ----------
    module : torch.nn.Module
        Layers with an attribute ``rng`` are meant.
    rng : Draws or None

    Raises
    ------
    InputError
        If `rng` is something else, such as a seed.

    Examples
    --------
    >>> net = nn.Sequential(Dropout(0.1), nn.Linear(2, 2))
    >>> give_rng(net, Draws(seed=3))
    >>> net[0].rng
    Draws(seed=3, step=0, cpu)
    """
    if rng is not None and not isinstance(rng, Draws):
        raise InputError(f"rng must be a ganlab.neural.draws.Draws, such as Draws(seed=0), got {rng!r}")
    for layer in module.modules():
        if hasattr(layer, "rng"):
            layer.rng = rng


def pack(x, m):
    """Put `m` consecutive samples side by side, so that a critic judges them together.

    Parameters
    ----------
    x : tensor, shape (B, F) or (B, C, H, W), or a stack of these
        Images are joined along the channels.
    m : int
        The degree of packing; 1 changes nothing.

    Returns
    -------
    tensor, shape (B / m, m F) or (B / m, m C, H, W)

    Raises
    ------
    InputError
        If `m` is not a whole number of at least 1, or does not divide the batch.

    Notes
    -----
    Lin et al. 2018, PacGAN.

    Examples
    --------
    >>> pack(torch.arange(8).reshape(4, 2), 2)
    tensor([[0, 1, 2, 3],
            [4, 5, 6, 7]])
    """
    axis, m = feature_axis(x), whole("m", m)
    n = x.shape[axis - 1]
    if n % m:
        nearest = " or ".join(str(k * m) for k in (n // m, n // m + 1) if k)
        raise InputError(f"a batch of {n} cannot be packed by {m}: take a batch of {nearest}")
    return x.unflatten(axis - 1, (-1, m)).flatten(axis - 1, axis)
