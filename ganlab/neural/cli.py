"""The command ``ganlab``: train, resume, sample and list runs, through the functions that a script would call.

A run's folder holds what `ganlab.neural.sessions` keeps there, ``run.json``, from which networks and recipe are built
again, and ``result.json``, the modes that were found at the end.
"""

import dataclasses
import json
import re
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from ganlab import __version__
from ganlab.checks import InputError, choose
from ganlab.data import DATASETS
from ganlab.metrics import modes_report
from ganlab.neural import checkpoints, parallel, sessions
from ganlab.neural._arguments import DEFAULTS, FLAGS, RECIPE, SETTINGS, parser
from ganlab.neural._formats import FORMATS
from ganlab.neural.draws import Draws
from ganlab.neural.models.mlp import mlp
from ganlab.neural.penalties import spectral_normalise
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run

__all__ = ["build", "main"]

RUN, RESULT = "run.json", "result.json"


def build(config, device=None, steps=None):
    """Build the run that a ``run.json`` describes.

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
    G = mlp(recipe.latent, law.dim, hidden, activation, seed=first)
    D = mlp(recipe.pack * law.dim, 1, hidden, activation, dropout=config["dropout"], seed=second)
    if config["spectral_norm"]:
        spectral_normalise(D)
    return Run(G, D, law, recipe, seeds, device or config["device"], config["points"]), law


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
    torch.set_num_threads(1)  # the nets are small, and a second thread costs more than it gives
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _complain(f"warning: {message}")
        try:
            parallel.join()
            given = parser({"train": _train, "resume": _resume, "sample": _sample, "list": _list}).parse_args(argv)
            given.command(given)
        except InputError as error:
            return _complain(error, 2)
        except torch.OutOfMemoryError as error:
            return _complain(f"out of memory, lower --batch or --hidden: {error}", 2)
        except DivergedError as error:  # before CheckpointError: weights that are not finite are both
            return _complain(error, 3)
        except (checkpoints.CheckpointError, OSError) as error:
            return _complain(error, 4)
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
    name = given.data if given.name is None else _name(given.name)
    folder = Path("runs") / name if given.out is None else Path(given.out)
    _refuse_used(folder)
    recipe = {name: dict(v) if name in FLAGS else v for name, v in vars(given).items() if name in RECIPE}
    config = {"ganlab": __version__, "data": given.data, **{name: getattr(given, name) for name in SETTINGS}}
    run, law = build({**config, "recipe": recipe})
    if parallel.world() > 1:
        torch.distributed.barrier()  # all have seen an empty folder before the first writes
    _fit(run, law, folder, {**config, "recipe": dataclasses.asdict(run.recipe)}, given, new=True)


def _resume(given):
    """``ganlab resume``"""
    folder = Path(given.folder)
    config, run, law = _rebuild(folder, given.device, given.steps)
    if (folder / checkpoints.MANIFEST).exists() or any(folder.glob("*.pt")):  # else it was killed before the first
        sessions.resume(run, folder, given.previous)
    if run.step > run.recipe.steps:
        raise InputError(f"{folder} is at step {run.step} already, and --steps is {run.recipe.steps}: take more")
    config["recipe"]["steps"] = run.recipe.steps
    _fit(run, law, folder, config, given)


def _begin(folder, config, new):
    """Write down what is trained, in a folder that is nobody else's."""
    with sessions.open_folder(folder):
        if new:
            _refuse_used(folder)  # somebody may have been faster
        _write(folder / RUN, config)


def _fit(run, law, folder, config, given, new=False):
    """Train up to the last step, and write down the modes that are found then."""
    parallel.lead(lambda: _begin(folder, config, new))
    try:
        sessions.fit(run, folder, every=config["every"], save_every=config["save_every"],
                     progress=sys.stderr.isatty(), keep_going=given.keep_going)  # fmt: skip
    except InputError:  # at the first step: leave no folder that would have to be removed by hand
        if new and parallel.rank() == 0 and not any(folder.glob("*.pt")):
            (folder / RUN).unlink(), (folder / sessions.HISTORY).unlink(missing_ok=True)
        raise
    samples = run.sample() if run.rng.stacked else run.sample()[None]
    found = [modes_report(x, law, allow_nonfinite=True) for x in samples] if len(law.modes) else []
    result = {"step": run.step, "modes": [[c.modes, c.of, round(c.hq, 4)] for c in found]}
    parallel.lead(lambda: _write(folder / RESULT, result))
    for seed, coverage in zip(run.rng.seeds, found, strict=False):
        _say(f"step {run.step}{f', seed {seed}' * run.rng.stacked}: {coverage}")
    if not found:
        _say(f"step {run.step}; {law.name} has no modes to count: ganlab sample {folder} -o samples.png")


def _sample(given):
    """``ganlab sample``"""
    file = Path(given.output)
    pack = choose("suffix", file.suffix.lower(), FORMATS)
    _, run, law = _rebuild(Path(given.folder), given.device)
    checkpoints.load(run, given.folder, given.previous)
    content = pack(run.sample(given.n, given.seed, given.averaged), law)
    parallel.lead(lambda: checkpoints.write(file, content))
    _say(f"{given.n} samples of step {run.step}: {file}")


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
        config = _read(run_folder / RUN)
        about = config["recipe"]
        step = checkpoints.manifest(run_folder)["checkpoints"][-1]["step"] if any(run_folder.glob("*.pt")) else 0
        result = _read(run_folder / RESULT) if (run_folder / RESULT).exists() else {}
        found = result["modes"] if result.get("step") == step else []
        kept = [f"{modes}/{of} modes {100 * hq:.1f} % HQ" for modes, of, hq in found]
        terms = [f"{k} {v:g}" for k, v in {**about["penalties"], **about["game_terms"]}.items()]
        recipe = " + ".join([about["objective"], *terms])
        return name, str(config["data"]), f"{step}/{about['steps']}", recipe, ", ".join(kept)
    except (checkpoints.CheckpointError, KeyError, TypeError, ValueError, AttributeError) as error:
        return name, "?", "?", f"damaged ({type(error).__name__})", ""


def _name(name):
    """A name that is one part of a path on every system."""
    if name in ("", ".", "..") or re.search(r'[/\\:*?"<>|\x00-\x1f]', name):
        raise InputError(f"--name is one plain word for a folder in runs/, got {name!r}; --out takes a path")
    return name


def _refuse_used(folder):
    if folder.is_dir() and {file.name for file in folder.iterdir()} - {"lock"}:
        advice = f"`ganlab resume {folder}` goes on with its run, or " if (folder / RUN).exists() else ""
        raise InputError(f"{folder} is not empty: {advice}choose another --out")


def _write(file, content):
    checkpoints.write(file, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")


def _read(file):
    """What a JSON file of ours says."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"there is no run in {file.parent}: {file.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise checkpoints.CheckpointError(f"{file} is damaged: {error}") from error


def _rebuild(folder, device, steps=None):
    """Read ``run.json``, and build what it says."""
    try:
        config = {**DEFAULTS, **_read(folder / RUN)}
        return config, *build(config, device, steps)
    except (TypeError, KeyError, AttributeError) as error:
        raise checkpoints.CheckpointError(f"{folder / RUN} is damaged: {type(error).__name__} {error}") from error
