"""Many small pictures as one."""

import numpy as np

from ganlab.checks import InputError, whole

GROUND = 0.5  # grey, so that black and white pictures both have an edge


def mosaic(images, columns=8, zoom=1, gap=1):
    """Return pictures side by side, row by row, as one array that ``ax.imshow`` and ``plt.imsave`` take.

    Parameters
    ----------
    images : (n, channels, height, width) array in [-1, 1]
        Values beyond are cut off, as a screen does. A torch tensor on the CPU will do, too.
    columns : int
    zoom : int
        Pixels a side for each pixel; small pictures stay sharp.
    gap : int
        Pixels between two pictures; 0 for none.

    Returns
    -------
    (rows * height, columns * width, 3) array of floats in [0, 1], larger by zoom and gaps

    Raises
    ------
    InputError
        If there are no pictures, their channels are neither 1 nor 3, or a number is NaN.

    Examples
    --------
    >>> mosaic(np.zeros((10, 1, 8, 8)), columns=5).shape
    (19, 46, 3)
    """
    x = np.asarray(images, dtype=float)
    if x.ndim != 4 or len(x) == 0 or x.shape[1] not in (1, 3):
        raise InputError(f"images must have shape (n, 1 or 3, height, width), n at least 1, got {x.shape}")
    if np.isnan(x).any():
        raise InputError(f"images must be numbers: {np.count_nonzero(np.isnan(x))} of {x.size} are NaN")
    columns, zoom, gap = min(whole("columns", columns), len(x)), whole("zoom", zoom), whole("gap", gap, 0)
    rows = -(-len(x) // columns)
    x = np.broadcast_to((np.clip(x, -1, 1) + 1) / 2, (len(x), 3, *x.shape[2:])).repeat(zoom, 2).repeat(zoom, 3)
    height, width = x.shape[2] + gap, x.shape[3] + gap
    sheet = np.full((rows * height + gap, columns * width + gap, 3), GROUND)
    for k, picture in enumerate(x):
        top, left = gap + k // columns * height, gap + k % columns * width
        sheet[top : top + height - gap, left : left + width - gap] = picture.transpose(1, 2, 0)
    return sheet
