"""What the networks for images share: convolutions drawn from a generator, batch statistics, and valid resolutions."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from ganlab.checks import InputError, whole
from ganlab.neural._normalisation import BatchNorm
from ganlab.neural.parallel import world


class ImageBatchNorm(BatchNorm):
    """`ganlab.neural.minibatch.BatchNorm` for images (B, C, H, W): one mean and variance a channel."""

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise InputError(f"this layer takes images (B, {self.num_features}, H, W), got shape {tuple(x.shape)}")
        if not self.training or world() == 1:
            if self.training:
                if len(x) == 1:
                    raise InputError("BatchNorm cannot train on a batch of 1: take a larger batch, or norm=None")
                self.num_batches_tracked.add_(1)
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training,
                                self.momentum, self.eps)  # fmt: skip
        self.num_batches_tracked.add_(1)
        rows = self._over_processes(x.movedim(1, -1).flatten(0, 2))
        return rows.unflatten(0, (len(x), *x.shape[2:])).movedim(-1, 1)


class Scores(nn.Module):
    """Make of a D's last map, (B, 1, 1, 1) or (B, 1), one score a sample."""

    def forward(self, x):
        return x.reshape(len(x))


@torch.no_grad()
def drawn(kind, *sizes, init, generator, **keywords):
    """Build a layer without torch's global random numbers: weights by ``init(weight, generator)``, biases 0."""
    layer = nn.utils.skip_init(kind, *sizes, **keywords)
    init(layer.weight, generator)
    if layer.bias is not None:
        layer.bias.zero_()
    return layer


def normal(deviation):
    """Return the initialiser N(0, deviation^2)."""
    return lambda weight, generator: weight.normal_(0.0, deviation, generator=generator)


def he(gain=1.0):
    """Return the initialiser N(0, 2 gain^2 / fan-in), which keeps the variance through a ReLU if gain is 1."""
    return lambda weight, generator: weight.normal_(0.0, gain * math.sqrt(2 / weight[0].numel()), generator=generator)


def power(resolution, low, high):
    """Return ``log2(resolution)`` if the resolution is a power of two from `low` to `high`.

    Raises
    ------
    InputError
        If it is not; the message names the nearest that are.
    """
    valid = [2**k for k in range(low.bit_length() - 1, high.bit_length())]
    if isinstance(resolution, bool) or resolution not in valid:
        words = f"resolution must be a power of two from {low} to {high}, got {resolution!r}"
        if isinstance(resolution, (int, float)) and math.isfinite(resolution):
            below, above = [v for v in valid if v <= resolution], [v for v in valid if v >= resolution]
            words += f": the nearest is {' or '.join(str(v) for v in (*below[-1:], *above[:1]))}"
        raise InputError(words)
    return int(resolution).bit_length() - 1


def seeded(seed):
    """Return a generator for the weights of one network."""
    return torch.Generator().manual_seed(whole("seed", seed, 0))
