"""Checkpoints: a run on disk, whole or not at all, and loaded only if every number in it fits.

Random numbers are a function of seed and step, so a checkpoint is the weights, the averaged generator, the optimisers'
moments and one whole number. A file is written beside its final name, forced to the disk and renamed, and it counts
once `checkpoints.json`, written in the same way, lists its SHA-256: a kill at any moment leaves the last one whole.
The first one finds an empty list, so that a kill before it counts is not taken for a list that was lost.
"""

import io
import json
import math
import re
import warnings
import zipfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import torch

from ganlab import __version__
from ganlab.neural import _fits
from ganlab.neural._disk import CheckpointError, started, sweep, write
from ganlab.neural._fits import SCHEMA, NotFinite

__all__ = ["CheckpointError", "NotFinite", "latest", "load", "manifest", "save", "started", "write"]

MANIFEST, KEEP = "checkpoints.json", 2
NAME = re.compile(r"step-\d{8,}(-[0-9a-f]{8})?\.pt")
ENTRY = {"step": int, "file": str, "sha256": str, "size": int}


def save(run, folder):
    """Write a checkpoint of `run`, keep the one before it and remove older ones.

    One process writes to a folder at a time: `ganlab.neural.sessions.open_folder` sees to it.

    Parameters
    ----------
    run : Run
    folder : path
        Made if it is missing.

    Returns
    -------
    pathlib.Path
        ``step-00001234.pt``, which holds state dicts: ``torch.load(file, weights_only=True)["G"]`` is the generator's.

    Raises
    ------
    NotFinite
        If a number is NaN or infinite, in all networks of a stack; what is on disk stays.
    CheckpointError
        If the disk is full or the folder holds another run; what is on disk stays.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from ganlab.neural.models.mlp import mlp
    >>> from ganlab.neural.runs import Run
    >>> run = Run(mlp(2, 2), mlp(2, 1), torch.zeros(128, 2), device="cpu")
    >>> with TemporaryDirectory() as folder:
    ...     save(run, folder).name, load(run, folder).name
    ('step-00000000.pt', 'step-00000000.pt')
    """
    folder, state = Path(folder), _fits.state_of(run)
    _fits.refuse_not_finite(_fits.flat(state), run, f"this run at step {run.step}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        listed = manifest(folder, run)["checkpoints"] if (folder / MANIFEST).exists() else []
    except OSError as error:
        raise CheckpointError(f"the folder {folder} cannot be used: {error}") from error
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    name, digest = f"step-{run.step:08d}.pt", sha256(data).hexdigest()
    if name in {entry["file"] for entry in listed}:  # a listed file is never overwritten
        name = f"step-{run.step:08d}-{digest[:8]}.pt"
    entry = {"step": run.step, "file": name, "sha256": digest, "size": len(data),
             "torch": torch.__version__, "ganlab": __version__, "device": run.device.type}  # fmt: skip
    # steps from here on belong to a future that was given up
    entries = [*[e for e in listed if e["step"] < run.step][1 - KEEP :], entry]
    about = {"schema": SCHEMA, **_fits.about(run)}
    try:
        if not (folder / MANIFEST).exists():
            write(folder / MANIFEST, _fits.as_json({**about, "checkpoints": []}))
        write(folder / name, data)
        write(folder / MANIFEST, _fits.as_json({**about, "checkpoints": entries}))
    finally:
        with suppress(OSError, CheckpointError):  # what stays lying about does no harm
            tidy(folder)
    return folder / name


def manifest(folder, run=None):
    """Return what `checkpoints.json` says, and check that its checkpoints are those of `run` if one is given.

    Returns
    -------
    dict
        Recipe, seed and data of the run in plain values, and ``checkpoints``, the oldest first: step, file, sha256,
        size, device, and the versions of torch and ganlab. None is listed while the first one is being written.

    Raises
    ------
    CheckpointError
        If there is none, it is damaged, of another format, or of a run with another recipe, seed or data.

    Examples
    --------
    >>> manifest("nowhere")
    Traceback (most recent call last):
    ganlab.neural.checkpoints.CheckpointError: there are no checkpoints in nowhere
    """
    path = Path(folder) / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise CheckpointError(f"{path} has format {found['schema']!r}, and ganlab {__version__} reads {SCHEMA}: "
                                  "use the version of ganlab that wrote it")  # fmt: skip
        for entry in found["checkpoints"]:
            if not all(type(entry[k]) is kind for k, kind in ENTRY.items()) or not NAME.fullmatch(entry["file"]):
                raise ValueError(entry)
        if type(found["checkpoints"]) is not list:
            raise TypeError(found["checkpoints"])
        {**found["recipe"], "seed": found["seed"], "data": found["data"]}
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"there are no checkpoints in {folder}") from None
    except (OSError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: put back a copy, or move the folder away and start again") from error
    if run and (differences := _fits.differences(found, _fits.about(run))):
        raise CheckpointError(f"{folder} holds another run: {'; '.join(differences)}. Build the run as it was, "
                              "or choose another folder")  # fmt: skip
    return found


def latest(folder):
    """Return the path of the newest checkpoint that is what was saved, bit for bit.

    Raises
    ------
    CheckpointError
        If there is none.

    Examples
    --------
    >>> latest("nowhere")
    Traceback (most recent call last):
    ganlab.neural.checkpoints.CheckpointError: there are no checkpoints in nowhere
    """
    found = _whole(folder, _listed(folder))
    if found is None:
        raise CheckpointError(f"every checkpoint in {folder} is damaged")
    return Path(folder) / found["file"]


def load(run, path, previous=False, same=True):
    """Put `run` back to where its last checkpoint was taken; nothing is changed unless everything fits.

    On the same machine, device and torch version it goes on bit for bit as if it had never stopped. ``steps`` may
    differ if neither learning rate nor noise depends on them: such a run can be made longer.

    Parameters
    ----------
    run : Run
        Built as it was when the checkpoint was taken.
    path : path
        The folder, or one of its checkpoints.
    previous : bool
        Take an older checkpoint if the newest is damaged.
    same : bool
        Require recipe, seed and data to be those of the checkpoint. To draw samples, networks that fit are enough.

    Returns
    -------
    pathlib.Path
        The checkpoint that was taken.

    Raises
    ------
    CheckpointError
        If the file is damaged (the message names an older one that is not), unsafe, or of another run.

    Examples
    --------
    See `save`.
    """
    path = Path(path)
    folder = path.parent if path.suffix == ".pt" and not path.is_dir() else path
    entries = _listed(folder, run if same else None)
    if path != folder:
        entries = entries[next((k for k, e in enumerate(entries) if e["file"] == path.name), len(entries)) :]
    if not entries:
        raise CheckpointError(f"{path} is not listed in {folder / MANIFEST}, so nobody knows whether it is whole")
    for k, entry in enumerate(entries, start=1):
        try:
            tensors, rates = _read(run, folder, entry)
            break
        except CheckpointError as error:
            older = _whole(folder, entries[k:])
            if not (previous and older):
                offer = f"; {older['file']} is whole: previous=True takes it" if older else ""
                raise CheckpointError(f"{error}{offer}") from error
    _fits.restore(run, entry["step"], tensors, rates)
    there, here = (entry.get("torch"), entry.get("device")), (torch.__version__, run.device.type)
    if there != here:
        warnings.warn(f"this checkpoint was written by torch {there[0]} on {there[1]}, and here are {here[0]} and "
                      f"{here[1]}: training goes on, but not bit for bit", stacklevel=2)  # fmt: skip
    return folder / entry["file"]


def _listed(folder, run=None):
    """The checkpoints that count, the newest first; at least one."""
    entries = manifest(folder, run)["checkpoints"][::-1]
    if not entries:
        raise CheckpointError(f"there are no checkpoints in {folder}: its run ended before the first one was written")
    return entries


def _bytes(folder, entry):
    """The content of a checkpoint, if it is what was saved."""
    path = Path(folder) / entry["file"]
    try:
        if (size := path.stat().st_size) != entry["size"]:
            raise CheckpointError(f"{path} is damaged: it has {size} bytes instead of {entry['size']}")
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if sha256(data).hexdigest() != entry["sha256"]:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}")
    return data


def _whole(folder, entries):
    """The first of the entries whose file is what was saved, or None."""
    for entry in entries:
        with suppress(CheckpointError):
            _bytes(folder, entry)
            return entry
    return None


def tidy(folder):
    """Remove checkpoints that the manifest does not list and what dead savers left behind."""
    listed = {entry["file"] for entry in manifest(folder)["checkpoints"]}
    for path in list(folder.iterdir()):
        if NAME.fullmatch(path.name) and path.name not in listed:
            path.unlink()
    sweep(folder)


def _read(run, folder, entry):
    """The tensors and learning rates of a checkpoint, if all of them fit the run; nothing is run or copied."""
    data, path = _bytes(folder, entry), folder / entry["file"]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(record.file_size for record in archive.infolist()) > len(data):
                raise ValueError("it would unpack to more than its size")
        # said here, because an environment variable can turn the default off
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        wanted = (SCHEMA, entry["step"], *sorted(_fits.state_of(run)))
        found = (state["schema"], state["step"], *sorted(state))
        if found != wanted:
            raise ValueError(f"schema, step and parts are {found} instead of {wanted}")
        tensors, rates = _fits.flat(state), {k: float(state[k]["param_groups"][0]["lr"]) for k in _fits.players(run)[1]}
    except Exception as error:
        # torch's own words advise to turn the safety off
        why = error if type(error) is ValueError else type(error).__name__
        raise CheckpointError(f"{path} is no checkpoint of ganlab: {why}") from error
    _fits.compare(tensors, run, entry["step"], path)
    _fits.refuse_not_finite(tensors, run, path)
    if not all(0 <= rate < math.inf for rate in rates.values()):
        raise CheckpointError(f"{path} has learning rates {rates}")
    return tensors, rates
