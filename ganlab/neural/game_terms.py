"""Terms made of the players' own parameter gradients: how fast the game still moves, as something to descend.

A penalty looks at the critic as a function of samples; these look at the game as a function of both players'
parameters, so they need the generator and its noise.
"""

import torch

from ganlab.checks import InputError
from ganlab.neural._scores import scores
from ganlab.neural.parallel import average
from ganlab.relativistic import find

__all__ = ["GAME_TERMS", "consensus", "gradient_norm"]


def gradient_norm(G, D, objective, real, z):
    """Return ``||grad_psi J||^2``, the squared norm of the critic's gain gradient (no factor 1/2).

    Added to the **generator's** loss alone, with weight ``eta`` (0.5 in the authors' code): the generator moves to
    where the critic has little left to gain.

    Parameters
    ----------
    G, D : torch.nn.Module
        Generator and critic, with parameters of shape (S, ...) where S pairs are trained at once.
    objective : str, Objective or Relativistic
    real : tensor, shape (B, ...) or (S, B, ...)
    z : tensor
        Noise for as many fakes.

    Returns
    -------
    tensor, scalar or shape (S,)
        Differentiable by both players' parameters; whose loss it joins decides who moves.

    Raises
    ------
    InputError
        If `D` has no trainable parameters, or the objective is unknown.

    References
    ----------
    Nagarajan and Kolter 2017, Gradient descent GAN optimization is locally stable.

    Examples
    --------
    A critic ``psi x`` raises ``psi (1 - 0.5)`` between a datum 1 and a fake 0.5.

    >>> D = torch.nn.Linear(1, 1, bias=False)
    >>> G = torch.nn.Linear(1, 1, bias=False)
    >>> torch.nn.init.constant_(G.weight, 0.5).item()
    0.5
    >>> gradient_norm(G, D, "wasserstein", torch.ones(3, 1), torch.ones(3, 1)).item()
    0.25
    """
    gain, _ = _gains(G, D, objective, real, z)
    return _square(gain, D, "D")


def consensus(G, D, objective, real, z):
    """Return ``||v||^2 / 2``, where ``v = (grad_theta I, grad_psi J)`` is the velocity of both players.

    Added to **both** players' losses with weight ``gamma``; its gradient is ``v'^T v``, without a further factor.

    Parameters
    ----------
    G, D, objective, real, z
        As for `gradient_norm`.

    Returns
    -------
    tensor, scalar or shape (S,)
        Differentiable by both players' parameters.

    Raises
    ------
    InputError
        If a player has no trainable parameters, or the objective is unknown.

    References
    ----------
    Mescheder, Nowozin, Geiger 2017, The Numerics of GANs, equation 10.

    Examples
    --------
    With ``psi = 2`` the generator ``theta z`` above has the speed 2, the critic 0.5.

    >>> G, D = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    >>> torch.nn.init.constant_(G.weight, 0.5).item(), torch.nn.init.constant_(D.weight, 2.0).item()
    (0.5, 2.0)
    >>> consensus(G, D, "wasserstein", torch.ones(3, 1), torch.ones(3, 1)).item()
    2.125
    """
    gain_d, gain_g = _gains(G, D, objective, real, z)
    return (_square(gain_g, G, "G") + _square(gain_d, D, "D")) / 2


GAME_TERMS = {"gradient_norm": gradient_norm, "consensus": consensus}


def _gains(G, D, objective, real, z):
    """What the critic and the generator raise, ``J`` and ``I``, on one batch."""
    objective = find(objective)
    answers = scores(D, real), scores(D, G(z))
    return objective.d_gain(*answers), objective.g_gain(*answers)


def _square(gain, player, name):
    """The squared norm of a gain's gradient by one player's parameters: one for each pair of a stack."""
    parameters = [p for p in player.parameters() if p.requires_grad]
    if not parameters:
        raise InputError(f"{name} has no trainable parameters, so the game has no gradient by them; do not freeze it")
    slopes = torch.autograd.grad(gain.sum(), parameters, create_graph=True, materialize_grads=True)
    # over all axes but the leading one of a stack, which the gains have too
    return sum(average(slope).square().reshape(*gain.shape, -1).sum(-1) for slope in slopes)
