"""Sets of pictures: how they are checked, kept, drawn from and resized."""

from dataclasses import dataclass

import numpy as np

from ganlab._samples import generator
from ganlab.checks import InputError, choose, whole

__all__ = ["Pictures", "check_images", "power_of_two"]

_ROUNDING = 1e-3  # above 1 in size: what bfloat16 and a resize may add


def power_of_two(name, value, low=4, high=1024):
    """Return `value` as an int if it is a power of two from `low` to `high`; if it is not, the nearest one is named.

    Raises
    ------
    InputError
        If it is no such number.

    Examples
    --------
    >>> power_of_two("resolution", 64)
    64
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        whole(name, value, low)  # says what is wrong
    valid = [2**k for k in range(int(low).bit_length() - 1, int(high).bit_length())]
    if value not in valid:
        nearest = min(valid, key=lambda size: abs(size - int(value)))
        raise InputError(f"{name} must be a power of two from {low} to {high}, got {value}: the nearest is {nearest}")
    return int(value)


def check_images(x, channels=None, resolution=None, name="images"):
    """Return pictures as float32 if they are what a network here expects; if not, say what was seen and what is wanted.

    Parameters
    ----------
    x : (n, channels, resolution, resolution) array of floats in [-1, 1]
        A torch tensor on the CPU will do, too.
    channels, resolution : int, optional
        What they must be; left out, anything goes, as long as the pictures are square.
    name : str
        What the message calls them.

    Returns
    -------
    (n, channels, resolution, resolution) array of float32

    Raises
    ------
    InputError
        If they have another shape, no floats, NaN or infinity in them, or values outside [-1, 1].

    Examples
    --------
    >>> check_images(np.zeros((2, 3, 8, 8)), channels=3, resolution=8).dtype
    dtype('float32')
    >>> check_images(np.zeros((2, 8, 8, 3), np.uint8), channels=3)
    Traceback (most recent call last):
    ...
    ganlab.checks.InputError: images must be floats in [-1, 1] of shape (n, 3, size, size), got uint8 of shape
    (2, 8, 8, 3): turn bytes into floats with x / 127.5 - 1; channels come second: x.transpose(0, 3, 1, 2)
    """
    try:
        a = np.asarray(x)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name} must be an array, got {type(x).__name__} that numpy cannot read: "
                         "take x.detach().cpu(), or arrays of one size") from None  # fmt: skip
    wrong = [*_wrong_kind(a), *_wrong_shape(a, channels, resolution)] or list(_wrong_values(a))
    if wrong:
        size = f"{resolution or 'size'}"
        wanted = f"floats in [-1, 1] of shape (n, {channels or 'channels'}, {size}, {size})"
        raise InputError(f"{name} must be {wanted}, got {a.dtype} of shape {a.shape}: {'; '.join(wrong)}")
    return np.ascontiguousarray(a, dtype=np.float32)


def _wrong_kind(a):
    if a.dtype.kind in "iub":
        yield "turn bytes into floats with x / 127.5 - 1" if a.dtype == np.uint8 else "turn them into floats"
    elif a.dtype.kind != "f":
        yield "they are no numbers"


def _wrong_shape(a, channels, resolution):
    if a.ndim != 4:
        yield "add the axis of channels: x[:, None]" if a.ndim == 3 else "four axes are needed"
        return
    c, height, width = a.shape[1:]
    ours = c in (1, 3) if channels is None else c == channels
    if not ours and width in ((1, 3, 4) if channels is None else (channels,)) and c == height:
        yield "channels come second: x.transpose(0, 3, 1, 2)"
    elif channels is not None and c != channels:
        yield f"there are {c} channels, not {channels}"
    elif a.size == 0:
        yield "there are none"
    elif height != width:
        yield "cut them to squares"
    elif resolution is not None and height != resolution:
        yield f"resize them: Pictures(x).resized({resolution})"


def _wrong_values(a):
    low, high = float(a.min()), float(a.max())  # both are NaN if anything is
    if not np.isfinite([low, high]).all():
        yield f"{np.count_nonzero(~np.isfinite(a))} of {a.size} numbers are NaN or infinite"
    elif low < -1 - _ROUNDING or high > 1 + _ROUNDING:
        scale = "; scale them, or cut off what a network without tanh made with x.clip(-1, 1)"
        bytes_ = "; scale [0, 255] with x / 127.5 - 1" if low >= 0 and high <= 255 else scale
        yield f"they reach from {low:g} to {high:g}{bytes_}"


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Square pictures, with labels if they have them. They are the `data` of a training run as they are.

    Parameters
    ----------
    images : (n, channels, height, width) array of floats
        In [-1, 1]; kept as float32.
    labels : (n,) array of whole numbers, optional
    name : str
        What they are.
    notes : str or sequence of str
        What a user should know, such as files that could not be read.

    Raises
    ------
    InputError
        As `check_images` does, or if `labels` are not one whole number a picture.

    Examples
    --------
    >>> Pictures(np.zeros((10, 1, 8, 8)), np.arange(10) % 3, "black")
    Pictures 'black': 10 of 1 x 8 x 8, labels 0 to 2
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    name: str = "pictures"
    notes: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, "images", check_images(self.images))
        object.__setattr__(self, "notes", (self.notes,) if isinstance(self.notes, str) else tuple(self.notes))
        if self.labels is not None:
            labels = np.asarray(self.labels)
            if labels.dtype.kind not in "iu" or labels.shape != (len(self),):
                raise InputError(f"labels must be {len(self)} whole numbers, one a picture, got {labels.dtype} of "
                                 f"shape {labels.shape}")  # fmt: skip
            object.__setattr__(self, "labels", labels.astype(np.int64))

    def __len__(self):
        return len(self.images)

    @property
    def channels(self):
        """1 for grey, 3 for colour."""
        return self.images.shape[1]

    @property
    def resolution(self):
        """Pixels a side."""
        return self.images.shape[2]

    def __repr__(self):
        labels = "no labels" if self.labels is None else f"labels {self.labels.min()} to {self.labels.max()}"
        size = " x ".join(map(str, self.images.shape[1:]))
        return "\n  ".join([f"Pictures {self.name!r}: {len(self)} of {size}, {labels}", *self.notes])

    def sample(self, n, rng):
        """Draw `n` different pictures.

        Parameters
        ----------
        n : int
            At most as many as there are: a picture that comes twice would spoil a measure of diversity.
        rng : numpy.random.Generator

        Returns
        -------
        (n, channels, height, width) array of float32

        Raises
        ------
        InputError
            If there are fewer than `n`, or `rng` is no Generator.

        Examples
        --------
        >>> Pictures(np.zeros((10, 1, 8, 8))).sample(4, np.random.default_rng(0)).shape
        (4, 1, 8, 8)
        """
        if whole("n", n) > len(self):
            raise InputError(f"n must be at most {len(self)}, as many as there are pictures in {self.name!r}, got {n}; "
                             "a training run takes the whole set as its data")  # fmt: skip
        return self.images[generator(rng).choice(len(self), n, replace=False)]

    def resized(self, resolution, how="area"):
        """Return the pictures at another size.

        Parameters
        ----------
        resolution : int
            A power of two from 4 to 1024.
        how : str
            "area": each new pixel is the mean over the area that it covers; "nearest": the old pixel at its centre;
            "pad": the old pixels in a frame of -1, as MNIST is taken from 28 to 32.

        Returns
        -------
        Pictures

        Raises
        ------
        InputError
            If `resolution` is no such power of two or `how` unknown, or if "pad" is asked to shrink.

        Examples
        --------
        >>> Pictures(np.zeros((10, 1, 28, 28)), name="black").resized(32, "pad")
        Pictures 'black': 10 of 1 x 32 x 32, no labels
        """
        resize = choose("way to resize", how, {"area": _area, "nearest": _nearest, "pad": _pad})
        images = resize(self.images, power_of_two("resolution", resolution))
        return Pictures(images, self.labels, self.name, self.notes)


def _area(x, r):
    i, j, old = np.arange(r)[:, None], np.arange(x.shape[-1]), x.shape[-1]
    # How much of new pixel i lies in old pixel j, in whole numbers: a picture is r * old units long.
    overlap = np.minimum((i + 1) * old, (j + 1) * r) - np.maximum(i * old, j * r)
    w = (np.maximum(overlap, 0) / old).astype(np.float32)
    return np.clip(w @ x @ w.T, -1, 1)


def _nearest(x, r):
    i = (2 * np.arange(r) + 1) * x.shape[-1] // (2 * r)
    return x[..., i[:, None], i]


def _pad(x, r):
    extra = r - x.shape[-1]
    if extra < 0:
        raise InputError(f"a frame cannot make pictures of {x.shape[-1]} smaller: take how='area' to get {r}")
    sides = (extra // 2, extra - extra // 2)
    return np.pad(x, [(0, 0), (0, 0), sides, sides], constant_values=-1)
