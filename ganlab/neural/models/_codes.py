"""The latent codes of an InfoGAN: what they are, how noise becomes codes, and how well a Q reads them back."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ganlab.checks import InputError, whole
from ganlab.neural.draws import Draws

LOG_SD = 4.0  # ln of Q's deviations stays within it: a density that is read exactly would be infinite


@dataclass(frozen=True)
class Codes:
    """Independent codes ``c = (c_1, ..., c_L)``: categorical ones first, then uniform on [-1, 1], then Gaussian.

    Parameters
    ----------
    categorical : tuple of int
        The number of equiprobable values of each, at least 2.
    uniform, gaussian : int
        How many of each.

    Raises
    ------
    InputError
        If a number is out of range, or there is no code at all.

    Notes
    -----
    Chen et al. 2016, InfoGAN. As in a `Run` all noise is normal, a code is a function of one normal number: itself,
    or ``2 Phi(z) - 1``, or the K-quantile in which it lies. These have exactly the laws above and are independent.

    Examples
    --------
    >>> codes = Codes(categorical=(10,), uniform=2)  # those of MNIST in the paper
    >>> codes.columns, codes.width, codes.outputs  # numbers of noise, of inputs to G, of outputs of Q
    (3, 12, 14)
    >>> [round(h, 4) for h in codes.entropies]
    [2.3026, 0.6931, 0.6931]
    """

    categorical: tuple[int, ...] = (10,)
    uniform: int = 2
    gaussian: int = 0

    def __post_init__(self):
        if not isinstance(self.categorical, (tuple, list)):
            raise InputError(f"categorical must be a tuple with the number of values of each, got {self.categorical!r}")
        object.__setattr__(self, "categorical", tuple(whole("categorical", k, 2) for k in self.categorical))
        if not self.categorical and whole("uniform", self.uniform, 0) + whole("gaussian", self.gaussian, 0) == 0:
            raise InputError("Codes needs at least one code, such as Codes(categorical=(10,))")
        whole("uniform", self.uniform, 0), whole("gaussian", self.gaussian, 0)

    @property
    def columns(self):
        """Numbers of noise that become codes: one each."""
        return len(self.categorical) + self.uniform + self.gaussian

    @property
    def width(self):
        """Numbers that G is given: a categorical code is one-hot."""
        return sum(self.categorical) + self.uniform + self.gaussian

    @property
    def outputs(self):
        """Outputs of Q: logits for a categorical code, a mean and a log-deviation for the others."""
        return sum(self.categorical) + 2 * (self.uniform + self.gaussian)

    @property
    def entropies(self):
        """``H(c_i)`` of each code in nats: ln K, ln 2, ln(2 pi e) / 2; the last two are differential entropies."""
        gaussian = math.log(2 * math.pi * math.e) / 2
        discrete = [math.log(k) for k in self.categorical]
        return (*discrete, *[math.log(2)] * self.uniform, *[gaussian] * self.gaussian)

    @property
    def entropy(self):
        """``H(c)``, the sum of `entropies`: the codes are independent."""
        return sum(self.entropies)

    def split(self, z):
        """Make codes of the first columns of noise; return them, shape (B, width), and the other columns.

        Examples
        --------
        >>> c, rest = Codes((2,), uniform=1).split(torch.tensor([[0.1, 0.0, 7.0]]))
        >>> c, rest
        (tensor([[0., 1., 0.]]), tensor([[7.]]))
        """
        if not isinstance(z, torch.Tensor) or z.ndim != 2 or z.shape[1] < self.columns:
            shape = tuple(getattr(z, "shape", ()))
            raise InputError(f"these codes need a tensor of noise, (B, {self.columns}) or wider, got "
                             f"{type(z).__name__} of shape {shape}")  # fmt: skip
        below = torch.special.ndtr(z[:, : self.columns])
        parts, n = [], len(self.categorical)
        for u, k in zip(below[:, :n].unbind(1), self.categorical, strict=True):
            parts.append(F.one_hot((k * u).long().clamp(max=k - 1), k).to(z.dtype))  # Phi rounds up to 1
        parts += [2 * below[:, n : n + self.uniform] - 1, z[:, n + self.uniform : self.columns]]
        return torch.cat(parts, 1), z[:, self.columns :]

    def sample(self, n, rng):
        """Draw ``n`` codes with a `Draws`; shape (n, width)."""
        if not isinstance(rng, Draws):
            raise InputError(f"rng must be a Draws, such as ganlab.neural.draws.Draws(0), got {rng!r}")
        return self.split(rng.normal(n, self.columns))[0]


def log_likelihoods(codes, q_output, c):
    """Return ``ln Q(c_i | x)`` for every sample and code, shape (B, L).

    Parameters
    ----------
    codes : Codes
    q_output : tensor of shape (B, codes.outputs)
        What Q says: **logits** of the categorical codes, which no softmax has touched, then all means, then all
        log-deviations of the other codes (bent smoothly into [-4, 4]).
    c : tensor of shape (B, codes.width)

    Raises
    ------
    InputError
        If a shape does not fit.

    Examples
    --------
    >>> log_likelihoods(Codes((2,), 0), torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
    tensor([[-0.6931]])
    """
    for name, t, wide in (("q_output", q_output, codes.outputs), ("c", c, codes.width)):
        if t.ndim != 2 or t.shape[1] != wide or len(t) != len(c):
            raise InputError(f"{name} must have shape (B, {wide}) for {codes}, with the same B, got {tuple(t.shape)}")
    q_output = q_output.to(c.dtype)
    n, m = sum(codes.categorical), codes.uniform + codes.gaussian
    rows = [(logits.log_softmax(1) * one_hot).sum(1, keepdim=True)
            for logits, one_hot in zip(q_output[:, :n].split(codes.categorical, 1),
                                       c[:, :n].split(codes.categorical, 1), strict=True)]  # fmt: skip
    mean, log_sd = q_output[:, n : n + m], LOG_SD * (q_output[:, n + m :] / LOG_SD).tanh()
    gap = (c[:, n:] - mean) * (-log_sd).exp()
    return torch.cat([*rows, -gap.square() / 2 - log_sd - math.log(2 * math.pi) / 2], 1)


def information_bounds(codes, q_output, c):
    """Return ``E ln Q(c_i | x) + H(c_i)`` of each code, shape (L,): lower bounds on what x says about it, in nats.

    Arguments and errors are those of `log_likelihoods`: ``c`` was drawn from its prior and ``x`` from G given ``c``, so
    no sample of the posterior is needed. The bound of a categorical code cannot pass ``H(c_i)``; that of another grows
    with the sharpness of Q, for the information is infinite where x determines the code.

    Examples
    --------
    >>> information_bounds(Codes((2,), 1), torch.zeros(1, 4), torch.tensor([[0.0, 1.0, 0.0]]))
    tensor([ 0.0000, -0.2258])
    """
    rows = log_likelihoods(codes, q_output, c)
    return rows.mean(0) + rows.new_tensor(codes.entropies)


def information_bound(codes, q_output, c):
    """Return ``L_I = E ln Q(c | x) + H(c)``, the sum of `information_bounds`: codes are independent, and so is Q.

    Examples
    --------
    >>> sure = torch.tensor([[0.0, 50.0]])
    >>> information_bound(Codes((2,), 0), sure, torch.tensor([[0.0, 1.0]]))  # all of H(c) = ln 2
    tensor(0.6931)
    """
    return information_bounds(codes, q_output, c).sum()
