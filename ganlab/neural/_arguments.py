"""What can be typed after ``ganlab``; the flags of a recipe and their help come from `Recipe` itself."""

import argparse
import inspect
import re
import sys
from collections.abc import Mapping
from functools import partial

from ganlab import __version__
from ganlab.checks import InputError
from ganlab.data import DATASETS
from ganlab.neural._formats import FORMATS, SHEETS
from ganlab.neural._picture_data import HELP
from ganlab.neural._picture_models import MODELS
from ganlab.neural._planar import SETTINGS
from ganlab.neural.game_terms import GAME_TERMS
from ganlab.neural.penalties import PENALTIES
from ganlab.neural.recipes import Recipe
from ganlab.objectives import OBJECTIVES
from ganlab.relativistic import RELATIVISTIC

NAMES = {"objective": (*OBJECTIVES, *RELATIVISTIC), "penalties": PENALTIES, "game_terms": GAME_TERMS}
FLAGS = {"penalties": "penalty", "game_terms": "game_term"}  # one flag for each entry of a mapping
EXAMPLES = """\
examples:
  ganlab train ring --objective nonsaturating --penalty r1=0.1 --steps 5000 --out runs/ring
  ganlab train grid --objective rpgan --penalty r1=0.1 --penalty r2=0.1 --seed 0 1 2 3 --name four
  ganlab train grid --objective rpgan --penalty r1=0.2 --penalty r2=0.2 --lazy 8 --betas 0.5 0.99 --lr 0.002 \\
                    --schedule cosine --steps 7000 --init-g orthogonal --init-d orthogonal
  ganlab train progan --data path/to/pictures --resolution 64 --out runs/faces
  ganlab train progan --data faces --resolution 16 --width 32 --latent 32 --stable 8000 --fade 8000 --lr 0.003
  ganlab train dcgan --data digits --resolution 8 --width 32 --steps 3000
  ganlab resume runs/ring --steps 10000
  ganlab sample runs/ring -n 2500 -o samples.npy        (or samples.csv, samples.png)
  ganlab list runs
  torchrun --nproc-per-node=2 -m ganlab train ring --out runs/two

exit codes: 2 bad input, 3 the run diverged, 4 storage (disk full, folder in use, checkpoint damaged),
130 or 143 stopped by Ctrl-C or SIGTERM after saving; `ganlab resume` goes on."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of every other bad input."""

    def error(self, message):
        raise InputError(f"{message} (`{self.prog} --help` shows more)")


def parse(arguments, functions):
    """Parse what was typed; `functions` has what each of `COMMANDS` calls. A model of pictures has its own flags."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    model = arguments.pop(1) if arguments[:1] == ["train"] and arguments[1:2] in [[m] for m in MODELS] else None
    look = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    whole = _Parser("ganlab", description="Train GANs on data whose truth is known, and on pictures.", **look)
    whole.add_argument("--version", action="version", version=f"ganlab {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, (add_arguments, what) in COMMANDS.items():
        about = f"{what[0].upper()}{what[1:]}."
        if name == "train" and model:
            add_arguments, about = partial(_picture_arguments, model=model), f"{about[:-1]} of {MODELS[model].what}."
        p = commands.add_parser(name, help=what, description=about, **look)
        p.prog += f" {model}" if name == "train" and model else ""
        p.set_defaults(command=functions[name], model=model, parser=p)
        add_arguments(p)
    given, unknown = whole.parse_known_args(arguments)
    if unknown:
        given.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return given


def _train_arguments(p):
    p.add_argument("data", metavar="DATA", help=f"one of {', '.join(DATASETS)}; or a model of pictures, which has "
                   f"flags of its own (`ganlab train progan --help`): {', '.join(MODELS)}")  # fmt: skip
    _add_run(p, SETTINGS, Recipe(), "DATA")


def _picture_arguments(p, model):
    p.add_argument("--data", required=True, metavar="PICTURES", help=HELP)
    about = MODELS[model]
    _add_run(p, about.settings, about.recipe, "MODEL-PICTURES", about.without)


def _add_run(p, settings, recipe, name, without=()):
    """Add the flags of a new run."""
    where = p.add_mutually_exclusive_group()
    where.add_argument("--out", metavar="FOLDER", help="of the run (default: runs/NAME)")
    where.add_argument("--name", metavar="NAME", help=f"of a folder in runs/ (default: {name})")
    for setting, (default, text) in settings.items():
        _add(p, setting, default, text, None if isinstance(default, type) else default)
    _add_keep_going(p)
    _add_recipe(p.add_argument_group("recipe"), recipe, without)


def _resume_arguments(p):
    p.add_argument("folder", metavar="FOLDER")
    p.add_argument("--steps", type=int, metavar="N", help="make the run longer")
    _add_keep_going(p)
    _add_restart(p)


def _sample_arguments(p):
    p.add_argument("folder", metavar="FOLDER")
    p.add_argument("-n", type=int, metavar="N", help="how many (default: 2500; of pictures a sheet)")
    endings = f"ends in {', '.join(FORMATS)}; for pictures in {', '.join(SHEETS)}"
    p.add_argument("-o", "--output", required=True, metavar="FILE", help=endings)
    p.add_argument("--seed", type=int, default=0, metavar="N", help="which samples (default: 0)")
    p.add_argument("--averaged", action=argparse.BooleanOptionalAction, default=True, help="of the averaged generator")
    _add_restart(p)


def _list_arguments(p):
    p.add_argument("folder", metavar="FOLDER", nargs="?", default="runs", help="(default: runs)")


COMMANDS = {
    "train": (_train_arguments, "train a new run"),
    "resume": (_resume_arguments, "go on with a run"),
    "sample": (_sample_arguments, "draw samples from the generator of a run"),
    "list": (_list_arguments, "show the runs in a folder: data, level and step, recipe, modes"),
}


def _add_keep_going(parser):
    parser.add_argument("--keep-going", action="store_true", help="go on when a checkpoint cannot be written")


def _add_restart(parser):
    parser.add_argument("--device", help="another one than the run was started on")
    parser.add_argument("--previous", action="store_true", help="if the last checkpoint is damaged, take the older one")


def _add_recipe(parser, recipe, without):
    """One flag for every field of `Recipe`, with its help from there; a flag that is not given leaves it alone."""
    text = inspect.getdoc(Recipe) or ""  # none under python -OO
    entries = re.findall(r"^(\w+(?:, \w+)*) : (.+)\n((?:    .+\n)*)", text, re.MULTILINE)
    docs = {name: (kind, " ".join(body.split())) for names, kind, body in entries for name in names.split(", ")}
    for name, default in vars(recipe).items():
        if name in without:
            continue
        kind, body = docs.get(name, ("", ""))
        options = ", ".join(NAMES[name]) if name in NAMES else ", ".join(re.findall('"(.+?)"', kind))
        _add(parser, name, default, f"{body} {f'One of {options}.' * bool(options)}", argparse.SUPPRESS)


def _add(parser, name, default, text, missing):
    """Add the flag of one setting, whose kind is that of its default."""
    flag = "--" + FLAGS.get(name, name).replace("_", "-")
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    if isinstance(default, Mapping):
        text += " `none` takes the default away." * bool(default)
        shown = ", ".join(f"{key}={weight:g}" for key, weight in default.items())
    text += f" (default: {shown})" if default not in (None, {}, []) and not isinstance(default, type) else ""
    options = {"dest": name, "default": missing, "help": text.replace("%", "%%")}
    if isinstance(default, bool):
        options["action"] = argparse.BooleanOptionalAction
    elif isinstance(default, dict):
        options |= {"type": _weighted, "action": "append", "metavar": "NAME=WEIGHT"}
    elif isinstance(default, list):
        options |= {"nargs": "+", "metavar": "RESOLUTION=BATCH"}
    else:
        one = default[0] if isinstance(default, tuple) else default
        kind = one if isinstance(one, type) else float if one is None else type(one)
        options |= {"type": kind, "metavar": {int: "N", float: "X", str: "NAME"}[kind]}
        options |= {"nargs": "+"} if isinstance(default, tuple) else {}
    parser.add_argument(flag, **options)


def _weighted(text):
    """A name and its weight; nothing for "none"."""
    if text == "none":
        return None
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise argparse.ArgumentTypeError(f"write NAME=WEIGHT, such as r1=0.1, not {text!r}") from None
