"""Pictures a second on a GPU, and the share of the card's rate: DCGAN at 64 x 64 and every level of ProGAN up to 128.

``python benchmarks/pictures_on_gpu.py`` prints a line for each (three minutes; it wants a GPU). Rates are of wall time,
with random pictures. The share divides the operations of a step's convolutions and products, those of all gradients
included, by what the card does in products of large random matrices of bf16. "float32" is torch's: on a GPU its
convolutions round to TF32. "quickest" lets cuDNN take gradients that do not repeat bit for bit.
"""

import itertools
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganlab.neural import runs
from ganlab.neural.growing import PUBLISHED, Growth, levels
from ganlab.neural.models import dcgan
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_tools"))

from gpu import card, rate, wait

CHOICES = {
    "float32": {},
    "bf16": {"precision": "bf16"},
    "bf16, channels last": {"precision": "bf16", "channels_last": True},
}


class Work(TorchDispatchMode):
    """Adds up the operations of products and convolutions; torch's own counter knows no gradients of gradients."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=found)
        return found


def matrix_rate(size=8192, times=20):
    """Operations a second in products of random bf16 matrices, the largest rate that the card shows us."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        a @ b
    wait()
    start = time.perf_counter()
    for _ in range(times):
        a @ b
    wait()
    return 2 * size**3 * times / (time.perf_counter() - start)


def deep(side=64, batch=128, **choices):
    """DCGAN, half as wide as the paper's."""
    G, D = dcgan.generator(side, 3, 100, 64), dcgan.discriminator(side, 3, 64)
    recipe = Recipe(steps=10**9, batch=batch, lr=2e-4, latent=100, check_every=50, **choices)
    return Run(G, D, torch.rand(1024, 3, side, side) * 2 - 1, recipe)


def grown(side, batch=64, **choices):
    """One level of ProGAN with the published loss and 128 filters at most, as it is after its fade."""
    recipe = replace(PUBLISHED, latent=128, batch=batch, check_every=50, **choices)
    growth = Growth(side, side, 10**12, width=128, recipe=recipe)
    (run,) = itertools.islice(levels(torch.rand(2 * batch, 3, side, side) * 2 - 1, growth), 1)
    return run


def main(cases=(("DCGAN", deep, (64,)), ("ProGAN", grown, (4, 8, 16, 32, 64, 128))), choices=CHOICES, seconds=3.0):
    peak = matrix_rate() if torch.cuda.is_available() else float("nan")
    print(f"{card()}, torch {torch.__version__}: {peak / 1e12:.0f}e12 operations a second in matrix products")
    kept = runs.repeatable
    for (name, make, sides), (choice, settings) in itertools.product(cases, choices.items()):
        for side in sides:
            run = make(side, **settings)
            with Work() as work:
                next(train(run))
            steps = rate(run, seconds)
            runs.repeatable = nullcontext
            quickest, runs.repeatable = rate(make(side, **settings), seconds), kept
            shown, share = steps * run.n, steps * work.total / peak
            print(f"{name} {side}, batch {run.n}, {choice}: {shown:.0f} pictures a second, {share:.1%} of that rate; "
                  f"quickest {quickest * run.n:.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
