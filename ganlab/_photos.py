"""A user's own pictures: which files in a folder they are, and how one of them becomes a square of bytes."""

import struct
import warnings
import zlib

import numpy as np

from ganlab._idx import path_of
from ganlab.checks import InputError

__all__ = ["ENDINGS", "Unreadable", "listing", "photo", "progress"]

ENDINGS = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
           ".tga", ".jp2", ".avif", ".heic", ".heif"}  # fmt: skip
# What PIL's readers raise on a damaged file; more than one would wish.
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, AttributeError,
          RuntimeError, struct.error, zlib.error)  # fmt: skip


class Unreadable(Exception):
    """A file is no picture, or damaged; the message says why, in a few words."""


def listing(path):
    """The pictures under a folder, in the order of their paths on every machine, and how many other files lie there.

    Hidden files and folders are left alone: that is where systems keep their own thumbnails.

    Raises
    ------
    InputError
        If `path` is no folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     listing(folder)
    ([], 0)
    """
    path = path_of("path", path)
    if path.is_file():
        raise InputError(f"path must be a folder of pictures, but {path} is a file: take the folder that it lies in")
    if not path.is_dir():
        raise InputError(f"path must be a folder of pictures, but there is no {path}")
    found = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
    seen = sorted(name.parts for name in found if not any(part.startswith(".") for part in name.parts))
    files = [path.joinpath(*parts) for parts in seen]
    pictures = [file for file in files if file.suffix.lower() in ENDINGS]
    return pictures, len(files) - len(pictures)


def photo(path, resolution, channels):
    """The middle square of a picture, upright, at this size, over white: (channels, resolution, resolution) bytes.

    Returns
    -------
    array, bool
        The bytes, and whether the picture had to be enlarged.

    Raises
    ------
    Unreadable
        If it cannot be read to its end.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            small = min(image.size) < resolution
            image.draft(
                None, (4 * resolution, 4 * resolution)
            )  # a JPEG read at 1/2, 1/4 or 1/8 of its size, but no less
            upright = _flat(ImageOps.exif_transpose(image), channels)
            square = ImageOps.fit(upright, (resolution, resolution), Image.Resampling.LANCZOS)
    except Image.DecompressionBombError:
        raise Unreadable("more pixels than a photograph has") from None
    except DAMAGE as error:
        raise Unreadable(_in_brief(error)) from None
    return np.atleast_3d(np.asarray(square)).transpose(2, 0, 1), small


def _in_brief(error):
    """PIL's reason without the path, which is named already."""
    text = str(error) or type(error).__name__
    return "no picture that PIL can read" if "cannot identify" in text else text.splitlines()[0][:80]


def _flat(image, channels):
    """As grey or colour in bytes; what is transparent shows white."""
    from PIL import Image

    if image.mode.startswith("I;16"):  # PIL would cut 16 bits off at 255
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise Unreadable("numbers of 32 bits have no agreed range; save it with 8 bits")
    elif "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def progress(files):
    """The same files, with a bar in a terminal if they take longer than two seconds and tqdm is there."""
    try:
        from tqdm import tqdm
    except ImportError:
        return files
    return tqdm(files, unit="picture", delay=2, disable=None)
