"""All the weights of a network in one tensor: one gradient, one length, one step of the optimiser, one exchange."""

import torch

from ganlab.checks import InputError
from ganlab.neural.parallel import average

FEW = 16  # inputs, below which products depend on the layout


class Weights(torch.nn.Parameter):
    """The trainable weights of a network, laid end to end; the network's own become views of them.

    A small network spends more time on the bookkeeping of its eight tensors than on their arithmetic. In a stack of S
    networks the shape is (S, P), else (P,). Weights keep their memory layout, so that channels_last survives, but for
    matrices of few inputs (`_order`).
    """

    def __new__(cls, network, stacked):
        parts = [p for p in network.parameters() if p.requires_grad]
        if len({p.dtype for p in parts}) != 1:
            raise InputError("the trainable weights of a network must be there, and of one dtype, got "
                             f"{', '.join(sorted({str(p.dtype) for p in parts})) or 'none'}")  # fmt: skip
        lead = int(stacked)
        orders = [_order(p, lead) for p in parts]
        rows = [_row(p.detach(), order, lead) for p, order in zip(parts, orders, strict=True)]
        self = super().__new__(cls, torch.cat(rows, -1))
        for p, order, row in zip(parts, orders, self.detach().split([row.shape[-1] for row in rows], -1), strict=True):
            sizes, back = [p.shape[k] for k in order], sorted(range(p.ndim), key=order.__getitem__)
            p.data = row.view(sizes).permute(back)
        # a permutation that changes nothing takes a microsecond for every tensor and step
        self.parts, self.places, self.lead = parts, [p.data_ptr() for p in parts], lead
        self.orders = [None if order == sorted(order) else order for order in orders]
        return self

    def slope(self, gain):
        """The gradient of a gain, in a stack of each gain, by all the weights, averaged over all processes.

        A weight without a gradient counts as one with 0, on every process alike, so nobody waits for anybody.

        Raises
        ------
        InputError
            If the network has got other memory since: what is learned here would never reach it.
        """
        slopes = torch.autograd.grad(gain, self.parts, torch.ones_like(gain), allow_unused=True)
        if [p.data_ptr() for p in self.parts] != self.places or all(g is None for g in slopes):
            raise InputError("the weights of a network were moved or replaced (.to(), .double(), another Run) after "
                             "its Run was made, which would train without effect: make a new Run")  # fmt: skip
        slopes = [torch.zeros_like(p) if g is None else g for p, g in zip(self.parts, slopes, strict=True)]
        return average(torch.cat([_row(g, order, self.lead) for g, order in zip(slopes, self.orders, strict=True)], -1))


def _order(p, lead):
    """The axes of a weight from the outermost in memory to the innermost: as they lie, but for matrices of few inputs.

    Of equal strides one belongs to an axis of size 1: it comes after the other, or a channels_last weight of one
    channel would lose its layout and slow down every layer. And `torch` looks at the layout of a matrix to choose how
    it makes the gradients: with two inputs, as of points in the plane, the other way takes a fifth of the time.
    """
    if lead == 0 and p.ndim == 2 and p.shape[1] < FEW <= p.shape[0]:
        return [1, 0]
    axes = sorted(range(lead, p.ndim), key=lambda axis: (p.stride(axis), p.shape[axis]), reverse=True)
    return [*range(lead), *axes]


def _row(t, order, lead):
    """The numbers of a tensor in one row, as the weight lies in memory; in a stack one row a seed."""
    t = t if order is None else t.permute(order)
    return t.flatten(lead) if t.ndim > lead else t.unsqueeze(-1)
