"""Two samples are as far apart as a classifier can tell them on points that it has not seen."""

from dataclasses import dataclass

import numpy as np

from ganlab._intervals import success_interval
from ganlab._samples import distances, generator, pair
from ganlab.checks import InputError, choose, number, whole

__all__ = ["ClassifierTest", "classifier_test"]


@dataclass(frozen=True)
class ClassifierTest:
    """What `classifier_test` found.

    Parameters
    ----------
    accuracy : float in [0, 1]
        On the held-out samples: 1/2 if the laws are the same, near 1 if they are far apart.
    low, high : float
        Clopper and Pearson's interval for the accuracy of this classifier on new samples.
    p_value : float
        The chance of so many right answers, or more, by guessing.
    correct, held_out : int
        Right answers, of so many.
    notes : tuple of str
        What the reader of the numbers must know.
    """

    accuracy: float
    low: float
    high: float
    p_value: float
    correct: int
    held_out: int
    notes: tuple = ()


def _neighbours(train, labels, test, k):
    """The majority among the k nearest, k odd, so that there is no draw."""
    nearest = np.argpartition(distances(test, train), k - 1, axis=1)[:, :k]
    return labels[nearest].mean(axis=1) > 0.5


def _logistic(train, labels, test, _):
    """Logistic regression with a ridge of 1, which keeps the weights finite where a plane separates the sets."""
    from scipy.optimize import minimize
    from scipy.special import expit

    z = np.c_[train, np.ones(len(train))]
    signs, ridge = np.where(labels, 1.0, -1.0), np.r_[np.ones(train.shape[1]), 0.0]

    def loss(w):
        margin = signs * (z @ w)
        slope = -signs * expit(-margin)
        return np.logaddexp(0, -margin).sum() + ridge @ w**2 / 2, z.T @ slope + ridge * w

    w = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    return test @ w[:-1] + w[-1] > 0


CLASSIFIERS = {"neighbours": _neighbours, "logistic": _logistic}


def classifier_test(x, y, rng, classifier="neighbours", k=None, level=0.95):
    """Train a classifier to tell two sets of samples apart on half of them, and count its right answers on the rest.

    An accuracy near 1/2 says that *this* classifier finds no difference, not that there is none.

    Parameters
    ----------
    x : (n, d) array
    y : (m, d) array
        At least four of each. Of the larger set a random part is used, so that guessing is right half of the time.
    rng : numpy.random.Generator
        Splits the samples.
    classifier : str
        "neighbours" (the majority of the nearest) sees any difference, given enough samples; "logistic" (a plane)
        needs fewer samples to see a difference of the means, and sees nothing else.
    k : int, optional
        How many neighbours, odd; about the root of the number of training samples if left out.
    level : float in (0, 1)
        Of the interval.

    Returns
    -------
    ClassifierTest

    Raises
    ------
    InputError
        For samples that are not finite or of different dimensions, fewer than four, an even or too large `k`, or bad
        `rng`, `classifier` or `level`.

    Notes
    -----
    Lopez-Paz and Oquab 2017, section 3. Each feature is first divided by its spread on the training half. The held-out
    half has as many samples of either set, so under equal laws the count is a little less spread than a binomial, and
    interval and p-value err on the safe side.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> same = classifier_test(rng.normal(size=(400, 2)), rng.normal(size=(400, 2)), rng)
    >>> far = classifier_test(rng.normal(size=(400, 2)), rng.normal(5, 1, size=(400, 2)), rng)
    >>> same.low < 0.5 < same.high, far.accuracy > 0.99, far.held_out
    (True, True, 400)
    """
    (x, y), rng, answer = pair(x, y, least=4), generator(rng), choose("classifier", classifier, CLASSIFIERS)
    number("level", level, 0, 1, open_low=True, open_high=True)
    n = min(len(x), len(y))
    notes = () if len(x) == len(y) else (f"{n} of {max(len(x), len(y))} samples of the larger set were used",)
    halves = [np.split(z[rng.permutation(len(z))[:n]], [n // 2]) for z in (x, y)]
    train, test = (np.concatenate(parts) for parts in zip(*halves, strict=True))
    spread = _spread(train)
    guess = answer(train / spread, np.repeat([False, True], n // 2), test / spread, _odd(k, len(train)))
    correct = int((guess == np.repeat([False, True], n - n // 2)).sum())
    return _judged(correct, len(test), level, notes)


def _spread(train):
    spread = train.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def _odd(k, n):
    """The number of neighbours among n training samples."""
    if k is None:
        return 2 * (int(np.sqrt(n)) // 2) + 1
    if whole("k", k) % 2 == 0 or k > n:
        raise InputError(f"k must be odd and at most the {n} training samples, got {k}")
    return k


def _judged(correct, n, level, notes):
    from scipy.stats import binom

    low, high = success_interval(correct, n, level)
    return ClassifierTest(correct / n, low, high, float(binom.sf(correct - 1, n, 0.5)), correct, n, notes)
