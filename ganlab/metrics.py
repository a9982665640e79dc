"""How well samples match a mixture whose modes are known: modes found, quality, KL over modes, each with its floor.

A number means nothing without what perfect samples would score: `hq_ceiling` for the high-quality share (98.89 % in
the plane, not 100 %) and `kl_floor` for the KL divergence (not 0). The intervals are for tables over many seeds.
"""

from dataclasses import dataclass

import numpy as np

from ganlab._intervals import mean_interval, success_interval
from ganlab._samples import generator, points
from ganlab.checks import InputError, choose, number, numbers, whole
from ganlab.data import Mixture

__all__ = ["Coverage", "generator", "hq_ceiling", "kl_floor", "mean_interval", "modes_report", "points",
           "success_interval"]  # fmt: skip

# How far a sample is from its mode: a function of its offset in standard deviations along each axis, (n, d) -> (n,).
RULES = {
    "euclid": lambda u: np.sqrt((u**2).sum(axis=1)),
    "axis": lambda u: np.abs(u).max(axis=1),
    "rms": lambda u: np.sqrt((u**2).mean(axis=1)),
}


@dataclass(frozen=True)
class Coverage:
    """What `modes_report` found.

    Parameters
    ----------
    modes, of : int
        Modes captured, and modes there are.
    hq, ceiling : float in [0, 1]
        The share of high-quality samples, and the share that samples of the mixture itself reach.
    counts : tuple of int
        High-quality samples at each mode.
    reverse_kl, forward_kl : float, in nats
        KL(samples || mixture) and KL(mixture || samples) over the modes; NaN if there is no high-quality sample.
    floor : float, in nats
        What either divergence is on average for that many perfect samples.
    n, nonfinite : int
        Samples looked at, and those among them with a NaN or an infinity.
    notes : tuple of str
        What the reader of the numbers must know.
    """

    modes: int
    of: int
    hq: float
    ceiling: float
    counts: tuple
    reverse_kl: float
    forward_kl: float
    floor: float
    n: int
    nonfinite: int = 0
    notes: tuple = ()

    def __repr__(self):
        kl = f"KL {self.reverse_kl:.2g}" + (f" (floor {self.floor:.2g})" if any(self.counts) else "")
        return "; ".join([f"{self.modes}/{self.of} modes, {100 * self.hq:.1f} % high quality, {kl}", *self.notes])


def modes_report(samples, mixture, z=3.0, minimum=1, rule="euclid", allow_nonfinite=False):
    """Count the modes that samples reach, the share of good samples, and the KL divergence over the modes.

    A sample belongs to the mode that is nearest in that mode's standard deviations, and is of high quality if it is
    less than `z` of them away. A mode is captured if at least `minimum` high-quality samples belong to it. The KL
    divergences compare the histogram of the **high-quality** samples over the modes with the weights.

    Parameters
    ----------
    samples : (n, d) array
    mixture : ganlab.data.Mixture
        Or anything with `means` (K, d), `sds` (K,) and `weights` (K,).
    z : float
        The radius, in standard deviations.
    minimum : int
        High-quality samples that capture a mode.
    rule : {"euclid", "axis", "rms"}
        How the distance is taken: the length of the offset, its largest coordinate, or its root mean square over the
        axes, which is the one that makes sense in high dimension: a true sample lies sqrt(d) sd from its mode.
    allow_nonfinite : bool
        Count samples with a NaN or an infinity as not of high quality, as befits a run that diverged.

    Returns
    -------
    Coverage
        Without any high-quality sample it has 0 modes and divergences NaN, and says so in `notes`.
        A high-quality share above its ceiling means that the samples are narrower than the modes, if these are apart.

    Raises
    ------
    InputError
        For samples that are empty, of another dimension or not finite, and for a bad mixture, `z`, `minimum` or `rule`.

    Notes
    -----
    Srivastava et al. 2017 (VEEGAN): 2,500 samples, z = 3, minimum = 1. Lin et al. 2018 (PacGAN): the reverse
    KL, also over high-quality samples in their code, whose distance, scaled by axis, is "euclid" for round modes.

    Examples
    --------
    >>> from ganlab.data import ring
    >>> law = ring()
    >>> perfect = modes_report(law.sample(2500, np.random.default_rng(0)), law)
    >>> perfect.modes, round(perfect.ceiling, 4)
    (8, 0.9889)
    >>> modes_report(law.means[:1], law)
    1/8 modes, 100.0 % high quality, KL 2.1 (floor 3.5)
    """
    try:
        law = Mixture(mixture.means, mixture.sds, mixture.weights)
    except AttributeError:
        raise InputError(
            f"mixture must have means, sds and weights, as ganlab.data.ring() has, got {mixture!r}"
        ) from None
    size, z = choose("rule", rule, RULES), number("z", z, 0, open_low=True)
    x = points("samples", samples, dim=law.dim, finite=not allow_nonfinite)
    finite = x[np.isfinite(x).all(axis=1)]
    mode = _nearest(finite, law)
    with np.errstate(over="ignore"):  # an infinite distance is no high quality, which is right
        high = size((finite - law.means[mode]) / law.sds[mode, None]) < z
    counts = np.bincount(mode[high], minlength=len(law.means))
    return Coverage(
        modes=int(np.sum(counts >= whole("minimum", minimum))), of=len(counts), hq=float(high.sum() / len(x)),
        ceiling=hq_ceiling(law.dim, z, rule), counts=tuple(counts.tolist()), **_divergences(counts, law.weights),
        n=len(x), nonfinite=len(x) - len(finite), notes=_notes(counts, len(x), len(finite)))  # fmt: skip


def _nearest(x, law):
    """The index of the mode that is nearest to each sample, in standard deviations of that mode."""
    from scipy.spatial.distance import cdist

    return np.argmin(cdist(x, law.means) / law.sds, axis=1)


def _divergences(counts, weights):
    """Both divergences of a histogram from the weights, and their floor."""
    from scipy.special import rel_entr

    if not counts.any():
        return {"reverse_kl": float("nan"), "forward_kl": float("nan"), "floor": float("nan")}
    share = counts / counts.sum()
    reverse, forward = (max(0.0, float(rel_entr(p, q).sum())) for p, q in ((share, weights), (weights, share)))
    return {"reverse_kl": reverse, "forward_kl": forward, "floor": kl_floor(weights, int(counts.sum()))}


def _notes(counts, n, finite):
    notes = [] if finite == n else [f"{n - finite} of {n} samples are not finite"]
    return tuple(notes if counts.any() else [*notes, "no high-quality sample, so there is no KL"])


def hq_ceiling(dim=2, z=3.0, rule="euclid"):
    """Return the share of high-quality samples that the mixture itself has, if its modes are far apart.

    Parameters
    ----------
    dim : int
    z, rule
        As for `modes_report`.

    Returns
    -------
    float in [0, 1]
        For "euclid" the chi-square distribution function of `z`\\ :sup:`2` with `dim` degrees of freedom; in the plane
        ``1 - exp(-z^2 / 2)``. For "axis" ``erf(z / sqrt 2)^dim``.

    Raises
    ------
    InputError
        If `dim` is not a positive whole number, `z` not a positive one, or the rule unknown.

    Examples
    --------
    >>> round(hq_ceiling(), 4), round(hq_ceiling(700, z=10), 4)
    (0.9889, 0.0)
    """
    from scipy.special import erf, gammainc

    dim, z = whole("dim", dim), number("z", z, 0, open_low=True)
    choose("rule", rule, RULES)
    if rule == "axis":
        return float(erf(z / np.sqrt(2)) ** dim)
    return float(gammainc(dim / 2, z**2 * (dim if rule == "rms" else 1) / 2))


def kl_floor(weights, n, rng=None, draws=1000, level=None):
    """Return the KL divergence over modes that `n` perfect samples have, because they are finitely many.

    Parameters
    ----------
    weights : (K,) array
        The true weights.
    n : int
        The number of samples in the histogram.
    rng : numpy.random.Generator, optional
        Draw histograms instead of using ``(K - 1) / (2 n)``, which holds for n much larger than K.
    draws : int
        How many.
    level : float in (0, 1), optional
        The quantile to return instead of the mean: 0.95 gives what perfect samples exceed one time in twenty.

    Returns
    -------
    float, in nats

    Raises
    ------
    InputError
        For weights that are not positive or do not sum to 1, and for a bad `n`, `rng`, `draws` or `level`.

    Notes
    -----
    Wilks 1938: ``2 n KL(samples || weights)`` tends to a chi-square with K - 1 degrees of freedom.

    Examples
    --------
    >>> round(kl_floor([1 / 8] * 8, 2500), 4), round(kl_floor([1 / 25] * 25, 2500), 4)
    (0.0014, 0.0048)
    """
    from scipy.special import chdtri, rel_entr

    weights, n = np.atleast_1d(numbers("weights", weights, 0, open_low=True)), whole("n", n)
    if weights.ndim != 1 or abs(weights.sum() - 1) > 1e-8:
        raise InputError(f"weights must be a row that sums to 1, got {weights.sum():.10g}; divide by their sum")
    level = None if level is None else number("level", level, 0, 1, open_low=True, open_high=True)
    if rng is None:
        freedom = len(weights) - 1
        return float(freedom if level is None or not freedom else chdtri(freedom, 1 - level)) / (2 * n)
    shares = generator(rng).multinomial(n, weights / weights.sum(), size=whole("draws", draws)) / n
    divergences = rel_entr(shares, weights).sum(axis=1)
    return float(divergences.mean() if level is None else np.quantile(divergences, level))
