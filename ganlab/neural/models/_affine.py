"""The affine layer of a stack of networks, with the ReLU before it: one operation that goes to memory less often.

Small networks side by side wait for memory as much as for products. Autograd's own operations make a new block for
every gradient that a ReLU masks; here the layer masks its own, where it lies. And a CPU's batched product takes up to
six times as long for few outputs as for the same numbers the other way round.
"""

import torch

__all__ = ["affine"]

FEW = 16  # outputs, below which a product is better taken the other way round


def affine(x, weight, bias, relu=False):
    """Return ``x @ weight + bias`` of S networks, or ``max(x, 0) @ weight + bias``, for which `x` is changed in place.

    Parameters
    ----------
    x : tensor (S, B, inputs)
    weight : tensor (S, inputs, outputs)
    bias : tensor (S, 1, outputs)
    relu : bool

    Examples
    --------
    >>> affine(torch.tensor([[[-1.0, 2.0]]]), torch.ones(1, 2, 3), torch.zeros(1, 1, 3), relu=True)
    tensor([[[2., 2., 2.]]])
    """
    if not torch.is_autocast_enabled(x.device.type) and (relu or weight.shape[-1] < FEW):
        try:
            return _Affine.apply(x, weight, bias, relu)[0]
        except RuntimeError:  # a transform of torch.func, or what is said better below
            pass
    return torch.baddbmm(bias, x.relu_() if relu else x, weight)


class _Affine(torch.autograd.Function):
    """Answers with the product, and with its input where it has changed it, as autograd wants to know."""

    @staticmethod
    def forward(ctx, x, weight, bias, relu):
        if relu:
            ctx.mark_dirty(x.relu_())
        ctx.save_for_backward(x, weight)
        ctx.set_materialize_grads(False)
        ctx.relu = relu
        few = weight.shape[-1] < FEW
        return torch.bmm(weight.mT, x.mT).mT + bias if few else torch.baddbmm(bias, x, weight), x if relu else None

    @staticmethod
    def backward(ctx, slope, passed):
        x, weight = ctx.saved_tensors
        by_x = by_weight = by_bias = None
        if slope is not None:
            if ctx.needs_input_grad[1]:
                few = weight.shape[-1] < FEW
                by_weight = torch.bmm(slope.mT, x).mT if few else torch.bmm(x.mT, slope)
            if ctx.needs_input_grad[2]:
                by_bias = slope.sum(1, keepdim=True)
            if ctx.needs_input_grad[0]:
                by_x = slope * weight.mT if weight.shape[-1] == 1 else torch.bmm(slope, weight.mT)
        if passed is not None:  # by somebody else who looks at what the ReLU left
            by_x = passed if by_x is None else by_x + passed
        if ctx.relu and by_x is not None:
            mine = passed is None and not torch.is_grad_enabled()  # so nobody else has it or will ask for it
            by_x = _mask.grad_input(by_x, x, 0, grad_input=by_x) if mine else _mask(by_x, x, 0)
        return by_x, by_weight, by_bias, None


_mask = torch.ops.aten.threshold_backward
