"""The IDX format of the MNIST files: a header of sizes, then plain numbers, mostly inside gzip."""

import gzip
import io
import math
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np

from ganlab.checks import InputError

__all__ = ["is_page", "load", "path_of", "read_idx"]

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MOST_PACKED = 1100  # gzip cannot pack better than 1032 to 1: a header that promises more is a lie


def path_of(name, value):
    """Return `value` as a path.

    Raises
    ------
    InputError
        If it cannot be one.

    Examples
    --------
    >>> path_of("folder", "data").name
    'data'
    """
    try:
        path = Path(value).expanduser()
        if "\0" in str(path):
            raise ValueError("a path holds no NUL")
        path.exists()  # a name can be too long
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise InputError(f"{name} must be a path, got {value!r}: {error}") from None
    return path


def is_page(data):
    """Tell whether bytes are a web page: what a proxy or a server with a bad day hands out in place of a file.

    Examples
    --------
    >>> is_page(b"<!DOCTYPE html>"), is_page(b"12")
    (True, False)
    """
    return data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def read_idx(path):
    """Read an array from an IDX file, such as those of MNIST, plain or packed with gzip (the content decides).

    The format is that of http://yann.lecun.com/exdb/mnist: two zero bytes, one for the type, one for the number of
    axes, the sizes as big-endian numbers of four bytes, then the values.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    array
        Of bytes, integers or floats, as the file says.

    Raises
    ------
    InputError
        If there is no such file, or it is cut off, too long, damaged, a web page, or of another format.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "labels"
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(file)
    array([7, 2, 1], dtype=uint8)
    """
    return load(path)[0]


def load(path):
    """The array in an IDX file, and the SHA-256 of the unpacked file, which does not depend on how it was packed."""
    path = path_of("path", path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if not data.startswith(b"\x1f\x8b"):
        return _parse(path, io.BufferedReader(io.BytesIO(data)), len(data))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return _parse(path, file, MOST_PACKED * len(data))
    except EOFError:
        raise InputError(f"{path} is cut off: {len(data)} bytes of gzip without an end; {_AGAIN}") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged: {error}; {_AGAIN}") from None


_AGAIN = "delete it and get it again"


def _parse(path, file, most):
    if is_page(file.peek(512)):
        raise InputError(f"{path} is a web page, not data: a server sent an error or a login in its place; {_AGAIN}")
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or head[3] == 0:
        raise InputError(f"{path} is no IDX file: it starts with {head.hex(' ') or 'nothing'}, pictures with "
                         f"00 00 08 03 and labels with 00 00 08 01; {_AGAIN}")  # fmt: skip
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise InputError(f"{path} is cut off in its header; {_AGAIN}")
    kind, shape = np.dtype(TYPES[head[2]]), tuple(np.frombuffer(sizes, ">u4").tolist())
    size = math.prod(shape) * kind.itemsize
    body = file.read(size + 1) if size <= most else b""  # to the end, where gzip checks its CRC
    if len(body) != size:
        holds = "less" if len(body) < size else "more"
        raise InputError(f"{path} holds {holds} than the {size} bytes that its header promises for shape {shape}; "
                         f"{_AGAIN}")  # fmt: skip
    array = np.frombuffer(body, kind).reshape(shape).astype(kind.newbyteorder("="))
    return array, sha256(head + sizes + body).hexdigest()
