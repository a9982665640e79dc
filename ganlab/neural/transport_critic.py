"""The critic of WGAN-QC: it learns the potentials of quadratic transport between the batch and its fakes.

``Recipe(objective=TRANSPORT, penalties={QuadraticCritic(weight=1.0): 1.0})`` is the whole method, and the loop of
`ganlab.neural.training` trains it: the critic's loss is one penalty, its gain is zero, and the generator raises the
mean score of its fakes. The linear program is `ganlab.transport.quadratic_potentials`, solved on the CPU.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ganlab._quadratic import quadratic_potentials, transport_map
from ganlab.checks import InputError, choose, number
from ganlab.neural._scores import safe_sqrt, scores
from ganlab.objectives import Objective, identity

__all__ = ["TRANSPORT", "QuadraticCritic", "Targets", "regression_loss", "transport_gap", "transport_targets"]


def _nothing(t):
    return 0 * t


TRANSPORT = Objective(f1=_nothing, f2=_nothing, f3=identity, name="transport", source="Liu et al. 2019, algorithm 1")


@dataclass(frozen=True, repr=False)
class Targets:
    """What a critic should answer at one batch, by the linear program; made by `transport_targets`.

    Parameters
    ----------
    real : tensor, scalar or (S,)
        The mean potential of the data.
    fake : tensor (B,) or (S, B)
        The potential of every fake.
    arrow : tensor, shape of the fakes
        ``K (y_sigma - x)``, the gradient that the critic should have at every fake.
    cost : tensor, scalar or (S,)
        The transport cost ``K/2 W_2^2`` of the two batches.
    """

    real: torch.Tensor
    fake: torch.Tensor
    arrow: torch.Tensor
    cost: torch.Tensor


def transport_targets(real, fake, scale=None, choice="centre", stacked=False):
    """Solve the linear program for a batch, or for each of a stack.

    Parameters
    ----------
    real, fake : tensor (B, ...) or (S, B, ...)
    scale : float, optional
        The K of the cost ``K/2 |x - y|^2``; by default 1 over the numbers of a sample, as the authors have it.
    choice : {"centre", "vertex"}
        Which optimal potentials, see `ganlab.transport.quadratic_potentials`.
    stacked : bool
        Whether the first axis is one of seeds.

    Returns
    -------
    Targets
        Constants: no gradient flows through the program. NaN where a batch is not finite.

    Raises
    ------
    InputError
        If the samples of the two differ in shape, or the stacks in size, or as `quadratic_potentials`.
    NotConverged
        If a program is not solved.

    Examples
    --------
    >>> targets = transport_targets(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
    >>> targets.real.item(), targets.fake.item(), targets.arrow.item()
    (1.0, -1.0, 2.0)
    """
    if fake.shape[1 + stacked :] != real.shape[1 + stacked :] or (stacked and len(fake) != len(real)):
        raise InputError(f"fakes of shape {tuple(fake.shape)} cannot be carried to data of shape {tuple(real.shape)}")
    batches = zip(*(_numbers(x if stacked else x[None]) for x in (real, fake)), strict=True)
    solved = [_solve(x, y, 1 / x.shape[1] if scale is None else scale, choice) for y, x in batches]
    parts = [torch.as_tensor(np.stack(part)).to(fake.device, _single(fake)) for part in zip(*solved, strict=True)]
    parts[2] = parts[2].reshape(-1, *fake.shape[stacked:])
    return Targets(*(parts if stacked else (part[0] for part in parts)))


def _solve(x, y, K, choice):
    """The four targets of one batch; NaN if it is not finite, for the loop to find: other seeds may go on."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return np.nan, np.full(len(x), np.nan), np.full(x.shape, np.nan), np.nan
    h = quadratic_potentials(x, y, K, choice=choice)
    return h.real.mean(), h.fake, K * (transport_map(y, h) - x), h.value


def _numbers(x):
    """A stack of batches as numpy: (S, B, numbers of a sample)."""
    return x.detach().flatten(2).double().cpu().numpy()


def _single(x):
    """Half precision is for the networks, not for losses."""
    return x.dtype if x.dtype == torch.float64 else torch.float32


def regression_loss(t_real, t_fake, targets):
    """Return the two squares that teach the potentials: ``(mean D(y) - mean H_j)^2 / 2 + mean (D(x_i) - H_i)^2 / 2``.

    Parameters
    ----------
    t_real, t_fake : tensor (B,) or (S, B)
        The critic's scores.
    targets : Targets

    Returns
    -------
    tensor, scalar or (S,)

    Examples
    --------
    >>> targets = transport_targets(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
    >>> regression_loss(torch.tensor([1.0]), torch.tensor([1.0]), targets)
    tensor(2.)
    """
    return (t_real.mean(-1) - targets.real).square() / 2 + (t_fake - targets.fake).square().mean(-1) / 2


def _norm_gap(slopes, arrows):
    longer = safe_sqrt(slopes.square().sum(-1)) - safe_sqrt(arrows.square().sum(-1))
    return longer.square()


def _vector_gap(slopes, arrows):
    return (slopes - arrows).square().sum(-1)


GAPS = {"vector": _vector_gap, "norm": _norm_gap}


def transport_gap(slopes, arrows, form="vector"):
    """Return half the mean squared gap between the critic's gradients at the fakes and the arrows to their partners.

    Parameters
    ----------
    slopes, arrows : tensor (..., B, d)
    form : {"vector", "norm"}
        "vector" compares the two as vectors, ``|grad D - arrow|^2``; "norm", the printed optimal transport
        regulariser, only their lengths, ``(|grad D| - |arrow|)^2``, and so is blind to the direction.

    Returns
    -------
    tensor (...)

    Raises
    ------
    InputError
        If the form is unknown.

    Examples
    --------
    >>> right, left = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
    >>> transport_gap(right, left, "norm").item(), transport_gap(right, left).item()
    (0.0, 2.0)
    """
    return choose("form", form, GAPS)(slopes, arrows).mean(-1) / 2


@dataclass(frozen=True)
class QuadraticCritic:
    """The critic's loss of WGAN-QC, as a penalty: ``Recipe(objective=TRANSPORT, penalties={QuadraticCritic(): 1.0})``.

    Parameters
    ----------
    regulariser : {"vector", "norm", None}
        Form of the transport regulariser, see `transport_gap`.
    weight : float
        Its weight, the paper's lambda, at least 0.
    scale : float, optional
        The K of the cost; by default 1 over the numbers of a sample.
    choice : {"centre", "vertex"}
        Which optimal potentials, see `ganlab.transport.quadratic_potentials`; the authors' solver gives a vertex.

    Raises
    ------
    InputError
        If a number is out of range or a name unknown.

    Notes
    -----
    Liu, Gu and Samaras 2019, algorithm 1. Their released gamma is ``weight * sqrt(scale)``. With many processes each
    solves the program of its own share of the batch. Leave ``lazy`` at 1: the critic learns nothing else.

    Examples
    --------
    >>> loss = QuadraticCritic("norm", weight=2.0)
    >>> loss(lambda x: 0 * x[:, 0], torch.tensor([[3.0]]), torch.tensor([[1.0]]))  # (1 + 1) / 2 + 2 * 2^2 / 2
    tensor(5., grad_fn=<AddBackward0>)
    """

    regulariser: str | None = "vector"
    weight: float = 1.0
    scale: float | None = None
    choice: str = "centre"

    def __post_init__(self):
        if self.regulariser is not None:
            choose("regulariser", self.regulariser, GAPS)
        number("weight", self.weight, 0)
        if self.scale is not None:
            number("scale", self.scale, 0, open_low=True)
        choose("choice", self.choice, {"centre": 0, "vertex": 0})

    def __call__(self, D, real, fake, rng=None):
        """Return the loss, one number or one a seed; gradients reach the parameters of D only."""
        x = fake.detach().to(real.dtype).requires_grad_()  # a generator in bf16 makes other numbers than the data
        t_real, t_fake = scores(D, real.detach()), scores(D, x)
        targets = transport_targets(real, fake, self.scale, self.choice, stacked=t_fake.ndim == 2)
        loss = regression_loss(t_real, t_fake, targets)
        if self.regulariser is None or self.weight == 0:
            return loss
        (slopes,) = torch.autograd.grad(t_fake.sum(), x, create_graph=True)
        slopes, arrows = (v.to(t_fake.dtype).reshape(*t_fake.shape, -1) for v in (slopes, targets.arrow))
        return loss + self.weight * transport_gap(slopes, arrows, self.regulariser)
