"""Runs on points in the plane or on a line, for the command: two MLPs, and modes that can be counted."""

import dataclasses

import numpy as np
import torch

from ganlab.checks import choose
from ganlab.data import DATASETS
from ganlab.metrics import modes_report
from ganlab.neural import checkpoints, parallel, sessions
from ganlab.neural._folders import read_json, step_of, write_json
from ganlab.neural._formats import FORMATS
from ganlab.neural.draws import Draws
from ganlab.neural.models.mlp import ACTIVATIONS, mlp
from ganlab.neural.penalties import spectral_normalise
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run

__all__ = ["SETTINGS", "PlanarPlan", "build"]

RESULT = "result.json"
STARTS = {"default": {}, "orthogonal": {"init": "orthogonal", "gain": 1.4}}  # of `mlp`
# What a run needs beside its recipe: default, and help.
SETTINGS = {
    "hidden": ((128, 128, 128), "widths of the hidden layers of both networks"),
    "activation": ("relu", f"one of {', '.join(ACTIVATIONS)}"),
    "init_g": ("default", "how the generator's weights start: default (torch's) or orthogonal (of gain 1.4, quicker)"),
    "init_d": ("default", "the same for the critic"),
    "dropout": (0.0, "share of the critic's hidden units to drop, as --penalty consistency needs"),
    "spectral_norm": (False, "divide the critic's weight matrices by their largest singular value"),
    "seed": ((0,), "of networks, batches and noise; several train that many pairs of networks at once"),
    "points": (100_000, "how many samples of the data set to keep"),
    "device": ("auto", "auto (a GPU if there is one), cpu, cuda, cuda:1, mps"),
    "every": (100, "steps from one row of the history to the next"),
    "save_every": (1000, "steps from one checkpoint to the next"),
}
DEFAULTS = {name: default for name, (default, _) in SETTINGS.items()}


def build(config, device=None, steps=None):
    """Build the run that a ``run.json`` of `ganlab train` on points describes.

    Parameters
    ----------
    config : mapping
        ``data``, ``recipe``, and what is not to be the default of ``ganlab train``.
    device : str, optional
        Another one than it was started on.
    steps : int, optional
        Another number than in the recipe.

    Returns
    -------
    Run, law
        The run at step 0, and its data set.

    Raises
    ------
    InputError
        If something in it is unknown or does not fit.

    Examples
    --------
    >>> build({"data": "ring", "recipe": {"objective": "hinge"}}, device="cpu", steps=10)[0].recipe
    Recipe(objective='hinge', steps=10)
    """
    config = {**DEFAULTS, **config}
    recipe = Recipe(**{**config["recipe"], **({} if steps is None else {"steps": steps})})
    law = choose("data set", config["data"], DATASETS)()
    seeds = Draws(config["seed"]).seeds  # which checks them
    seeds = seeds[0] if len(seeds) == 1 else list(seeds)
    first, second = (2 * np.array(seeds, dtype=object) + k for k in (0, 1))  # whole numbers of any size
    hidden, activation = config["hidden"], config["activation"]
    start_G, start_D = (choose(name, config[name], STARTS) for name in ("init_g", "init_d"))
    G = mlp(recipe.latent, law.dim, hidden, activation, seed=first, **start_G)
    D = mlp(recipe.pack * law.dim, 1, hidden, activation, dropout=config["dropout"], seed=second, **start_D)
    if config["spectral_norm"]:
        spectral_normalise(D)
    return Run(G, D, law, recipe, seeds, device or config["device"], config["points"]), law


class PlanarPlan:
    """What a ``run.json`` asks for, as the command uses it; `ganlab.neural._picture_plan` has the same for pictures.

    `formats` and `samples`: what `ganlab sample` writes, and how many; `places`: of its checkpoints in its folder.
    """

    formats, samples, places = FORMATS, 2500, ("",)

    def __init__(self, config, device=None, steps=None):
        torch.set_num_threads(1)  # the nets are small, and a second thread costs more than it gives
        self.run, self.law = build(config, device, steps)
        self.config = {**DEFAULTS, **config, "recipe": dataclasses.asdict(self.run.recipe)}

    def about(self):
        """Yield what is to be said at the start."""
        yield from ()

    def stages(self, blank=False):
        """Yield the runs in the order in which they are trained: here one."""
        yield self.run

    def resume(self, run, folder, previous):
        """Put the run back to its last checkpoint."""
        sessions.resume(run, folder, previous)

    def load(self, run, folder, previous):
        """Load what is needed to draw samples."""
        checkpoints.load(run, folder, previous)

    def title(self, run):
        """Return what stands before the bar: nothing."""
        return ""

    def look(self, folder):
        """Return what is called after each checkpoint."""

    def finish(self, run, folder):
        """Write down the modes that were found, and yield what is to be said at the end of a stage."""
        samples = run.sample() if run.rng.stacked else run.sample()[None]
        law = self.law
        found = [modes_report(x, law, allow_nonfinite=True) for x in samples] if len(law.modes) else []
        result = {"step": run.step, "modes": [[c.modes, c.of, round(c.hq, 4)] for c in found]}
        parallel.lead(lambda: write_json(folder / RESULT, result))
        for seed, coverage in zip(run.rng.seeds, found, strict=False):
            yield f"step {run.step}{f', seed {seed}' * run.rng.stacked}: {coverage}"
        if not found:
            yield f"step {run.step}; {law.name} has no modes to count: ganlab sample {folder} -o samples.png"

    @staticmethod
    def row(config, folder):
        """Data, step and modes, for a list of runs."""
        step = step_of(folder)
        result = read_json(folder / RESULT) if (folder / RESULT).exists() else {}
        found = result["modes"] if result.get("step") == step else []
        kept = [f"{modes}/{of} modes {100 * hq:.1f} % HQ" for modes, of, hq in found]
        return str(config["data"]), f"{step}/{config['recipe']['steps']}", ", ".join(kept)
