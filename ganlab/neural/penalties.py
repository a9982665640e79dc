"""What a discriminator pays for being steep, and two ways to forbid it.

A penalty is a function ``(D, real, fake, rng, **options)`` of unit weight: a scalar to add to the discriminator's loss,
or one a network, shape (S,), for a stack of S. Slopes are taken sample by sample, over all features, and then averaged
over the batch, so that neither the batch size nor the shape of the data changes the meaning of a weight. Gradients
reach the parameters of D only: the samples are constants, and so is the generator behind the fakes.
"""

import warnings

import torch
from torch import nn

from ganlab.checks import InputError, choose, number
from ganlab.neural._lipschitz import clip_weights, spectral_normalise
from ganlab.neural._scores import safe_sqrt, scores
from ganlab.neural.minibatch import Dropout
from ganlab.neural.parallel import average

__all__ = ["PENALTIES", "clip_weights", "consistency", "dragan", "drift", "r1", "r2", "spectral_normalise",
           "warn_if_batch_norm", "wgan_gp", "wgan_gp_one_sided"]  # fmt: skip


def _squared_slopes(D, x):
    """Squared length of the critic's gradient at every sample of x, as a function of D's parameters."""
    x = x.detach().requires_grad_()  # the caller's tensor keeps its own flag
    t = scores(D, x)
    (g,) = torch.autograd.grad(t.sum(), x, create_graph=True)
    return g.square().reshape(*t.shape, -1).sum(-1)


def _slopes(D, x):
    """Length of the critic's gradient at every sample; at a zero gradient its derivatives of every order are zero."""
    return safe_sqrt(_squared_slopes(D, x))


def r1(D, real, fake=None, rng=None):
    """Return half the mean squared slope of the critic at the data (Mescheder et al. 2018, eq. 9).

    The paper's half is inside: the weight to give it is the paper's gamma, as for `ganlab.R1`.

    Parameters
    ----------
    D : callable
        Critic, one score a sample.
    real : tensor of shape (B, ...) or (S, B, ...)
    fake, rng
        Not used; every penalty takes the same arguments.

    Returns
    -------
    tensor
        Scalar, or shape (S,).

    Examples
    --------
    >>> r1(lambda x: 3 * x[:, 0], torch.ones(4, 2))
    tensor(4.5000)
    """
    return _squared_slopes(D, real).mean(-1) / 2


def r2(D, real, fake, rng=None):
    """Return half the mean squared slope of the critic at the fakes (Mescheder et al. 2018, eq. 10).

    Arguments and result are those of `r1`.

    Examples
    --------
    >>> r2(lambda x: x[:, 0] ** 2, torch.zeros(4, 2), torch.ones(4, 2)).item()
    2.0
    """
    return _squared_slopes(D, fake).mean(-1) / 2


def wgan_gp(D, real, fake, rng, target=1.0):
    """Return the mean squared gap from slope to `target`, between data and fakes (Gulrajani et al. 2017, eq. 3).

    The points are random ones on the segments from each fake to its real sample, not all of space. No half is inside:
    the weight is the paper's lambda, half the gamma of `ganlab.GradientPenalty`.

    Parameters
    ----------
    D : callable
        Critic, one score a sample.
    real, fake : tensor of shape (B, ...) or (S, B, ...)
    rng : Draws
    target : float
        At least 0.

    Returns
    -------
    tensor
        Scalar, or shape (S,).

    Raises
    ------
    InputError
        If the batches differ in shape, or `target` is negative.

    Examples
    --------
    >>> from ganlab.neural.draws import Draws
    >>> wgan_gp(lambda x: 3 * x[:, 0], torch.zeros(4, 2), torch.ones(4, 2), Draws(0))
    tensor(4.)
    """
    number("target", target, 0)
    return (_slopes(D, _between(real, fake, rng)) - target).square().mean(-1)


def wgan_gp_one_sided(D, real, fake, rng, target=1.0):
    """Return the mean squared excess of the slope over `target` (Gulrajani et al. 2017; Petzka et al. 2018).

    Arguments, result and errors are those of `wgan_gp`; a slope below the target is free.

    Examples
    --------
    >>> from ganlab.neural.draws import Draws
    >>> wgan_gp_one_sided(lambda x: x[:, 0] / 2, torch.zeros(4, 2), torch.ones(4, 2), Draws(0))
    tensor(0.)
    """
    number("target", target, 0)
    return (_slopes(D, _between(real, fake, rng)) - target).relu().square().mean(-1)


def _between(real, fake, rng):
    """One random point on the segment from each fake to its real sample."""
    if fake.shape != real.shape:
        raise InputError(f"a penalty between data and fakes needs batches of one shape, got {tuple(real.shape)} and "
                         f"{tuple(fake.shape)}; draw as many fakes as real samples")  # fmt: skip
    return fake + rng.fraction(real) * (real - fake)


def dragan(D, real, fake=None, rng=None, sd=0.5, target=1.0, form="paper"):
    """Return the mean squared gap from slope to `target`, near the data (Kodali et al. 2017).

    Parameters
    ----------
    D : callable
        Critic, one score a sample.
    real : tensor of shape (B, ...) or (S, B, ...)
    fake
        Not used.
    rng : Draws
    sd : float
        Positive: how far from the data, in their units ("paper") or in deviations of the batch ("code").
    target : float
        The paper's k, at least 0.
    form : {"paper", "code"}
        "paper", the default since it is the published penalty and needs nothing of the batch: real + N(0, sd^2 I), so
        the paper's c is ``sd**2``. "code" is what the authors released: a random point of the segment from a real
        sample to real + sd * std * U[0, 1), with one std for the whole batch and noise that is never negative.

    Returns
    -------
    tensor
        Scalar, or shape (S,).

    Raises
    ------
    InputError
        If a number is out of range or the form is unknown.

    Examples
    --------
    >>> from ganlab.neural.draws import Draws
    >>> dragan(lambda x: 3 * x[:, 0], torch.ones(4, 2), rng=Draws(0))
    tensor(4.)
    """
    number("sd", sd, 0, open_low=True), number("target", target, 0)
    points = choose("form", form, {"paper": _gaussian_cloud, "code": _released_cloud})
    return (_slopes(D, points(real, rng, sd)) - target).square().mean(-1)


def _gaussian_cloud(real, rng, sd):
    return real + sd * rng.normal_like(real)


def _released_cloud(real, rng, sd):
    """The points of the released notebook; the deviation is that of the batch of all processes together."""
    numbers = tuple(range(int(rng.stacked), real.ndim))
    mean = average(real.mean(numbers, keepdim=True))
    std = average((real - mean).square().mean(numbers, keepdim=True)).sqrt()
    noise = sd * std * rng.uniform_like(real)
    return real + rng.fraction(real) * noise


def consistency(D, real, fake=None, rng=None, margin=0.0, form="paper"):
    """Return by how much two passes of the data through a critic with dropout disagree (Wei et al. 2018, the CT term).

    It is ``E max(0, d(D(x'), D(x'')) - margin)`` for the scores; the paper's second term, 0.1 times the same for the
    features of the last hidden layer, is left out, since a critic here answers with scores alone.

    Parameters
    ----------
    D : callable
        Critic with dropout, in training mode.
    real : tensor of shape (B, ...) or (S, B, ...)
    fake, rng
        Not used: the dropout layers have draws of their own.
    margin : float
        The paper's M', at least 0.
    form : {"paper", "code"}
        d is the distance ``|D(x') - D(x'')|``, or its square as in the released code (whose weight is 2).

    Returns
    -------
    tensor
        Scalar, or shape (S,).

    Raises
    ------
    InputError
        If D answers the same twice, `margin` is negative or the form is unknown.

    Examples
    --------
    >>> D = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1))
    >>> bool(consistency(D, torch.ones(64, 2)) > 0)
    True
    """
    number("margin", margin, 0)
    distance = choose("form", form, {"paper": torch.abs, "code": torch.square})
    x = real.detach()
    first, second = scores(D, x), scores(D, x)
    # a live dropout layer may agree with itself by chance, or because every unit behind it is dead
    if not _has_dropout(D) and torch.equal(first, second):
        raise InputError("consistency compares two random passes, and D gave the same scores twice: put Dropout layers "
                         "in D and leave it in training mode")  # fmt: skip
    return (distance(first - second) - margin).relu().mean(-1)


def _has_dropout(D):
    kinds = (nn.modules.dropout._DropoutNd, Dropout)
    return any(isinstance(m, kinds) and m.training and m.p > 0 for m in _modules(D))


def _modules(D):
    """The layers of D; a critic that is a plain function has none to look at."""
    return list(D.modules()) if isinstance(D, nn.Module) else []


def drift(D, real, fake=None, rng=None, t_real=None):
    """Return the mean squared score of the data (Karras et al. 2018, there with weight 0.001).

    It ties down the constant that a Wasserstein critic is free to add. Arguments and result are those of `r1`; a loop
    that has the data's scores already passes them as `t_real`, which saves a pass through D.

    Examples
    --------
    >>> drift(lambda x: 3 * x[:, 0], torch.ones(4, 2))
    tensor(9.)
    """
    return (scores(D, real.detach()) if t_real is None else t_real).square().mean(-1)


PENALTIES = {"r1": r1, "r2": r2, "wgan_gp": wgan_gp, "wgan_gp_one_sided": wgan_gp_one_sided, "dragan": dragan,
             "consistency": consistency, "drift": drift}  # fmt: skip


def warn_if_batch_norm(D):
    """Warn if D has batch normalisation, under which the slope at one sample depends on all the others.

    Warns
    -----
    UserWarning
        Gradient penalties are meant sample by sample (Gulrajani et al. 2017, section 4).

    Examples
    --------
    >>> warn_if_batch_norm(nn.Linear(2, 1))
    """
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in _modules(D)):
        warnings.warn("D has batch normalisation, so a gradient penalty no longer takes the slope of one sample; "
                      "use layer or spectral normalisation, or none, in D", UserWarning, stacklevel=2)  # fmt: skip
