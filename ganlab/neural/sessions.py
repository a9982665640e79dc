"""A long training: progress on the screen, history and checkpoints in a folder, and an orderly stop.

A folder belongs to one process at a time. It holds the checkpoints (`ganlab.neural.checkpoints`), ``history.jsonl``
with one JSON object a line, and ``lock`` while somebody trains.
"""

import signal
import threading
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from ganlab.checks import InputError, whole
from ganlab.neural import parallel
from ganlab.neural._history import append, read_history, write_history
from ganlab.neural._locks import open_folder
from ganlab.neural.checkpoints import MANIFEST, CheckpointError, latest, load, manifest, save, tidy
from ganlab.neural.devices import no_memory
from ganlab.neural.runs import DivergedError
from ganlab.neural.training import train

__all__ = ["Interrupted", "fit", "open_folder", "read_history", "resume"]


class Interrupted(KeyboardInterrupt):
    """SIGTERM or Ctrl-C stopped the training after a whole step; `signum` tells which, the message where to go on.

    Like Ctrl-C everywhere, it is no `Exception`: code that goes on after errors does not swallow it.
    """

    def __init__(self, signum, message):
        super().__init__(message)
        self.signum = signum


def fit(run, folder=None, *, every=100, save_every=1000, progress=True, keep_going=False, look=None):
    """Train `run` up to its last step, with progress, history and checkpoints.

    SIGTERM and Ctrl-C let the step end and save; further ones are ignored until that is done. In a thread other than
    the main one signals are left alone. Of many processes the first one writes.

    Parameters
    ----------
    run : Run
        A new one, or one that `resume` has put back.
    folder : path, optional
        Made if it is missing; without one nothing is saved.
    every : int
        Steps from one row of the history to the next.
    save_every : int
        Steps from one checkpoint to the next; there is one after the last step, too.
    progress : bool or str
        Show a bar, after these words if there are any.
    keep_going : bool
        Go on, with a warning, when a checkpoint cannot be written; the last one must be.
    look : callable, optional
        Called with the run after each checkpoint, in the first process while the others wait: to draw samples, say. It
        leaves the run as it is.

    Returns
    -------
    list of dict
        The history from step 1 on: `Record.row` of every step that `every` divides.

    Raises
    ------
    Interrupted
        After SIGTERM or Ctrl-C, when all is saved.
    DivergedError
        If the run left the finite numbers; the message names the last good checkpoint.
    CheckpointError
        If the folder is in use or holds another or a later run, a checkpoint (or what `look` writes) cannot be written,
        or many processes no longer hold the same weights.
    InputError
        If the folder cannot be made or written to, a number is out of range, or the GPU's memory does not suffice.

    Examples
    --------
    >>> from ganlab.neural.models.mlp import mlp
    >>> from ganlab.neural.recipes import Recipe
    >>> from ganlab.neural.runs import Run
    >>> run = Run(mlp(2, 2), mlp(2, 1), torch.zeros(128, 2), Recipe(steps=6), device="cpu")
    >>> [row["step"] for row in fit(run, every=2, progress=False)]
    [2, 4, 6]
    """
    whole("every", every), whole("save_every", save_every)
    folder = None if folder is None else Path(folder)
    first = parallel.rank() == 0
    with ExitStack() as stack:
        told = stack.enter_context(_signals())
        if folder:
            parallel.lead(lambda: stack.enter_context(open_folder(folder)))
        history, saved = _begin(run, folder)
        words = progress if isinstance(progress, str) else None
        bar = tqdm(desc=words, total=run.recipe.steps, initial=run.step, disable=not (progress and first))
        stack.enter_context(bar)
        try:
            for record in train(run):
                bar.update()
                if record.step % every == 0:
                    history.append(record.row())
                    bar.set_postfix_str(str(record).partition(", ")[2], refresh=False)
                    append(folder, history[-1])
                stop = _agree(run, told)
                if stop or run.step % save_every == 0:
                    _store(run, folder, history, look, keep_going and not stop and run.step < run.recipe.steps)
                    saved = run.step
                if stop:
                    break
            if saved != run.step:
                _store(run, folder, history, look)
        except DivergedError as error:
            raise DivergedError(f"{error} (seed {run.seed}, batch of step {run.step}). "
                                f"Last good checkpoint: {_last_good(folder)}") from error  # fmt: skip
        except (MemoryError, RuntimeError) as error:
            if not no_memory(error):
                raise
            raise InputError(f"out of memory on {run.device} after step {run.step}: lower --batch (it is "
                             f"{run.recipe.batch}), --unroll or the width of the networks. Last good checkpoint: "
                             f"{_last_good(folder)}") from error  # fmt: skip
        if stop := _agree(run, told):  # perhaps while the last checkpoint was written
            raise Interrupted(stop, f"{signal.Signals(stop).name} after step {run.step}; saved: {_last_good(folder)}")
    return history


def resume(run, folder, previous=False):
    """Put `run` back to its last checkpoint in `folder`; `fit` with the same folder then goes on.

    Parameters
    ----------
    run, previous
        As for `ganlab.neural.checkpoints.load`.
    folder : path
        Only read.

    Returns
    -------
    list of dict
        The history up to the checkpoint; what `fit` had written beyond it happens again.

    Raises
    ------
    CheckpointError
        As `ganlab.neural.checkpoints.load` does.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from ganlab.neural.models.mlp import mlp
    >>> from ganlab.neural.recipes import Recipe
    >>> from ganlab.neural.runs import Run
    >>> def build(steps):
    ...     return Run(mlp(2, 2), mlp(2, 1), torch.zeros(128, 2), Recipe(steps=steps), device="cpu")
    >>> with TemporaryDirectory() as folder:
    ...     half = fit(build(2), folder, every=1, progress=False)
    ...     longer = build(4)
    ...     rows = resume(longer, folder)
    ...     rows == half, [row["step"] for row in fit(longer, folder, every=1, progress=False)]
    (True, [1, 2, 3, 4])
    """
    load(run, folder, previous)
    return read_history(folder, run.step)


@contextmanager
def _signals():
    """Note SIGTERM and SIGINT in a list instead of acting on them."""
    told = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {s: signal.signal(s, lambda signum, frame: told.append(signum)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler or signal.SIG_DFL)  # None: one that was not set from Python


def _agree(run, told):
    """The signal to stop for, or 0; all processes stop after the same step, for the others would wait for ever."""
    signum = told[0] if told else 0
    if parallel.world() > 1:
        anyone = parallel.average(torch.tensor(float(signum), device=run.device)).item()
        return signum or (int(signal.SIGTERM) if anyone else 0)
    return signum


def _begin(run, folder):
    """The rows that `run` has behind it, and the step at which it was saved last."""
    if folder is None:
        return [], run.step
    listed = manifest(folder, run)["checkpoints"] if (folder / MANIFEST).exists() else []
    saved = listed[-1]["step"] if listed else None
    if run.step == 0 and saved:
        raise CheckpointError(f"{folder} holds this run up to step {saved}: resume it "
                              "(`ganlab.neural.sessions.resume`), or choose another folder")  # fmt: skip
    history = read_history(folder, run.step)

    def clear():
        write_history(folder, history)
        if listed:
            tidy(folder)  # a kill may have come between the new checkpoint and the end of the old one

    parallel.lead(clear)
    return history, saved


def _store(run, folder, history, look, keep_going=False):
    """Write history and checkpoint, in this order, and look, in the first process; the others wait."""
    if folder is None:
        return
    if not all(parallel.same_everywhere(network) for network in (run.G, run.D, run.ema)):
        raise CheckpointError(f"the processes hold different weights (or buffers) at step {run.step}, which are not "
                              f"saved: does a layer average over its own part of the batch? Last good checkpoint: "
                              f"{_last_good(folder)}")  # fmt: skip

    def write_all():
        write_history(folder, history)
        save(run, folder)
        if look:
            look(run)

    try:
        parallel.lead(write_all)
    except CheckpointError as error:
        if not keep_going or isinstance(error, DivergedError):
            raise
        if parallel.rank() == 0:
            warnings.warn(f"training goes on without what could not be written: {error}", stacklevel=3)


def _last_good(folder):
    """Where a stopped run can be taken up again, in words."""
    try:
        return latest(folder) if folder is not None else "none, no folder was given"
    except CheckpointError as error:
        return f"none, {error}"
