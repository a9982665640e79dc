"""What a critic answers, in one shape, one score a sample; and lengths that can be differentiated at 0."""

import torch

from ganlab.checks import InputError


def scores(D, x):
    """Return ``D(x)`` with one score a sample: shape ``(B,)``, or ``(S, B)`` when S networks are trained at once.

    Samples of three or five axes are a stack, as they are to the layers (`ganlab.neural._batches`), if the answer is
    one for each of its first two axes.
    """
    t = D(x)
    t = t.float() if t.dtype == torch.bfloat16 else t  # gains are sums of small differences
    if x.ndim in (3, 5) and t.shape in (x.shape[:2], (*x.shape[:2], 1)):
        return t.reshape(x.shape[:2])
    if t.numel() == len(x):
        return t.reshape(len(x))
    raise InputError(f"D must give one score a sample: it gave shape {tuple(t.shape)} for {tuple(x.shape)}; "
                     "end it in a layer with one output and no sigmoid")  # fmt: skip


def safe_sqrt(squares):
    """Return the square root; at 0 its derivatives of every order are 0.

    torch's own norm has NaN second derivatives there, and a square below the normal numbers would give infinite ones.
    """
    positive = squares > torch.finfo(squares.dtype).tiny
    return torch.where(positive, squares, 1).sqrt() * positive
