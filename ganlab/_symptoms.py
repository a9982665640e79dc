"""The symptoms that `ganlab.diagnose` looks for: each yields a `Finding`, or nothing.

Each threshold says what healthy runs do; `tests/test_diagnose.py` counts the false alarms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ganlab.checks import InputError, numbers

TARGETS = ("wgan_gp", "wgan_gp_one_sided", "dragan")  # a slope to reach; R1 and R2 only weigh slopes against the gain
LEAST = 64  # rows: in fewer, noise looks like four swings too often
SATURATED = 0.95  # of the way from guessing to the supremum: for the logarithmic loss JS >= 0.95 log 2
FAKES_ARE_BAD = 0.5  # of that way; runs that learn the ring end below 0.45, and there a small gradient is no fault
DEAD = 1e-3  # of its start, or of D's gradient: a healthy generator's gradient changes tenfold
GROWN, SCALE = 100.0, 1.0  # tenfold growth from a start of at least SCALE is common while a critic finds its slope
CYCLES = 4  # fewer swings cannot be told from a drift
SWING = 0.6  # of the variance explained by one sine: near the 99.9 % quantile of red noise (0.613 in 32 rows)
DYING = 0.5  # a swing that halves within the window is a spiral that converges
SHARE, DUE = 0.1, 20  # with 20 samples due, chance leaves a mode with less than a tenth of them once in 10^8
MOVED = 0.5  # of the samples change modes between two snapshots: sampling noise moves a few per cent
GAP = 0.5  # root mean square of slope - target: WGAN-GP with three critic steps stays below 0.3


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its name, what shows it, what to do, and the page of the book that explains it."""

    name: str
    evidence: str
    advice: str
    page: str

    def __repr__(self):
        return f"{self.name}: {self.evidence}\n  {self.advice} (page {self.page})"


def recent(x):
    """The typical value in the last quarter: early rows tell of the start, and a single one of its batch."""
    return float(np.median(x[-(len(x) // 4) :]))


def not_finite(steps, columns):
    """Something is NaN or infinite: which quantity, and at which step."""
    for name, x in columns.items():
        if len(x) and not np.isfinite(x[0]):
            yield Finding("not finite", f"{name} is {x[0]} at step {steps[0]}",
                          "go back to a checkpoint before it; lower lr or bound D", "training-loop")  # fmt: skip
            return


def diverging(columns):
    """Scores or gradients have grown by orders of magnitude."""
    gap = columns["real"] - columns["fake"]  # a score has a free constant in some objectives, a gap has none
    few = min(-(-len(gap) // 4), LEAST // 4)
    for what, x in (("the gap between the mean scores", gap), ("the gradient of D", columns["d_norm"]),
                    ("the gradient of G", columns["g_norm"])):  # fmt: skip
        start, end = (np.median(np.abs(part)) for part in (x[:few], x[-few:])) if few else (0, 0)
        if end > GROWN * max(start, SCALE):
            yield Finding("diverging", f"{what} has grown from {start:.3g} to {end:.3g}",
                          "lower lr, or bound D with R1, a gradient penalty or clipping", "vector-field")  # fmt: skip
            return


def _range(objective):
    """D's gain when it can only guess, and its supremum, which may be infinite."""
    t = np.linspace(-60, 60, 2401)
    near = np.abs(t) <= 30
    with np.errstate(all="ignore"):
        real, fake = (0 * t if f is None else f(t) + 0 * t for f in (objective.f1, objective.f2))
    if objective.compares:  # a difference of scores, which is 0 for a critic that guesses
        gain = real + fake[::-1] * objective.averaged
        guess, parts = gain[len(t) // 2], (gain,)
    else:
        guess, parts = np.nanmax(real + fake), (real, fake)
    bounded = all(np.nanmax(x) <= np.nanmax(x[near]) + 1e-6 for x in parts)
    return float(guess), round(float(sum(map(np.nanmax, parts))), 9) + 0.0 if bounded else np.inf


def judged_gain(objective, columns):
    """D's gain, what guessing gives, its supremum, and how far between the two it is: 0 if there is no supremum."""
    gain, (guess, top) = recent(columns["d_gain"]), _range(objective)
    return gain, guess, top, (gain - guess) / (top - guess)


def saturated(columns, told):
    """The discriminator has nearly all that it can gain."""
    gain, guess, top, way = told
    if way >= SATURATED:
        yield Finding("discriminator saturated", f"its gain, {gain:.3g}, is {100 * way:.0f} % of the way from guessing "
                      f"({guess:.3g}) to its supremum ({top:.3g}); mean scores {recent(columns['real']):.3g} on data, "
                      f"{recent(columns['fake']):.3g} on fakes",
                      "train D less or more slowly, or give it R1 or instance noise", "losses")  # fmt: skip


def dead(columns, told, hq):
    """The generator has hardly any gradient left, and its fakes are still bad."""
    g, d = columns["g_norm"], recent(columns["d_norm"])
    now, start = recent(g), float(g[: len(g) // 4].max())
    bad = told[-1] > FAKES_ARE_BAD or (hq is not None and hq < FAKES_ARE_BAD)
    if bad and now < DEAD * max(start, d):
        yield Finding("generator gradient dead", f"its length is {now:.2g} (at first {start:.2g}, that of D {d:.2g}), "
                      "and the fakes are still bad", "take the non-saturating loss, or train D less; instance noise "
                      "makes the laws overlap", "losses")  # fmt: skip


def oscillation(steps, columns):
    """The mean scores swing with one period."""
    sines = {name: _sine(columns[name][len(steps) // 2 :]) for name in ("real", "fake")}
    name = max(sines, key=lambda name: sines[name][1])
    period, explained = sines[name]
    if explained >= SWING:
        period, where = period * np.median(np.diff(steps)), {"real": "data", "fake": "fakes"}[name]
        yield Finding("oscillation", f"D's mean score on {where} swings with a period of {period:.3g} steps "
                      f"({100 * explained:.0f} % of its variance)", "give D R1, lower lr or Adam's first beta, or "
                      "average the generator (ema)", "dirac-gan")  # fmt: skip


def _sine(x):
    """The period, in rows, of the sine that fits best, and the share of the variance that it explains."""
    n, fine = len(x), 8  # zero padding makes the grid of frequencies eight times as fine
    t = np.linspace(-1, 1, n)
    flat = x - np.polyval(np.polyfit(t, x, 1), t)
    early, late = flat[: n // 2].std(), flat[n // 2 :].std()
    if late < DYING * early or flat.std() <= 1e-9 * np.abs(x).max():
        return np.inf, 0.0
    power = np.abs(np.fft.rfft(flat * np.hanning(n), fine * n)) ** 2
    low = CYCLES * fine
    k = low + int(np.argmax(power[low : fine * n // 4]))  # at least four rows a swing
    if power[k - 1] > power[k]:  # the flank of a slower swing
        return np.inf, 0.0
    phase = 2 * np.pi * k / (fine * n) * np.arange(n)
    waves = np.stack([np.ones(n), t, np.cos(phase), np.sin(phase)], axis=1)
    rest = x - waves @ np.linalg.lstsq(waves, x)[0]
    return fine * n / k, 1 - float(rest.var() / flat.var())


def collapse(shares, hq, law):
    """The samples leave modes out, always the same ones or in turn."""
    if shares is None or not (empty := shares < SHARE * law.weights)[-1].any():
        return
    late = len(shares) // 2
    moved = np.abs(np.diff(shares[late:], axis=0)).sum(axis=1) / 2
    hops = int(np.sum((moved > MOVED) & empty[late:-1].any(axis=1) & empty[late + 1 :].any(axis=1)))
    leaders = " -> ".join(str(np.argmax(row)) for row in shares[late:][-6:])
    how = (f"it hopped {hops} times, the leading mode lately being {leaders}" if hops else
           "one snapshot: several would tell whether it hops" if len(shares) == 1 else
           f"static over the last {len(shares) - late} snapshots")  # fmt: skip
    yield Finding("mode hopping" if hops else "mode collapse", f"the samples are at {np.sum(~empty[-1])} of "
                  f"{len(law.weights)} modes, {100 * shares[-1].max():.0f} % at one ({how}); quality {100 * hq:.0f} % "
                  "of what is possible", "lower lr_g or raise D's rate first; then unroll D or pack samples",
                  "mode-collapse")  # fmt: skip


def violated(columns, penalties):
    """The slopes are far from what the penalties ask for."""
    if not isinstance(penalties, Mapping | None):
        raise InputError(f"penalties must map names to weights, got {penalties!r}")
    if not penalties or not all(name in TARGETS for name in penalties):  # the row holds the sum of all
        return
    weight = np.sum(numbers("the weights of penalties", list(penalties.values()), 0))
    # the mean, not the median: a lazy penalty is 0 on most steps and large on the others
    gap = np.sqrt(columns["penalty"][-(len(columns["penalty"]) // 4) :].mean() / weight) if weight else 0.0
    if gap > GAP:
        yield Finding("penalty violated", f"D's slope misses its target by {gap:.2g} (root mean square)",
                      "raise the weight, give D more steps or lower lr; D's gain is not W1", "craft")  # fmt: skip
