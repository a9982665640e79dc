"""What `ganlab sample` writes: the bytes of a file of samples, by its suffix."""

import io
import math

import numpy as np

from ganlab.checks import InputError
from ganlab.pictures import mosaic

SHEET = 512  # pixels a side, about, as long as the pictures are small


def _npy(samples, law):
    file = io.BytesIO()
    np.save(file, samples, allow_pickle=False)
    return file.getvalue()


def _csv(samples, law):
    file = io.StringIO()
    columns = ",".join(f"x{k + 1}" for k in range(law.dim))
    np.savetxt(file, _of_one_seed(samples), "%.9g", ",", header=columns, comments="", newline="\n")
    return file.getvalue().encode()


def _png(samples, law):
    from ganlab import plots

    samples, file = _of_one_seed(samples), io.BytesIO()
    with plots.plt.rc_context():
        plots.use_style()
        figure, ax = plots.plt.subplots()
        (_draw_line if law.dim == 1 else _draw_plane)(samples, law, ax, plots)
        figure.savefig(file, format="png")
        plots.plt.close(figure)
    return file.getvalue()


def _draw_line(samples, law, ax, plots):
    """A histogram of the samples under the density."""
    finite = samples[np.isfinite(samples)]
    ax.hist(finite, 60, density=True, color=plots.COLOURS[1], alpha=0.6, label="generator")
    ends = np.concatenate([finite, *(law.modes + k * law.sds[:, None] for k in (-4, 4))], axis=None)
    x = np.linspace(ends.min(), ends.max(), 1001)
    ax.plot(x, law.density(x[:, None]), color="#555555", label="density of the data")
    ax.set(xlabel="$x$")
    ax.legend()


def _draw_plane(samples, law, ax, plots):
    """The samples over the modes of the data or, where a curve has none, over samples of the data."""
    if len(law.modes):
        return plots.cloud(samples, law, ax=ax)
    real = law.sample(len(samples), np.random.default_rng(0))
    ax.plot(*real.T, ".", color="#555555", markersize=3, alpha=0.6)
    return plots.cloud(samples, span=1.25 * np.abs(real).max(), ax=ax)


def _of_one_seed(samples):
    if samples.ndim > 2:
        raise InputError(f"this run trains {len(samples)} seeds at once: take a .npy file, which has an axis for them")
    return samples


def many(side):
    """How many pictures of so many pixels a side a sheet has by itself.

    Examples
    --------
    >>> [many(side) for side in (4, 64, 256, 1024)]
    [64, 64, 16, 4]
    """
    return min(8, max(2, 1024 // side)) ** 2


def sheet(pictures, law=None):
    """The bytes of a PNG file with pictures (n, channels, side, side) in a square, small ones enlarged."""
    from PIL import Image

    zoom, columns = max(1, SHEET // 8 // pictures.shape[-1]), math.ceil(math.sqrt(len(pictures)))
    shown = np.where(np.isnan(pictures), 0, pictures)  # a run about to diverge still gets its sheet, grey there
    grid, file = mosaic(shown, columns, zoom, gap=4), io.BytesIO()
    Image.fromarray(np.round(255 * grid).astype(np.uint8)).save(file, "png")
    return file.getvalue()


FORMATS = {".npy": _npy, ".csv": _csv, ".png": _png}
SHEETS = {".npy": _npy, ".png": sheet}
