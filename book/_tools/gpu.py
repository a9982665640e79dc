"""What is measured on a GPU, where work goes on after a call returns: wall time, from idle to idle."""

import time

import torch

from ganlab.neural.training import train


def card():
    """The name of the GPU, or what else computes here."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def wait():
    """Until the GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def rate(run, seconds=3.0, warm=20):
    """Generator steps a second of wall time."""
    loop, n = train(run), 0
    for _ in range(warm):
        next(loop)
    wait()
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        next(loop)
        n += 1
    wait()
    return n / (time.perf_counter() - start)


def short(x):
    """Three digits are enough."""
    return float(f"{x:.3g}")
