"""What a batch is: ``(B, F)`` or ``(B, C, H, W)``, with a leading axis S when S networks are trained at once."""

from ganlab.checks import InputError


def feature_axis(x):
    """Return the axis of features or channels, counted from the end; the axis before it is the batch."""
    if not 2 <= x.ndim <= 5:
        raise InputError(f"a batch must be (B, F), (B, C, H, W) or a stack of these, got shape {tuple(x.shape)}")
    return -1 if x.ndim < 4 else -3


def vectors(x, features):
    """Check that `x` is a batch of vectors, or a stack of such."""
    if x.ndim not in (2, 3) or x.shape[-1] != features:
        raise InputError(f"this layer takes (B, {features}) or (S, B, {features}), got shape {tuple(x.shape)}; "
                         "flatten images first, and check the width of the layer before")  # fmt: skip
