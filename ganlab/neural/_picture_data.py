"""What ``--data`` of the command may be: pictures that are made, that come with scikit-learn, or of the user's own."""

from functools import partial
from pathlib import Path

import numpy as np

from ganlab.checks import InputError, whole
from ganlab.drawings import faces, glyphs, scenes, stacked_digits
from ganlab.pictures import Pictures, check_images, digits, folder, mnist, power_of_two

__all__ = ["HELP", "label", "outside", "read", "settled"]

MADE = {"faces": faces, "glyphs": glyphs, "scenes": scenes, "stacked": stacked_digits}
NAMES = ("digits", *MADE)
FILES = {"mnist": mnist, "fashion": partial(mnist, fashion=True)}
MANY = 5000
HELP = (f"a folder of pictures; or one of {', '.join(NAMES)} (a folder of that name is ./faces); or mnist:FOLDER or "
        "fashion:FOLDER with those files; or a .npy file of floats in [-1, 1], (n, channels, size, size)")  # fmt: skip


def read(data, resolution, channels=None, n=None):
    """Return the pictures that ``--data`` names.

    Parameters
    ----------
    data : str
        See `HELP`.
    resolution : int
        Pixels a side, a power of two.
    channels : int, optional
        What they must have: 3 in a folder, otherwise what the data have.
    n : int, optional
        How many to make, or to take at most, evenly spread.

    Returns
    -------
    Pictures

    Raises
    ------
    InputError
        If there are none, something about them does not fit, or scikit-learn is needed and missing.

    Examples
    --------
    >>> read("faces", 8, n=10)
    Pictures 'faces': 10 of 3 x 8 x 8, no labels
    """
    power_of_two("resolution", resolution)
    n = n if n is None else whole("pictures", n)
    kind, _, place = data.partition(":")
    try:
        if data in MADE:
            found = Pictures(MADE[data](n or MANY, np.random.default_rng(0), resolution).images, name=data)
        elif data == "digits":
            found = _spread(digits("all"), n).resized(resolution)
        elif kind in FILES and place:
            found = _spread(FILES[kind](place), n).resized(32, "pad").resized(resolution)
        elif Path(data).suffix.lower() == ".npy":
            found = _spread(_stored(data, channels, resolution), n)
        elif not data or not Path(data).exists():
            raise InputError(f"--data: there is no folder {data!r}, and no made data of that name: take a folder of "
                             f"pictures, mnist:FOLDER, or one of {', '.join(NAMES)}")  # fmt: skip
        else:
            return folder(data, resolution, channels or 3, n)
    except ImportError as error:  # scikit-learn's
        raise InputError(str(error)) from None
    if channels not in (None, found.channels):
        raise InputError(f"--channels {channels} does not fit {data}, which has {found.channels}: leave it out")
    return found


def _spread(pictures, n):
    """At most n of the pictures, from all over them."""
    if n is None or n >= len(pictures):
        return pictures
    return Pictures(pictures.images[np.arange(n) * len(pictures) // n], None, pictures.name)


def _stored(file, channels, resolution):
    """The pictures of a .npy file, which can neither run code nor claim more than it holds."""
    try:
        images = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"--data: {file} cannot be read as a .npy file of numbers: {error}") from None
    images = check_images(images, channels, resolution, f"pictures in {file}")
    return Pictures(images.copy(), None, Path(file).stem)  # of the file itself torch would say that it cannot write


def settled(data):
    """What ``--data`` names, from wherever the command is called next."""
    kind, colon, place = data.partition(":")
    if data in NAMES:
        return data
    return f"{kind}:{Path(place).resolve()}" if colon and kind in FILES else str(Path(data).resolve())


def label(data):
    """The name of the data, for a folder and a list: one word of it."""
    kind, colon, _ = data.partition(":")
    return kind if data in NAMES or (colon and kind in FILES) else Path(data).resolve().stem or "pictures"


def outside(folder, data):
    """Refuse a run's folder inside the pictures, among which its sheets would be counted."""
    if data not in NAMES and Path(data).is_dir() and folder.resolve().is_relative_to(Path(data).resolve()):
        raise InputError(f"--out {folder} lies inside --data {data}, where its sheets would count as pictures: choose "
                         "a folder outside")  # fmt: skip
