"""A long training in a folder: stopped, killed, locked, diverged or out of space, it loses nothing and says what is so.

"Fault n" is number n of the forty faults that the project answers for.
"""

import errno
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

torch = pytest.importorskip("torch")

from test_checkpoints import FEATURES, advance, build, everything, exit_code, fork, full, posix, same  # noqa: E402

from ganlab import InputError  # noqa: E402
from ganlab.neural import _history, _locks, sessions  # noqa: E402
from ganlab.neural.checkpoints import CheckpointError, latest, manifest, save, started  # noqa: E402
from ganlab.neural.runs import DivergedError  # noqa: E402
from ganlab.neural.sessions import Interrupted, fit, open_folder, read_history, resume  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

LONG = {"steps": 10**6}


def quiet(run, folder=None, **options):
    return fit(run, folder, progress=False, **{"every": 1, **options})


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def signalling(step, *signums):
    """A training loop during which signals arrive."""

    def loop(run):
        for record in train(run):
            if record.step == step:
                for signum in signums:
                    os.kill(os.getpid(), signum)
            yield record

    return loop


def until(condition, seconds=60):
    """Wait, looking at no clock that can be set."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.002)
    return found


# --- a training that is not disturbed ------------------------------------------------------------------------------


def test_fit_is_the_loop_with_history_and_checkpoints(tmp_path):
    run, plain = build(), build()
    history = quiet(run, tmp_path / "run", save_every=2, every=2)
    rows = advance(plain, 6)
    assert history == rows[1::2]
    assert same(everything(run), everything(plain))
    assert [entry["step"] for entry in manifest(tmp_path / "run")["checkpoints"]] == [4, 6]
    text = (tmp_path / "run" / "history.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in text.splitlines()] == history == read_history(tmp_path / "run")
    assert names(tmp_path / "run") == ["checkpoints.json", "history.jsonl", "step-00000004.pt", "step-00000006.pt"]


def test_the_last_step_is_saved_once_whatever_save_every_is(tmp_path):
    quiet(build(), tmp_path / "a", save_every=1000)
    assert [entry["step"] for entry in manifest(tmp_path / "a")["checkpoints"]] == [6]
    quiet(build(), tmp_path / "b", save_every=3)
    assert [entry["file"] for entry in manifest(tmp_path / "b")["checkpoints"]] == [f"step-0000000{k}.pt" for k in "36"]
    quiet(build(steps=0), tmp_path / "c")
    assert [entry["step"] for entry in manifest(tmp_path / "c")["checkpoints"]] == [0]


def test_fit_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [row["step"] for row in quiet(build(), every=3)] == [3, 6]
    assert names(tmp_path) == []


def test_rows_are_on_the_disk_while_the_training_goes_on(tmp_path, monkeypatch):
    seen = []

    def loop(run):
        for record in train(run):
            yield record
            seen.append(len(read_history(tmp_path)))

    monkeypatch.setattr(sessions, "train", loop)
    quiet(build(), tmp_path)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_the_bar_shows_the_numbers_that_matter(capsys):
    fit(build(), every=3)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "6/6" in shown.err
    for name in ("d_gain", "g_gain", "real", "fake", "d_norm", "g_norm"):
        assert name in shown.err
    fit(build(), progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_bar_of_a_resumed_run_starts_where_the_run_does(capsys):
    run = build()
    advance(run, 4)
    fit(run, every=1)
    assert "4/6" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["every", "save_every"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_intervals_are_whole_numbers(name, value):
    with pytest.raises(InputError, match=f"{name} must be a whole number"):
        fit(build(), **{name: value})


def test_nothing_looks_at_the_clock(tmp_path, monkeypatch):
    """Fault 34."""
    monkeypatch.setattr(time, "time", full)
    run = build()
    quiet(run, tmp_path, save_every=2)
    again = build(start=7)
    resume(again, tmp_path)
    assert same(everything(again), everything(run))


# --- resuming ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", ["wgan-gp, three critic steps, lazy", "stack", "all at once"])
def test_fit_after_resume_is_an_unbroken_fit(feature, tmp_path, monkeypatch):
    """Fault 33: weights, history and the bytes of the history."""
    whole = build(**FEATURES[feature])
    rows = quiet(whole, tmp_path / "whole")
    for k in (1, 3, 5):
        folder = tmp_path / str(k)
        monkeypatch.setattr(sessions, "train", signalling(k, signal.SIGTERM))
        with pytest.raises(Interrupted):
            quiet(build(**FEATURES[feature]), folder)
        monkeypatch.undo()
        again = build(**FEATURES[feature], start=7)
        assert resume(again, folder) == rows[:k]
        assert quiet(again, folder) == rows
        assert same(everything(again), everything(whole))
        assert (folder / "history.jsonl").read_bytes() == (tmp_path / "whole" / "history.jsonl").read_bytes()


def test_a_history_beyond_the_checkpoint_is_cut(tmp_path, monkeypatch):
    """A kill after step 5 of a run that was saved at step 4: steps 5 and 6 happen again."""
    whole, run = build(), build()
    rows = quiet(whole, tmp_path / "whole")
    quiet(build(), tmp_path / "run", save_every=2)
    with open(tmp_path / "run" / "history.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 7}\n{"step": 8, "d_ga')
    (tmp_path / "run" / "step-00000006.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-00000004.pt is whole"):
        resume(run, tmp_path / "run")
    assert resume(run, tmp_path / "run", previous=True) == rows[:4]
    seen = []

    def loop(run):
        seen.extend(read_history(tmp_path / "run"))  # the file is cut before the first step
        yield from train(run)

    monkeypatch.setattr(sessions, "train", loop)
    assert quiet(run, tmp_path / "run", save_every=2) == rows
    assert seen == rows[:4]
    assert read_history(tmp_path / "run") == rows
    assert latest(tmp_path / "run").name.startswith("step-00000006")


def test_lines_that_are_no_rows_are_left_out(tmp_path):
    (tmp_path / "history.jsonl").write_bytes(
        b'{"step": 1}\n\xff\n3\n{"a": 1}\nnull\n\n{"step": "x"}\n{"step": 2}\n{"st'
    )
    assert read_history(tmp_path, 1) == [{"step": 1}]
    assert [row["step"] for row in read_history(tmp_path, 5)] == [1, 2]


def test_a_new_run_does_not_overwrite_an_old_one(tmp_path):
    quiet(build(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match="holds this run up to step 6: resume it"):
        quiet(build(), tmp_path)
    with pytest.raises(CheckpointError, match=r"another run: lr is 0.001 there and 0.5 here"):
        quiet(build(lr=0.5), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "checkpoints.json").write_bytes(b"{")
    with pytest.raises(CheckpointError, match="damaged"):
        quiet(build(), tmp_path)


def test_a_run_that_is_at_its_end_stays_there(tmp_path):
    run = build()
    rows = quiet(run, tmp_path)
    files = names(tmp_path)
    again = build(start=7)
    resume(again, tmp_path)
    assert quiet(again, tmp_path) == rows
    assert names(tmp_path) == files
    assert same(everything(again), everything(run))


def test_a_history_without_a_checkpoint_is_started_again(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    rows = quiet(build(), tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]


# --- signals (fault 33) --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signums", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT] * 3])
def test_a_signal_ends_the_step_saves_and_tells(tmp_path, monkeypatch, signums):
    handlers = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    monkeypatch.setattr(sessions, "train", signalling(3, *signums))
    run, plain = build(), build()
    with pytest.raises(
        Interrupted, match=rf"{signal.Signals(signums[0]).name} after step 3; saved: .*step-00000003.pt"
    ):
        quiet(run, tmp_path, save_every=2)
    advance(plain, 3)
    assert same(everything(run), everything(plain))
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert "lock" not in names(tmp_path)
    assert [entry["step"] for entry in manifest(tmp_path)["checkpoints"]] == [2, 3]
    assert len(read_history(tmp_path)) == 3


def test_an_interruption_is_a_ctrl_c_and_tells_the_signal():
    error = Interrupted(15, "x")
    assert isinstance(error, KeyboardInterrupt)
    assert not isinstance(error, Exception)
    assert error.signum == 15


def test_a_signal_without_a_folder_still_ends_the_step(monkeypatch):
    monkeypatch.setattr(sessions, "train", signalling(3, signal.SIGINT))
    run = build()
    with pytest.raises(Interrupted, match="SIGINT after step 3"):
        quiet(run)
    assert run.step == 3


def test_a_signal_during_the_last_checkpoint_is_not_lost(tmp_path, monkeypatch):
    def slow(run, folder):
        os.kill(os.getpid(), signal.SIGTERM)
        return save(run, folder)

    monkeypatch.setattr(sessions, "save", slow)
    with pytest.raises(Interrupted, match="SIGTERM after step 6"):
        quiet(build(), tmp_path)
    assert latest(tmp_path).name == "step-00000006.pt"


def test_handlers_come_back_after_errors(monkeypatch):
    def fails(run):
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(sessions, "train", fails)
    handlers = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(ZeroDivisionError):
        quiet(build())
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_in_a_thread_signals_are_left_alone(tmp_path):
    rows, seen = [], []

    def work():
        rows.extend(quiet(build(), tmp_path))
        seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert seen == [signal.getsignal(signal.SIGTERM)]


@posix
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_told_to_end_can_be_resumed_bit_for_bit(tmp_path, signum):
    def work():
        try:
            quiet(build(**LONG), tmp_path, save_every=10**6)
        except Interrupted as error:
            return 128 + error.signum

    pid = fork(work)
    until(lambda: len(read_history(tmp_path)) > 3)
    os.kill(pid, signum)
    assert exit_code(pid) == 128 + signum
    again, plain = build(**LONG, start=7), build(**LONG)
    rows = resume(again, tmp_path)
    assert rows == advance(plain, again.step) == read_history(tmp_path)
    assert advance(again, 3) == advance(plain, 3)
    assert same(everything(again), everything(plain))


@posix
def test_a_process_that_is_killed_can_be_resumed_bit_for_bit(tmp_path):
    """Fault 29: what was done since the last checkpoint is done again."""
    pid = fork(lambda: quiet(build(**LONG), tmp_path, save_every=5))
    until(lambda: len(read_history(tmp_path)) > 12)
    os.kill(pid, signal.SIGKILL)
    assert exit_code(pid) == -signal.SIGKILL
    assert "lock" in names(tmp_path)
    again, plain = build(steps=200, start=7), build(steps=200)
    rows = resume(again, tmp_path)
    assert again.step >= 10
    assert [row["step"] for row in rows] == list(range(1, again.step + 1))
    assert quiet(again, tmp_path) == advance(plain, 200)
    assert same(everything(again), everything(plain))
    assert "lock" not in names(tmp_path)


SCRIPT = """
import sys
import torch
from ganlab.neural.models.mlp import mlp
from ganlab.neural.recipes import Recipe
from ganlab.neural.runs import Run
from ganlab.neural.sessions import Interrupted, fit
torch.set_num_threads(1)
recipe = Recipe(steps=10**6, batch=8, ema=0.9)
data = torch.linspace(-1, 1, 128).reshape(64, 2)
try:
    fit(Run(mlp(2, 2, (8,), seed=0), mlp(2, 1, (8,), seed=50), data, recipe, device="cpu"), sys.argv[1], every=1)
except Interrupted as error:
    sys.exit(128 + error.signum)
"""


@posix
def test_a_script_in_the_c_locale_and_a_folder_of_odd_name_ends_well(tmp_path):
    """Faults 33 and 39: LANG=C, no UTF-8 mode, no terminal, blanks and letters of every kind."""
    folder = tmp_path / "é ж 训练 [1]"
    environment = {**os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                   "PYTHONPATH": str(Path(sessions.__file__).parents[2]), "OMP_NUM_THREADS": "1"}  # fmt: skip
    # a pipe at the parent's encoding would need UTF-8; the file system's own encoding passes any name through
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", SCRIPT, os.fsencode(folder)],
                               env=environment, stderr=subprocess.PIPE)  # fmt: skip
    until(lambda: process.poll() is not None or len(read_history(folder)) > 3)
    process.send_signal(signal.SIGINT)
    shown = process.communicate(timeout=60)[1]
    assert process.returncode == 130, shown
    assert b"d_gain" in shown
    data = torch.linspace(-1, 1, 128).reshape(64, 2)
    again, plain = build(**LONG, start=7, data=data), build(**LONG, data=data)
    assert resume(again, folder) == advance(plain, again.step)
    assert same(everything(again), everything(plain))


# --- divergence (fault 9) and full disks (fault 30) ----------------------------------------------------------------


def test_divergence_names_step_seed_and_the_last_good_checkpoint(tmp_path, monkeypatch):
    def spoil(run):
        for record in train(run):
            if record.step == 3:
                with torch.no_grad():
                    run.D[0].weight[0, 0] = np.nan
            yield record

    monkeypatch.setattr(sessions, "train", spoil)
    match = r"step 3: .*not finite.*\(seed 0, batch of step 3\). Last good checkpoint: .*step-00000002.pt"
    with pytest.raises(DivergedError, match=match):
        quiet(build(), tmp_path, save_every=2)
    assert "lock" not in names(tmp_path)
    run = build()
    assert len(resume(run, tmp_path)) == run.step == 2
    with pytest.raises(DivergedError, match=r"[GD]\.0\.weight .* Last good checkpoint: .*step-00000002.pt"):
        # NaN is looked for so rarely that a checkpoint comes first, and is refused even if the training keeps going
        quiet(build(check_every=1000, steps=20), tmp_path / "b", save_every=2, keep_going=True)
    with pytest.raises(DivergedError, match=r"Last good checkpoint: none, there are no checkpoints in"):
        quiet(build(), tmp_path / "c", save_every=100)
    with pytest.raises(DivergedError, match=r"Last good checkpoint: none, no folder was given"):
        quiet(build())


def broken_at(*steps):
    def broken(run, folder):
        if run.step in steps:
            raise CheckpointError("cannot write: no space left")
        return save(run, folder)

    return broken


def test_a_full_disk_stops_the_training_and_keeps_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "save", broken_at(4))
    run = build()
    with pytest.raises(CheckpointError, match="no space left"):
        quiet(run, tmp_path, save_every=2)
    assert run.step == 4
    assert latest(tmp_path).name == "step-00000002.pt"
    assert "lock" not in names(tmp_path)


def test_a_full_disk_is_borne_on_request_but_not_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "save", broken_at(4))
    with pytest.warns(UserWarning, match="goes on without what could not be written: cannot write"):
        assert len(quiet(build(), tmp_path / "a", save_every=2, keep_going=True)) == 6
    assert [entry["step"] for entry in manifest(tmp_path / "a")["checkpoints"]] == [2, 6]
    monkeypatch.setattr(sessions, "save", broken_at(6))
    for save_every in (3, 4):
        with pytest.raises(CheckpointError, match="no space left"):
            quiet(build(), tmp_path / str(save_every), save_every=save_every, keep_going=True)
    monkeypatch.setattr(sessions, "train", signalling(4, signal.SIGTERM))
    monkeypatch.setattr(sessions, "save", broken_at(4))
    with pytest.raises(CheckpointError, match="no space left"):
        quiet(build(), tmp_path / "d", keep_going=True)


def test_a_row_that_finds_no_room_comes_with_the_next_checkpoint(tmp_path, monkeypatch):
    real, calls = open, []

    def tight(path, mode="r", *args, **kwargs):
        calls.append(mode)
        return full() if mode == "a" and calls.count("a") in (2, 3) else real(path, mode, *args, **kwargs)

    monkeypatch.setattr(_history, "open", tight, raising=False)
    rows = quiet(build(), tmp_path)
    assert calls.count("a") == 6
    assert read_history(tmp_path) == rows
    assert len(rows) == 6


# --- folders and locks (faults 31, 32) -----------------------------------------------------------------------------


def test_a_path_that_cannot_be_a_folder_is_found_before_training(tmp_path):
    """Fault 31."""
    (tmp_path / "file").write_bytes(b"")
    run = build()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=r"cannot be a run's folder.*choose another path"):
            quiet(run, path)
    assert run.step == 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_to_is_found_before_training(tmp_path, monkeypatch, number):
    """Fault 31; a superuser may write anywhere, so the system's refusal is played."""

    def refuses(path, mode="r", *args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_locks, "open", refuses, raising=False)
    run = build()
    with pytest.raises(InputError, match=f"cannot be written to: .*{os.strerror(number)}"):
        quiet(run, tmp_path)
    assert run.step == 0


def test_a_lock_names_its_holder_and_goes_with_it(tmp_path):
    with open_folder(tmp_path / "a" / "b") as folder:
        assert folder == tmp_path / "a" / "b"
        held = json.loads((folder / "lock").read_text(encoding="utf-8"))
        assert held["pid"] == os.getpid()
        assert held["host"] == socket.gethostname()
        with pytest.raises(CheckpointError, match=f"in use by process {os.getpid()} on {held['host']}"):
            quiet(build(), folder)
        assert names(folder) == ["lock"]
    assert names(folder) == []
    with pytest.raises(ZeroDivisionError), open_folder(folder):
        raise ZeroDivisionError
    assert names(folder) == []


@posix
def test_what_a_killed_process_began_is_removed_from_its_folders_and_nothing_else(tmp_path):
    pid = fork(lambda: None)
    exit_code(pid)
    inside, deep = tmp_path / "samples", tmp_path / "somebody" / "elses"
    inside.mkdir(), deep.mkdir(parents=True)
    left = [folder / f".0004.png.{pid}.tmp" for folder in (tmp_path, inside)]
    kept = [inside / f".0004.png.{os.getppid()}.tmp", inside / ".mine.tmp", inside / "0004.png", deep / left[0].name]
    for file in (*left, *kept):
        file.touch()
    with open_folder(tmp_path):
        assert not any(file.exists() for file in left)
        assert all(file.exists() for file in kept)


@posix
def test_two_processes_do_not_share_a_folder(tmp_path):
    """Fault 32: the second is refused while the first lives, and takes over when it was killed."""
    pid = fork(lambda: quiet(build(**LONG), tmp_path, save_every=1))
    until(lambda: len(read_history(tmp_path)) > 1)
    with pytest.raises(CheckpointError, match=f"in use by process {pid} on"):
        quiet(build(), tmp_path)
    os.kill(pid, signal.SIGKILL)
    if sys.platform == "linux":  # dead, but its parent has not looked yet
        until(lambda: started(pid) is None)
        with open_folder(tmp_path):
            assert json.loads((tmp_path / "lock").read_text(encoding="utf-8"))["pid"] == os.getpid()
        (tmp_path / "lock").write_text(json.dumps({"pid": pid, "host": socket.gethostname(), "start": "x"}))
    exit_code(pid)
    with open_folder(tmp_path):
        pass
    assert "lock" not in names(tmp_path)


def lock(folder, **changes):
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "start": started(os.getpid()), **changes}
    (folder / "lock").write_text(json.dumps(holder), encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="the mark comes from /proc")
def test_a_lock_of_an_earlier_process_with_this_number_is_taken_over(tmp_path):
    lock(tmp_path, start="an earlier boot 123")
    with open_folder(tmp_path):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("changes", [{"host": "elsewhere", "pid": 2**30}, {"start": ""}, {"start": None}, {"pid": "1"},
                                     {"pid": True}, {"pid": -1}, {"pid": 0}, {"pid": None}])  # fmt: skip
def test_a_lock_of_which_little_is_known_is_respected(tmp_path, changes):
    lock(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=r"if it is surely gone, delete .*lock$"), open_folder(tmp_path):
        pass
    assert names(tmp_path) == ["lock"]


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b"3"])
def test_a_lock_that_is_being_written_is_respected(tmp_path, text):
    (tmp_path / "lock").write_bytes(text)
    with pytest.raises(CheckpointError, match=r"process \? on \?"), open_folder(tmp_path):
        pass


def test_a_mark_that_the_system_hides_is_no_proof_of_an_end(tmp_path, monkeypatch):
    lock(tmp_path, pid=os.getppid(), start="mark")
    monkeypatch.setattr(_locks, "started", lambda pid: "")
    with pytest.raises(CheckpointError, match="in use"), open_folder(tmp_path):
        pass


def test_a_lock_that_somebody_else_holds_by_now_is_left(tmp_path):
    with open_folder(tmp_path):
        lock(tmp_path, pid=1)
    assert names(tmp_path) == ["lock"]


@posix
@pytest.mark.parametrize("moment", ["before it is judged again", "before it is made again"])
def test_a_dead_lock_that_another_process_replaces_first_is_theirs(tmp_path, monkeypatch, moment):
    """Fault 32: the two moments at which somebody can come between."""
    lock(tmp_path, pid=2**22 + 1, start="gone")
    where, name = (fcntl, "flock") if moment.endswith("judged again") else (os, "unlink")
    real = getattr(where, name)

    def somebody_comes(*args, **kwargs):
        real(*args, **kwargs)
        if name == "flock" or Path(args[0]).name == "lock":
            lock(tmp_path, pid=os.getppid(), start=started(os.getppid()))

    monkeypatch.setattr(where, name, somebody_comes)
    with pytest.raises(CheckpointError, match=f"in use by process {os.getppid()}"), open_folder(tmp_path):
        pass
    monkeypatch.undo()
    assert names(tmp_path) == ["lock"]
    assert json.loads((tmp_path / "lock").read_text(encoding="utf-8"))["pid"] == os.getppid()


@posix
def test_a_dead_lock_is_left_to_the_process_that_replaces_it(tmp_path):
    lock(tmp_path, pid=2**22 + 1, start="gone")
    with open(tmp_path / "lock", "r+b") as judge:
        fcntl.flock(judge, fcntl.LOCK_EX)
        with pytest.raises(CheckpointError, match="in use"), open_folder(tmp_path):
            pass
        assert names(tmp_path) == ["lock"]
    with open_folder(tmp_path):
        pass


@posix
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, None])
def test_a_dead_lock_that_cannot_be_judged_is_refused_in_words(tmp_path, monkeypatch, number):
    """A file system without such locks, or one that hands out a file that has been replaced meanwhile."""
    lock(tmp_path, pid=2**22 + 1, start="gone")
    real = fcntl.flock

    def meanwhile(file, how):
        if number is not None:
            raise OSError(number, os.strerror(number))
        real(file, how)
        copy = shutil.copy(tmp_path / "lock", tmp_path / "copy")
        os.replace(copy, tmp_path / "lock")

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    with pytest.raises(CheckpointError, match="if it is surely gone, delete"), open_folder(tmp_path):
        pass
    assert names(tmp_path) == ["lock"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_lock_works_where_files_have_one_name_only(tmp_path, monkeypatch, number):
    """A USB stick, or Google Drive in Colab."""

    def refuses(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuses)
    with open_folder(tmp_path):
        assert json.loads((tmp_path / "lock").read_text(encoding="utf-8"))["pid"] == os.getpid()
        with pytest.raises(CheckpointError, match=f"in use by process {os.getpid()}"), open_folder(tmp_path):
            pass
        assert names(tmp_path) == ["lock"]
    assert names(tmp_path) == []


@posix
def test_of_many_that_find_a_dead_lock_one_gets_it(tmp_path):
    """Fault 32: to judge a lock and to replace it are two steps, between which others come."""
    pid = fork(lambda: None)
    exit_code(pid)
    for k in range(5):
        folder = tmp_path / str(k)
        folder.mkdir()
        lock(folder, pid=pid, start="gone")
        (reads, writes), (gate, opener) = os.pipe(), os.pipe()

        def work(folder=folder, gate=gate, writes=writes, opener=opener):
            os.close(opener)
            os.read(gate, 1)  # all start when the parent closes the gate
            try:
                with open_folder(folder):
                    os.write(writes, b"1")
                    time.sleep(0.3)
            except CheckpointError:
                os.write(writes, b"0")

        pids = [fork(work) for _ in range(6)]
        os.close(writes), os.close(opener)
        for child in pids:
            assert exit_code(child) == 0
        told = os.read(reads, 100)
        os.close(reads), os.close(gate)
        assert sorted(told) == sorted(b"000001")
        assert names(folder) == []


# --- many processes ------------------------------------------------------------------------------------------------


def pair(work):
    """Start ``work(rank)`` in two processes that torch joins; their numbers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def joined(rank):
        os.environ.update(RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1",
                          MASTER_PORT=str(port))  # fmt: skip
        return work(rank)

    return [fork(lambda rank=rank: joined(rank)) for rank in range(2)]


@posix
def test_of_two_processes_the_first_writes_and_both_stop_together(tmp_path):
    """The signal reaches the second process only, and neither is left waiting."""

    def work(rank):
        run = build(**LONG)
        try:
            quiet(run, tmp_path / "run", save_every=3)
        except Interrupted as error:
            (tmp_path / f"rank{rank}").write_text(f"{run.step} {run.D[0].weight.sum().item()}", encoding="utf-8")
            return 128 + error.signum

    pids = pair(work)
    until(lambda: len(read_history(tmp_path / "run")) > 7)
    os.kill(pids[1], signal.SIGTERM)
    assert [exit_code(pid) for pid in pids] == [143, 143]
    told = [(tmp_path / f"rank{rank}").read_text(encoding="utf-8") for rank in range(2)]
    assert told[0] == told[1]
    step = int(told[0].split()[0])
    assert manifest(tmp_path / "run")["checkpoints"][-1]["step"] == step
    assert len(read_history(tmp_path / "run")) == step
    run, plain = build(**LONG), build(**LONG)
    resume(run, tmp_path / "run")
    advance(plain, step)
    for key, value in everything(plain).items():
        torch.testing.assert_close(everything(run)[key], value, rtol=1e-4, atol=1e-5)


def test_all_processes_stop_if_one_is_told(monkeypatch):
    run = build()
    monkeypatch.setattr(sessions.parallel, "world", lambda: 2)
    for told, others in itertools.product(([], [2], [15]), (0.0, 15.0)):
        monkeypatch.setattr(sessions.parallel, "average", lambda x, others=others: (x + others) / 2)
        assert sessions._agree(run, told) == (told[0] if told else int(others))


@posix
@pytest.mark.parametrize("player", ["G", "D", "ema"])
def test_processes_that_no_longer_hold_the_same_weights_save_nothing(tmp_path, player):
    def work(rank):
        run = build()

        def loop(run):
            for record in train(run):
                if record.step == 3 and rank == 1:
                    with torch.no_grad():
                        next(getattr(run, player).parameters()).view(-1)[0] += 1e-6
                yield record

        sessions.train = loop
        try:
            quiet(run, tmp_path / "run", save_every=2, keep_going=True)
        except CheckpointError as error:
            (tmp_path / f"rank{rank}").write_text(str(error), encoding="utf-8")
            return 4

    assert [exit_code(pid) for pid in pair(work)] == [4, 4]
    for rank in range(2):
        told = (tmp_path / f"rank{rank}").read_text(encoding="utf-8")
        assert "the processes hold different weights (or buffers) at step 4" in told
        assert "step-00000002.pt" in told
    assert [entry["step"] for entry in manifest(tmp_path / "run")["checkpoints"]] == [2]
    assert "lock" not in names(tmp_path / "run")


@posix
@pytest.mark.parametrize("trouble", ["locked", "full"])
def test_what_stops_the_first_process_stops_the_other_in_the_same_way(tmp_path, trouble):
    def work(rank):
        if trouble == "full" and rank == 0:
            sessions.save = broken_at(2)
        try:
            quiet(build(), tmp_path / "run", save_every=2)
        except CheckpointError as error:
            notes = getattr(error, "__notes__", [])
            (tmp_path / f"rank{rank}").write_text(f"{error} {notes}", encoding="utf-8")
            return 4

    with open_folder(tmp_path / "other") as held:
        if trouble == "locked":
            (tmp_path / "run").symlink_to(held)
        assert [exit_code(pid) for pid in pair(work)] == [4, 4]
    told = [(tmp_path / f"rank{rank}").read_text(encoding="utf-8") for rank in range(2)]
    assert told[0].replace("[]", "['(raised in process 0)']") == told[1] != told[0]


# --- memory (fault 35) ---------------------------------------------------------------------------------------------


def test_a_gpu_that_is_full_is_one_line_with_advice_and_the_last_good_checkpoint(tmp_path, monkeypatch):
    """Fault 35; no such memory here, so a layer plays it."""
    run, calls, layer = build(), [], torch.nn.Linear.forward

    def greedy(self, x):
        calls.append(self)
        if run.step == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 80 GiB")
        return layer(self, x)

    for net in run.D.modules():
        if isinstance(net, torch.nn.Linear):
            net.forward = greedy.__get__(net)
    with pytest.raises(InputError, match=r"^out of memory on cpu after step 3: lower --batch .it is 8.*00002.pt$"):
        quiet(run, tmp_path, save_every=2)
    assert calls
    assert "lock" not in names(tmp_path)


# --- looking on ----------------------------------------------------------------------------------------------------


def test_look_is_called_after_every_checkpoint_that_is_on_the_disk_and_changes_nothing(tmp_path):
    run, plain, seen = build(), build(), []

    def look(run):
        seen.append((run.step, manifest(tmp_path)["checkpoints"][-1]["step"]))
        run.sample(5)

    rows = quiet(run, tmp_path, save_every=4, look=look)
    assert seen == [(4, 4), (6, 6)]
    assert rows == advance(plain, 6)
    assert same(everything(run), everything(plain))
    quiet(build(), look=seen.append)  # without a folder nothing is saved
    assert len(seen) == 2


def test_what_look_cannot_write_stops_the_run_unless_it_is_to_go_on(tmp_path):
    def look(run):
        if run.step < 6:
            raise CheckpointError("cannot write a sheet")

    with pytest.raises(CheckpointError, match="cannot write a sheet"):
        quiet(build(), tmp_path / "a", save_every=2, look=look)
    assert latest(tmp_path / "a").name == "step-00000002.pt"
    with pytest.warns(UserWarning, match="goes on without what could not be written: cannot write a sheet"):
        rows = quiet(build(), tmp_path / "b", save_every=2, look=look, keep_going=True)
    assert len(rows) == 6


@posix
def test_of_two_processes_the_first_looks_and_its_trouble_stops_both(tmp_path):
    def work(rank):
        def look(run):
            (tmp_path / f"looked{rank}-{run.step}").touch()
            if run.step == 4:
                raise CheckpointError("cannot write a sheet")

        try:
            quiet(build(), tmp_path / "run", save_every=2, look=look)
        except CheckpointError:
            return 4

    assert [exit_code(pid) for pid in pair(work)] == [4, 4]
    assert [name for name in names(tmp_path) if name.startswith("looked")] == ["looked0-2", "looked0-4"]


def test_the_bar_has_words_before_it(capsys):
    fit(build(), every=3, progress="level 8")
    assert "level 8: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes", ""])
def test_memory_that_runs_out_on_the_cpu_is_told_from_other_errors(words, monkeypatch):
    """Fault 35: torch has no class of its own for it on the CPU."""

    def fails(run):
        raise RuntimeError(words)
        yield

    monkeypatch.setattr(sessions, "train", fails)
    with pytest.raises(InputError if words else RuntimeError, match="out of memory on cpu" if words else "^$"):
        quiet(build())
