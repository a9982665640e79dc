"""Random numbers as a function of seed and step, so that a resumed run draws what an unbroken one would have drawn."""

import numpy as np
import torch

from ganlab.checks import InputError, whole

__all__ = ["Draws"]


class Draws:
    """The random numbers of a run: reseeded at every step, the same however many processes share the batch.

    All processes draw the whole batch and keep their own rows; so two processes see together what one would see.
    With several seeds every draw gets a leading axis, one row a seed, and row ``s`` is what seed ``s`` alone draws.

    Parameters
    ----------
    seed : int or sequence of int
        From 0 to 2^63 - 1. A sequence trains that many networks at once (see `ganlab.neural.models.mlp`).
    device : str or torch.device
        Where the numbers are drawn and stay.
    rank, world : int
        Which of how many processes this is.

    Raises
    ------
    InputError
        If a seed is not a whole number in range, or there is none.

    Examples
    --------
    >>> draws = Draws(seed=0).at(5)
    >>> first = draws.normal(4, 2)
    >>> torch.equal(first, Draws(seed=0).at(5).normal(4, 2)), first.shape
    (True, torch.Size([4, 2]))
    """

    def __init__(self, seed=0, device="cpu", rank=0, world=1):
        self.stacked = not isinstance(seed, (int, np.integer, float, str, type(None)))
        self.seeds = tuple(whole("seed", s, 0) for s in (seed if self.stacked else [seed]))
        if not self.seeds or max(self.seeds) >= 2**63:
            raise InputError(f"seed must be a whole number from 0 to 2^63 - 1, or several of them, got {seed!r}")
        self.device, self.rank, self.world = torch.device(device), rank, world
        self.generators = [torch.Generator(self.device) for _ in self.seeds]
        self.at(0)

    def __repr__(self):
        return f"Draws(seed={list(self.seeds) if self.stacked else self.seeds[0]}, step={self.step}, {self.device})"

    def at(self, step):
        """Start the stream of `step`, a whole number or a word, afresh; return the draws themselves."""
        self.step = step
        entropy = step if isinstance(step, int) else int.from_bytes(b"\xff" + step.encode(), "big")
        for seed, generator in zip(self.seeds, self.generators, strict=True):
            generator.manual_seed(_key(seed, entropy))
        return self

    def _rows(self, draw, n):
        """Draw the rows of all processes for every seed, and keep those of this process."""
        rows = [draw(n * self.world, generator) for generator in self.generators]
        rows = torch.stack(rows) if self.stacked else rows[0]
        return rows if self.world == 1 else rows.narrow(int(self.stacked), self.rank * n, n)

    def normal(self, n, *shape):
        """Draw ``n`` standard normal rows of the given shape for this process."""
        return self._rows(lambda m, g: torch.randn(m, *shape, generator=g, device=self.device), n)

    def uniform(self, n, *shape):
        """Draw ``n`` rows of the given shape from the uniform law on [0, 1)."""
        return self._rows(lambda m, g: torch.rand(m, *shape, generator=g, device=self.device), n)

    def integers(self, high, n):
        """Draw ``n`` whole numbers from 0 to ``high - 1``."""
        return self._rows(lambda m, g: torch.randint(high, (m,), generator=g, device=self.device), n)

    def normal_like(self, x):
        """Draw standard normal numbers in the shape of a batch `x`, whose samples lie along the first free axis."""
        return self.normal(*x.shape[self.stacked :]).to(x.dtype)

    def uniform_like(self, x):
        """Draw uniform numbers in the shape of a batch `x`."""
        return self.uniform(*x.shape[self.stacked :]).to(x.dtype)

    def fraction(self, x):
        """Draw one uniform number for every sample of a batch `x`, shaped to multiply it."""
        ones = (1,) * (x.ndim - 1 - self.stacked)
        return self.uniform(x.shape[self.stacked], *ones).to(x.dtype)


def _key(seed, entropy):
    """Mix two whole numbers into one of 63 bits; their sum would give neighbours the same streams."""
    small = max(seed, entropy) < 2**32  # words already, which numpy need not look for: half the time
    words = np.array([seed, entropy], np.uint32) if small else [seed, entropy]
    low, high = np.random.SeedSequence(words).generate_state(2).tolist()
    return (high << 32 | low) >> 1
