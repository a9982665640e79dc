"""Unrolled GAN: the generator plays against the critic as it will be after a few more steps (Metz et al. 2017).

The critic of ``K`` steps ahead is a function of the fakes it would learn from, and so of the generator, whose gradient
has two parts: the ordinary one, but taken at the critic to come, and how that critic answers the generator's move. An
"unrolling" that trains a copy of the critic and freezes it has the first part only.
"""

import warnings

import torch
from torch.func import functional_call

from ganlab.checks import InputError, choose, number, whole
from ganlab.neural._scores import scores
from ganlab.neural.devices import free_memory
from ganlab.neural.parallel import average
from ganlab.relativistic import find

__all__ = ["look_ahead", "memory", "warn_if_large"]

SMALL = 2**30  # bytes that no machine lacks


def look_ahead(D, objective, real, fake, K, lr, through=True):
    """Return the critic after `K` plain ascent steps on one minibatch, as a differentiable function of the fakes.

    ``theta^{k+1} = theta^k + lr dJ/dtheta(theta^k)`` from ``theta^0``, the parameters of `D`. The steps know the gain
    only, no penalty. (The paper takes such plain steps; the authors' demo notebook unrolls Adam instead.)

    The paper's generator descends the whole ``J`` at this critic, ``objective.d_gain(scores(critic, real),
    scores(critic, fake))``. For a zero-sum objective ``-objective.g_gain(...)`` is the same up to the term of the data,
    which an ordinary generator cannot change; here it can, since the critic ahead depends on the fakes.

    Parameters
    ----------
    D : torch.nn.Module
        The critic; neither its parameters nor its buffers are changed.
    objective : str, Objective or Relativistic
    real, fake : tensor, shape (B, ...) or (S, B, ...)
        The minibatch of all `K` steps; `fake` is ``G(z)`` with its graph. In a stack every critic takes its own steps.
    K : int
        How many steps; 0 gives `D` itself.
    lr : float
        The size of a step.
    through : bool
        False lets no gradient pass through the steps: the critic ahead counts as given, as in many ports.

    Returns
    -------
    callable
        ``x -> D_K(x)``. With `through` it is differentiable by the parameters of `D` too, so step the generator with
        ``loss.backward(inputs=list(G.parameters()))``.

    Raises
    ------
    InputError
        If `K` is no whole number of at least 0, `lr` is not positive, or `D` has no trainable parameters.

    References
    ----------
    Metz, Poole, Pfau, Sohl-Dickstein 2017, Unrolled Generative Adversarial Networks, section 2.2.

    Examples
    --------
    A critic ``psi x`` between a datum 1 and a fake 0.5 raises ``psi (1 - 0.5)``: each step of 0.1 adds 0.05.

    >>> D = torch.nn.Linear(1, 1, bias=False)
    >>> torch.nn.init.zeros_(D.weight).item()
    0.0
    >>> real, fake = torch.tensor([[1.0]]), torch.tensor([[0.5]], requires_grad=True)
    >>> critic = look_ahead(D, "wasserstein", real, fake, K=4, lr=0.1)
    >>> round(critic(torch.ones(1, 1)).item(), 6), D.weight.item()
    (0.2, 0.0)
    """
    objective = find(objective)
    through = choose("through", through, {True: True, False: False})
    number("lr", lr, 0, open_low=True)
    if whole("K", K, 0) == 0:
        return D
    parameters = {name: p for name, p in D.named_parameters() if p.requires_grad}
    if not parameters:
        raise InputError("D has no trainable parameters to look ahead with; do not freeze it in the generator's step")
    buffers = {name: b.clone() for name, b in D.named_buffers()}  # they move as in K real steps, but not in D
    for _ in range(K):
        critic = _critic(D, parameters, buffers)
        gain = objective.d_gain(scores(critic, real), scores(critic, fake)).sum()
        slopes = torch.autograd.grad(gain, parameters.values(), create_graph=through, materialize_grads=True)
        parameters = {name: p + lr * average(slope)
                      for (name, p), slope in zip(parameters.items(), slopes, strict=True)}  # fmt: skip
    if not through:
        parameters = {name: p.detach() for name, p in parameters.items()}
    return _critic(D, parameters, buffers)


def _critic(D, parameters, buffers):
    """The network of `D` with other parameters and buffers."""
    return lambda x: functional_call(D, (parameters, buffers), (x,))


def memory(D, objective, real, fake, K):
    """Estimate how many bytes the graph of `K` steps ahead holds until the generator's backward pass frees it.

    Every step keeps its activations and those of its gradient, so the graph grows linearly; this counts what one step
    and two steps keep, and extends the line. Call it once, before training.

    Parameters
    ----------
    D, objective, real, fake, K
        As for `look_ahead`.

    Returns
    -------
    int

    Raises
    ------
    InputError
        As for `look_ahead`.

    Examples
    --------
    >>> D, x = torch.nn.Linear(2, 1), torch.ones(100, 2)
    >>> 2 < memory(D, "hinge", x, -x, 10) / memory(D, "hinge", x, -x, 1) < 10
    True
    """
    whole("K", K, 0)
    one, two = (_kept(D, objective, real, fake, k) for k in (1, 2))
    return one + (K - 1) * (two - one)


def warn_if_large(D, objective, real, K):
    """Warn if the graph of `K` steps ahead is larger than the free memory of its device.

    Small critics are not measured: no activation is counted, but a thousand times the weights and the batch.

    Parameters
    ----------
    D, objective, real, K
        As for `look_ahead`.

    Examples
    --------
    >>> warn_if_large(torch.nn.Linear(2, 1), "hinge", torch.ones(100, 2), 10)
    """
    numbers = sum(p.numel() for p in D.parameters()) + real.numel()
    if 1000 * K * numbers * real.element_size() < SMALL:
        return
    need, free = memory(D, objective, real, torch.zeros_like(real).requires_grad_(), K), free_memory(real.device)
    if need > free:
        warnings.warn(f"unroll {K} needs about {need / 1e9:.2g} GB on {real.device}, where {free / 1e9:.2g} GB are "
                      "free: lower unroll, batch or the size of D", stacklevel=4)  # fmt: skip


def _kept(D, objective, real, fake, K):
    """The bytes that autograd has stored when the fakes have been scored by the critic of `K` steps ahead."""
    storages = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        critic = look_ahead(D, objective, real, fake, K, lr=1e-3)
        answers = scores(critic, real), scores(critic, fake)  # alive until here, so that no address is used twice
    del answers
    return sum(storages.values())
