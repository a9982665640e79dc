"""Files that are whole or not there."""

import os
import re
from contextlib import suppress

STUB = re.compile(r"\..+\.(\d+)\.tmp")  # with the number of the process that writes it


def stub(path):
    """The file beside `path` in which this process prepares what is to be put there."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def put(path, data):
    """Put bytes into a file so that, whatever happens, the file is the old one or the new one, and whole.

    Raises
    ------
    OSError
        If the disk is full or cannot be written; the old file stays and nothing is left beside it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     put(Path(folder) / "a", b"one")
    ...     [(file.name, file.read_bytes()) for file in Path(folder).iterdir()]
    [('a', b'one')]
    """
    temporary = stub(path)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if os.name != "nt":  # where a folder cannot be opened, and a rename needs no such help
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    finally:
        with suppress(OSError):  # after the rename it is gone
            temporary.unlink()
