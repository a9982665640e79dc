"""Two ways to forbid a critic to be steep: clipped weights and spectral normalisation."""

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.checks import InputError, number, whole
from ganlab.neural.models.mlp import StackedLinear

__all__ = ["clip_weights", "spectral_normalise"]

MATRIX_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@torch.no_grad()
def clip_weights(D, bound):
    """Put every parameter of D back into [-bound, bound]: a step, not a loss (Arjovsky et al. 2017, algorithm 1).

    Raises
    ------
    InputError
        If `bound` is not a positive finite number.

    Examples
    --------
    >>> D = nn.Linear(2, 1)
    >>> clip_weights(D, 0.01)
    >>> bool((D.weight.abs() <= 0.01).all())
    True
    """
    number("bound", bound, 0, open_low=True)
    for p in D.parameters():
        p.clamp_(-bound, bound)


class _StackedSpectralNorm(nn.Module):
    """torch's spectral norm for a stack of matrices, each divided by its own largest singular value."""

    def __init__(self, u, v, iterations):
        super().__init__()
        self.iterations = iterations
        self.register_buffer("_u", u[..., None].clone())
        self.register_buffer("_v", v[..., None].clone())

    def forward(self, weight):
        if self.training:
            with torch.no_grad():
                for _ in range(self.iterations):
                    self._u.copy_(nn.functional.normalize(weight.mT @ self._v, dim=1))
                    self._v.copy_(nn.functional.normalize(weight @ self._u, dim=1))
        u, v = self._u.clone(), self._v.clone()  # the next pass overwrites them before this one's backward
        return weight / (v.mT @ weight @ u)


def spectral_normalise(D, iterations=1):
    """Divide each weight matrix of D by its largest singular value (Miyato et al. 2018, algorithm 1).

    These are the weights of linear layers and convolutions; biases are free. The value is followed by `iterations`
    steps of power iteration in every training pass, from an exact start.

    A convolution's kernel counts as the matrix ``(outputs, inputs * taps)``, as in the paper, and that is not the norm
    of the operator. With k taps and stride s a side (zero padding, no dilation) an input takes part in at most
    ``ceil(k / s)`` patches a side, so the operator's norm is at most the square root of the product of these over the
    sides: up to k for a k x k kernel of stride 1, which a box kernel attains. In a transposed convolution every input
    meets every tap, and the bound is the square root of the number of taps at any stride.

    Parameters
    ----------
    D : torch.nn.Module
        Changed in place: `weight` becomes a function of ``parametrizations.weight.original``, which is the parameter
        that is trained. Stacks of networks (`ganlab.neural.models.mlp`) are normalised network by network.
    iterations : int
        At least 1.

    Returns
    -------
    torch.nn.Module
        D itself.

    Raises
    ------
    InputError
        If D has no such layer, one is parametrised already, or one has a weight that is zero or not finite.

    Examples
    --------
    >>> D = spectral_normalise(nn.Linear(3, 2))
    >>> round(torch.linalg.matrix_norm(D.weight, 2).item(), 4)
    1.0
    """
    whole("iterations", iterations)
    layers = {name: m for name, m in D.named_modules() if isinstance(m, (*MATRIX_LAYERS, StackedLinear))}
    if not layers:
        raise InputError("D has no linear layer and no convolution to normalise")
    starts = [_leading_pair(name, m) for name, m in layers.items()]  # all checked before the first is changed
    for m, (u, v) in zip(layers.values(), starts, strict=True):
        if isinstance(m, StackedLinear):
            parametrize.register_parametrization(m, "weight", _StackedSpectralNorm(u, v, iterations))
            continue
        with torch.random.fork_rng([m.weight.device] if m.weight.is_cuda else []):  # torch starts from global noise
            spectral_norm(m, n_power_iterations=iterations)
        m.parametrizations.weight[0]._u.copy_(u)
        m.parametrizations.weight[0]._v.copy_(v)
    return D


@torch.no_grad()
def _leading_pair(name, m):
    """The left and right singular vectors of a layer's matrix, (outputs, ...), that belong to the largest value."""
    if parametrize.is_parametrized(m, "weight"):
        raise InputError(f"the weight of layer {name!r} is parametrised already; normalise a network once")
    if isinstance(m, StackedLinear):
        matrix = m.weight.mT
    else:
        matrix = (m.weight.transpose(0, 1) if getattr(m, "transposed", False) else m.weight).flatten(1)
    matrix = torch.where(matrix.isfinite().all(), matrix, 0)
    u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
    if not values[..., 0].all():
        raise InputError(f"layer {name!r} has a weight that is zero or not finite, which has no direction to keep; "
                         "initialise it before normalising")  # fmt: skip
    return u[..., 0], vh[..., 0, :]
