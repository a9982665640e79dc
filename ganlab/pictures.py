"""Real pictures: handwritten digits, MNIST and Fashion-MNIST, and a folder of your own.

Each function returns `Pictures`, whose images are floats in [-1, 1] of shape (n, channels, height, width).
Nothing is fetched unless `mnist` is asked to.
"""

import numpy as np

from ganlab import _mnist, _photos
from ganlab._idx import path_of, read_idx
from ganlab._images import Pictures, check_images, power_of_two
from ganlab._mosaic import mosaic
from ganlab.checks import InputError, choose, whole

__all__ = ["Pictures", "check_images", "digits", "folder", "mnist", "mosaic", "power_of_two", "read_idx"]

_MOST_BYTES = 2**33  # of float32 pictures without being asked: half of a usual machine
_NAMED = 5  # files that a note names


def digits(split="train"):
    """Return scikit-learn's handwritten digits: 1,797 grey pictures of 8 x 8 with their labels.

    Every fifth picture of each digit is held out. The pictures stand in the order of their writers, so both splits
    have all digits and all writers.

    Parameters
    ----------
    split : str
        "train" (1,442), "test" (355, held out) or "all".

    Returns
    -------
    Pictures
        17 grey levels, -1 (paper) to 1 (ink).

    Raises
    ------
    InputError
        If `split` is unknown.
    ImportError
        If scikit-learn is not installed.

    References
    ----------
    E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998.

    Examples
    --------
    >>> digits()
    Pictures 'digits, train': 1442 of 1 x 8 x 8, labels 0 to 9
    """
    held_out = choose("split", split, {"train": (False,), "test": (True,), "all": (False, True)})
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("the digits come with scikit-learn: pip install scikit-learn", name="sklearn") from None
    bunch = load_digits()
    rank = np.zeros(len(bunch.target), dtype=int)  # each picture's place among those of its digit
    for digit in range(10):
        rank[bunch.target == digit] = np.arange(np.count_nonzero(bunch.target == digit))
    keep = np.isin(rank % 5 == 4, held_out)
    return Pictures(bunch.images[keep, None] / 8 - 1, bunch.target[keep], f"digits, {split}")


def mnist(folder, fashion=False, split="train", download=False, check=True):
    """Return MNIST or Fashion-MNIST from the files in a folder: 28 x 28, grey, with labels 0 to 9.

    The four files keep their names (``train-images-idx3-ubyte`` and so on), with or without ``.gz``; torchvision's
    folders are found, too. ``mnist(...).resized(32, "pad")`` gives a power of two.

    Parameters
    ----------
    folder : str or path
    fashion : bool
        Fashion-MNIST, whose files have the same names.
    split : str
        "train" (60,000) or "test" (10,000).
    download : bool
        Fetch what is missing (11 or 30 MB) into `folder`. A file is kept only if its SHA-256 is the published one.
    check : bool
        Require the SHA-256 of the published files, unpacked; False reads data of your own in the same format.

    Returns
    -------
    Pictures
        -1 (background) to 1.

    Raises
    ------
    InputError
        If files are missing (the message says which, and where to put them), damaged or of the other data set,
        or if no mirror can be reached.

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of handwritten digits*, 1998; H. Xiao, K. Rasul,
    R. Vollgraf, *Fashion-MNIST*, 2017, arXiv:1708.07747.

    Examples
    --------
    >>> mnist("no-such-folder", split="test")
    Traceback (most recent call last):
    ...
    ganlab.checks.InputError: MNIST is not in no-such-folder: get t10k-images-idx3-ubyte.gz and
    t10k-labels-idx1-ubyte.gz from https://ossci-datasets.s3.amazonaws.com/mnist/ (or take them from any copy) and put
    them into no-such-folder, or pass download=True
    """
    images, labels = _mnist.files(folder, bool(fashion), split, download, check)
    if images.dtype != np.uint8 or images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise InputError(f"the files of {folder} do not fit together: pictures must be bytes of shape (n, height, "
                         f"width) and labels n of them, got {images.dtype} of shape {images.shape} and shape "
                         f"{labels.shape}")  # fmt: skip
    return Pictures(_floats(images[:, None]), labels, f"{_mnist.TITLES[bool(fashion)]}, {split}")


def folder(path, resolution, channels=3, most=None):
    """Return the pictures in a folder and in the folders inside it, all made square and of one size.

    A picture of any size, format and colour that PIL reads is turned upright (EXIF), put on white where it is
    transparent, cut to its middle square and resized with a Lanczos filter. Of a film, the first frame counts. The
    order is that of the paths. Files that cannot be read are left out; `notes` counts and names them.

    Parameters
    ----------
    path : str or path
    resolution : int
        Pixels a side: a power of two from 4 to 1024.
    channels : int
        3 for colour, 1 for grey.
    most : int, optional
        Take at most so many files, evenly spread over the order. Needed above 8 GiB.

    Returns
    -------
    Pictures
        Without labels.

    Raises
    ------
    InputError
        If `path` is no folder or holds no picture that can be read, if they take too much memory, or if `resolution`
        (the message names the nearest that works), `channels` or `most` is out of range.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     _ = (Path(place) / "black.pgm").write_bytes(b"P5 20 10 255 " + bytes(200))
    ...     _ = (Path(place) / "broken.jpg").write_bytes(b"oops")
    ...     pictures = folder(place, resolution=8, channels=1)
    >>> pictures.images.shape, pictures.notes
    ((1, 1, 8, 8), ('1 file could not be read and was left out: broken.jpg (no picture that PIL can read)',))
    """
    resolution = power_of_two("resolution", resolution)
    choose("number of channels", channels, {1: "grey", 3: "colour"})
    files, others = _photos.listing(path)
    path = path_of("path", path)
    if not files:
        raise InputError(f"there are no pictures in {path}: {others} other files; what counts ends in "
                         f"{', '.join(sorted(_photos.ENDINGS))}")  # fmt: skip
    files = _thinned(files, most, 4 * channels * resolution**2)
    images = np.empty((len(files), channels, resolution, resolution), dtype=np.float32)
    n, small, broken = 0, 0, []
    for file in _photos.progress(files):
        try:
            image, enlarged = _photos.photo(file, resolution, channels)
        except _photos.Unreadable as error:
            name = (
                file.relative_to(path).as_posix().encode("utf-8", "backslashreplace").decode()
            )  # printable everywhere
            broken.append(f"{name} ({error})")
            continue
        images[n] = _floats(image)
        n, small = n + 1, small + enlarged
    if n == 0:
        raise InputError(f"none of the {len(files)} pictures in {path} can be read: {_named(broken)}")
    return Pictures(images[:n], None, path.resolve().name, _notes(broken, small, others, resolution))


def _floats(bytes_):
    return bytes_ / np.float32(127.5) - 1


def _thinned(files, most, size):
    """At most `most` of the files, evenly spread: the first ones may all come from one holiday."""
    if most is not None:
        kept = min(whole("most", most), len(files))
        return [files[k * len(files) // kept] for k in range(kept)]
    if size * len(files) > _MOST_BYTES:
        raise InputError(f"{len(files)} pictures would take {size * len(files) / 2**30:.1f} GiB: lower resolution, "
                         f"pass most={_MOST_BYTES // size}, or more if your machine has the memory")  # fmt: skip
    return files


def _named(broken):
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return ", ".join(broken[:_NAMED]) + more


def _notes(broken, small, others, resolution):
    if broken:
        what = (
            "1 file could not be read and was"
            if len(broken) == 1
            else f"{len(broken)} files could not be read and were"
        )
        yield f"{what} left out: {_named(broken)}"
    if small:
        yield f"{small} smaller than {resolution} pixels, enlarged"
    if others:
        yield f"{others} other file{'s' * (others > 1)} left alone"
