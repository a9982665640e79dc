"""One process at a time in a folder: a lock that outlives no process."""

import json
import os
import platform
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from ganlab._files import stub
from ganlab.checks import InputError
from ganlab.neural._disk import CheckpointError, started, sweep

__all__ = ["open_folder"]


@contextmanager
def open_folder(path):
    """Make a folder if it is missing, and hold it: no second process gets it until the block ends.

    What a process that was killed had begun to write there is removed.

    The lock names process, machine and the start of the process, so that one whose owner was killed is taken over; not
    so from another machine, which cannot know.

    Raises
    ------
    InputError
        If the path is a file, or cannot be made or written to.
    CheckpointError
        If another process holds it, or this one already does.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as parent, open_folder(Path(parent) / "ring") as folder:
    ...     [file.name for file in folder.iterdir()]
    ['lock']
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be a run's folder: {error}; choose another path") from error
    lock, me = path / "lock", {"pid": os.getpid(), "host": platform.node(), "start": started(os.getpid())}
    if not _create(lock, me):
        _take_over(lock, me)
    try:
        sweep(path)
        yield path
    finally:
        with suppress(OSError):
            if _holder(lock) == me:
                lock.unlink()


def _create(lock, me):
    """Make a lock file; False if there is one. It is never there without its words, which a kill would leave so."""
    draft = stub(lock.with_name(f"lock.{threading.get_ident()}"))
    try:
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(me, file)
        try:
            os.link(draft, lock)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            with open(lock, "x", encoding="utf-8") as file:
                json.dump(me, file)
    except FileExistsError:
        return False
    except OSError as error:
        raise InputError(f"{str(lock.parent)!r} cannot be written to: {error}; choose another folder") from error
    finally:
        with suppress(OSError):
            draft.unlink()
    return True


def _holder(lock):
    """Who holds a lock; nothing is known of one that is being written."""
    try:
        found = json.loads(lock.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _take_over(lock, me):
    """Replace the lock of a process that has ended; one process at a time may judge that, or two would succeed."""
    if not _ended(_holder(lock)):
        _refuse(lock)
    import fcntl  # not on Windows, where no process is known to have ended

    try:
        with open(lock, "r+b") as file:  # for writing, without which NFS locks no file
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which no kill leaves behind
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(lock)) or not _ended(_holder(lock)):
                _refuse(lock)
            lock.unlink()
            if not _create(lock, me):
                _refuse(lock)
    except OSError:  # somebody else judges or has judged, or the file system knows no such locks
        _refuse(lock)


def _ended(holder):
    """Whether the process behind a lock is gone for certain."""
    pid = holder.get("pid")
    if holder.get("host") != platform.node() or type(pid) is not int or pid <= 0:
        return False
    mark = started(pid)
    return mark is None or bool(mark and holder.get("start") and mark != holder["start"])


def _refuse(lock):
    holder = _holder(lock)
    raise CheckpointError(f"{lock.parent} is in use by process {holder.get('pid', '?')} on {holder.get('host', '?')}: "
                          f"wait for it or choose another folder; if it is surely gone, delete {lock}")  # fmt: skip
