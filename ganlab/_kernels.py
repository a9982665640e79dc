"""The squared mean discrepancy of two samples from their tables of kernel values, whatever the kernel."""

import numpy as np

__all__ = ["mmd_of_kernels"]


def mmd_of_kernels(xx, yy, xy, unbiased):
    """Return ``E k(x, x') + E k(y, y') - 2 E k(x, y)`` over the pairs; unbiased leaves out a sample with itself."""
    if not unbiased:
        return float(xx.mean() + yy.mean() - 2 * xy.mean())
    within = ((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy))
    return float(sum(within) - 2 * xy.mean())
