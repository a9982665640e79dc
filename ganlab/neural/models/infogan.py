"""InfoGAN: a GAN some of whose noise can be read off its pictures (Chen et al. 2016).

The game is ``min_{G,Q} max_D V(D, G) - lambda L_I(G, Q)``: a head Q beside D's score guesses the codes, and both G and
Q raise the bound `information_bound`. That is all that differs from a plain GAN, and it is one term, `information`.
The paper's training: Adam with lr 2e-4 for D, 1e-3 for G, and beta1 = 0.5.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.func import functional_call

from ganlab.checks import InputError, choose, number, whole
from ganlab.codes import exact_bound, exact_information, matching_error
from ganlab.neural.minibatch import BatchNorm
from ganlab.neural.models._codes import Codes, information_bound, information_bounds, log_likelihoods
from ganlab.neural.models._images import ImageBatchNorm, Scores, drawn, normal, seeded

__all__ = ["CodedGenerator", "Codes", "Reader", "discriminator", "exact_bound", "exact_information", "generator",
           "information", "information_bound", "information_bounds", "information_seen", "log_likelihoods",
           "matching_error"]  # fmt: skip

INIT = normal(0.02)


class CodedGenerator(nn.Module):
    """A generator ``G(z, c)`` whose codes are the first columns of its noise (see `Codes.split`).

    Parameters
    ----------
    codes : Codes
    net : torch.nn.Module
        From (B, codes.width + noise) to pictures.

    Examples
    --------
    >>> G = CodedGenerator(Codes((2,), 0), nn.Identity())
    >>> G(torch.tensor([[-0.1, 5.0]]))  # a one-hot code, and the noise beside it
    tensor([[1., 0., 5.]])
    """

    def __init__(self, codes, net):
        super().__init__()
        self.codes, self.net = codes, net

    def forward(self, z):
        return self.make(*self.codes.split(z))

    def make(self, c, noise):
        """Make pictures of chosen codes, shape (B, width), and noise, shape (B, noise)."""
        if c.ndim != 2 or c.shape[1] != self.codes.width:
            raise InputError(f"c must have shape (B, {self.codes.width}) for {self.codes}, with categorical codes "
                             f"one-hot, got {tuple(c.shape)}")  # fmt: skip
        return self.net(torch.cat([c, noise], 1))


class _Seen(list):
    """What the trunk made of the last batch; a copy of the network has seen nothing."""

    def __deepcopy__(self, memo):
        return _Seen()


class Reader(nn.Module):
    """D and Q on one trunk: ``forward`` is D's score, `read` what Q says about the codes.

    Parameters
    ----------
    trunk, score, q : torch.nn.Module
        Of D and Q together; D's head; Q's head.

    Examples
    --------
    >>> D = Reader(nn.Identity(), nn.Linear(2, 1), nn.Linear(2, 10))
    >>> D(torch.zeros(5, 2)).shape, D.read(torch.zeros(5, 2)).shape
    (torch.Size([5, 1]), torch.Size([5, 10]))
    """

    def __init__(self, trunk, score, q):
        super().__init__()
        self.trunk, self.score, self.q, self.seen = trunk, score, q, _Seen()

    def forward(self, x):
        h = self.trunk(x)
        self.seen[:] = [h]
        return self.score(h)

    def read(self, x, trunk=True):
        """Return Q's output; with ``trunk=False`` the trunk's weights are constants, and gradients still reach x."""
        if trunk:
            return self.q(self.trunk(x))
        fixed = {name: p.detach() for name, p in self.trunk.named_parameters()}
        return self.q(functional_call(self.trunk, fixed, (x,)))


def information(G, D, objective, real, z, trunk=True, continuous=1.0):
    """Return ``-L_I(G, Q)``, which joins both players' losses with weight lambda.

    It has the arguments of a game term (`ganlab.neural.game_terms`). In D's turn it moves Q's head and the trunk, in
    G's turn G; D's score head it never moves. The authors' code does the same.

    Parameters
    ----------
    G : CodedGenerator
    D : Reader
    objective, real
        Not used.
    z : tensor of shape (B, latent)
    trunk : bool
        Whether the trunk, which D and Q share, learns from it too; if not, Q's head alone does in D's turn.
    continuous : float
        Weight of the bounds of uniform and Gaussian codes, which no entropy limits, beside those of categorical ones.
        The paper has lambda = 1 for the latter and says that the former need less.

    Returns
    -------
    tensor
        Scalar.

    Raises
    ------
    InputError
        If G has no codes or D no Q, or `continuous` is negative.

    Examples
    --------
    >>> codes = Codes((4,), 0)
    >>> G, D = generator(codes, 8, width=2), discriminator(codes, 8, width=2)
    >>> z = torch.randn(16, G.latent, generator=torch.Generator().manual_seed(0))
    >>> bool(information(G, D, None, None, z) > -codes.entropy)
    True
    """
    if not hasattr(G, "codes") or not hasattr(D, "read"):
        raise InputError("information needs a G with codes and a D with a Q: those of ganlab.neural.models.infogan")
    return _loss(G.codes, D.read(G(z), trunk), z, continuous)


def information_seen(G, D, objective, real, z, continuous=1.0):
    """Return `information` of the fakes that D has just scored, for the loop: half the work, as nothing runs twice.

    In `ganlab.neural.training.train` D's last batch before a game term is the fakes of ``z``, in D's turn detached from
    G and in G's turn not. Elsewhere use `information`.

    Parameters
    ----------
    G, D, objective, real, z, continuous
        As for `information`.

    Raises
    ------
    InputError
        If D has not scored a batch since the last call.

    Examples
    --------
    >>> codes = Codes((4,), 0)
    >>> G, D = generator(codes, 8, width=2), discriminator(codes, 8, width=2)
    >>> z = torch.randn(16, G.latent, generator=torch.Generator().manual_seed(0))
    >>> scores = D(G(z))
    >>> torch.allclose(information_seen(G, D, None, None, z), information(G, D, None, None, z))
    True
    """
    if not getattr(D, "seen", None):
        raise InputError("information_seen reads the batch that D scored last, and there is none: use information")
    h = D.seen.pop()
    return _loss(G.codes, D.q(h.to(z.dtype)), z, continuous)  # autocast made h a bfloat16


def _loss(codes, q_output, z, continuous):
    number("continuous", continuous, 0)
    bounds, discrete = information_bounds(codes, q_output, codes.split(z)[0]), len(codes.categorical)
    return -(bounds[:discrete].sum() + continuous * bounds[discrete:].sum())


def generator(codes, resolution=28, channels=1, noise=62, width=64, norm="batch", seed=0):
    """Build the paper's generator for MNIST, at any size.

    Parameters
    ----------
    codes : Codes
    resolution : int
        Side of the picture, a multiple of 4.
    channels, noise : int
        Of the picture; numbers of noise that are no code. A recipe's ``latent`` is the result's ``latent``.
    width : int
        Filters of the layer before the last; the fully connected one has 16 times as many.
    norm : {"batch", None}
    seed : int
        Of the weights, N(0, 0.02^2).

    Returns
    -------
    CodedGenerator
        Pictures in [-1, 1], by a final tanh.

    Raises
    ------
    InputError
        If a size is out of range or `norm` is unknown.

    Examples
    --------
    >>> G = generator(Codes(), width=4)
    >>> G.latent, G(torch.zeros(5, 65)).shape
    (65, torch.Size([5, 1, 28, 28]))
    """
    side, w, g = _side(resolution), whole("width", width), seeded(seed)
    sizes = codes.width + whole("noise", noise, 0), 16 * w, 2 * w * side**2
    layers = [part for pair in pairwise(sizes)
              for part in (*_normed(nn.Linear, pair, norm, g), nn.ReLU(inplace=True))]  # fmt: skip
    layers += [nn.Unflatten(1, (2 * w, side, side))]
    layers += [*_normed(nn.ConvTranspose2d, (2 * w, w, 4, 2, 1), norm, g), nn.ReLU(inplace=True)]
    sizes = w, whole("channels", channels), 4, 2, 1
    last = drawn(nn.ConvTranspose2d, *sizes, init=INIT, generator=g)
    G = CodedGenerator(codes, nn.Sequential(*layers, last, nn.Tanh()))
    G.latent = codes.columns + noise
    return G


def discriminator(codes, resolution=28, channels=1, width=64, norm="batch", seed=0):
    """Build the paper's D and Q for MNIST, at any size: all layers but their last ones are shared.

    Parameters
    ----------
    codes, resolution, channels, width, norm, seed
        As for `generator`.

    Returns
    -------
    Reader

    Raises
    ------
    InputError
        As `generator` does.

    Examples
    --------
    >>> D = discriminator(Codes(), width=4)
    >>> D(torch.zeros(5, 1, 28, 28)).shape, D.read(torch.zeros(5, 1, 28, 28)).shape
    (torch.Size([5]), torch.Size([5, 14]))
    """
    side, w, g = _side(resolution), whole("width", width), seeded(seed)
    sizes = whole("channels", channels), w, 4, 2, 1
    trunk = nn.Sequential(
        drawn(nn.Conv2d, *sizes, init=INIT, generator=g), nn.LeakyReLU(0.1),
        *_normed(nn.Conv2d, (w, 2 * w, 4, 2, 1), norm, g), nn.LeakyReLU(0.1), nn.Flatten(),
        *_normed(nn.Linear, (2 * w * side**2, 16 * w), norm, g), nn.LeakyReLU(0.1))  # fmt: skip
    score = nn.Sequential(drawn(nn.Linear, 16 * w, 1, init=INIT, generator=g), Scores())
    q = nn.Sequential(*_normed(nn.Linear, (16 * w, 2 * w), norm, g), nn.LeakyReLU(0.1),
                      drawn(nn.Linear, 2 * w, codes.outputs, init=INIT, generator=g))  # fmt: skip
    return Reader(trunk, score, q)


def _side(resolution):
    """Return the side of the smallest map, a quarter of the picture's."""
    side, rest = divmod(whole("resolution", resolution, 4), 4)
    if rest:
        raise InputError(f"resolution must be a multiple of 4, got {resolution}: the nearest are {4 * side} and "
                         f"{4 * side + 4}")  # fmt: skip
    return side


def _normed(kind, sizes, norm, generator):
    """A layer and its normalisation, if there is any, which takes the place of the bias."""
    make = choose("norm", norm, {"batch": BatchNorm if kind is nn.Linear else ImageBatchNorm, None: None})
    layer = drawn(kind, *sizes, bias=make is None, init=INIT, generator=generator)
    return [layer] if make is None else [layer, make(sizes[1])]
