"""How far apart two laws are when both are known: f-divergences, their bounds, and the critics that measure them.

All are in nats. `divergence` takes discrete laws, `on_line` laws on the line, `gaussian_kl` Gaussians, and
`on_segments` the two lines of Arjovsky et al. 2017; `variational_bound`, `sup_gain` and `criterion` say what a critic
measures. For two sets of samples see `ganlab.two_sample`.
"""

import numpy as np

from ganlab._best_critic import criterion, optimal_score, sup_gain
from ganlab._divergence import DIVERGENCES, Divergence, get, masses, terms
from ganlab._fit import GaussianFit, fit_gaussian
from ganlab._gaussians import gaussian_hellinger, gaussian_kl
from ganlab._line_divergence import on_line
from ganlab._variational import best_T, variational_bound
from ganlab.checks import numbers

__all__ = ["DIVERGENCES", "Divergence", "GaussianFit", "best_T", "chi_square", "criterion", "disjoint", "divergence",
           "fit_gaussian", "gaussian_hellinger", "gaussian_kl", "get", "hellinger", "js", "kl", "on_line",
           "on_segments", "optimal_score", "reverse_kl", "sup_gain", "total_variation", "triangular",
           "variational_bound"]  # fmt: skip


def divergence(name, p, q, normalize=False):
    """Return ``D(p || q) = sum q f(p / q)`` of two discrete laws.

    Parameters
    ----------
    name : str or Divergence
        A key of `DIVERGENCES`, or your own.
    p, q : array of shape (...)
        The masses, each with sum 1.
    normalize : bool
        Divide by the sums instead of refusing others than 1.

    Returns
    -------
    float
        Infinite where it is by definition (KL with mass of p where q has none); never NaN.

    Raises
    ------
    InputError
        For an unknown name, negative mass, NaN, a sum that is not 1 (to 1e-8), empty arrays or unequal shapes.

    Examples
    --------
    >>> divergence("total_variation", [0.5, 0.5, 0.0], [0.0, 0.5, 0.5])
    0.5
    >>> divergence("kl", [0.5, 0.5], [1.0, 0.0])
    inf
    """
    name, (p, q) = get(name), masses(p, q, normalize)
    with np.errstate(divide="ignore"):
        return max(0.0, float(terms(name, p, q, np.log(p), np.log(q)).sum()))


def _named(name, sentence, example):
    def function(p, q, normalize=False):
        return divergence(name, p, q, normalize)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Return {sentence} of two discrete laws; as for `divergence`.

    Examples
    --------
    {example}
    """
    return function


kl = _named("kl", "``KL(p || q) = sum p log(p / q)``",
            ">>> round(kl([0.5, 0.5], [0.25, 0.75]), 6)\n    0.143841")  # fmt: skip
reverse_kl = _named("reverse_kl", "``KL(q || p) = sum q log(q / p)``",
                    ">>> round(reverse_kl([0.5, 0.5], [0.25, 0.75]), 6)\n    0.130812")  # fmt: skip
total_variation = _named("total_variation", "``sum |p - q| / 2``",
                         ">>> total_variation([0.5, 0.5], [0.25, 0.75])\n    0.25")  # fmt: skip
chi_square = _named("chi_square", "Pearson's ``sum (p - q)^2 / q``",
                    ">>> round(chi_square([0.5, 0.5], [0.25, 0.75]), 6)\n    0.333333")  # fmt: skip
triangular = _named("triangular", "``sum (p - q)^2 / (p + q)``, at most 2,",
                    ">>> triangular([1.0, 0.0], [0.0, 1.0])\n    2.0")  # fmt: skip
hellinger = _named("hellinger", "the squared Hellinger distance ``sum (sqrt p - sqrt q)^2 / 2``, at most 1,",
                   ">>> hellinger([1.0, 0.0], [0.0, 1.0])\n    1.0")  # fmt: skip


def js(p, q, normalize=False):
    """Return the Jensen-Shannon divergence ``KL(p || m) / 2 + KL(q || m) / 2`` with ``m = (p + q) / 2``, in nats.

    At most log 2. SciPy's `scipy.spatial.distance.jensenshannon` returns its square root.

    Examples
    --------
    >>> from scipy.spatial.distance import jensenshannon
    >>> p, q = [0.5, 0.5], [0.25, 0.75]
    >>> round(js(p, q), 6), round(float(jensenshannon(p, q)), 6), round(float(jensenshannon(p, q) ** 2), 6)
    (0.033822, 0.183908, 0.033822)
    """
    return divergence("js", p, q, normalize)


def disjoint(divergence):
    """Return the divergence of any two laws that share no mass, ``f(0) + slope``.

    Examples
    --------
    >>> disjoint("total_variation"), round(disjoint("js"), 6), disjoint("kl")
    (1.0, 0.693147, inf)
    """
    divergence = get(divergence)
    return float(divergence.at_zero + divergence.slope)


def on_segments(divergence, theta):
    """Return the divergence between ``data.disjoint_lines(0)`` and ``data.disjoint_lines(theta)``.

    Neither law has a density in the plane: they are the same when theta is 0 and share no mass when it is not
    (Arjovsky et al. 2017, example 1).

    Parameters
    ----------
    divergence : str or Divergence
    theta : float or array

    Returns
    -------
    float or array of the same shape

    Raises
    ------
    InputError
        For an unknown divergence, or a theta that is not finite.

    Examples
    --------
    >>> on_segments("total_variation", [-0.1, 0.0, 0.1]).tolist()
    [1.0, 0.0, 1.0]
    """
    apart = np.where(np.asarray(numbers("theta", theta)) == 0, 0.0, disjoint(divergence))
    return apart if apart.ndim else float(apart)
