"""DCGAN: convolutions only, from a noise vector to a picture and back (Radford, Metz and Chintala 2016).

The recipe: strided convolutions instead of pooling, fractionally strided ones to grow, no fully connected hidden
layers, batch normalisation except at G's output and D's input, ReLU and tanh in G, leaky ReLU in D. A side of n
becomes ``(n - 1) s - 2 p + k``: with k = 4, s = 2, p = 1 it doubles. Authors' training: Adam with lr 2e-4 and
beta1 = 0.5, batches of 128.
"""

from torch import nn

from ganlab.checks import choose, whole
from ganlab.neural.models._images import ImageBatchNorm, Scores, drawn, normal, power, seeded

__all__ = ["discriminator", "filters", "generator"]

INIT = normal(0.02)
FILTERS = {"doubling": lambda width, k: width * 2**k, "constant": lambda width, k: width}


def filters(resolution, width=64, law="doubling"):
    """Return the numbers of filters of the hidden layers, from the largest map, half the picture's side, to 4 x 4.

    Parameters
    ----------
    resolution : int
        Side of the picture: a power of two from 8 to 64 (larger ones, up to 1024, work but are not in the paper).
    width : int
        Filters of the largest map; the paper's generator has 128.
    law : {"doubling", "constant"}
        Whether a map of half the side has twice the filters, as published, or as many (the ablation of the WGAN paper).

    Raises
    ------
    InputError
        If the resolution is no such power of two, `width` is below 1 or the law is unknown.

    Examples
    --------
    >>> filters(64, width=128)  # figure 1 of the paper, from right to left
    [128, 256, 512, 1024]
    >>> filters(64, width=128, law="constant")
    [128, 128, 128, 128]
    """
    many = choose("law of filters", law, FILTERS)
    return [many(whole("width", width), k) for k in range(power(resolution, 8, 1024) - 2)]


def generator(resolution=32, channels=3, latent=100, width=64, norm="batch", law="doubling", seed=0):
    """Build the generator: noise (B, latent) to pictures (B, channels, resolution, resolution) in [-1, 1].

    Parameters
    ----------
    resolution, width, law
        As for `filters`.
    channels, latent : int
        Of the picture; numbers of noise, which the paper draws from U[-1, 1] (a `Run` draws normal ones).
    norm : {"batch", None}
        None takes away the batch normalisation that the paper has after every layer but the last.
    seed : int
        Of the weights, N(0, 0.02^2); biases, which only layers without normalisation have, start at 0.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    InputError
        As `filters` does, or if a size is below 1 or a name is unknown.

    Notes
    -----
    Radford, Metz and Chintala 2016, Unsupervised Representation Learning with Deep Convolutional GANs. The paper's
    "project and reshape" is the first layer here: a fractionally strided convolution of a 1 x 1 map.

    Examples
    --------
    >>> import torch
    >>> G = generator(resolution=16, channels=1, width=8)
    >>> G(torch.zeros(5, 100)).shape
    torch.Size([5, 1, 16, 16])
    """
    make, g = _norms(norm), seeded(seed)
    widths = filters(resolution, width, law)[::-1]
    layers, inputs = [nn.Unflatten(1, (whole("latent", latent), 1, 1))], latent
    for k, w in enumerate(widths):
        step = (4, 2, 1) if k else (4, 1, 0)  # 1 -> 4, then 4 -> 8 -> ...
        layers += [drawn(nn.ConvTranspose2d, inputs, w, *step, bias=norm is None, init=INIT, generator=g)]
        layers += [*make(w), nn.ReLU(inplace=True)]
        inputs = w
    last = drawn(nn.ConvTranspose2d, inputs, whole("channels", channels), 4, 2, 1, init=INIT, generator=g)
    return nn.Sequential(*layers, last, nn.Tanh())


def discriminator(resolution=32, channels=3, width=64, norm="batch", law="doubling", seed=0):
    """Build the discriminator: pictures (B, channels, resolution, resolution) to one score each, no sigmoid.

    Parameters
    ----------
    resolution, channels, width, norm, law, seed
        As for `generator`; the first layer has no batch normalisation in either case. Use ``norm=None`` with a gradient
        penalty, which is meant sample by sample.

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
    >>> D = discriminator(resolution=16, channels=1, width=8)
    >>> D(torch.zeros(5, 1, 16, 16)).shape
    torch.Size([5])
    """
    make, g = _norms(norm), seeded(seed)
    layers, inputs = [], whole("channels", channels)
    for k, w in enumerate(filters(resolution, width, law)):
        bias = norm is None or k == 0
        layers += [drawn(nn.Conv2d, inputs, w, 4, 2, 1, bias=bias, init=INIT, generator=g)]
        layers += [*(make(w) if k else ()), nn.LeakyReLU(0.2)]
        inputs = w
    return nn.Sequential(*layers, drawn(nn.Conv2d, inputs, 1, 4, init=INIT, generator=g), Scores())


def _norms(norm):
    """Return what builds the normalisation of a hidden layer: a list of one layer, or of none."""
    return choose("norm", norm, {"batch": lambda width: [ImageBatchNorm(width)], None: lambda width: []})
