"""What is wrong with a training run: `diagnose` reads its history as a doctor reads a chart, without torch."""

from dataclasses import dataclass
from html import escape

import numpy as np

from ganlab._symptoms import (
    DUE,
    LEAST,
    Finding,
    collapse,
    dead,
    diverging,
    judged_gain,
    not_finite,
    oscillation,
    recent,
    saturated,
    violated,
)
from ganlab.checks import InputError, whole
from ganlab.metrics import modes_report
from ganlab.relativistic import find

__all__ = ["Diagnosis", "Finding", "diagnose", "history_of"]

QUANTITIES = ("d_gain", "g_gain", "real", "fake", "penalty", "d_norm", "g_norm")
FAR = 1e12  # a radius that leaves no sample without a mode


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
    findings = list(not_finite(steps[end:], {k: v[end:] for k, v in columns.items()}))
    columns = {k: v[:end] for k, v in columns.items()}  # what follows a NaN is debris
    findings += diverging(columns)
    if end < LEAST:
        if not findings:
            raise InputError(f"history has {end} rows, which show no trend yet: hand in at least {LEAST}")
        return Diagnosis(tuple(findings))
    told = judged_gain(objective, columns)
    findings += [*saturated(columns, told), *dead(columns, told, hq), *oscillation(steps[:end], columns),
                 *collapse(shares, hq, law), *violated(columns, penalties)]  # fmt: skip
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


def _notes(objective, columns):
    if objective.name != "wasserstein":
        return ()
    gain = recent(columns["d_gain"])
    lag = "; negative, so D lags behind G" if gain < 0 else ""
    return (f"D's gain, {gain:.3g}, estimates the Wasserstein distance W1 times D's slope{lag}; it cannot saturate",)
