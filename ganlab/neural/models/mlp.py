"""Small fully connected networks, alone or many seeds at once along a leading axis."""

import copy
import math
from numbers import Number

import torch
from torch import nn

from ganlab.checks import InputError, choose, number, whole
from ganlab.neural.minibatch import BatchNorm, Dropout, VirtualBatchNorm
from ganlab.neural.models._affine import affine

__all__ = ["ACTIVATIONS", "Maxout", "Stack", "StackedLinear", "mlp", "stack", "unstack"]

# ReLU in place: the layer before it does not need its answer again, and half the memory stays free.
ACTIVATIONS = {"relu": lambda: nn.ReLU(inplace=True), "leaky_relu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh,
               "softplus": nn.Softplus, "silu": nn.SiLU, "elu": nn.ELU, "maxout": lambda: Maxout(5),
               "identity": nn.Identity}  # fmt: skip
NORMS = {"batch": BatchNorm, "virtual": VirtualBatchNorm}


class Maxout(nn.Module):
    """Keep the largest of every `pieces` neighbouring features (Goodfellow et al. 2013).

    Examples
    --------
    >>> Maxout(2)(torch.tensor([[1.0, 3.0, 5.0, 2.0]]))
    tensor([[3., 5.]])
    """

    def __init__(self, pieces):
        super().__init__()
        self.pieces = whole("pieces", pieces)

    def forward(self, x):
        return x.unflatten(-1, (-1, self.pieces)).amax(-1)


class StackedLinear(nn.Module):
    """The same affine layer of `S` networks, applied to `S` batches in one matrix product.

    Parameters
    ----------
    weight : tensor of shape (S, inputs, outputs)
    bias : tensor of shape (S, 1, outputs)

    Examples
    --------
    >>> layer = StackedLinear(torch.ones(3, 2, 1), torch.zeros(3, 1, 1))
    >>> layer(torch.ones(3, 5, 2)).shape
    torch.Size([3, 5, 1])
    """

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x):
        weight = self.weight  # once: spectral normalisation moves on with every look
        if weight.shape[-1] == 1:  # a CPU's batched product takes several times as long for a single output
            return (x * weight.mT).sum(-1, keepdim=True) + self.bias
        return torch.baddbmm(self.bias, x, weight)

    def extra_repr(self):
        return f"{self.weight.shape[0]} seeds, {self.weight.shape[1]} -> {self.weight.shape[2]}"


class Stack(nn.Sequential):
    """The layers of S networks of one architecture; affine layers and the ReLUs before them are one operation each.

    Not where gradients by the input and by the weights may be asked for one at a time, as penalties do: the operation
    always makes all of them.

    Examples
    --------
    >>> mlp(2, 1, (4,), seed=range(3))(torch.zeros(3, 5, 2)).shape
    torch.Size([3, 5, 1])
    """

    def forward(self, x):
        if x.requires_grad and next(self.parameters()).requires_grad:
            return super().forward(x)
        layers, relu = list(self), False
        for layer, behind in zip(layers, [*layers[1:], None], strict=True):
            if isinstance(layer, StackedLinear):
                x, relu = affine(x, layer.weight, layer.bias, relu), False
            elif type(layer) is nn.ReLU and layer.inplace and isinstance(behind, StackedLinear):
                relu = True
            else:
                x = layer(x)
        return x


def _default(weight, gain, generator):
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)  # torch's own choice for nn.Linear
    weight.mul_(gain)


INITS = {"default": _default, "orthogonal": lambda w, gain, g: nn.init.orthogonal_(w, gain, generator=g),
         "normal": lambda w, gain, g: nn.init.normal_(w, 0.0, gain, generator=g)}  # fmt: skip


def _linear(inputs, outputs, init, gain, generator):
    """One affine layer, drawn from the generator and from nothing else."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    with torch.no_grad():
        INITS[init](layer.weight, gain, generator)
        bound = 1 / math.sqrt(inputs) if init == "default" else 0.0
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


def mlp(inputs, outputs, hidden=(128, 128, 128), activation="relu", norm=None, dropout=0.0,
        init="default", gain=1.0, seed=0):  # fmt: skip
    """Build a fully connected network, for one seed or for several at once.

    Parameters
    ----------
    inputs, outputs : int
        Features that go in and come out; a critic has one output and no sigmoid.
    hidden : sequence of int
        Widths of the hidden layers.
    activation : str
        A key of `ACTIVATIONS`.
    norm : {None, "batch", "virtual"}
        What normalises every hidden layer but the first; "virtual" needs `ganlab.neural.minibatch.WithReference`.
    dropout : float in [0, 1)
        After every hidden layer.
    init : {"default", "orthogonal", "normal"}
        How weights are drawn: as torch does, or orthogonal, or normal, times `gain` (of "normal": the deviation).
    seed : int or sequence of int
        A sequence stacks one network a seed along a leading axis: inputs then have shape (S, B, inputs).

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    InputError
        If a number is out of range or a name is unknown.

    Examples
    --------
    >>> mlp(2, 1, hidden=(8,))(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    >>> mlp(2, 1, hidden=(8,), seed=range(3))(torch.zeros(3, 5, 2)).shape
    torch.Size([3, 5, 1])
    """
    if not isinstance(seed, (Number, str, type(None))):
        return stack([mlp(inputs, outputs, hidden, activation, norm, dropout, init, gain, s) for s in seed])
    make, _ = choose("activation", activation, ACTIVATIONS), choose("init", init, INITS)
    number("dropout", dropout, 0, 1, open_high=True), number("gain", gain, 0)
    generator = torch.Generator().manual_seed(whole("seed", seed, 0))
    layers, width = [], whole("inputs", inputs)
    for k, h in enumerate(hidden):
        pieces = 5 if activation == "maxout" else 1
        layers += [_linear(width, whole("hidden", h) * pieces, init, gain, generator)]
        if norm is not None and k > 0:
            layers += [choose("norm", norm, NORMS)(h * pieces)]
        layers += [make()] + ([Dropout(dropout)] if dropout else [])
        width = h
    return nn.Sequential(*layers, _linear(width, whole("outputs", outputs), init, gain, generator))


@torch.no_grad()
def stack(networks):
    """Stack networks of one architecture into one that runs them side by side.

    Parameters
    ----------
    networks : sequence of torch.nn.Sequential
        Of layers whose parameters broadcast along a leading axis (`torch.nn.Linear` is replaced).

    Raises
    ------
    InputError
        If there is none, or their parameters differ in shape.

    Examples
    --------
    >>> stack([mlp(2, 1, (4,), seed=s) for s in (0, 1)])[0]
    StackedLinear(2 seeds, 2 -> 4)
    """
    if not networks or len({tuple(p.shape for p in net.parameters()) for net in networks}) != 1:
        raise InputError("stack needs at least one network, all of one architecture")
    layers = []
    for column in zip(*networks, strict=True):
        if isinstance(column[0], nn.Linear):
            layer = StackedLinear(
                torch.stack([x.weight.T for x in column]), torch.stack([x.bias[None] for x in column])
            )
        else:
            layer = copy.deepcopy(column[0])
            for name, parameter in layer.named_parameters(recurse=False):
                setattr(
                    layer, name, nn.Parameter(torch.stack([getattr(x, name) for x in column]), parameter.requires_grad)
                )
            for name, _ in layer.named_buffers(recurse=False):
                setattr(layer, name, torch.stack([getattr(x, name) for x in column]))
        layers.append(layer)
    return Stack(*layers)


@torch.no_grad()
def unstack(network, s):
    """Take network `s` out of a stack, as an ordinary one.

    Examples
    --------
    >>> nets = [mlp(2, 1, (4,), seed=s) for s in (0, 1)]
    >>> x = torch.ones(1, 2)
    >>> torch.allclose(unstack(stack(nets), 1)(x), nets[1](x))
    True
    """
    layers = []
    for layer in network:
        if isinstance(layer, StackedLinear):
            single = nn.utils.skip_init(nn.Linear, *layer.weight.shape[1:], dtype=layer.weight.dtype)
            single.weight.copy_(layer.weight[s].T)
            single.bias.copy_(layer.bias[s, 0])
        else:
            single = copy.deepcopy(layer)
            for name, parameter in single.named_parameters(recurse=False):
                setattr(single, name, nn.Parameter(parameter[s].clone(), parameter.requires_grad))
            for name, buffer in single.named_buffers(recurse=False):
                setattr(single, name, buffer[s].clone())
        layers.append(single)
    return nn.Sequential(*layers)
