"""Where a run computes, and how much."""

import math
import os
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from ganlab.checks import InputError, choose

__all__ = ["PROFILES", "find_device", "free_memory", "keep_memory", "no_memory", "profile", "repeatable"]

PROFILES = {"class": "minutes on two CPU cores", "gpu": "the real thing"}


def profile():
    """Return the profile that the environment variable ``GANLAB_PROFILE`` chooses: "class", or "gpu".

    The pages that train on pictures take their sizes from it: same notebook, same code, more of everything. Without the
    variable it is "class", on a machine with a GPU, too, so that a page prints what it prints in the book.

    Returns
    -------
    str
        One of `PROFILES`.

    Raises
    ------
    InputError
        If the variable says something else.

    Examples
    --------
    >>> profile()
    'class'
    """
    name = os.environ.get("GANLAB_PROFILE") or "class"
    choose("profile (GANLAB_PROFILE)", name, PROFILES)
    return name


def find_device(device="auto", local_rank=0):
    """Return the device of that name; "auto" is a GPU if there is one.

    A device that is not there is an error and never a silent return to the CPU.

    Parameters
    ----------
    device : str or torch.device
        "auto", "cpu", "cuda", "cuda:1", "mps".
    local_rank : int
        Which GPU "auto" and "cuda" mean, when torchrun has started several processes.

    Returns
    -------
    torch.device

    Raises
    ------
    InputError
        If there is no such device; the message lists those that there are.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    there = ["cpu"] + [f"cuda:{k}" for k in range(torch.cuda.device_count())]
    there += ["mps"] if torch.backends.mps.is_available() else []
    if str(device) == "auto":
        device = "cuda" if torch.cuda.device_count() else "cpu"
    if str(device) == "cuda":
        device = f"cuda:{local_rank}"
    if str(device) not in there:
        raise InputError(
            f"there is no device {str(device)!r} on this machine: choose auto or one of {', '.join(there)}"
        )
    return torch.device(device)


def keep_memory():
    """Let the C library keep what one step frees for the next one, instead of giving it back to the system.

    glibc gives memory back beyond twice the largest block that it has seen freed; a stack of networks then asks for
    pages, and has them cleared, at every step. So show it a block of the largest size that counts. Elsewhere it does
    nothing, and what is kept is at most 64 MB.

    Examples
    --------
    >>> keep_memory()
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


@contextmanager
def repeatable():
    """Let convolutions on a GPU take algorithms that give the same bits every time; the choice before comes back.

    cuDNN's quickest gradients by the weights add up in the order in which they are ready: two runs of one seed part
    after the first step, and so do a run that was resumed and one that never stopped.

    Examples
    --------
    >>> with repeatable():
    ...     torch.backends.cudnn.deterministic
    True
    >>> torch.backends.cudnn.deterministic
    False
    """
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def free_memory(device):
    """Return how many bytes can still be used on a device; infinity where the system does not tell.

    Parameters
    ----------
    device : torch.device

    Examples
    --------
    >>> free_memory(torch.device("cpu")) > 0
    True
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    with suppress(OSError):  # Linux only; what os.sysconf calls free leaves out the files that are kept in memory
        if device.type == "cpu":
            lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
            return 1024 * int(dict(line.split(":") for line in lines)["MemAvailable"].split()[0])
    return math.inf


def no_memory(error):
    """Tell whether an error says that memory has run out, on a GPU or, where torch has no class for it, on the CPU.

    Examples
    --------
    >>> no_memory(MemoryError()), no_memory(RuntimeError("another"))
    (True, False)
    """
    classes = MemoryError, torch.OutOfMemoryError
    return isinstance(error, classes) or "DefaultCPUAllocator: can't allocate memory" in str(error)
