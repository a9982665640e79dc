"""What is wrong with a training run: `diagnose` reads its history as a doctor reads a chart, without torch.

Each threshold says what healthy runs do; `tests/test_diagnose.py` counts the false alarms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from ganlab.checks import InputError, numbers, whole
from ganlab.metrics import modes_report
from ganlab.relativistic import find

__all__ = ["Diagnosis", "Finding", "diagnose", "history_of"]

QUANTITIES = ("d_gain", "g_gain", "real", "fake", "penalty", "d_norm", "g_norm")
TARGETS = ("wgan_gp", "wgan_gp_one_sided", "dragan")  # a slope to reach; R1 and R2 only weigh slopes against the gain
LEAST = 64  # rows: in fewer, noise looks like four swings too often
SATURATED = 0.95  # of the way from guessing to the supremum: for the logarithmic loss JS >= 0.95 log 2
FAKES_ARE_BAD = 0.5  # of that way; runs that learn the ring end below 0.45, and there a small gradient is no fault
DEAD = 1e-3  # of its start, or of D's gradient: a healthy generator's gradient changes tenfold
GROWN, SCALE = 100.0, 1.0  # tenfold growth from a start of at least SCALE is common while a critic finds its slope
CYCLES = 4  # fewer swings cannot be told from a drift
SWING = 0.6  # of the variance explained by one sine: about 1 in 1000 series of red noise, of any memory, reach it
DYING = 0.5  # a swing that halves within the window is a spiral that converges
SHARE, DUE = 0.1, 20  # with 20 samples due, chance leaves a mode with less than a tenth of them once in 10^8
MOVED = 0.5  # of the samples change modes between two snapshots: sampling noise moves a few per cent
GAP = 0.5  # root mean square of slope - target: WGAN-GP with three critic steps stays below 0.3
FAR = 1e12  # a radius that leaves no sample without a mode


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its name, what shows it, what to do, and the page of the book that explains it."""

    name: str
    evidence: str
    advice: str
    page: str

    def __repr__(self):
        return f"{self.name}: {self.evidence}\n  {self.advice} (page {self.page})"


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` found (iterating gives the findings), and notes on how to read what is right.

    Parameters
    ----------
    findings : tuple of Finding
        The gravest first; empty if nothing wrong was found.
    notes : tuple of str
    """

    findings: tuple
    notes: tuple = ()

    @property
    def healthy(self):
        """True if nothing wrong was found, which proves little without samples."""
        return not self.findings

    def __iter__(self):
        return iter(self.findings)

    def __repr__(self):
        return "\n".join([*(map(repr, self.findings) if self.findings else ["nothing found wrong"]), *self.notes])

    def _repr_html_(self):
        rows = "".join(
            f'<tr><th scope="row">{escape(f.name)}</th><td>{escape(f.evidence)}</td><td>{escape(f.advice)}</td>'
            f'<td><a href="{escape(f.page)}.html">{escape(f.page)}</a></td></tr>' for f in self)  # fmt: skip
        head = "".join(f'<th scope="col">{name}</th>' for name in ("finding", "evidence", "advice", "page"))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<div>{'<p>nothing found wrong</p>' if self.healthy else table}{notes}</div>"


def diagnose(history, objective="nonsaturating", samples=None, law=None, penalties=None):
    """Say what is wrong with a training run, with the evidence and the page to read.

    Parameters
    ----------
    history : sequence of dict
        Rows as ``Record.row()`` of `ganlab.neural.training` gives them, of one seed (see `history_of`).
    objective : str, Objective or Relativistic
    samples : (n, d) array or list of them, optional
        Samples of the generator at the end, or at several times up to the end, which tell a static collapse from
        hopping. Take them from the generator itself: an average over its steps hides the hops.
    law : ganlab.data.Mixture, optional
        Where the data came from; needed with `samples`.
    penalties : mapping from name to weight, optional
        As in the recipe. They are judged if each of them wants the critic to reach a slope.

    Returns
    -------
    Diagnosis

    Raises
    ------
    InputError
        If `history` is too short or no such history, or `samples`, `law` or `penalties` cannot be used.

    Notes
    -----
    The period of an oscillation is that of D's mean scores, over the second half of the history, which must hold four
    swings. The score of a linear critic on data at the origin is a product of two swings: its period is half of theirs.

    Examples
    --------
    >>> row = dict(d_gain=-1.3, g_gain=-0.7, real=0.1, fake=-0.1, penalty=0.0, d_norm=0.3, g_norm=0.2)
    >>> diagnose([dict(row, step=k) for k in range(100)])
    nothing found wrong
    >>> diagnose([dict(row, step=k, g_norm=float("nan") if k == 70 else 0.2) for k in range(100)])
    not finite: g_norm is nan at step 70
      go back to a checkpoint before it; lower lr or bound D (page training-loop)
    """
    objective, (steps, columns) = find(objective), _columns(history)
    fine = np.isfinite(list(columns.values())).all(axis=0)
    end = len(steps) if fine.all() else int(fine.argmin())
    shares, hq = _shares(samples, law) if fine.all() else (None, None)  # samples of a broken generator tell no more
    findings = list(_not_finite(steps[end:], {k: v[end:] for k, v in columns.items()}))
    columns = {k: v[:end] for k, v in columns.items()}  # what follows a NaN is debris
    findings += _diverging(columns)
    if end < LEAST:
        if not findings:
            raise InputError(f"history has {end} rows, which show no trend yet: hand in at least {LEAST}")
        return Diagnosis(tuple(findings))
    told = _told(objective, columns)
    findings += [*_saturated(columns, told), *_dead(columns, told, hq), *_oscillation(steps[:end], columns),
                 *_collapse(shares, hq, law), *_violated(columns, penalties)]  # fmt: skip
    return Diagnosis(tuple(findings), _notes(objective, columns))


def history_of(rows, s):
    """Take the history of the seed with index `s` out of the rows of a run that trains several seeds at once.

    Raises
    ------
    InputError
        If the rows do not hold that many seeds.

    Examples
    --------
    >>> history_of([{"step": 1, "real": [0.5, 0.7]}], 1)
    [{'step': 1, 'real': 0.7}]
    """
    s = whole("s", s, 0)
    try:
        return [{k: v if k == "step" else v[s] for k, v in row.items()} for row in rows]
    except (TypeError, IndexError):
        raise InputError(f"the rows have no seed {s}: rows of one seed go to diagnose as they are") from None


def _columns(history):
    """The steps, and an array for every quantity."""
    rows = list(history)
    try:
        steps, *values = (np.array([row[name] for row in rows], dtype=float) for name in ("step", *QUANTITIES))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"history must be a list of dicts with numbers for step, {', '.join(QUANTITIES)}") from None
    if any(v.ndim > 1 for v in values):
        raise InputError("history holds several seeds: take one of them with history_of(rows, s)")
    if not np.all(np.diff(steps) > 0):
        raise InputError("the steps of history must increase: leave out what a resumed run repeated")
    return steps.astype(int), dict(zip(QUANTITIES, values, strict=True))


def _shares(samples, law):
    """The share of the samples that is nearest to each mode, a row a snapshot, and their quality at the end."""
    if (samples is None) != (law is None):
        raise InputError("samples are judged by the law of the data: hand in both or neither")
    if samples is None:
        return None, None
    snapshots = [samples] if np.ndim(samples[0]) < 2 else samples
    counts = np.array([modes_report(x, law, z=FAR).counts for x in snapshots])
    if np.min(counts.sum(axis=1)) < DUE / law.weights.min():
        raise InputError(f"samples must be at least {DUE / law.weights.min():.0f}, or chance leaves modes empty")
    last = modes_report(snapshots[-1], law)
    return counts / counts.sum(axis=1, keepdims=True), last.hq / last.ceiling


def _late(x):
    """The typical value in the last quarter: early rows tell of the start, and a single one of its batch."""
    return float(np.median(x[-(len(x) // 4) :]))


def _not_finite(steps, columns):
    for name, x in columns.items():
        if len(x) and not np.isfinite(x[0]):
            yield Finding("not finite", f"{name} is {x[0]} at step {steps[0]}",
                          "go back to a checkpoint before it; lower lr or bound D", "training-loop")  # fmt: skip
            return


def _diverging(columns):
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


def _told(objective, columns):
    """D's gain, what guessing gives, its supremum, and how far between the two it is: 0 if there is no supremum."""
    gain, (guess, top) = _late(columns["d_gain"]), _range(objective)
    return gain, guess, top, (gain - guess) / (top - guess)


def _saturated(columns, told):
    gain, guess, top, way = told
    if way >= SATURATED:
        yield Finding("discriminator saturated", f"its gain, {gain:.3g}, is {100 * way:.0f} % of the way from guessing "
                      f"({guess:.3g}) to its supremum ({top:.3g}); mean scores {_late(columns['real']):.3g} on data, "
                      f"{_late(columns['fake']):.3g} on fakes",
                      "train D less or more slowly, or give it R1 or instance noise", "losses")  # fmt: skip


def _dead(columns, told, hq):
    g, d = columns["g_norm"], _late(columns["d_norm"])
    now, start = _late(g), float(g[: len(g) // 4].max())
    bad = told[-1] > FAKES_ARE_BAD or (np.isinf(told[2]) and hq is not None and hq < FAKES_ARE_BAD)
    if bad and now < DEAD * max(start, d):
        yield Finding("generator gradient dead", f"its length is {now:.2g} (at first {start:.2g}, that of D {d:.2g}), "
                      "and the fakes are still bad", "take the non-saturating loss, or train D less; instance noise "
                      "makes the laws overlap", "losses")  # fmt: skip


def _oscillation(steps, columns):
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


def _collapse(shares, hq, law):
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
                  "of what is possible", "unroll D, pack samples, take RpGAN with R1 and R2, or lower lr_g",
                  "mode-collapse")  # fmt: skip


def _violated(columns, penalties):
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


def _notes(objective, columns):
    if objective.name != "wasserstein":
        return ()
    gain = _late(columns["d_gain"])
    lag = "; negative, so D lags behind G" if gain < 0 else ""
    return (f"D's gain, {gain:.3g}, estimates the Wasserstein distance W1 times D's slope{lag}; it cannot saturate",)
