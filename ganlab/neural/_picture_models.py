"""The models of ``ganlab train MODEL --data PICTURES``: published settings, their own flags, and how they are built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ganlab.checks import InputError, choose
from ganlab.neural._planar import SETTINGS
from ganlab.neural.growing import PUBLISHED, Growth, levels
from ganlab.neural.models import baseline, dcgan, infogan
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run

__all__ = ["MODELS", "Model"]

NORMS = {"batch": "batch", "none": None}
NORM = ("batch", "normalisation in D: batch, or none, which gradient penalties need")
WIDTH = "filters of the largest map"


@dataclass(frozen=True)
class Model:
    """What the command knows about a model.

    Parameters
    ----------
    what : str
        For ``--help``.
    recipe : Recipe
        The published one.
    settings : mapping
        What it needs beside the recipe: default (or type, if there is none) and help.
    plan : callable
        Of settings and recipe, which it checks; returns a function of pictures and device that yields the runs.
    without : set of str
        Parts of a recipe that have no flag.
    growth : callable
        Of settings and recipe; returns the Growth of a model that grows, None for others.
    """

    what: str
    recipe: Recipe
    settings: Mapping
    plan: Callable
    without: frozenset = frozenset({"pack"})  # D of pictures sees one at a time
    growth: Callable = field(default=lambda settings, recipe: None)


def _settings(width, filters=WIDTH, **more):
    """The settings that all models have, and some more."""
    return {
        "resolution": (32, "pixels a side of the pictures: a power of two"),
        "channels": (int, "1 for grey, 3 for colour (default: 3 in a folder, otherwise as the data are)"),
        "pictures": (int, "how many to make (default: 5000), or to take at most (default: all)"),
        "width": (width, filters),
        **more,
        "seed": (0, "of networks, batches and noise"),
        **{name: SETTINGS[name] for name in ("device", "every")},
        "threads": (1, "of the CPU; more pay for large networks on a machine that has nothing else to do"),
        "save_every": (500, "steps from one checkpoint, and sheet of samples, to the next"),
    }


def _single(build):
    """Make a plan of one run; `build` returns its recipe and, for a number of channels, its two networks."""

    def plan(settings, recipe):
        recipe, networks = build(settings, recipe)

        def runs(pictures, device):
            G, D = networks(pictures.shape[1])
            yield Run(G, D, pictures, recipe, settings["seed"], device)

        return runs

    return plan


def _seeds(settings):
    """Of G and D, as everywhere in the command."""
    return 2 * settings["seed"], 2 * settings["seed"] + 1


def _norm(settings, recipe):
    """The normalisation of D; that of G cannot do with one picture, whatever D has."""
    if recipe.batch == 1:
        raise InputError("batch 1 has no batch statistics, which G's batch normalisation needs: take --batch 2 or more")
    return choose("norm", settings["norm"], NORMS)


def _dcgan(settings, recipe):
    size, width, (first, second) = settings["resolution"], settings["width"], _seeds(settings)
    dcgan.filters(size, width), (norm := _norm(settings, recipe))
    return recipe, lambda channels: (dcgan.generator(size, channels, recipe.latent, width, seed=first),
                                     dcgan.discriminator(size, channels, width, norm, seed=second))  # fmt: skip


def _infogan(settings, recipe):
    codes = infogan.Codes(tuple(settings["categorical"]), settings["uniform"], settings["gaussian"])
    if recipe.latent < codes.columns:
        raise InputError(f"--latent must be at least {codes.columns}, one number for each code, got {recipe.latent}")
    size, width, (first, second) = settings["resolution"], settings["width"], _seeds(settings)
    norm, noise = _norm(settings, recipe), recipe.latent - codes.columns
    # what D has just scored is what Q reads, unless the critic is a look-ahead copy
    term = infogan.information if recipe.unroll else infogan.information_seen
    recipe = replace(recipe, game_terms={term: settings["information"], **recipe.game_terms})
    return recipe, lambda channels: (infogan.generator(codes, size, channels, noise, width, seed=first),
                                     infogan.discriminator(codes, size, channels, width, norm, second))  # fmt: skip


def _baseline(settings, recipe):
    size, width, (first, second) = settings["resolution"], settings["width"], _seeds(settings)
    baseline.filters(size, width)
    return recipe, lambda channels: (baseline.generator(size, channels, recipe.latent, width, seed=first),
                                     baseline.discriminator(size, channels, width, seed=second))  # fmt: skip


def _growth(settings, recipe):
    names = "resolution", "start", "stable", "fade", "width", "group"
    return Growth(recipe=recipe, batches=_batches(settings["batches"]), **{name: settings[name] for name in names})


def _batches(typed):
    """What is typed as 256=14 512=6, as numbers."""
    try:
        return {int(side): int(batch) for side, batch in (text.split("=") for text in typed)}
    except ValueError:
        raise InputError(f"--batches takes RESOLUTION=BATCH, such as 256=14 512=6, got {' '.join(typed)}") from None


def _progan(settings, recipe):
    growth = _growth(settings, recipe)
    return lambda pictures, device: levels(pictures, growth, settings["seed"], device)


MODELS = {
    "progan": Model(
        "progressive growing (Karras et al. 2018)", PUBLISHED,
        _settings(Growth.width, "filters of the small levels; later ones have fewer",
                  start=(4, "resolution of the first level"),
                  stable=(Growth.stable, "real pictures that D is shown at each level after its fade"),
                  fade=(Growth.fade, "real pictures that D is shown while a level fades in"),
                  group=(int, "of the minibatch standard deviation (default: the whole batch)"),
                  batches=([], "batches of levels where they are not --batch; the paper has 256=14 512=6 1024=3")),
        _progan, frozenset({"pack", "steps"}), _growth),
    "dcgan": Model(
        "DCGAN (Radford, Metz and Chintala 2016)", Recipe(lr=2e-4, batch=128, latent=100, steps=10_000),
        _settings(64, norm=NORM), _single(_dcgan)),
    "infogan": Model(
        "InfoGAN (Chen et al. 2016)", Recipe(lr=2e-4, lr_g=1e-3, batch=128, latent=65, steps=10_000),
        _settings(64, "filters of the second largest map", norm=NORM,
                  categorical=((10,), "values of each categorical code"), uniform=(2, "codes on [-1, 1]"),
                  gaussian=(0, "codes with a normal law"), information=(1.0, "weight of the information term")),
        _single(_infogan)),
    "baseline": Model(
        "a small modern baseline, after R3GAN (Huang et al. 2024)",
        Recipe("rpgan", {"r1": 1.0, "r2": 1.0}, lr=2e-4, betas=(0.0, 0.99), batch=64, latent=64, steps=10_000),
        _settings(32), _single(_baseline)),
}  # fmt: skip
