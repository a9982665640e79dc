"""Two loops in one process that take turns; the ratio of their rates is the median over rounds."""

import time

import numpy as np
import torch

ROUNDS = 7


def rate(loop, steps):
    """Steps per CPU second."""
    start = time.process_time()
    for _ in range(steps):
        next(loop)
    return steps / (time.process_time() - start)


def ratio(capsys, what, ours, theirs, steps, each=1):
    """Let two loops take turns, and print the median ratio of their rates; `each` is what one of our steps counts."""
    torch.set_num_threads(1)
    rate(ours, 20), rate(theirs, 20)
    pairs = [(each * rate(ours, steps), rate(theirs, steps * each if each > 1 else steps)) for _ in range(ROUNDS)]
    ratios = [a / b for a, b in pairs]
    with capsys.disabled():
        ours, theirs = np.median(pairs, axis=0)
        print(f"\n{what}: {ours:.0f} against {theirs:.0f} steps per CPU second, "
              f"ratio {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
