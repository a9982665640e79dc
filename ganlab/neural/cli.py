"""The command ``ganlab``: train, resume, sample and list runs, through the functions that a script would call.

A run's folder holds what `ganlab.neural.sessions` keeps there, ``run.json``, from which networks and recipe are built
again, and ``result.json``, the modes that were found at the end.
"""

import argparse
import dataclasses
import inspect
import io
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
from ganlab.neural.draws import Draws
from ganlab.neural.game_terms import GAME_TERMS
from ganlab.neural.models.mlp import ACTIVATIONS, mlp
from ganlab.neural.penalties import PENALTIES, spectral_normalise
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import DivergedError, Run
from ganlab.objectives import OBJECTIVES
from ganlab.relativistic import RELATIVISTIC

__all__ = ["build", "main"]

RUN, RESULT = "run.json", "result.json"
RECIPE = vars(Recipe())
NAMES = {"objective": (*OBJECTIVES, *RELATIVISTIC), "penalties": PENALTIES, "game_terms": GAME_TERMS}
FLAGS = {"penalties": "penalty", "game_terms": "game_term"}  # one flag for each entry of a mapping
# What a run needs beside its recipe: default, and help.
SETTINGS = {
    "hidden": ((128, 128, 128), "widths of the hidden layers of both networks"),
    "activation": ("relu", f"one of {', '.join(ACTIVATIONS)}"),
    "dropout": (0.0, "share of the critic's hidden units to drop, as --penalty consistency needs"),
    "spectral_norm": (False, "divide the critic's weight matrices by their largest singular value"),
    "seed": ((0,), "of networks, batches and noise; several train that many pairs of networks at once"),
    "points": (100_000, "how many samples of the data set to keep"),
    "device": ("auto", "auto (a GPU if there is one), cpu, cuda, cuda:1, mps"),
    "every": (100, "steps from one row of the history to the next"),
    "save_every": (1000, "steps from one checkpoint to the next"),
}
DEFAULTS = {name: default for name, (default, _) in SETTINGS.items()}
EXAMPLES = """\
examples:
  ganlab train ring --objective nonsaturating --penalty r1=0.1 --steps 5000 --out runs/ring
  ganlab train grid --objective rpgan --penalty r1=0.1 --penalty r2=0.1 --seed 0 1 2 3 --name four
  ganlab resume runs/ring --steps 10000
  ganlab sample runs/ring -n 2500 -o samples.npy        (or samples.csv, samples.png)
  ganlab list runs
  torchrun --nproc-per-node=2 -m ganlab train ring --out runs/two

exit codes: 2 bad input, 3 the run diverged, 4 storage (disk full, folder in use, checkpoint damaged),
130 or 143 stopped by Ctrl-C or SIGTERM after saving; `ganlab resume` goes on."""


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
            given = _parser().parse_args(argv)
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
    """Say on one line of stderr what is wrong; of many processes, in which."""
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


def _fit(run, law, folder, config, given, new=False):
    """Train up to the last step, and write down the modes that are found then."""
    if parallel.rank() == 0:
        with sessions.open_folder(folder):
            if new:
                _refuse_used(folder)  # somebody may have been faster
            _write(folder / RUN, config)
    try:
        sessions.fit(run, folder, every=config["every"], save_every=config["save_every"],
                     progress=sys.stderr.isatty(), keep_going=given.keep_going)  # fmt: skip
    except InputError:  # at the first step: leave no folder that would have to be removed by hand
        if new and parallel.rank() == 0 and not any(folder.glob("*.pt")):
            (folder / RUN).unlink(), (folder / sessions.HISTORY).unlink(missing_ok=True)
        raise
    samples = run.sample() if run.rng.stacked else run.sample()[None]
    found = [modes_report(x, law, allow_nonfinite=True) for x in samples] if len(law.modes) else []
    if parallel.rank() == 0:
        _write(folder / RESULT, {"step": run.step, "modes": [[c.modes, c.of, round(c.hq, 4)] for c in found]})
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
    if parallel.rank() == 0:
        checkpoints.write(file, content)
    _say(f"{given.n} samples of step {run.step}: {file}")


def _npy(samples, law):
    file = io.BytesIO()
    np.save(file, samples, allow_pickle=False)
    return file.getvalue()


def _csv(samples, law):
    file = io.StringIO()
    columns = ",".join(f"x{k + 1}" for k in range(law.dim))
    np.savetxt(file, _of_one_seed(samples), "%.9g", ",", header=columns, comments="", newline="\n")
    return file.getvalue().encode()


def _png(samples, law):
    from ganlab import plots

    real, fake = law.sample(len(samples), np.random.default_rng(0)), _of_one_seed(samples)
    file = io.BytesIO()
    with plots.plt.rc_context():
        plots.use_style()
        figure, ax = plots.plt.subplots()
        for x, label in ((real, "data"), (fake, "generator")):
            if law.dim == 1:
                ax.hist(x[:, 0], 60, histtype="step", density=True, label=label)
            else:
                ax.plot(x[:, 0], x[:, 1], ".", markersize=3, label=label)
        ax.legend()
        figure.savefig(file, format="png")
        plots.plt.close(figure)
    return file.getvalue()


def _of_one_seed(samples):
    if samples.ndim > 2:
        raise InputError(f"this run trains {len(samples)} seeds at once: take a .npy file, which has an axis for them")
    return samples


FORMATS = {".npy": _npy, ".csv": _csv, ".png": _png}


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


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of every other bad input."""

    def error(self, message):
        raise InputError(f"{message} (`{self.prog} --help` shows more)")


def _parser():
    """What can be typed."""
    look = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = _Parser("ganlab", description="Train GANs on data whose truth is known.", **look)
    parser.add_argument("--version", action="version", version=f"ganlab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (function, add_arguments, what) in COMMANDS.items():
        p = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", **look)
        p.set_defaults(command=function)
        add_arguments(p)
    return parser


def _train_arguments(p):
    p.add_argument("data", metavar="DATA", help=f"one of {', '.join(DATASETS)}")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--out", metavar="FOLDER", help="of the run (default: runs/NAME)")
    where.add_argument("--name", metavar="NAME", help="of a folder in runs/ (default: DATA)")
    for name, (default, text) in SETTINGS.items():
        _add(p, name, default, text, default)
    _add_keep_going(p)
    _add_recipe(p.add_argument_group("recipe"))


def _resume_arguments(p):
    p.add_argument("folder", metavar="FOLDER")
    p.add_argument("--steps", type=int, metavar="N", help="make the run longer")
    _add_keep_going(p)
    _add_restart(p)


def _sample_arguments(p):
    p.add_argument("folder", metavar="FOLDER")
    p.add_argument("-n", type=int, default=2500, metavar="N", help="how many (default: 2500)")
    p.add_argument("-o", "--output", required=True, metavar="FILE", help=f"ends in {', '.join(FORMATS)}")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="which samples (default: 0)")
    p.add_argument("--averaged", action=argparse.BooleanOptionalAction, default=True, help="of the averaged generator")
    _add_restart(p)


def _list_arguments(p):
    p.add_argument("folder", metavar="FOLDER", nargs="?", default="runs", help="(default: runs)")


COMMANDS = {
    "train": (_train, _train_arguments, "train a new run"),
    "resume": (_resume, _resume_arguments, "go on with a run"),
    "sample": (_sample, _sample_arguments, "draw samples from the generator of a run"),
    "list": (_list, _list_arguments, "show the runs in a folder: data, step, recipe, modes"),
}


def _add_keep_going(parser):
    parser.add_argument("--keep-going", action="store_true", help="go on when a checkpoint cannot be written")


def _add_restart(parser):
    parser.add_argument("--device", help="another one than the run was started on")
    parser.add_argument("--previous", action="store_true", help="if the last checkpoint is damaged, take the older one")


def _add_settings(parser):
    for name, (default, text) in SETTINGS.items():
        _add(parser, name, default, text, default)


def _add_recipe(parser):
    """One flag for every field of `Recipe`, with its help from there; a flag that is not given leaves it alone."""
    text = inspect.getdoc(Recipe) or ""  # none under python -OO
    entries = re.findall(r"^(\w+(?:, \w+)*) : (.+)\n((?:    .+\n)*)", text, re.MULTILINE)
    docs = {name: (kind, " ".join(body.split())) for names, kind, body in entries for name in names.split(", ")}
    for name, default in RECIPE.items():
        kind, body = docs.get(name, ("", ""))
        options = ", ".join(NAMES[name]) if name in NAMES else ", ".join(re.findall('"(.+?)"', kind))
        _add(parser, name, default, f"{body} {f'One of {options}.' * bool(options)}", argparse.SUPPRESS)


def _add(parser, name, default, text, missing):
    """Add the flag of one setting, whose kind is that of its default."""
    flag = "--" + FLAGS.get(name, name).replace("_", "-")
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    text += f" (default: {shown})" if default not in (None, {}) else ""
    options = {"dest": name, "default": missing, "help": text.replace("%", "%%")}
    if isinstance(default, bool):
        options["action"] = argparse.BooleanOptionalAction
    elif isinstance(default, dict):
        options |= {"type": _weighted, "action": "append", "metavar": "NAME=WEIGHT"}
    else:
        one = default[0] if isinstance(default, tuple) else default
        kind = float if one is None else type(one)
        options |= {"type": kind, "metavar": {int: "N", float: "X", str: "NAME"}[kind]}
        options |= {"nargs": "+"} if isinstance(default, tuple) else {}
    parser.add_argument(flag, **options)


def _weighted(text):
    """A name and its weight."""
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise argparse.ArgumentTypeError(f"write NAME=WEIGHT, such as r1=0.1, not {text!r}") from None
