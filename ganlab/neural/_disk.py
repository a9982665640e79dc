"""Files that are whole or not there, and which processes still live."""

import os
from pathlib import Path

from ganlab._files import STUB, put

__all__ = ["CheckpointError", "started", "sweep", "write"]


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or used; the message says which, why and what to do."""

    __module__ = "ganlab.neural.checkpoints"  # where users find it


def write(path, data):
    """Put bytes into a file so that, whatever happens, the file is the old one or the new one, and whole.

    Raises
    ------
    CheckpointError
        If the disk is full or cannot be written; the old file stays and nothing is left beside it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder) / "a", b"one")
    ...     (Path(folder) / "a").read_bytes()
    b'one'
    """
    try:
        put(path, data)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error}; what was there before is intact. Free some space, "
                              "or choose another folder") from error  # fmt: skip


def started(pid):
    """Return a mark of when a process was started, "" where the system has none to give, None if it has ended.

    The mark is not a time: it tells two processes apart that had the same number one after the other.

    Examples
    --------
    >>> started(os.getpid()) == started(os.getpid()) is not None
    True
    """
    if os.name == "nt":  # where os.kill(pid, 0) is Ctrl-C
        return ""
    try:
        os.kill(pid, 0)
        # after the name, which may hold blanks and brackets: the state is field 3, the start field 22
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        return ""
    return None if fields[0] in b"ZX" else f"{boot} {int(fields[19])}"


def sweep(folder):
    """Remove what writers that were killed left in a folder and in those right inside it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     (Path(folder) / f".a.{2**23}.tmp").touch()
    ...     sweep(Path(folder))
    ...     list(Path(folder).iterdir())
    []
    """
    for path in [*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")]:  # no deeper: it may be anybody's home
        left = STUB.fullmatch(path.name)
        if left and started(int(left[1])) is None:
            path.unlink(missing_ok=True)
