"""The command ``ganlab``: train, resume, sample and list runs, through the functions that a script would call.

A run's folder holds what `ganlab.neural.sessions` keeps there, ``run.json``, from which networks, data and recipe are
built again, and what is found: ``result.json`` with the modes of points in the plane, or ``samples/`` with sheets of
pictures. A growing run has a folder inside for each level, such as ``0008``.
"""

import re
import sys
import warnings
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path

import torch

from ganlab import __version__
from ganlab.checks import InputError, choose
from ganlab.neural import _picture_data, checkpoints, parallel, sessions
from ganlab.neural._arguments import FLAGS, parse
from ganlab.neural._folders import RUN, read_json, refuse_used, trained, write_json
from ganlab.neural._history import HISTORY
from ganlab.neural._picture_models import MODELS
from ganlab.neural._picture_plan import PicturePlan
from ganlab.neural._planar import SETTINGS, PlanarPlan, build
from ganlab.neural.devices import no_memory
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError

__all__ = ["build", "main"]

RECIPE = vars(Recipe())


def main(argv=None):
    """Run the command with these arguments, by default those of the shell.

    Returns
    -------
    int
        The exit code: 0, 2 bad input, 3 diverged, 4 storage, 130 or 143 stopped by a signal.

    Examples
    --------
    >>> main(["list", "no such folder"])  # and says on stderr what is wrong
    2
    """
    with suppress(AttributeError):  # a terminal that cannot show a letter shows its number
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _complain(f"warning: {message}")
        try:
            parallel.join()
            given = parse(argv, {"train": _train, "resume": _resume, "sample": _sample, "list": _list})
            given.command(given)
        except InputError as error:
            return _complain(error, 2)
        except DivergedError as error:  # before CheckpointError: weights that are not finite are both
            return _complain(error, 3)
        except (checkpoints.CheckpointError, OSError) as error:
            return _complain(error, 4)
        except (MemoryError, RuntimeError) as error:
            if not no_memory(error):
                raise
            advice = "lower --batch, the width (--width, --hidden), --pictures or -n"
            return _complain(f"out of memory, {advice}: {error}", 2)
        except KeyboardInterrupt as error:
            return _complain(str(error) or "interrupted", 128 + getattr(error, "signum", 2))
        finally:
            parallel.leave()
    return 0


def _complain(message, code=0):
    """Say on one line of stderr what is wrong; of many processes, in which, unless the first one says it."""
    if parallel.ELSEWHERE in getattr(message, "__notes__", ()):
        return code
    who = f" (process {parallel.rank()})" if parallel.world() > 1 else ""
    print(_plain(f"ganlab{who}: {' '.join(str(message).split())}"), file=sys.stderr)
    return code


def _say(line):
    """Print a line, once for all processes."""
    if parallel.rank() == 0:
        print(_plain(line))


def _plain(line):
    """A line without the characters by which the name of a folder could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in line)


def _train(given):
    """``ganlab train``"""
    model = MODELS[given.model] if given.model else None
    if model is None and given.data in _picture_data.NAMES:
        raise InputError(f"{given.data} are pictures, which need a model: `ganlab train MODEL --data {given.data}` "
                         f"with one of {', '.join(MODELS)}")  # fmt: skip
    name = f"{given.model}-{_picture_data.label(given.data)}" if model else given.data
    folder = Path("runs") / name if given.out is None else Path(given.out)
    if given.name is not None:
        folder = Path("runs") / _name(given.name)
    refuse_used(folder)
    recipe = {name: _pairs(v) if name in FLAGS else v for name, v in vars(given).items() if name in RECIPE}
    settings = {name: getattr(given, name) for name in (model.settings if model else SETTINGS)}
    config = {"ganlab": __version__, "data": given.data, **settings, "recipe": recipe}
    if model:
        _picture_data.outside(folder, given.data)
        config["model"] = given.model
    _fit(_plan(config), folder, given, new=True)


def _resume(given):
    """``ganlab resume``"""
    folder = Path(given.folder)
    _fit(_rebuild(folder, given.device, given.steps), folder, given)


def _plan(config, device=None, steps=None):
    """What is to be trained: on pictures, or on points."""
    return (PicturePlan if "model" in config else PlanarPlan)(config, device, steps)


def _stages(plan, folder, blank=False):
    """Yield each run and its folder, from the last one that has checkpoints."""
    reached = max((k for k, place in enumerate(plan.places) if trained(folder / place)), default=0)
    for k, (place, run) in enumerate(zip(plan.places, plan.stages(blank), strict=True)):
        if k < reached:
            plan.skip(run)
        else:
            yield run, folder / place


def _fit(plan, folder, given, new=False):
    """Train what is not trained yet, and say what has come of it."""
    for line in plan.about():
        _say(line)
    stages, look = _stages(plan, folder), plan.look(folder)
    first, place = next(stages)  # what does not fit is said before anything is written
    if trained(place):  # else it is new, or was killed before its first checkpoint
        plan.resume(first, place, getattr(given, "previous", False))
        if first.step > first.recipe.steps:
            raise InputError(
                f"{folder} is at step {first.step} already, and --steps is {first.recipe.steps}: take more"
            )
    elif parallel.world() > 1:
        torch.distributed.barrier()  # all have seen an empty folder before the first writes
    parallel.lead(lambda: _begin(folder, plan.config, new))
    with ExitStack() as stack:
        if place != folder:  # `fit` locks the folder of a level, and this one is locked for all of them
            parallel.lead(lambda: stack.enter_context(sessions.open_folder(folder)))
        if first.step and look:
            parallel.lead(lambda: look(first))  # a kill may have come before it
        for run, here in chain([(first, place)], stages):
            _fit_one(run, here, folder, plan, given, new)
            for line in plan.finish(run, folder):
                _say(line)


def _begin(folder, config, new):
    """Write down what is trained, in a folder that is nobody else's."""
    with sessions.open_folder(folder):
        if new:
            refuse_used(folder)  # somebody may have been faster
        write_json(folder / RUN, config)


def _fit_one(run, here, folder, plan, given, new):
    """Train one run up to its last step."""
    config = plan.config
    try:
        sessions.fit(run, here, every=config["every"], save_every=config["save_every"], look=plan.look(folder),
                     progress=sys.stderr.isatty() and (plan.title(run) or True),
                     keep_going=given.keep_going)  # fmt: skip
    except InputError:  # at the first step: leave no folder that would have to be removed by hand
        if new and parallel.rank() == 0 and not any(folder.rglob("*.pt")):
            (folder / RUN).unlink(), (here / HISTORY).unlink(missing_ok=True)
            if here != folder and here.is_dir():
                here.rmdir()
        raise


def _sample(given):
    """``ganlab sample``"""
    file, folder = Path(given.output), Path(given.folder)
    plan = _rebuild(folder, given.device)
    pack = choose("suffix", file.suffix.lower(), plan.formats)
    run, here = next(_stages(plan, folder, blank=True))
    plan.load(run, here, given.previous)
    n = plan.samples if given.n is None else given.n
    content = pack(run.sample(n, given.seed, given.averaged), plan.law)
    parallel.lead(lambda: checkpoints.write(file, content))
    _say(f"{n} samples of step {run.step}: {file}")


def _list(given):
    """``ganlab list``"""
    folder = Path(given.folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    rows = [_row(file.parent, folder) for file in sorted(folder.rglob(RUN))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not rows:
        _say("no runs")


def _row(run_folder, folder):
    """Name, data, step, objective and modes of a run, or what is wrong with it."""
    name = str(run_folder.relative_to(folder))
    try:
        config = read_json(run_folder / RUN)
        about = config["recipe"]
        data, step, found = (PicturePlan if "model" in config else PlanarPlan).row(config, run_folder)
        terms = [f"{k} {v:g}" for k, v in {**about["penalties"], **about["game_terms"]}.items()]
        return name, data, step, " + ".join([about["objective"], *terms]), found
    except (checkpoints.CheckpointError, KeyError, TypeError, ValueError, AttributeError) as error:
        return name, "?", "?", f"damaged ({type(error).__name__})", ""


def _name(name):
    """A name that is one part of a path on every system."""
    if name in ("", ".", "..") or re.search(r'[/\\:*?"<>|\x00-\x1f]', name):
        raise InputError(f"--name is one plain word for a folder in runs/, got {name!r}; --out takes a path")
    return name


def _rebuild(folder, device, steps=None):
    """Read ``run.json``, and build what it says."""
    try:
        return _plan(read_json(folder / RUN), device, steps)
    except (TypeError, KeyError, AttributeError) as error:
        raise checkpoints.CheckpointError(f"{folder / RUN} is damaged: {type(error).__name__} {error}") from error


def _pairs(typed):
    """The mapping that is typed as one flag for each entry; "none" leaves out those that a model has by itself."""
    return dict(pair for pair in typed if pair)
