"""Checkpoints: a resumed run is the unbroken one bit for bit, and no damage, malice or kill gets past the door.

"Fault n" is number n of the forty faults that the project answers for.
"""

import builtins
import dataclasses
import errno
import functools
import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
import zipfile
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from tqdm import tqdm  # noqa: E402

from ganlab import _files, label_smoothing  # noqa: E402
from ganlab.neural import _disk  # noqa: E402
from ganlab.neural.checkpoints import CheckpointError, NotFinite, latest, load, manifest, save, started  # noqa: E402
from ganlab.neural.minibatch import MinibatchDiscrimination, VirtualBatchNorm, WithReference  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.penalties import dragan, spectral_normalise  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import DivergedError, Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

DATA = torch.from_numpy(np.random.default_rng(0).normal(size=(64, 2))).float()
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def build(G=None, D=None, seed=0, start=0, data=DATA, **recipe):
    """A small run whose networks start from `start`; G and D are functions of it."""
    G = G or (lambda start: mlp(2, 2, (8,), seed=start))
    D = D or (lambda start: mlp(2, 1, (8,), seed=start))
    recipe = {"steps": 6, "batch": 8, "ema": 0.9, **recipe}
    return Run(G(start), D(start + 50), data, Recipe(**recipe), seed=seed, device="cpu")


def everything(run):
    """All numbers that a run has learnt, collected without the help of checkpoints.py."""
    numbers = {"step": torch.tensor(run.step)}
    for name, network in (("G", run.G), ("D", run.D), ("ema", run.ema)):
        numbers |= {f"{name}.{key}": value.clone() for key, value in network.state_dict().items()}
    for name, optimizer in (("opt_G", run.opt_G), ("opt_D", run.opt_D)):
        for k, slots in optimizer.state_dict()["state"].items():
            numbers |= {f"{name}.{k}.{key}": value.clone() for key, value in slots.items() if value is not None}
        numbers[f"{name}.lr"] = torch.tensor(optimizer.param_groups[0]["lr"], dtype=torch.float64)
    return numbers


def bits(tensor):
    return tensor.contiguous().numpy().tobytes()


def same(a, b):
    return a.keys() == b.keys() and all(a[k].shape == b[k].shape and bits(a[k]) == bits(b[k]) for k in a)


def advance(run, steps):
    """Train for some steps and return their rows."""
    return [record.row() for _, record in zip(range(steps), train(run), strict=False)]


def critic(*layers, inputs=2):
    """A function of the start that builds a critic with the given layers in the middle."""

    def make(start):
        torch.manual_seed(start)
        return nn.Sequential(nn.Linear(inputs, 8), *(layer() for layer in layers), nn.Linear(8, 1))

    return make


def virtual(start):
    reference = torch.randn(4, 2, generator=torch.Generator().manual_seed(start))
    return WithReference(critic(lambda: VirtualBatchNorm(8), nn.Tanh)(start), reference)


def discriminating(start):
    torch.manual_seed(start)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), MinibatchDiscrimination(8, 3, 2), nn.Linear(11, 1))


FEATURES = {
    "averaged generator": {"ema": 0.99},
    "no averaged generator": {"ema": 0.0},
    "lazy penalties": {"penalties": {"r1": 0.1, "r2": 0.2}, "lazy": 2},
    "wgan-gp, three critic steps, lazy": {"objective": "wasserstein", "penalties": {"wgan_gp": 10.0}, "n_critic": 3,
                                          "lazy": 2},
    "instance noise": {"instance_noise": 0.5, "noise_until": 0.7},
    "cosine": {"schedule": "cosine"},
    "linear, two rates": {"schedule": "linear", "lr_g": 1e-4},
    "unrolled": {"unroll": 2},
    "packed": {"pack": 2, "D": lambda start: mlp(4, 1, (8,), seed=start)},
    "spectral norm": {"D": lambda start: spectral_normalise(mlp(2, 1, (8,), seed=start))},
    "batch norm": {"G": lambda start: mlp(2, 2, (8, 8), norm="batch", seed=start),
                   "D": lambda start: mlp(2, 1, (8, 8), norm="batch", seed=start)},
    "torch's batch norm": {"G": lambda start: nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)),
                           "D": critic(lambda: nn.BatchNorm1d(8))},
    "virtual batch norm": {"D": virtual},
    "minibatch discrimination": {"D": discriminating},
    "dropout and consistency": {"D": lambda start: mlp(2, 1, (8,), dropout=0.5, seed=start),
                                "penalties": {"consistency": 2.0}},
    "torch's dropout": {"D": critic(nn.ReLU, nn.Dropout), "penalties": {"wgan_gp": 1.0}},
    "label smoothing": {"objective": label_smoothing(0.8)},
    "rmsprop, clipped": {"optimizer": "rmsprop", "objective": "wasserstein", "clip": 0.05, "n_critic": 2},
    "sgd, consensus": {"optimizer": "sgd", "game_terms": {"consensus": 0.1}},
    "rpgan": {"objective": "rpgan", "penalties": {"r1": 0.1, "r2": 0.1}},
    "ragan": {"objective": "ragan"},
    "bfloat16": {"precision": "bf16"},
    "a penalty of one's own": {"penalties": {functools.partial(dragan, sd=0.1): 1.0}},
    "stack": {"G": lambda start: mlp(2, 2, (8,), seed=(start, start + 1, start + 2)),
              "D": lambda start: mlp(2, 1, (8,), seed=(start, start + 1, start + 2), dropout=0.3), "seed": (3, 4, 5),
              "penalties": {"dragan": 1.0}, "schedule": "cosine"},
    "all at once": {"G": lambda start: mlp(2, 2, (8, 8), norm="batch", seed=start), "objective": label_smoothing(0.9),
                    "D": lambda start: spectral_normalise(mlp(4, 1, (8, 8), dropout=0.2, seed=start)), "pack": 2,
                    "n_critic": 2, "lazy": 3, "penalties": {"wgan_gp": 1.0, "consistency": 1.0, "drift": 0.1},
                    "instance_noise": 0.3, "schedule": "cosine", "unroll": 2, "lr_g": 2e-3},
}  # fmt: skip


@pytest.mark.parametrize("feature", FEATURES)
def test_a_resumed_run_is_the_unbroken_one_at_every_step(feature, tmp_path):
    """Fault 33 and the promise: bit for bit on the CPU, wherever it stopped."""
    run, rows, states = build(**FEATURES[feature]), [], []
    for k in range(6):
        save(run, tmp_path / str(k))
        states.append(everything(run))
        rows += advance(run, 1)
    end = everything(run)
    assert not same(states[0], states[1])
    for k in range(6):
        torch.manual_seed(1000 + k)  # nothing may depend on torch's own generator
        again = build(**FEATURES[feature], start=7)
        advance(again, k % 2)  # nor on what the run did before
        load(again, tmp_path / str(k))
        assert same(everything(again), states[k])
        assert advance(again, 6) == rows[k:]
        assert same(everything(again), end)


def test_the_optimiser_is_wholly_restored_with_its_present_rate(tmp_path):
    run = build(schedule="cosine")
    advance(run, 3)
    save(run, tmp_path)
    again = build(schedule="cosine")
    load(again, tmp_path)
    for mine, theirs in ((again.opt_G, run.opt_G), (again.opt_D, run.opt_D)):
        assert mine.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]
        assert [p is q for p, q in zip(mine.param_groups[0]["params"], mine.state, strict=True)] == [True]


def test_float64_images_in_channels_last_are_restored(tmp_path):
    def image_run(start):
        def generator(start):
            return nn.Sequential(nn.Linear(2, 48), nn.Unflatten(1, (3, 4, 4)), nn.Conv2d(3, 3, 3, padding=1)).double()

        def discriminator(start):
            return nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1)
            ).double()

        torch.manual_seed(start)
        data = torch.rand(16, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        return build(generator, discriminator, data=data, channels_last=True)

    run, again = image_run(0), image_run(1)
    advance(run, 3)
    save(run, tmp_path)
    load(again, tmp_path)
    assert again.D[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert advance(again, 3) == advance(run, 3)
    assert same(everything(again), everything(run))


def test_the_last_two_are_kept_and_listed(tmp_path):
    run = build()
    paths = [save(run, tmp_path / "a")]
    for _ in range(4):
        advance(run, 1)
        paths.append(save(run, tmp_path / "a"))
    assert [p.name for p in paths] == [f"step-{k:08d}.pt" for k in range(5)]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["checkpoints.json", paths[3].name, paths[4].name]
    listed = json.loads((tmp_path / "a" / "checkpoints.json").read_text(encoding="utf-8"))
    assert listed == manifest(tmp_path / "a")
    assert (listed["schema"], listed["seed"], listed["recipe"]["lr"]) == (2, 0, 1e-3)
    entry = listed["checkpoints"][-1]
    data = paths[4].read_bytes()
    assert (entry["step"], entry["size"], entry["sha256"]) == (4, len(data), sha256(data).hexdigest())
    assert entry["torch"] == torch.__version__
    assert entry["ganlab"]
    assert latest(tmp_path / "a") == paths[4]
    assert load(build(), tmp_path / "a") == paths[4]
    older = build()
    assert load(older, paths[3]) == paths[3]
    assert older.step == 3


def test_a_file_holds_state_dicts_for_anybody_to_use(tmp_path):
    run = build()
    advance(run, 2)
    state = torch.load(save(run, tmp_path), weights_only=True)
    network = mlp(2, 2, (8,), seed=9)
    network.load_state_dict(state["ema"])
    assert torch.equal(network[0].weight, run.ema[0].weight)
    assert set(state) == {"schema", "step", "G", "D", "ema", "opt_G", "opt_D"}


def test_saving_a_step_again_never_overwrites_a_listed_file(tmp_path):
    run = build()
    first = save(run, tmp_path)
    with torch.no_grad():
        run.G[0].bias += 1
    second = save(run, tmp_path)
    third = save(run, tmp_path)
    assert first.name != second.name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoints.json", third.name]
    again = build()
    load(again, tmp_path)
    assert same(everything(again), everything(run))


def test_a_future_that_was_given_up_is_dropped(tmp_path):
    run, older = build(), build()
    for _ in range(4):
        advance(run, 1)
        save(run, tmp_path)
    load(older, tmp_path / "step-00000003.pt")
    advance(older, 1)
    other = save(older, tmp_path)
    assert [e["step"] for e in manifest(tmp_path)["checkpoints"]] == [3, 4]
    assert latest(tmp_path) == other


def test_only_its_own_litter_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stray = [f".step-00000009.pt.{ended.pid}.tmp", f".checkpoints.json.{ended.pid}.tmp", "step-00000077.pt"]
    kept = [f".step-00000009.pt.{os.getppid()}.tmp", "step-best.pt", "notes.tmp", ".hidden", "step-00000001.pt.bak"]
    for name in stray + kept:
        (tmp_path / name).write_bytes(b"x")
    path = save(build(), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {*kept, path.name, "checkpoints.json"}


@posix
def test_a_process_that_has_ended_is_known_even_before_its_parent_looks():
    pid = fork(lambda: None)
    deadline = time.monotonic() + 10
    while started(pid) is not None and sys.platform == "linux" and time.monotonic() < deadline:
        time.sleep(0.001)  # a zombie from now on
    if sys.platform == "linux":
        assert started(pid) is None
    os.waitpid(pid, 0)
    assert started(pid) is None
    assert started(os.getpid()) == started(os.getpid())
    assert started(2**200) is None


# --- damage (faults 25, 26, 28) ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with steps 2 and 3, and their bytes."""
    folder, run = tmp_path_factory.mktemp("saved"), build()
    for _ in range(3):
        advance(run, 1)
        save(run, folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of it to spoil."""
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def refused(folder, match, run=None, **options):
    """Loading fails and leaves every number of the run as it was."""
    run = run or build(start=3)
    advance(run, 1)
    before = everything(run)
    with pytest.raises(CheckpointError, match=match) as caught:
        load(run, folder, **options)
    assert same(everything(run), before)
    assert not isinstance(caught.value, DivergedError)
    return str(caught.value)


def forge(folder, data):
    """Put other bytes into the newest checkpoint, and sign them as an attacker would."""
    listed = manifest(folder)
    (folder / "step-00000003.pt").write_bytes(data)
    listed["checkpoints"][-1] |= {"size": len(data), "sha256": sha256(data).hexdigest()}
    (folder / "checkpoints.json").write_text(json.dumps(listed), encoding="utf-8")


def forge_state(folder, change):
    """Forge a checkpoint whose state was changed."""
    state = torch.load(folder / "step-00000003.pt", weights_only=True)
    change(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    forge(folder, buffer.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100, None])
def test_a_file_that_was_cut_off_is_refused_and_the_previous_one_offered(folder, content):
    """Fault 25: truncated, empty, not a zip, missing."""
    newest = folder / "step-00000003.pt"
    newest.unlink() if content is None else newest.write_bytes(content)
    message = refused(folder, "step-00000003.pt (is damaged|cannot be read)")
    assert message.endswith("step-00000002.pt is whole: previous=True takes it")
    assert latest(folder).name == "step-00000002.pt"
    refused(newest, "step-00000002.pt is whole")
    run = build()
    assert load(run, folder, previous=True).name == "step-00000002.pt"
    advance(run, 1)
    reference = build()
    advance(reference, 3)
    assert same(everything(run), everything(reference))


def test_without_a_whole_checkpoint_there_is_nothing_to_offer(folder):
    for path in folder.glob("*.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    assert "previous" not in refused(folder, "it has .* bytes instead of")
    refused(folder, "damaged", previous=True)
    with pytest.raises(CheckpointError, match=r"is damaged$"):
        latest(folder)


def spoilt(saved, name, data, check):
    """Run `check` while the file holds `data`."""
    path = saved / name
    good = path.read_bytes()
    try:
        path.write_bytes(data(good))
        check()
    finally:
        path.write_bytes(good)


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60)
def test_one_flipped_bit_anywhere_is_noticed(saved, where, bit):
    """Fault 26: torch itself notices nothing in the middle of a tensor."""

    def flip(good):
        k = int(where * len(good))
        return good[:k] + bytes([good[k] ^ 1 << bit]) + good[k + 1 :]

    run = TARGET
    before = everything(run)

    def check():
        with pytest.raises(CheckpointError, match=r"SHA-256.*step-00000002.pt is whole"):
            load(run, saved)

    spoilt(saved, "step-00000003.pt", flip, check)
    assert same(everything(run), before)


@given(length=st.floats(0, 1, exclude_max=True))
@settings(max_examples=30)
def test_a_file_cut_off_anywhere_is_noticed(saved, length):
    """Fault 25."""

    def check():
        with pytest.raises(CheckpointError, match=r"bytes instead of.*step-00000002.pt is whole"):
            load(TARGET, saved)

    spoilt(saved, "step-00000003.pt", lambda good: good[: int(length * len(good))], check)


@functools.lru_cache
def load_new(folder):
    run = build()
    load(run, folder)
    return run


@given(where=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
@settings(max_examples=80)
def test_a_spoilt_manifest_is_refused_or_means_the_same(saved, where, byte):
    """Fault 26 for the manifest: no other exception, and never a state that was not saved."""
    run, truth = TARGET, everything(load_new(saved))
    load(run, saved / "step-00000002.pt")
    before = everything(run)

    def check():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the torch version was hit
            try:
                load(run, saved)
            except CheckpointError:
                assert same(everything(run), before)
            else:
                assert same(everything(run), truth)

    k = int(where * len((saved / "checkpoints.json").read_bytes()))
    spoilt(saved, "checkpoints.json", lambda good: good[:k] + bytes([byte]) + good[k + 1 :], check)


TARGET = build(start=3)


HOLLOW = '{"schema": 2, "recipe": %s, "seed": 0, "data": [], "checkpoints": [%s]}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "null", "[" * 100_000, b"\xff\xfe",
                                  HOLLOW % ("{}", "{}"), HOLLOW % ("3", ""),
                                  '{"schema": 2, "recipe": {}, "seed": 0, "data": [], "checkpoints": ""}'])  # fmt: skip
def test_a_manifest_that_is_none_is_refused(folder, text):
    (folder / "checkpoints.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(folder, "checkpoints.json is damaged")
    with pytest.raises(CheckpointError, match="is damaged"):
        save(build(), folder)


def test_a_manifest_cannot_point_outside_its_folder(folder):
    listed = manifest(folder)
    listed["checkpoints"][-1]["file"] = "../step-00000003.pt"
    (folder / "checkpoints.json").write_text(json.dumps(listed), encoding="utf-8")
    refused(folder, "is damaged")


def test_another_schema_is_named(folder):
    """Fault 28: versions."""
    listed = manifest(folder)
    listed["schema"] = 3
    (folder / "checkpoints.json").write_text(json.dumps(listed), encoding="utf-8")
    refused(folder, "has format 3, and ganlab .* reads 2")


def test_a_file_that_nobody_listed_is_refused(folder):
    (folder / "step-00000009.pt").write_bytes((folder / "step-00000003.pt").read_bytes())
    refused(folder / "step-00000009.pt", "is not listed in")


def test_a_folder_without_checkpoints_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        refused(path, f"no checkpoints in {path}")
        with pytest.raises(CheckpointError, match="no checkpoints"):
            latest(path)


def test_a_first_checkpoint_that_is_not_listed_does_not_count(tmp_path, monkeypatch):
    """Fault 29: a kill before it is listed is told from a list that was lost."""
    run, real, calls = build(), os.replace, []

    def fails(*args):
        calls.append(args)
        return full() if len(calls) == 3 else real(*args)

    monkeypatch.setattr(_disk.os, "replace", fails)
    with pytest.raises(CheckpointError, match="cannot write"):
        save(run, tmp_path)
    monkeypatch.undo()
    assert [os.path.basename(new) for _, new in calls] == ["checkpoints.json", "step-00000000.pt", "checkpoints.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints.json"]
    assert manifest(tmp_path, run)["checkpoints"] == []
    refused(tmp_path, "no checkpoints in .*ended before the first one was written")
    with pytest.raises(CheckpointError, match="ended before the first one"):
        latest(tmp_path)
    with pytest.raises(CheckpointError, match="holds another run: seed"):
        save(build(seed=1), tmp_path)
    assert latest(save(run, tmp_path).parent).name == "step-00000000.pt"


# --- malice (faults 27, 28) ----------------------------------------------------------------------------------------


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning",
                            "ignore:Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")  # fmt: skip
def test_a_pickle_bomb_is_refused_whatever_the_environment_says(folder, monkeypatch, legacy):
    """Fault 27: the variable turns torch's default off, but not an argument."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    payload = folder / "payload"
    state = torch.load(folder / "step-00000003.pt", weights_only=True)
    state["G"]["0.weight"] = Bomb(payload)
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    forge(folder, buffer.getvalue())
    torch.load(folder / "step-00000003.pt")
    assert payload.exists()  # the bomb is a real one
    payload.unlink()
    message = refused(folder, "is no checkpoint of ganlab")
    assert "weights_only" not in message  # torch's own message says how to turn the safety off
    assert not payload.exists()
    plain = pickle.dumps(Bomb(payload))
    payload.unlink(missing_ok=True)
    forge(folder, plain)
    refused(folder, "is no checkpoint of ganlab")
    assert not payload.exists()


def put(part, name, value):
    def change(state):
        state[part][name] = value(state[part][name]) if callable(value) else value

    return change


def put_slot(part, k, slot, value):
    def change(state):
        state[part]["state"][k][slot] = value(state[part]["state"][k][slot])

    return change


def poisoned(number):
    def change(t):
        t = t.clone()
        t.view(-1)[-1] = number
        return t

    return change


FORGERIES = {
    "NaN weight": (put("G", "0.weight", poisoned(np.nan)), r"G.0.weight of .* has 1 numbers that are not finite"),
    "infinite average": (put("ema", "2.bias", poisoned(np.inf)), r"ema.2.bias .* not finite"),
    "NaN moment": (put_slot("opt_D", 0, "exp_avg_sq", poisoned(np.nan)), r"opt_D.0.exp_avg_sq .* not finite"),
    "giant without memory": (put("D", "2.weight", torch.zeros(1).expand(10**6, 10**6)),
                             r"D.2.weight of .* is \(1000000, 1000000\)"),
    "giant moment": (put_slot("opt_D", 0, "exp_avg", lambda t: torch.zeros(1).expand(10**6, 10**6)),
                     r"opt_D.0.exp_avg of .* is \(1000000, 1000000\)"),
    "other shape": (put("G", "0.weight", lambda t: t[:, :1]), r"G.0.weight of .* is \(8, 1\) .* has \(8, 2\)"),
    "other dtype": (put("D", "0.bias", lambda t: t.double()), r"D.0.bias of .* is .*float64, .*float32"),
    "unknown key": (put("D", "9.bias", torch.zeros(1)), r"has an unknown D.9.bias"),
    "missing key": (lambda state: state["D"].pop("2.bias"), r"lacks D.2.bias"),
    "unknown slot": (lambda state: state["opt_D"]["state"][0].update(max=torch.zeros(1)), r"unknown opt_D.0.max"),
    "missing slot": (lambda state: state["opt_D"]["state"][0].pop("step"), r"lacks opt_D.0.step"),
    "no moments": (lambda state: state["opt_D"]["state"].clear(), r"lacks opt_D.0.exp_avg"),
    "unknown parameter": (lambda state: state["opt_D"]["state"].update({9: {}, 8: {"step": torch.zeros(())}}),
                          r"unknown opt_D.8.step"),
    "unknown part": (lambda state: state.update(H={}), r"schema, step and parts"),
    "missing part": (lambda state: state.pop("ema"), r"schema, step and parts"),
    "no mapping": (lambda state: state.update(opt_D=3), r"is no checkpoint of ganlab: TypeError"),
    "other schema": (lambda state: state.update(schema=1), r"schema, step and parts are \(1, 3"),
    "other step": (lambda state: state.update(step=2), r"schema, step and parts are \(2, 2"),
    "no number": (put("D", "2.bias", 0.5), r"D.2.bias of .* is no plain tensor"),
    "sparse": (put("D", "2.weight", lambda t: t.to_sparse()), r"D.2.weight of .* is no plain tensor"),
    "without storage": (put("D", "2.weight", lambda t: t.to("meta")), r"D.2.weight of .* is no plain tensor"),
    "NaN rate": (lambda state: state["opt_D"]["param_groups"][0].update(lr=np.nan), r"has learning rates"),
    "negative rate": (lambda state: state["opt_G"]["param_groups"][0].update(lr=-1.0), r"has learning rates"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_does_not_fit_is_refused_by_name_and_nothing_is_loaded(folder, forgery):
    """Fault 28, signed with the right hash: the check does not rest on the hash alone."""
    change, match = FORGERIES[forgery]
    forge_state(folder, change)
    assert "step-00000002.pt is whole" in refused(folder, match)
    run = build()
    load(run, folder, previous=True)
    assert run.step == 2


def test_rates_and_hyperparameters_are_the_runs_own(folder):
    forge_state(folder, lambda state: state["opt_D"]["param_groups"][0].update(weight_decay=1e9, betas=(0, 0), more=1))
    run, truth = build(), build()
    load(run, folder)
    advance(run, 1)
    advance(truth, 4)
    assert same(everything(run), everything(truth))


def test_an_expanded_tensor_of_the_right_shape_is_only_a_tensor(folder):
    forge_state(folder, put_slot("opt_D", 0, "exp_avg", lambda t: torch.zeros(1).expand(len(t))))
    run = build()
    load(run, folder)
    advance(run, 1)
    assert run.step == 4


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(folder):
    with zipfile.ZipFile(folder / "step-00000003.pt") as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
        archive.writestr("archive/data/99", bytes(10**7))
    forge(folder, buffer.getvalue())
    refused(folder, "unpack to more than its size")


# --- another run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lr": 2e-3}, r"lr is 0.001 there and 0.002 here"),
        ({"penalties": {"r1": 0.1}}, r"penalties is {} there and {'r1': 0.1} here"),
        ({"penalties": {dragan: 0.1}}, r"{'dragan': 0.1} here"),
        ({"objective": label_smoothing(0.8)}, r"objective is 'nonsaturating' there and \['label_smoothing\(0.8\)', -"),
        ({"betas": (0.0, 0.9)}, r"betas is \[0.5, 0.999\] there and \[0.0, 0.9\] here"),
        ({"seed": 1}, r"seed is 0 there and 1 here"),
        ({"data": DATA[:32]}, r"data is \[\[64, 2\], .* there and \[\[32, 2\]"),
        ({"data": DATA + 0.01}, r"data is \[\[64, 2\], "),
        ({"steps": 7, "schedule": "linear"}, r"schedule is 'constant' there and 'linear' here; steps is 6 there and 7"),
        ({"steps": 7, "instance_noise": 0.1}, r"steps is 6 there and 7 here"),
    ],
)
def test_another_run_is_refused_and_the_difference_named(folder, options, match):
    refused(folder, match, build(**options))
    with pytest.raises(CheckpointError, match=match):
        save(build(**options), folder)
    assert load(build(), folder).name == "step-00000003.pt"


def test_networks_of_other_shapes_are_refused(folder):
    refused(folder, r"D.0.bias of .* is \(8,\) .* has \(9,\)", build(D=lambda start: mlp(2, 1, (9,), seed=start)))


def test_objectives_of_one_name_are_told_apart_by_what_they_answer(tmp_path):
    save(build(objective=label_smoothing(0.9)), tmp_path)
    twin = dataclasses.replace(label_smoothing(0.7), name=label_smoothing(0.9).name)
    refused(tmp_path, "objective is", build(objective=twin))
    load(build(objective=label_smoothing(0.9)), tmp_path)


def test_numpy_numbers_in_a_recipe_are_the_numbers_they_are(tmp_path):
    save(build(lr=np.float32(0.5), batch=np.int64(8)), tmp_path)
    load(build(lr=0.5), tmp_path)


def test_a_run_that_does_not_know_its_length_can_be_made_longer(folder):
    run, truth = build(steps=9), build(steps=9)
    load(run, folder)
    rows = advance(run, 99)
    assert rows == advance(truth, 99)[3:]
    assert same(everything(run), everything(truth))
    save(run, folder)
    assert manifest(folder)["recipe"]["steps"] == 9


@pytest.mark.parametrize("key", ["torch", "device"])
def test_another_torch_or_device_is_told(folder, key):
    listed = manifest(folder)
    listed["checkpoints"][-1][key] = "elsewhere"
    (folder / "checkpoints.json").write_text(json.dumps(listed), encoding="utf-8")
    with pytest.warns(UserWarning, match="elsewhere.*not bit for bit"):
        load(build(), folder)


# --- what is not saved (faults 9, 30, 31) --------------------------------------------------------------------------


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_weights_that_are_not_finite_are_not_saved(folder):
    """Fault 9: the last good checkpoint stays."""
    run, before = build(), files(folder)
    load(run, folder)
    advance(run, 1)
    with torch.no_grad():
        run.D[2].weight[0, 3] = np.nan
    with pytest.raises(NotFinite, match=r"D.2.weight of this run at step 4 has 1 numbers") as caught:
        save(run, folder)
    assert isinstance(caught.value, CheckpointError)
    assert isinstance(caught.value, DivergedError)
    assert files(folder) == before
    run = build()
    load(run, folder)
    next(iter(run.opt_G.state.values()))["exp_avg"][0] = np.inf
    with pytest.raises(NotFinite, match=r"opt_G.0.exp_avg"):
        save(run, folder)


def test_a_stack_is_saved_until_the_last_network_is_lost(tmp_path):
    run = build(**FEATURES["stack"])
    with torch.no_grad():
        run.D[0].weight[:2] = np.nan
    save(run, tmp_path)
    again = build(**FEATURES["stack"], start=7)
    load(again, tmp_path)
    assert torch.isnan(again.D[0].weight).flatten(1).all(1).tolist() == [True, True, False]
    with torch.no_grad():
        run.D[0].weight[2, 0, 0] = np.nan
    with pytest.raises(NotFinite, match=r"D\.0\.weight"):
        save(run, tmp_path)


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_leaves_what_was_there(folder, monkeypatch, name, call):
    """Fault 30, at every write of a save: file and folder, checkpoint and manifest."""
    run, before, real, calls = build(), files(folder), getattr(os, name), []
    load(run, folder)
    advance(run, 1)

    def fails(*args):
        calls.append(args)
        return full() if len(calls) == call + 1 else real(*args)

    monkeypatch.setattr(_disk.os, name, fails)
    if name == "replace" and call > 1:
        save(run, folder)
        assert len(calls) == 2
        return
    with pytest.raises(CheckpointError, match=r"cannot write .*No space left on device.*intact"):
        save(run, folder)
    monkeypatch.undo()
    if (name, call) != ("fsync", 3):  # there the manifest is in place already
        assert files(folder) == before
    again = build()
    load(again, folder)
    assert again.step == (4 if (name, call) == ("fsync", 3) else 3)
    assert not [p for p in folder.iterdir() if p.suffix == ".tmp"]
    save(run, folder)
    load(again, folder)
    assert same(everything(again), everything(run))


def test_a_disk_that_takes_half_a_file_leaves_no_stub(folder, monkeypatch):
    """Fault 30."""
    run, before, real = build(), files(folder), builtins.open
    load(run, folder)

    def half(path, mode="r", *args, **kwargs):
        file = real(path, mode, *args, **kwargs)
        if "w" not in mode:
            return file
        write = file.write

        class Half:
            def __enter__(self):
                return self

            def __exit__(self, *args):
                file.close()

            def write(self, data):
                write(data[: len(data) // 2])
                full()

        return Half()

    monkeypatch.setattr(_files, "open", half, raising=False)
    with pytest.raises(CheckpointError, match="No space left"):
        save(run, folder)
    assert files(folder) == before


def fork(work):
    """Run `work` in a copy of this process that never returns to pytest; its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the other threads of this process hold nothing we need
        pid = os.fork()
    if pid == 0:
        code = 99
        tqdm.set_lock(threading.RLock())  # its own is shared: who was killed with it would stop the parent's bars, too
        try:
            code = work() or 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    return pid


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@posix
def test_a_real_quota_leaves_what_was_there(folder):
    """Fault 30: the system itself refuses to write beyond 3,000 bytes."""
    import resource

    before, run = files(folder), build()
    load(run, folder)

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        try:
            save(run, folder)
        except CheckpointError as error:
            return 4 if "cannot write" in str(error) else 5

    assert exit_code(fork(work)) == 4
    assert files(folder) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    """Fault 31."""
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(CheckpointError, match=f"the folder {path} cannot be used"):
            save(build(), path)


# --- kill -9 (fault 29) --------------------------------------------------------------------------------------------


@posix
def test_a_hundred_kills_at_random_moments_lose_nothing(tmp_path):
    run, reported, rng = build(steps=10**6), 0, np.random.default_rng(0)
    save(run, tmp_path)
    for k in range(100):
        reads, writes = os.pipe()

        def work(run=run, writes=writes):
            for _ in train(run):
                save(run, tmp_path)
                os.write(writes, struct.pack("q", run.step))

        pid = fork(work)
        os.close(writes)
        told = os.read(reads, 8) if k % 4 else b""  # mostly in the midst, sometimes at the very start
        time.sleep(rng.uniform(0, 0.04))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while more := os.read(reads, 8000):
            told += more
        os.close(reads)
        reported = struct.unpack("q", told[-8:])[0] if told else reported
        run = build(steps=10**6, start=3)
        load(run, tmp_path)
        assert reported <= run.step <= reported + 1, k
        reported = run.step
    assert reported > 75
    truth = build(steps=10**6)
    advance(truth, reported)
    assert same(everything(run), everything(truth))
    save(run, tmp_path)
    assert len(list(tmp_path.iterdir())) <= 3  # two checkpoints and the manifest: nothing was left lying about


@posix
def test_a_kill_before_each_call_to_the_system_loses_nothing(folder):
    outcomes = []
    for call in range(100):
        run, seen = build(steps=10**6), []
        load(run, folder)
        before = run.step
        advance(run, 1)

        def dies(event, args, call=call, seen=seen):
            path = str(args[0]) if args else ""
            if event in ("open", "os.rename", "os.remove", "fsync") and (event == "fsync" or str(folder) in path):
                seen.append(event)
                if len(seen) == call + 1:
                    os.kill(os.getpid(), signal.SIGKILL)

        def work(run=run, dies=dies, real=os.fsync):
            os.fsync = lambda descriptor: (dies("fsync", ()), real(descriptor))
            sys.addaudithook(dies)
            save(run, folder)

        code = exit_code(fork(work))
        again = build(steps=10**6, start=3)
        load(again, folder)
        assert code in (0, -signal.SIGKILL)
        assert again.step in ((before + 1,) if code == 0 else (before, before + 1))
        outcomes.append(again.step - before)
        if code == 0:
            break
    assert call > 10
    assert {0, 1} == set(outcomes)


# --- names and clocks (faults 34, 39) ------------------------------------------------------------------------------


def test_blanks_and_letters_of_every_kind_in_paths(tmp_path):
    folder = tmp_path / "é run [1] ж *" / "Ünïcode 训练"
    run = build()
    advance(run, 1)
    save(run, folder)
    again = build(start=3)
    load(again, folder)
    assert same(everything(again), everything(run))
    assert latest(folder).parent == folder


def test_nothing_looks_at_the_clock(tmp_path, monkeypatch):
    """Fault 34: a clock that was set back, or another time zone, changes nothing."""
    contents = []
    for k in range(2):
        run = build()
        advance(run, 2)
        with monkeypatch.context() as patch:
            if k:
                patch.setattr(time, "time", full)
                patch.setenv("TZ", "Asia/Kolkata")
            save(run, tmp_path / str(k))
            load(run, tmp_path / str(k))
        contents.append((tmp_path / str(k) / "checkpoints.json").read_bytes())
    assert contents[0] == contents[1]
