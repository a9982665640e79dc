"""The folder of a run: the files that say what is trained there, and how far it has come."""

import json

from ganlab._files import STUB
from ganlab.checks import InputError
from ganlab.neural import checkpoints

__all__ = ["RUN", "read_json", "refuse_used", "step_of", "trained", "write_json"]

RUN = "run.json"  # from which networks, data and recipe are built again


def write_json(file, content):
    """Write plain values, whole or not at all; names of files that are no text, too."""
    checkpoints.write(file, json.dumps(content, indent=1).encode() + b"\n")


def read_json(file):
    """What a JSON file of ours says."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"there is no run in {file.parent}: {file.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise checkpoints.CheckpointError(f"{file} is damaged: {error}") from error


def refuse_used(folder):
    """Raise if a new run would come upon the files of something else, not only what a kill at the start left behind."""
    if folder.is_dir() and any(file.name != "lock" and not STUB.fullmatch(file.name) for file in folder.iterdir()):
        place = f'"{folder}"' if " " in str(folder) else folder  # as a shell wants it
        advice = f"`ganlab resume {place}` goes on with its run, or " if (folder / RUN).exists() else ""
        raise InputError(f"{folder} is not empty: {advice}choose another --out")


def trained(folder):
    """Tell whether a folder has checkpoints, be they damaged or not."""
    try:
        return bool(checkpoints.manifest(folder)["checkpoints"])  # an unlisted file was cut off by a kill
    except checkpoints.CheckpointError:
        return (folder / checkpoints.MANIFEST).exists() or any(folder.glob("*.pt"))


def step_of(folder):
    """The step of the last checkpoint, 0 if there is none."""
    return checkpoints.manifest(folder)["checkpoints"][-1]["step"] if trained(folder) else 0
