"""Layers that normalise: by the batch, or by a fixed reference batch."""

import torch
from torch import nn
from torch.nn import functional as F

from ganlab.checks import InputError, number, whole
from ganlab.neural._batches import feature_axis, vectors
from ganlab.neural.parallel import average, world

__all__ = ["BatchNorm", "VirtualBatchNorm", "WithReference"]


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
        axis = feature_axis(x)
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
        self.rows = reference.shape[feature_axis(reference) - 1]
        if self.rows < 2:
            raise InputError("a reference batch needs at least 2 samples, got 1")
        layers = [m for m in net.modules() if isinstance(m, VirtualBatchNorm)]
        if not layers or any(layer.rows is not None for layer in layers):
            raise InputError("net must have a VirtualBatchNorm layer, and none that already belongs to a WithReference")
        for m in net.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm) or getattr(m, "mixes_rows", False):
                raise InputError(f"{type(m).__name__} would see the reference rows as samples: put it after "
                                 "WithReference, in an outer Sequential")  # fmt: skip
        for layer in layers:
            layer.rows = self.rows
        self.net = net
        self.register_buffer("reference", reference.detach().clone())

    def forward(self, x):
        batch, reference = feature_axis(x) - 1, self.reference
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
        vectors(x, self.num_features)
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
