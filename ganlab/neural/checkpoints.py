"""Checkpoints: a run on disk, whole or not at all, and loaded only if every number in it fits.

Random numbers are a function of seed and step, so a checkpoint is the weights, the averaged generator, the optimisers'
moments and one whole number. A file is written beside its final name, forced to the disk and renamed, and it counts
once `checkpoints.json`, written in the same way, lists its SHA-256: a kill at any moment leaves the last one whole.
"""

import functools
import io
import json
import math
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import torch

from ganlab import __version__
from ganlab.neural.runs import DivergedError

__all__ = ["CheckpointError", "NotFinite", "latest", "load", "manifest", "save", "started", "write"]

SCHEMA, MANIFEST, KEEP = 1, "checkpoints.json", 2
NAME = re.compile(r"step-\d{8,}(-[0-9a-f]{8})?\.pt")
ENTRY = {"step": int, "file": str, "sha256": str, "size": int}


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or used; the message says which, why and what to do."""


class NotFinite(CheckpointError, DivergedError):
    """Weights that are not finite are not saved: the run has diverged."""


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
    folder, state = Path(folder), _state(run)
    _refuse_not_finite(_flat(state), run, f"this run at step {run.step}")
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
    try:
        write(folder / name, data)
        write(folder / MANIFEST, _json({"schema": SCHEMA, **_about(run), "checkpoints": entries}))
    finally:
        with suppress(OSError, CheckpointError):  # what stays lying about does no harm
            _tidy(folder)
    return folder / name


def write(path, data):
    """Put bytes into a file so that, whatever happens, the file is the old one or the new one, and whole.

    Raises
    ------
    CheckpointError
        If the disk is full or cannot be written; the old file stays and nothing is left beside it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder) / "a", b"one")
    ...     (Path(folder) / "a").read_bytes()
    b'one'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if os.name != "nt":  # where a folder cannot be opened, and a rename needs no such help
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error}; what was there before is intact. Free some space, "
                              "or choose another folder") from error  # fmt: skip
    finally:
        with suppress(OSError):  # after the rename it is gone
            temporary.unlink()


def manifest(folder, run=None):
    """Return what `checkpoints.json` says, and check that its checkpoints are those of `run` if one is given.

    Returns
    -------
    dict
        Recipe, seed and data of the run in plain values, and ``checkpoints``, the oldest first: step, file, sha256,
        size, device, and the versions of torch and ganlab.

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
        found["checkpoints"][0], {**found["recipe"], "seed": found["seed"], "data": found["data"]}
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"there are no checkpoints in {folder}") from None
    except (OSError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: put back a copy, or move the folder away and start again") from error
    if run and (differences := _differences(found, _about(run))):
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
    found = _whole(folder, manifest(folder)["checkpoints"][::-1])
    if found is None:
        raise CheckpointError(f"every checkpoint in {folder} is damaged")
    return Path(folder) / found["file"]


def load(run, path, previous=False):
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
    entries = manifest(folder, run)["checkpoints"][::-1]
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
    _restore(run, entry["step"], tensors, rates)
    there, here = (entry.get("torch"), entry.get("device")), (torch.__version__, run.device.type)
    if there != here:
        warnings.warn(f"this checkpoint was written by torch {there[0]} on {there[1]}, and here are {here[0]} and "
                      f"{here[1]}: training goes on, but not bit for bit", stacklevel=2)  # fmt: skip
    return folder / entry["file"]


def started(pid):
    """Return a mark of when a process was started, "" where the system has none to give, None if it has ended.

    The mark is not a time: it tells two processes apart that had the same number one after the other.

    Examples
    --------
    >>> started(os.getpid()) == started(os.getpid()) is not None
    True
    """
    if os.name == "nt":  # where os.kill(pid, 0) is Ctrl-C
        return ""
    try:
        os.kill(pid, 0)
        # after the name, which may hold blanks and brackets: the state is field 3, the start field 22
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        return ""
    return None if fields[0] in b"ZX" else f"{boot} {int(fields[19])}"


def _players(run):
    """The networks and the optimisers of a run, under their names in the file."""
    averaged = {} if run.ema is run.G else {"ema": run.ema}
    return {"G": run.G, "D": run.D, **averaged}, {"opt_G": run.opt_G, "opt_D": run.opt_D}


def _state(run):
    """What is saved: all that a run is, apart from what its script builds."""
    networks, optimizers = _players(run)
    state = {"schema": SCHEMA, "step": run.step, **{name: network.state_dict() for name, network in networks.items()}}
    for name, optimizer in optimizers.items():
        content = optimizer.state_dict()
        # in plain values: a NumPy number in a recipe would make a file that nothing loads
        state[name] = {"state": content["state"], "param_groups": _plain(content["param_groups"])}
    return state


def _flat(state):
    """Every tensor of a state under one name: ``G.0.weight``, ``opt_G.0.exp_avg``."""
    flat = {}
    for part, content in state.items():
        if part.startswith("opt_"):
            content = {f"{k}.{name}": t for k, slots in content["state"].items() for name, t in slots.items()}
        if part not in ("schema", "step"):
            flat.update({f"{part}.{name}": t for name, t in content.items()})
    return {name: t for name, t in flat.items() if t is not None}


def _refuse_not_finite(tensors, run, where):
    """Raise if a tensor holds NaN or infinity; in a stack, if it does so for every network."""
    for name, t in tensors.items():
        wrong = ~torch.isfinite(t)
        if wrong.flatten(1).any(1).all() if run.rng.stacked and t.ndim else wrong.any():
            raise NotFinite(f"{name} of {where} has {int(wrong.sum())} numbers that are not finite; go back "
                            "to an older checkpoint, with a lower lr or a stronger penalty")  # fmt: skip


def _about(run):
    """What tells runs apart, in plain values: recipe, seed, and a few figures of the data."""
    rows = run.data[:: max(1, len(run.data) // 1000)].double()
    figures = [float(f"{x:.5g}") for x in (rows.abs().mean(), rows.square().mean())]
    seed = list(run.rng.seeds) if run.rng.stacked else run.rng.seeds[0]
    recipe = {name: _plain(value) for name, value in vars(run.recipe).items()}
    return {"recipe": recipe, "seed": seed, "data": [list(run.data.shape), figures]}


def _plain(value):
    """A value of a recipe as JSON has it; a function by its name, an objective by what it answers, too."""
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(weight) for name, weight in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if hasattr(value, "d_gain"):
        t = torch.tensor([-1.5, -0.2, 0.4, 2.0], dtype=torch.float64)
        return [value.name, *(float(f"{gain(t, t.flip(0) / 3):.5g}") for gain in (value.d_gain, value.g_gain))]
    if isinstance(value, functools.partial):
        return f"{_plain(value.func)}{value.args}{value.keywords}"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return value.item() if hasattr(value, "item") else value


def _json(content):
    return json.dumps(content, indent=1).encode()


def _differences(saved, mine):
    """Where the run of a manifest and this one differ, one phrase each."""
    saved, mine = ({**about["recipe"], "seed": about["seed"], "data": about["data"]} for about in (saved, mine))
    mine = json.loads(_json(mine))
    if mine["schedule"] == "constant" and not mine["instance_noise"]:
        saved["steps"] = mine["steps"]  # nothing in the run depends on its length
    return [f"{name} is {saved.get(name)!r} there and {mine.get(name)!r} here"
            for name in sorted({*saved, *mine}) if saved.get(name) != mine.get(name)]  # fmt: skip


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


def _tidy(folder):
    """Remove checkpoints that the manifest does not list and what dead savers left behind."""
    listed = {e["file"] for e in manifest(folder)["checkpoints"]} if (folder / MANIFEST).exists() else ()
    for path in list(folder.iterdir()):
        left = re.fullmatch(r"\..+\.(\d+)\.tmp", path.name)
        if (left and started(int(left[1])) is None) or (NAME.fullmatch(path.name) and path.name not in listed):
            path.unlink()


def _read(run, folder, entry):
    """The tensors and learning rates of a checkpoint, if all of them fit the run; nothing is run or copied."""
    data, path = _bytes(folder, entry), folder / entry["file"]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(record.file_size for record in archive.infolist()) > len(data):
                raise ValueError("it would unpack to more than its size")
        # said here, because an environment variable can turn the default off
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        found, wanted = (state["schema"], state["step"], *sorted(state)), (SCHEMA, entry["step"], *sorted(_state(run)))
        if found != wanted:
            raise ValueError(f"schema, step and parts are {found} instead of {wanted}")
        tensors, rates = _flat(state), {k: float(state[k]["param_groups"][0]["lr"]) for k in _players(run)[1]}
    except Exception as error:
        # torch's own words advise to turn the safety off
        why = error if type(error) is ValueError else type(error).__name__
        raise CheckpointError(f"{path} is no checkpoint of ganlab: {why}") from error
    _compare(tensors, run, entry["step"], path)
    _refuse_not_finite(tensors, run, path)
    if not all(0 <= rate < math.inf for rate in rates.values()):
        raise CheckpointError(f"{path} has learning rates {rates}")
    return tensors, rates


def _compare(tensors, run, step, path):
    """Raise unless names, shapes and dtypes are those of the run."""
    networks, optimizers = _players(run)
    wanted = _flat({name: network.state_dict() for name, network in networks.items()})
    for part, optimizer in optimizers.items():
        parameters, slots = optimizer.param_groups[0]["params"], _slots(optimizer)
        # a parameter that never had a gradient has no moments
        given = {k for k in range(len(parameters)) if any(name.startswith(f"{part}.{k}.") for name in tensors)}
        for k in given or range(len(parameters) if step else 0):
            wanted |= {f"{part}.{k}.{slot}": parameters[k] if t.ndim else t for slot, t in slots.items()}
    for name in sorted({*tensors, *wanted}):
        if name not in wanted or name not in tensors:
            raise CheckpointError(f"{path} {'lacks' if name in wanted else 'has an unknown'} {name}")
        seen, own = tensors[name], wanted[name]
        if type(seen) is not torch.Tensor or seen.layout != torch.strided or seen.device.type != "cpu":
            raise CheckpointError(f"{name} of {path} is no plain tensor")
        if (seen.shape, seen.dtype) != (own.shape, own.dtype):
            raise CheckpointError(f"{name} of {path} is {tuple(seen.shape)} of {seen.dtype}, and this run has "
                                  f"{tuple(own.shape)} of {own.dtype}")  # fmt: skip


def _slots(optimizer):
    """What the optimiser keeps for a parameter, shown on a vector of zeros; a scalar stays one for every shape."""
    own = optimizer.param_groups[0]["params"][0]
    example = torch.zeros(1, dtype=own.dtype, requires_grad=True)
    example.grad = torch.zeros_like(example)
    twin = type(optimizer)([example], **optimizer.defaults)
    twin.step()
    return {slot: t for slot, t in twin.state[example].items() if t is not None}


def _restore(run, step, tensors, rates):
    """Copy what was checked into the run."""
    networks, optimizers = _players(run)
    for part, network in networks.items():
        network.load_state_dict({name: tensors[f"{part}.{name}"] for name in network.state_dict()})
    for part, optimizer in optimizers.items():
        groups, slots = optimizer.state_dict()["param_groups"], _slots(optimizer)
        groups[0]["lr"] = rates[part]
        state = {k: {slot: tensors[f"{part}.{k}.{slot}"].clone() for slot in slots}
                 for k in groups[0]["params"] if all(f"{part}.{k}.{slot}" in tensors for slot in slots)}  # fmt: skip
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    run.step = step
