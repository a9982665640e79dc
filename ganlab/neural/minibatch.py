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
from ganlab.neural.draws import Draws
from ganlab.neural.parallel import average, rank, world

__all__ = ["BatchNorm", "Dropout", "MinibatchDiscrimination", "MinibatchStdDev", "VirtualBatchNorm", "WithReference",
           "give_rng", "pack"]  # fmt: skip


def _feature_axis(x):
    """Return the axis of features or channels, counted from the end; the axis before it is the batch."""
    if not 2 <= x.ndim <= 5:
        raise InputError(f"a batch must be (B, F), (B, C, H, W) or a stack of these, got shape {tuple(x.shape)}")
    return -1 if x.ndim < 4 else -3


def _vectors(x, features):
    """Check that `x` is a batch of vectors, or a stack of such."""
    if x.ndim not in (2, 3) or x.shape[-1] != features:
        raise InputError(f"this layer takes (B, {features}) or (S, B, {features}), got shape {tuple(x.shape)}; "
                         "flatten images first, and check the width of the layer before")  # fmt: skip


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

    def __init__(self, features, kernels, kernel_dim, *, generator=None):
        super().__init__()
        self.features, self.kernel_dim = whole("features", features), whole("kernel_dim", kernel_dim)
        T = torch.randn(features, whole("kernels", kernels) * kernel_dim, generator=generator)
        self.T = nn.Parameter(T / (kernel_dim * math.sqrt(features)))

    def forward(self, x):
        _vectors(x, self.features)
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
        axis = _feature_axis(x)
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


class VirtualBatchNorm(nn.Module):
    """Normalise each sample with the statistics of a fixed reference batch and of that sample itself.

    What comes out for a sample then does not depend on its neighbours, as it does under batch normalisation. With R
    reference samples, mean and biased variance are those of the R + 1 samples together; the reference itself is
    normalised by its own statistics. The layer works inside `WithReference`, which sends the reference rows first.

    Parameters
    ----------
    features : int
        F or C.
    eps : float
        Added to the variance.
    generator : torch.Generator, optional
        Taken as by every layer; nothing is drawn, for scale 1 and shift 0 are the start.

    Raises
    ------
    InputError
        If a size is wrong, or the layer is called outside `WithReference`.

    Notes
    -----
    Salimans et al. 2016, section 3.4.

    Examples
    --------
    >>> net = WithReference(VirtualBatchNorm(1), torch.tensor([[-1.0], [1.0]]))
    >>> net(torch.tensor([[0.0], [2.0]])).detach().round(decimals=3)  # 2 among (-1, 1, 2): mean 2/3, variance 14/9
    tensor([[0.0000],
            [1.0690]])
    """

    def __init__(self, features, *, eps=1e-5, generator=None):
        super().__init__()
        self.features, self.eps = whole("features", features), number("eps", eps, 0, open_low=True)
        self.rows = None  # how many reference samples come first; set once, by WithReference
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x):
        axis = _feature_axis(x)
        if self.rows is None:
            raise InputError("VirtualBatchNorm needs a reference batch: wrap the network in WithReference(net, batch)")
        if x.shape[axis] != self.features:
            raise InputError(f"VirtualBatchNorm({self.features}) got shape {tuple(x.shape)}")
        h = x.unsqueeze(-1) if axis == -1 else x.flatten(-2)  # (..., rows, features, pixels)
        reference, own = h[..., : self.rows, :, :], h[..., self.rows :, :, :]
        ref_mean, own_mean = reference.mean((-3, -1), keepdim=True), own.mean(-1, keepdim=True)
        ref_var = (reference - ref_mean).square().mean((-3, -1), keepdim=True)
        own_var = (own - own_mean).square().mean(-1, keepdim=True)
        # Statistics of the union from those of the parts; the mean of squares less the square of the mean would cancel
        share, gap = 1 / (self.rows + 1), own_mean - ref_mean
        var = (1 - share) * ref_var + share * own_var + share * (1 - share) * gap.square()
        y = torch.cat([(reference - ref_mean) * (ref_var + self.eps).rsqrt(),
                       (own - ref_mean - share * gap) * (var + self.eps).rsqrt()], -3)  # fmt: skip
        return (y * self.weight[..., None, :, None] + self.bias[..., None, :, None]).reshape(x.shape)


class WithReference(nn.Module):
    """Run a network on a fixed reference batch and the given batch together, and return the rows of the latter.

    Nothing is kept between calls: the reference is a buffer, saved in checkpoints and moved by ``.to``, and gradients
    flow through its statistics. Each call costs ``len(reference)`` more rows.

    Parameters
    ----------
    net : torch.nn.Module
        With at least one `VirtualBatchNorm`, and no layer that mixes the rows of a batch otherwise.
    reference : tensor, shape (R, ...) or (S, R, ...)
        Inputs of `net` chosen once, at least 2; for a generator, noise.

    Raises
    ------
    InputError
        If `net` has no `VirtualBatchNorm`, has one that belongs to another reference, or has another batch layer;
        if the reference has fewer than 2 samples, or samples of another shape than the batch.

    Notes
    -----
    Salimans et al. 2016, section 3.4.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), VirtualBatchNorm(3), nn.Linear(3, 1))
    >>> WithReference(net, torch.randn(8, 2))(torch.randn(4, 2)).shape
    torch.Size([4, 1])
    """

    def __init__(self, net, reference):
        super().__init__()
        self.rows = reference.shape[_feature_axis(reference) - 1]
        if self.rows < 2:
            raise InputError("a reference batch needs at least 2 samples, got 1")
        layers = [m for m in net.modules() if isinstance(m, VirtualBatchNorm)]
        if not layers or any(layer.rows is not None for layer in layers):
            raise InputError("net must have a VirtualBatchNorm layer, and none that already belongs to a WithReference")
        mixing = (MinibatchDiscrimination, MinibatchStdDev, nn.modules.batchnorm._BatchNorm)
        for m in net.modules():
            if isinstance(m, mixing):
                raise InputError(f"{type(m).__name__} would see the reference rows as samples: put it after "
                                 "WithReference, in an outer Sequential")  # fmt: skip
        for layer in layers:
            layer.rows = self.rows
        self.net = net
        self.register_buffer("reference", reference.detach().clone())

    def forward(self, x):
        batch, reference = _feature_axis(x) - 1, self.reference
        if reference.ndim > x.ndim or reference.shape[batch + 1 :] != x.shape[batch + 1 :]:
            raise InputError(f"the batch has shape {tuple(x.shape)} but the reference {tuple(reference.shape)}")
        reference = reference.expand(*x.shape[:batch], *reference.shape[batch:])
        return self.net(torch.cat([reference, x], batch)).narrow(x.ndim + batch, self.rows, x.shape[batch])


class BatchNorm(nn.BatchNorm1d):
    """Normalise vectors with the statistics of their batch, of all processes, and separately for each of S networks.

    With one network and one process it is ``torch.nn.BatchNorm1d``. The constants are keyword-only:
    ``BatchNorm(128, 0.8)`` would set eps, where the Keras code that people port means a momentum.

    Parameters
    ----------
    features : int
    eps : float
        Added to the variance.
    momentum : float
        Weight of the new batch in the running statistics, which evaluation uses; from 0 to 1.
    generator : torch.Generator, optional
        Taken as by every layer; nothing is drawn, for scale 1 and shift 0 are the start.

    Raises
    ------
    InputError
        If a number is out of range, the input is no batch of vectors, or a batch of 1 is met in training.

    Notes
    -----
    Ioffe and Szegedy 2015, Batch Normalization.

    Examples
    --------
    >>> BatchNorm(1)(torch.tensor([[1.0], [3.0]])).detach().round(decimals=3)
    tensor([[-1.],
            [ 1.]])
    """

    def __init__(self, features, *, eps=1e-5, momentum=0.1, generator=None):
        eps, momentum = number("eps", eps, 0, open_low=True), number("momentum", momentum, 0, 1)
        super().__init__(whole("features", features), eps=eps, momentum=momentum)

    def forward(self, x):
        _vectors(x, self.num_features)
        if self.running_mean.shape != (*x.shape[:-2], self.num_features):
            raise InputError(f"a stack of shape {tuple(x.shape)} needs parameters and buffers with a leading axis; "
                             f"the running mean has shape {tuple(self.running_mean.shape)}")  # fmt: skip
        if self.training:
            if x.shape[-2] * world() == 1:
                raise InputError("BatchNorm cannot train on a batch of 1: the output would be its bias whatever the "
                                 "input; use a larger batch or VirtualBatchNorm")  # fmt: skip
            self.num_batches_tracked.add_(1)
            if world() > 1:
                return self._over_processes(x)
        # S networks of F features are one of S F features: torch's kernel is twice as fast as the formula
        side_by_side = x.movedim(-2, 0).flatten(1)
        mean, var = self.running_mean.view(-1), self.running_var.view(-1)  # never copies: they are updated in place
        weight, bias = self.weight.reshape(-1), self.bias.reshape(-1)
        y = F.batch_norm(side_by_side, mean, var, weight, bias, self.training, self.momentum, self.eps)
        return y.unflatten(1, (*x.shape[:-2], -1)).movedim(0, -2)

    def _over_processes(self, x):
        """Normalise with the mean and variance of the rows of all processes."""
        n = x.shape[-2] * world()
        mean = average(x.mean(-2, keepdim=True))
        var = average((x - mean).square().mean(-2, keepdim=True))
        with torch.no_grad():
            self.running_mean.lerp_(mean.squeeze(-2), self.momentum)
            self.running_var.lerp_(var.squeeze(-2) * n / (n - 1), self.momentum)
        return (x - mean) * (var + self.eps).rsqrt() * self.weight.unsqueeze(-2) + self.bias.unsqueeze(-2)


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
    axis, m = _feature_axis(x), whole("m", m)
    n = x.shape[axis - 1]
    if n % m:
        nearest = " or ".join(str(k * m) for k in (n // m, n // m + 1) if k)
        raise InputError(f"a batch of {n} cannot be packed by {m}: take a batch of {nearest}")
    return x.unflatten(axis - 1, (-1, m)).flatten(axis - 1, axis)
