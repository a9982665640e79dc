"""Runs on pictures, for the command: one run, or one a level, and a sheet of samples after every checkpoint."""

import dataclasses
from pathlib import Path

import torch

from ganlab.checks import InputError, choose, whole
from ganlab.neural import _picture_data, checkpoints, sessions
from ganlab.neural._folders import RUN, step_of, trained
from ganlab.neural._formats import SHEETS, many, sheet
from ganlab.neural._picture_models import MODELS
from ganlab.neural.draws import Draws
from ganlab.neural.recipes import Recipe

__all__ = ["PicturePlan"]


class PicturePlan:
    """What a ``run.json`` asks for, as the command uses it; see `ganlab.neural._planar.PlanarPlan`."""

    formats, law = SHEETS, None

    def __init__(self, config, device=None, steps=None):
        self.model = choose("model", config["model"], MODELS)
        defaults = {name: None if isinstance(d, type) else d for name, (d, _) in self.model.settings.items()}
        settings = {**defaults, **config}
        recipe = Recipe(**{**vars(self.model.recipe), **config["recipe"]})
        if steps is not None:
            if "steps" in self.model.without:
                raise InputError("the length of a growing run is that of its levels, --stable and --fade of "
                                 "`ganlab train`: leave out --steps")  # fmt: skip
            recipe = dataclasses.replace(recipe, steps=steps)
        Draws(settings["seed"])  # which checks it
        torch.set_num_threads(whole("threads", settings["threads"]))
        self.device, self.samples = device or settings["device"], many(settings["resolution"])
        self.runs, self.growth = self.model.plan(settings, recipe), self.model.growth(settings, recipe)
        self.places = ("",) if self.growth is None else tuple(f"{r:04d}" for r in self.growth.resolutions)
        kept = {name: v for name, v in dataclasses.asdict(recipe).items() if name not in self.model.without}
        self.data, self.pictures = config["data"], None
        self.config = {**settings, "data": _picture_data.settled(self.data), "recipe": kept}

    def about(self):
        """Read the pictures, and yield what is to be said about them."""
        c = self.config
        self.pictures = _picture_data.read(self.data, c["resolution"], c["channels"], c["pictures"])
        c["channels"] = self.pictures.channels
        yield from str(self.pictures).splitlines()

    def stages(self, blank=False):
        """Yield the runs in the order in which they are trained; `blank`: with no pictures, to load weights into."""
        c = self.config
        shape = c["channels"], c["resolution"], c["resolution"]
        n = c["recipe"]["batch"] if self.growth is None else max(map(self.growth.batch, self.growth.resolutions))
        blanks = torch.zeros(1, *shape).expand(n, *shape) if blank else None
        yield from self.runs(blanks if blank else torch.as_tensor(self.pictures.images), self.device)

    def title(self, run):
        """Return what stands before the bar."""
        return f"{run.data.shape[-1]} x {run.data.shape[-1]}"

    def look(self, folder):
        """Return what writes a sheet of the same noise after each checkpoint."""

        def draw(run):
            file = _sheet_of(run, folder)
            file.parent.mkdir(exist_ok=True)
            checkpoints.write(file, sheet(run.sample(self.samples)))

        return draw

    def finish(self, run, folder):
        """Yield what is to be said at the end of a stage."""
        yield f"{self.title(run)}, step {run.step}: {_sheet_of(run, folder)}"

    def skip(self, run):
        """Let a level count as trained, without its weights: what became of them is in the next one's checkpoint."""
        run.step = run.recipe.steps
        for net in (run.G, run.D):
            if net.fade is not None:
                net.fade.set(1)

    def resume(self, run, folder, previous):
        """Put a run back to its last checkpoint, if it was taken at the same moment of the same fade."""
        sessions.resume(run, folder, previous)
        fade = getattr(run.G, "fade", None)
        if fade is None or run.step == 0:
            return
        wanted = min(1.0, (run.step - 1) / fade.steps)  # of the last step
        if abs(fade.alpha.item() - wanted) > 1e-6:
            raise checkpoints.CheckpointError(
                f"{folder} stands at alpha = {fade.alpha.item():.4g} of its fade, and {RUN} has {wanted:.4g} at step "
                f"{run.step}: put --fade, --batch and --batches back there, or train a new run")  # fmt: skip

    def load(self, run, folder, previous):
        """Load what is needed to draw samples."""
        checkpoints.load(run, folder, previous, same=False)

    @staticmethod
    def row(config, folder):
        """Data, level and step, for a list of runs."""
        plan = PicturePlan(config)
        place = [p for p in plan.places if trained(folder / p)][-1:] or plan.places[:1]
        side = int(place[0] or config["resolution"])
        steps = plan.config["recipe"]["steps"] if plan.growth is None else plan.growth.steps(side)[1]
        level = "" if plan.growth is None else f"{side} x {side}: "
        name = f"{config['model']} {_picture_data.label(config['data'])} {config['resolution']}"
        return name, f"{level}{step_of(folder / place[0])}/{steps}", ""


def _sheet_of(run, folder):
    return Path(folder) / "samples" / f"{run.data.shape[-1]:04d}-{run.step:06d}.png"
