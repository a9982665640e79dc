"""Small classifiers of digits and glyphs, trained by us and stored with the package, and what they see in pictures.

FID, KID, precision and recall need numbers that mean something. Here they come from two convolutional networks, one for
the digits of scikit-learn at 8 x 8, one for the 36 glyphs of `ganlab.drawings` at 16 x 16: small enough to ship, no
download. `book/studies/measuring_extractors.py` trained them and says how good they are.
"""

import functools
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ganlab.checks import InputError, choose
from ganlab.data import Mixture
from ganlab.drawings import CHARACTERS
from ganlab.metrics import modes_report
from ganlab.neural._safetensors import unpack
from ganlab.neural.models._images import drawn, he, seeded
from ganlab.pictures import check_images

__all__ = ["EXTRACTORS", "Extractor", "classifier", "extractor", "label_report", "verified"]

FOLDER = Path(__file__).resolve().parents[1] / "_data"
_AT_ONCE = 2048  # pictures: a bounded memory for any number of them


@dataclass(frozen=True)
class Plan:
    """What a stored classifier is: side of its pictures, classes, channels of its layers, features, its file's hash."""

    resolution: int
    classes: str
    widths: tuple
    features: int
    sha256: str


EXTRACTORS = {
    "digits": Plan(
        8, "0123456789", (1, 16, 32), 32, "fa3d9f9f49a8e2ac9f36a185ede5aefedf719cbd67bf18a29e4f410af45bea58"
    ),
    "glyphs": Plan(
        16, CHARACTERS, (1, 16, 24, 32), 48, "d014550522e31323d7b34c6e6a853ea97fd7687bcb438c16aad22f4a6bd6b31a"
    ),
}


@dataclass(frozen=True, eq=False)
class Extractor:
    """A trained classifier of grey pictures and what it sees in them. Made by `extractor`.

    Attributes
    ----------
    name : str
        Name and the beginning of the hash, such as "digits@0123abcd": for `frechet(..., extractor=found.name)`.
    sha256 : str
        Of the file of weights.
    resolution : int
        Pixels a side.
    classes : str
        A character for each class.
    network : torch.nn.Sequential
        ``network[0]`` turns pictures (n, 1, r, r) in [-1, 1] into features (n, d), ``network[1]`` those into logits;
        differentiable, its own weights frozen.
    """

    name: str
    sha256: str
    resolution: int
    classes: str
    network: nn.Module = field(repr=False)

    def features(self, images):
        """Return the features of pictures: the last hidden layer, before its ReLU.

        Parameters
        ----------
        images : (n, 1, r, r) array or tensor
            In [-1, 1].

        Returns
        -------
        (n, d) array of float64

        Raises
        ------
        InputError
            If they are no such pictures.
        """
        x = self._checked(images, 1)
        with torch.no_grad():
            return torch.cat([self.network[0](part) for part in x.split(_AT_ONCE)]).double().numpy()

    def probabilities(self, images):
        """Return the probability of each class, (n, classes); arguments and errors as for `features`."""
        features = torch.from_numpy(self.features(images)).float()
        with torch.no_grad():
            return self.network[1](features).double().softmax(1).numpy()

    def labels(self, images):
        """Return the most probable class of each picture, (n,), from 0.

        Pictures of C channels are C pictures in one: three digits are the number 100 a + 10 b + c, as in the factor
        "mode" of `ganlab.drawings.stacked_digits`. Raises as `features` does.
        """
        x = self._checked(images, None)
        each = self.probabilities(x.reshape(-1, 1, *x.shape[2:])).argmax(1).reshape(x.shape[:2])
        return each @ len(self.classes) ** np.arange(x.shape[1])[::-1]

    def _checked(self, images, channels):
        if isinstance(images, torch.Tensor):
            images = images.detach().float().cpu()
        return torch.from_numpy(check_images(images, channels, self.resolution))


def classifier(name, seed=0):
    """Build the network of a stored classifier, untrained.

    Parameters
    ----------
    name : str
        One of `EXTRACTORS`.
    seed : int
        Of the weights, He's for the layers before a ReLU.

    Returns
    -------
    torch.nn.Sequential
        Two parts: pictures to features, features to logits. Convolutions of 3 x 3, all but the first with stride 2.

    Raises
    ------
    InputError
        If the name is unknown or the seed negative.

    Examples
    --------
    >>> classifier("digits")(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    plan, g = choose("extractor", name, EXTRACTORS), seeded(seed)
    new = functools.partial(drawn, init=he(), generator=g)
    body, side = [], plan.resolution
    for k, (inputs, outputs) in enumerate(pairwise(plan.widths)):
        body += [new(nn.Conv2d, inputs, outputs, 3, 1 + (k > 0), 1), nn.ReLU()]
        side //= 1 + (k > 0)
    body += [nn.Flatten(), new(nn.Linear, plan.widths[-1] * side**2, plan.features)]
    return nn.Sequential(
        nn.Sequential(*body), nn.Sequential(nn.ReLU(), new(nn.Linear, plan.features, len(plan.classes)))
    )


def extractor(name="digits"):
    """Return a stored classifier. Nothing is fetched and nothing but numbers is loaded.

    Parameters
    ----------
    name : str
        "digits" (scikit-learn's, 8 x 8, ten classes; 32 features) or "glyphs" (16 x 16, the 36 characters of
        `ganlab.drawings.glyphs`; 48 features).

    Returns
    -------
    Extractor

    Raises
    ------
    InputError
        If the name is unknown or the file is not the one that we trained.

    Notes
    -----
    Weights are kept in half precision and computed with in single. Of pictures that it never saw the classifier of
    digits names 98.9 % right (351 of 355), that of glyphs 99.7 %.

    Examples
    --------
    >>> from ganlab.pictures import digits
    >>> found, test = extractor("digits"), digits("test")
    >>> found.features(test.images).shape
    (355, 32)
    >>> bool(np.mean(found.labels(test.images) == test.labels) > 0.97)
    True
    """
    plan, network = choose("extractor", name, EXTRACTORS), classifier(name)
    arrays = verified(FOLDER / f"{name}.safetensors", plan.sha256)
    network.load_state_dict({key: torch.from_numpy(array).float() for key, array in arrays.items()})
    network.requires_grad_(False).eval()
    return Extractor(f"{name}@{plan.sha256[:8]}", plan.sha256, plan.resolution, plan.classes, network)


def verified(path, digest):
    """Return the arrays of a safetensors file, if its SHA-256 is `digest`.

    Raises
    ------
    InputError
        If it is not there or not that file; the message names both hashes.

    Examples
    --------
    >>> verified("nowhere.safetensors", "00")
    Traceback (most recent call last):
    ganlab.checks.InputError: the weights nowhere.safetensors cannot be read: install ganlab again
    """
    try:
        data = Path(path).read_bytes()
    except OSError:
        raise InputError(f"the weights {path} cannot be read: install ganlab again") from None
    if (found := sha256(data).hexdigest()) != digest:
        raise InputError(f"the weights {path} have the SHA-256 {found}, and those that we trained have {digest}: "
                         "install ganlab again")  # fmt: skip
    return unpack(data, str(path))


def label_report(images, seen, weights=None):
    """Count the classes that pictures show, and compare their histogram with the true weights.

    Parameters
    ----------
    images : (n, C, r, r) array or tensor
        In [-1, 1]. With C channels of digits there are 10^C modes: 1,000 of stacked digits.
    seen : Extractor
        Who tells the classes.
    weights : (modes,) array, optional
        Of the data; equal ones if left out.

    Returns
    -------
    ganlab.metrics.Coverage
        `modes` with at least one picture; both KL divergences, in nats; their `floor` for n perfect samples whose
        classes are known. Every picture counts as one of high quality, whatever it looks like.

    Raises
    ------
    InputError
        As `Extractor.features` does, or for weights that do not fit.

    Notes
    -----
    The classifier's own mistakes come on top of the floor: they move pictures between modes, and find modes that were
    never drawn. So look at what the data themselves score.

    Examples
    --------
    >>> from ganlab.drawings import stacked_digits
    >>> pictures = stacked_digits(500, np.random.default_rng(0), digit=7).images
    >>> found = label_report(pictures, extractor("digits"))
    >>> found.of, found.modes < 10, found.floor
    (1000, True, 0.999)
    """
    labels = seen.labels(images)
    modes = len(seen.classes) ** np.shape(images)[1]
    weights = np.full(modes, 1 / modes) if weights is None else weights
    line = Mixture(np.arange(modes, dtype=float)[:, None], 0.1, weights)
    return replace(modes_report(labels[:, None].astype(float), line), ceiling=1.0)
