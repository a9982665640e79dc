"""What a critic answers, in one shape: one score a sample."""

import torch

from ganlab.checks import InputError


def scores(D, x):
    """Return ``D(x)`` with one score a sample: shape ``(B,)``, or ``(S, B)`` when S networks are trained at once."""
    t = D(x)
    t = t.float() if t.dtype == torch.bfloat16 else t  # gains are sums of small differences
    if t.numel() == len(x):
        return t.reshape(len(x))
    if t.numel() == x.shape[:2].numel():
        return t.reshape(x.shape[:2])
    raise InputError(f"D must give one score a sample: it gave shape {tuple(t.shape)} for {tuple(x.shape)}; "
                     "end it in a layer with one output and no sigmoid")  # fmt: skip
