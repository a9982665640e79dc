"""The command line: thin over the functions that a script calls, and every failure is one line and a code."""

import dataclasses
import errno
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ganlab import InputError  # noqa: E402
from ganlab.cli import main  # noqa: E402
from ganlab.data import DATASETS, ring, two_peaks  # noqa: E402
from ganlab.neural import _arguments, _formats, _planar, checkpoints, cli, sessions  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train as loop  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--hidden", "8", "8", "--batch", "16", "--points", "500", "--device", "cpu"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Each test in a folder of its own, whose name has what breaks careless programs."""
    folder = tmp_path / "é runs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def train(*more, steps=4, data="ring"):
    return main(["train", data, *SMALL, "--steps", str(steps), *more])


def config(folder="runs/ring"):
    return json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))


def samples(folder="runs/ring", *more):
    assert main(["sample", folder, "-n", "50", "-o", "samples.npy", *more]) == 0
    return np.load("samples.npy")


def shell(*command, **environment):
    """Run a command in a process of its own, as far from a comfortable terminal as can be."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    everything = {**plain, "LANG": "C", "LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, *command], env=everything, capture_output=True, timeout=120)


def one_line(capsys):
    """The only line on stderr, which is no traceback."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ganlab: ")
    return line


def test_train_and_sample_do_what_a_script_does():
    assert train("--penalty", "r1=0.1", "--penalty", "drift=0.5", "--lr", "0.01", "--seed", "7") == 0
    G, D = mlp(2, 2, (8, 8), seed=14), mlp(2, 1, (8, 8), seed=15)
    recipe = Recipe(penalties={"r1": 0.1, "drift": 0.5}, lr=0.01, steps=4, batch=16)
    run = Run(G, D, ring(), recipe, seed=7, device="cpu", points=500)
    list(loop(run))
    np.testing.assert_array_equal(samples(), run.sample(50))
    np.testing.assert_array_equal(samples("runs/ring", "--seed", "3", "--no-averaged"), run.sample(50, 3, False))


def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(capsys):
    flags = ["--penalty", "consistency=1", "--dropout", "0.2", "--spectral-norm", "--pack", "2", "--every", "1"]
    assert train(*flags, "--out", "whole", steps=6) == 0
    assert train(*flags, "--out", "broken", steps=3) == 0
    assert main(["resume", "broken", "--steps", "6"]) == 0
    np.testing.assert_array_equal(samples("broken"), samples("whole"))
    assert Path("broken/history.jsonl").read_bytes() == Path("whole/history.jsonl").read_bytes()
    assert config("broken") == config("whole")
    assert main(["resume", "broken"]) == 0  # has nothing left to do
    assert capsys.readouterr().err == ""


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again():
    assert train() == 0
    truth = samples()
    for file in (*Path("runs/ring").glob("step*"), Path("runs/ring/checkpoints.json"), Path("runs/ring/result.json")):
        file.unlink()
    assert main(["resume", "runs/ring"]) == 0
    np.testing.assert_array_equal(samples(), truth)


def test_checkpoints_without_their_list_are_not_overwritten_by_a_new_start(capsys):
    assert train() == 0
    Path("runs/ring", checkpoints.MANIFEST).unlink()
    assert main(["resume", "runs/ring"]) == 4
    assert "there are no checkpoints in" in one_line(capsys)
    assert Path("runs/ring/step-00000004.pt").exists()


def test_a_setting_that_an_older_run_json_lacks_has_its_default():
    assert train() == 0
    old = {name: value for name, value in config().items() if name != "save_every"}
    Path("runs/ring/run.json").write_text(json.dumps(old), encoding="utf-8")
    assert main(["resume", "runs/ring", "--steps", "5"]) == 0


def test_the_modes_of_an_earlier_step_are_not_listed(capsys):
    assert train() == 0
    Path("runs/ring/result.json").write_text('{"step": 3, "modes": [[8, 8, 1.0]]}', encoding="utf-8")
    capsys.readouterr()
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "ring  ring  4/4  nonsaturating\n"


# What is typed for each field of the recipe, and what it then is in run.json.
TYPED = {
    "objective": ("hinge", "hinge"), "penalties": ("r1=0.25", {"r1": 0.25}),
    "game_terms": ("consensus=0.25", {"consensus": 0.25}), "clip": ("0.25", 0.25), "steps": ("3", 3),
    "batch": ("99", 99), "optimizer": ("sgd", "sgd"), "lr": ("0.25", 0.25), "lr_g": ("0.25", 0.25),
    "betas": ("0.25 0.75", [0.25, 0.75]), "schedule": ("linear", "linear"), "ema": ("0.25", 0.25),
    "instance_noise": ("0.25", 0.25), "noise_until": ("0.25", 0.25), "unroll_lr": ("0.25", 0.25),
    "unroll_through": ("", False), "precision": ("bf16", "bf16"), "channels_last": ("", True),
    **dict.fromkeys(("n_critic", "lazy", "unroll", "pack", "latent", "check_every"), ("3", 3)),
}  # fmt: skip
FLAGS = {"penalties": "--penalty", "game_terms": "--game-term", "unroll_through": "--no-unroll-through"}


@pytest.mark.parametrize("name", vars(Recipe()))
def test_every_field_of_the_recipe_is_a_flag(name):
    typed, value = TYPED[name]
    flag = FLAGS.get(name, "--" + name.replace("_", "-"))
    start = ["train", "ring", "--hidden", "4", "--steps", "0", "--points", "500", "--device", "cpu"]
    assert main([*start, flag, *typed.split()]) == 0
    default = json.loads(json.dumps(vars(Recipe(steps=0))))
    assert default[name] != value
    assert config()["recipe"] == {**default, name: value}


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_can_be_learned_and_drawn(name, capsys):
    assert train(data=name) == 0
    of = len(DATASETS[name]().modes)
    assert (f"/{of} modes, " if of else "has no modes") in capsys.readouterr().out
    assert main(["sample", f"runs/{name}", "-n", "30", "-o", "ü.PNG"]) == 0
    assert Path("ü.PNG").read_bytes().startswith(b"\x89PNG")
    assert main(["sample", f"runs/{name}", "-n", "30", "-o", "x.csv"]) == 0
    assert main(["sample", f"runs/{name}", "-n", "30", "-o", "x.npy"]) == 0
    rows = np.loadtxt("x.csv", delimiter=",", skiprows=1, ndmin=2)
    np.testing.assert_allclose(rows, np.load("x.npy"), rtol=1e-7)
    assert rows.shape == (30, DATASETS[name]().dim)


@pytest.fixture
def drawn(monkeypatch):
    """Draw a picture of samples and return its axes."""
    from ganlab import plots

    def draw(samples, law):
        with monkeypatch.context() as patch:
            patch.setattr(plots.plt, "close", lambda figure: None)
            assert _formats.FORMATS[".png"](samples, law).startswith(b"\x89PNG")
        (ax,) = plots.plt.gcf().axes
        return ax

    yield draw
    plots.plt.close("all")


@pytest.mark.parametrize("name", ["ring", "unequal", "grid"])
def test_samples_are_drawn_over_the_modes_of_their_law(name, drawn):
    law = DATASETS[name]()
    ax = drawn(law.sample(40, np.random.default_rng(1)), law)
    np.testing.assert_array_equal([circle.center for circle in ax.patches], law.modes)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), law.sample(40, np.random.default_rng(1)))
    assert ax.get_aspect() == 1


@pytest.mark.parametrize("name", ["swiss_roll", "disjoint_lines"])
def test_samples_of_a_curve_are_drawn_over_the_data_in_their_window(name, drawn):
    law = DATASETS[name]()
    samples = np.full((40, 2), 1e-3)  # a collapse
    ax = drawn(samples, law)
    data, generated = (line.get_xydata() for line in ax.lines)
    np.testing.assert_array_equal(data, law.sample(40, np.random.default_rng(0)))
    np.testing.assert_array_equal(generated, samples)
    assert ax.get_xlim()[1] > np.abs(data).max()


def test_samples_on_a_line_are_a_histogram_under_the_density(drawn):
    law = two_peaks()
    samples = law.sample(4000, np.random.default_rng(1))
    samples[0] = np.nan
    ax = drawn(samples, law)
    x, density = ax.lines[0].get_xydata().T
    peaks = [np.exp(-((x - centre) ** 2) / 2) for centre in (-3, 3)]
    np.testing.assert_allclose(density, sum(peaks) / np.sqrt(8 * np.pi))
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height(), bar.get_width()) for bar in ax.patches]
    centres, heights, widths = np.transpose(bars)
    assert heights @ widths == pytest.approx(1)
    assert np.abs(heights - np.interp(centres, x, density)).max() < 0.06


def test_the_result_is_what_the_metrics_say(capsys):
    assert train("--lr", "0.01", steps=60) == 0
    from ganlab.metrics import modes_report

    run, law = cli.build(config())
    sessions.resume(run, "runs/ring")
    assert capsys.readouterr().out == f"step 60: {modes_report(run.sample(), law)}\n"


def test_several_seeds_train_at_once_and_are_told_apart(capsys):
    assert train("--seed", "3", "5") == 0
    assert train("--seed", "5", "--name", "five") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 4, seed 3", "step 4, seed 5", "step 4"]
    np.testing.assert_allclose(samples()[1], samples("runs/five"), atol=1e-5)
    assert main(["sample", "runs/ring", "-o", "x.csv"]) == 2
    assert "2 seeds at once: take a .npy file" in one_line(capsys)


def test_list_shows_each_run_and_says_which_are_damaged(capsys):
    assert train("--penalty", "r1=0.1") == 0
    assert train("--objective", "hinge", "--out", "runs/deep/x") == 0
    Path("runs/\x1b[31mred").mkdir()
    Path("runs/\x1b[31mred/run.json").write_text('{"recipe": 5}')
    capsys.readouterr()
    assert main(["list"]) == 0
    rows = [line.split(None, 4) for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:4] == ["?[31mred", "?", "?", "damaged"]
    assert rows[1][:4] == [str(Path("deep/x")), "ring", "4/4", "hinge"]
    assert rows[2][:4] == ["ring", "ring", "4/4", "nonsaturating"]
    assert rows[2][4].startswith("+ r1 0.1")
    assert "/8 modes" in rows[2][4]


BAD = {
    "ring --objective gan": "unknown objective 'gan': choose one of hinge",
    "ring --penalty r1": "write NAME=WEIGHT, such as r1=0.1, not 'r1'",
    "ring --penalty r1=-1": "the weight of r1",
    "ring --penalty r3=1": "unknown penalty 'r3'",
    "ring --penalty consistency=1": "put Dropout layers in D",
    "ring --steps many": "--steps",
    "ring --steps -1": "steps must be a whole number of at least 0",
    "ring --lr nan": "lr must be",
    "ring --betas 0.5": "betas must be two numbers",
    "ring --every 0": "every must be",
    "ring --batch 1000": "0 batches",
    "ring --seed -1": "seed must be",
    "ring --seed 9223372036854775808": "seed must be",
    "ring --hidden 0": "hidden must be",
    "ring --activation sigmoid": "unknown activation",
    "ring --device gpu": "there is no device 'gpu' on this machine: choose auto or one of cpu",
    "ring --name ../../x": "--name is one plain word",
    "ring --name ..": "--name is one plain word",
    "ring --name a\\b": "--name is one plain word",
    "ring --name a --out b": "not allowed with",
    "rings": "unknown data set 'rings'",
    "../ring": "unknown data set '../ring'",
    "ring --step 5": "unrecognized arguments: --step",
    "ring --out file/run": "cannot be a run's folder",
    "": "the following arguments are required: DATA",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_line_and_code_2_and_leaves_no_run_behind(line, capsys):
    Path("file").touch()
    arguments = line.split(" ") if line else []
    assert main(["train", *arguments[:1], *SMALL, "--steps", "2", *arguments[1:]]) == 2
    assert BAD[line] in one_line(capsys)
    assert not list(Path().rglob("*.json"))
    if "consistency" in line:
        assert train("--penalty", "consistency=1", "--dropout", "0.5") == 0  # in the same folder


def test_a_largest_seed_is_fine():
    assert train("--seed", str(2**63 - 1)) == 0


@pytest.mark.parametrize("command", ["resume no", "sample no -o x.npy", "sample no -o x.txt", "list no", "sample", ""])
def test_a_run_that_is_not_there_is_bad_input(command, capsys):
    assert main(command.split()) == 2
    one_line(capsys)


def test_a_folder_with_a_run_is_not_trained_in_again(capsys):
    assert train() == 0
    before = samples()
    assert train() == 2
    assert "runs/ring is not empty: `ganlab resume runs/ring` goes on" in one_line(capsys).replace("\\", "/")
    np.testing.assert_array_equal(samples(), before)
    assert main(["resume", "runs/ring", "--steps", "2"]) == 2
    assert "is at step 4 already" in one_line(capsys)
    Path("mine").mkdir()
    Path("mine/thesis.tex").touch()
    assert train("--out", "mine") == 2
    assert "resume" not in one_line(capsys)
    assert os.listdir("mine") == ["thesis.tex"]


def test_a_run_that_diverges_is_code_3_with_the_step_and_the_last_good_checkpoint(capsys):
    flags = ["--objective", "quadratic", "--optimizer", "sgd", "--lr", "1e12", "--save-every", "1"]
    assert train(*flags, steps=50) == 3
    line = one_line(capsys)
    assert "step " in line
    assert "Last good checkpoint" in line


def test_a_folder_in_use_is_code_4(capsys):
    assert train() == 0
    with sessions.open_folder("runs/ring"):
        assert main(["resume", "runs/ring", "--steps", "9"]) == 4
    assert "is in use by process" in one_line(capsys)
    assert config()["recipe"]["steps"] == 4


def test_a_full_disk_is_code_4_and_the_last_checkpoint_stays(capsys, monkeypatch):
    assert train() == 0
    truth = samples()

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(["resume", "runs/ring", "--steps", "9"]) == 4
        assert "No space left" in one_line(capsys)
        assert main(["sample", "runs/ring", "-o", "x.npy"]) == 4
    one_line(capsys)
    assert not Path("x.npy").exists()
    np.testing.assert_array_equal(samples(), truth)


def test_a_damaged_checkpoint_is_code_4_and_the_one_before_can_be_taken(capsys):
    assert train("--save-every", "2") == 0
    newest = Path("runs/ring/step-00000004.pt")
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    for command in (["sample", "runs/ring", "-o", "x.npy"], ["resume", "runs/ring"]):
        assert main(command) == 4
        assert "step-00000002.pt is whole" in one_line(capsys)
        assert main([*command, "--previous"]) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '"\xff"', '{"recipe": {"steps": 1}}',
                                  '{"data": "ring", "recipe": {"x": 1}}'])  # fmt: skip
def test_a_damaged_run_json_is_code_4(text, capsys):
    assert train() == 0
    Path("runs/ring/run.json").write_bytes(text.encode("latin-1"))
    assert main(["resume", "runs/ring"]) == 4
    assert "run.json is damaged" in one_line(capsys)
    assert main(["list"]) == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_with_the_code_of_the_signal(signum, capsys, monkeypatch):
    def interrupted(run):
        for record in loop(run):
            if run.step == 3:
                os.kill(os.getpid(), signum)
            yield record

    assert train("--out", "whole", steps=6) == 0
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "train", interrupted)
        assert train("--out", "broken", steps=6) == 128 + signum
    assert "after step 3; saved" in one_line(capsys)
    assert main(["resume", "broken"]) == 0
    np.testing.assert_array_equal(samples("broken"), samples("whole"))


def test_memory_that_runs_out_is_bad_input_with_advice(capsys, monkeypatch):
    def greedy(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 80 GiB")

    monkeypatch.setattr(sessions, "fit", greedy)
    assert train() == 2
    assert "lower --batch" in one_line(capsys)


@pytest.mark.parametrize("when", ["at the start", "in the second step"])
def test_a_layer_that_finds_no_memory_is_one_line_and_code_2(when, capsys, monkeypatch):
    """Fault 35."""
    real, calls = torch.nn.functional.linear, []

    def greedy(*arguments):
        calls.append(arguments)
        if len(calls) > (0 if when == "at the start" else 30):
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 80 GiB")
        return real(*arguments)

    monkeypatch.setattr(torch.nn.functional, "linear", greedy)
    assert train() == 2
    assert "out of memory" in (line := one_line(capsys))
    assert "lower --batch" in line
    assert not list(Path().rglob("run.json"))


def test_warnings_are_one_line_and_name_no_file(capsys):
    import warnings

    assert train() == 0
    manifest = Path("runs/ring", checkpoints.MANIFEST)
    manifest.write_text(manifest.read_text().replace(torch.__version__, "1.0"))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["resume", "runs/ring"]) == 0
    assert "warning: this checkpoint was written by torch 1.0" in one_line(capsys)


def test_help_shows_names_and_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    for word in ("wgan_gp_one_sided", "rpgan", "swiss_roll", "rmsprop", "cosine", "gradient_norm", "torchrun", "tanh",
                 "Discriminator steps for each generator step. (default: 1)"):  # fmt: skip
        assert word in text


def examples():
    """The commands of ``--help``, as a shell would split them; words in brackets are remarks."""
    text = _arguments.EXAMPLES.partition("\n\n")[0].replace("\\\n", " ")
    return [shlex.split(line.partition("   (")[0], comments=True) for line in text.splitlines()[1:]]


@pytest.mark.parametrize("words", examples(), ids=" ".join)
def test_every_example_of_the_help_can_be_pasted(words):
    assert "ganlab" in words
    name = words[words.index("ganlab") + 1]
    given = _arguments.parse(words[words.index("ganlab") + 1 :], dict.fromkeys(_arguments.COMMANDS, name))
    assert given.command == name


def test_the_grid_of_the_help_is_that_of_the_benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import quality

    (words,) = [words for words in examples() if "--init-d" in words]
    assert main([*words[1:], *SMALL, "--steps", "1", "--out", "grid"]) == 0
    described = config("grid")
    *_, start, recipe = quality.TASKS["grid"]
    assert words[words.index("--steps") + 1] == str(recipe.steps)
    found = Recipe(**{**described["recipe"], "betas": tuple(described["recipe"]["betas"])})  # a list in JSON
    assert dataclasses.replace(found, steps=recipe.steps, batch=recipe.batch) == recipe
    assert _planar.STARTS[described["init_g"]] == _planar.STARTS[described["init_d"]] == start == quality.ORTHOGONAL


def test_the_command_runs_without_locale_terminal_or_display(elsewhere):
    flags = [*SMALL, "--steps", "4", "--name", "é ü"]
    done = shell("-W", "error", "-m", "ganlab", "train", "ring", *flags)
    assert (done.returncode, done.stderr) == (0, b"")  # no progress bar
    assert done.stdout.startswith(b"step 4: ")
    failed = shell("-m", "ganlab", "list", "é no")
    assert (failed.returncode, failed.stdout, failed.stderr.decode().strip()) == (
        2,
        b"",
        "ganlab: there is no folder é no",
    )


def test_two_processes_train_the_run_of_one(elsewhere):
    assert train("--objective", "ragan", "--penalty", "r1=0.1", "--out", "one") == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ganlab"]
    flags = [*SMALL, "--steps", "4", "--objective", "ragan", "--penalty", "r1=0.1", "--out", "two"]
    done = shell(*torchrun, "train", "ring", *flags)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b"step 4: ") == 1
    np.testing.assert_allclose(samples("two"), samples("one"), atol=1e-6)


def test_a_folder_that_the_first_process_cannot_have_ends_both_with_one_line(elsewhere):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": "2"}
    command = ["-m", "ganlab", "train", "ring", *SMALL, "--out", "held"]
    with sessions.open_folder("held"), ThreadPoolExecutor() as pool:
        ranks = [{**address, "RANK": str(k), "LOCAL_RANK": str(k)} for k in range(2)]
        first, second = pool.map(lambda rank: shell(*command, **rank), ranks)
    assert (first.returncode, second.returncode) == (4, 4)
    assert b"ganlab (process 0): held is in use by process" in first.stderr
    assert first.stderr.count(b"\n") == 1
    assert second.stderr == b""


def test_without_torch_the_command_says_what_to_install():
    code = "import sys; sys.modules['torch'] = None; from ganlab.cli import main; sys.exit(main(['list']))"
    done = shell("-c", code)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().strip() == "ganlab: training needs torch: pip install 'ganlab[torch]'"


def test_spectral_norm_is_the_critics_alone():
    described = {"data": "ring", "recipe": {"steps": 1}, "hidden": [6], "points": 500, "spectral_norm": True}
    run, _ = cli.build(described, device="cpu")
    norms = [torch.linalg.matrix_norm(net[0].weight, 2).item() for net in (run.D, run.G)]
    assert norms[0] == pytest.approx(1, abs=1e-5)
    assert norms[1] != pytest.approx(1, abs=1e-2)


def test_each_network_starts_as_it_is_told():
    described = {"data": "ring", "recipe": {"steps": 1}, "hidden": [6, 6], "points": 500, "seed": [3]}
    usual, _ = cli.build(described, device="cpu")
    run, _ = cli.build({**described, "init_g": "orthogonal"}, device="cpu")
    square = run.G[2].weight / 1.4
    assert torch.allclose(square @ square.T, torch.eye(6), atol=1e-5)
    assert all(map(torch.equal, run.D.parameters(), usual.D.parameters()))
    run, _ = cli.build({**described, "init_d": "orthogonal"}, device="cpu")
    square = run.D[2].weight / 1.4
    assert torch.allclose(square @ square.T, torch.eye(6), atol=1e-5)
    assert all(map(torch.equal, run.G.parameters(), usual.G.parameters()))
    with pytest.raises(InputError, match="init_d 'normal': choose one of default, orthogonal"):
        cli.build({**described, "init_d": "normal"}, device="cpu")
