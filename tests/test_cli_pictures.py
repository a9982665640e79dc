"""The command line for pictures: a run of one network or of many levels, which a kill at any moment takes nothing from.

"Fault n" is number n of the forty faults that the project answers for.
"""

import errno
import functools
import io
import itertools
import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_checkpoints import exit_code, fork, posix  # noqa: E402
from test_cli import one_line, shell  # noqa: E402

from ganlab.cli import main  # noqa: E402
from ganlab.drawings import faces  # noqa: E402
from ganlab.neural import _formats, _picture_data, checkpoints, cli, growing, sessions  # noqa: E402
from ganlab.neural._picture_models import MODELS  # noqa: E402
from ganlab.neural._picture_plan import PicturePlan  # noqa: E402
from ganlab.neural.growing import Growth, levels  # noqa: E402
from ganlab.neural.models import baseline, dcgan, infogan  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train as loop  # noqa: E402
from ganlab.pictures import mosaic  # noqa: E402

FACES = ["--data", "faces", "--pictures", "40", "--device", "cpu"]
SMALL = {
    "progan": ["--resolution", "8", "--width", "4", "--latent", "4", "--stable", "24", "--fade", "16", "--batch", "4"],
    "dcgan": ["--resolution", "8", "--width", "4", "--latent", "4", "--batch", "4", "--steps", "4"],
    "infogan": ["--resolution", "8", "--width", "4", "--latent", "5", "--batch", "4", "--steps", "4"],
    "baseline": ["--resolution", "8", "--width", "4", "--latent", "4", "--batch", "4", "--steps", "4"],
}
PROGAN = Growth(8, stable=24, fade=16, width=4, recipe=Recipe(**{**vars(growing.PUBLISHED), "batch": 4, "latent": 4}))


@pytest.fixture
def shown_warnings():
    """As in a shell, where a warning is no error."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Each test in a folder of its own, whose name has what breaks careless programs."""
    torch.set_num_threads(1)
    folder = tmp_path / "é runs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def train(model="progan", *more, data=FACES):
    return main(["train", model, *data, *SMALL[model], *more])


def config(folder="runs/progan-faces"):
    return json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))


def samples(folder="runs/progan-faces", *more):
    assert main(["sample", str(folder), "-n", "5", "-o", "samples.npy", *more]) == 0
    return np.load("samples.npy")


def everything(folder):
    """What a run leaves behind, apart from its lock: checkpoints as tensors, and the bytes of history and sheets."""
    found = {}
    for file in sorted(Path(folder).rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.suffix == ".pt":
            found[name] = torch.load(file, weights_only=True)
        elif file.suffix in (".jsonl", ".png"):
            found[name] = file.read_bytes()
    return found


def same(mine, theirs):
    """Whether two trees of dicts and lists are equal, tensors bit for bit."""
    if isinstance(mine, dict):
        return mine.keys() == theirs.keys() and all(same(mine[k], theirs[k]) for k in mine)
    if isinstance(mine, list):
        return len(mine) == len(theirs) and all(map(same, mine, theirs))
    return torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs


def pictures(n=40, side=8):
    return faces(n, np.random.default_rng(0), resolution=side).images


# --- the same as a script ------------------------------------------------------------------------------------------


def test_progan_does_what_a_script_does(capsys):
    assert train("progan", "--seed", "3") == 0
    for run in levels(torch.as_tensor(pictures()), PROGAN, seed=3, device="cpu"):
        assert len(list(loop(run))) == run.recipe.steps
    np.testing.assert_array_equal(samples(), run.sample(5))
    np.testing.assert_array_equal(
        samples("runs/progan-faces", "--seed", "2", "--no-averaged"), run.sample(5, 2, averaged=False)
    )
    told = capsys.readouterr().out.splitlines()
    sheets = [str(Path("runs/progan-faces/samples", name)) for name in ("0004-000006.png", "0008-000010.png")]
    assert told[:3] == [
        "Pictures 'faces': 40 of 3 x 8 x 8, no labels",
        f"4 x 4, step 6: {sheets[0]}",
        f"8 x 8, step 10: {sheets[1]}",
    ]


def script(model):
    """The run that the command is to train, written out."""
    recipe, batch = MODELS[model].recipe, {"batch": 4, "steps": 4}
    codes = infogan.Codes()
    if model == "dcgan":
        nets = dcgan.generator(8, 3, 4, 4, seed=0), dcgan.discriminator(8, 3, 4, seed=1)
        recipe = Recipe(lr=2e-4, betas=(0.5, 0.999), latent=4, **batch)
    elif model == "baseline":
        nets = baseline.generator(8, 3, 4, 4, seed=0), baseline.discriminator(8, 3, 4, seed=1)
        recipe = Recipe("rpgan", {"r1": 1, "r2": 1}, lr=2e-4, betas=(0, 0.99), latent=4, **batch)
    else:
        nets = infogan.generator(codes, 8, 3, 2, 4, seed=0), infogan.discriminator(codes, 8, 3, 4, seed=1)
        recipe = Recipe(lr=2e-4, lr_g=1e-3, game_terms={infogan.information_seen: 1.0}, latent=5, **batch)
    return Run(*nets, torch.as_tensor(pictures()), recipe, device="cpu")


@pytest.mark.parametrize("model", ["dcgan", "infogan", "baseline"])
def test_the_models_of_one_run_do_what_a_script_does(model):
    assert train(model) == 0
    run = script(model)
    list(loop(run))
    np.testing.assert_allclose(samples(f"runs/{model}-faces"), run.sample(5), atol=1e-6)
    assert [p.name for p in Path(f"runs/{model}-faces/samples").iterdir()] == ["0008-000004.png"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("flags", ["--precision bf16 --channels-last", "--objective hinge --penalty none --n-critic 2",
                                   "--norm none --penalty r1=0.1 --lazy 2 --unroll 2"])  # fmt: skip
def test_flags_of_the_recipe_work_with_every_model(model, flags):
    if model in ("progan", "baseline"):
        flags = flags.removeprefix("--norm none ")
    assert train(model, *flags.split()) == 0
    kept = config(f"runs/{model}-faces")["recipe"]
    assert kept["penalties"] == ({} if "none" in flags.split()[-3:] else kept["penalties"])
    assert np.isfinite(samples(f"runs/{model}-faces")).all()
    assert ("pack" in kept, "steps" in kept) == (False, model != "progan")


def test_a_published_recipe_is_the_default_and_is_shown(capsys):
    with pytest.raises(SystemExit):
        main(["train", "progan", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("wgan_gp=10, drift=0.001", "(default: wasserstein)", "(default: 800000)", "(default: 0.0 0.99)",
                  "(default: 512)", "(default: 16)", "digits, faces", "progressive growing (Karras et al. 2018)",
                  "--bf16" if False else "bf16", "--channels-last", "torchrun"):  # fmt: skip
        assert words in text
    for word in ("--steps", "--pack", "--hidden"):
        assert f" {word} " not in text.partition("examples:")[0]
    with pytest.raises(SystemExit):
        main(["train", "dcgan", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("(default: 0.0002)", "(default: 0.5 0.999)", "(default: 128)", "(default: 100)", "batch, or none"):
        assert words in text
    assert "--stable" not in text.partition("examples:")[0]


# --- data ----------------------------------------------------------------------------------------------------------


def photos(folder="pictures", n=12):
    """A folder as users have them."""
    from PIL import Image

    folder = Path(folder)
    (folder / "inside").mkdir(parents=True)
    for k in range(n):
        size = (9 + 5 * k, 40 - 2 * k)
        colours = np.random.default_rng(k).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        turned = Image.Exif()
        turned[274] = 6
        name = folder / ("inside" if k % 3 else ".") / f"ü {k}.{('png', 'jpg')[k % 2]}"
        Image.fromarray(colours).save(name, **({"exif": turned} if k % 4 == 1 else {}))
    (folder / "broken.jpg").write_bytes(b"oops")
    (folder / "notes.txt").write_text("hello")
    return folder


def test_a_folder_of_pictures_is_read_once_and_what_is_left_out_is_named(capsys):
    photos()
    assert train(data=["--data", "pictures", "--device", "cpu"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "Pictures 'pictures': 12 of 3 x 8 x 8, no labels"
    assert told[1].strip() == ("1 file could not be read and was left out: broken.jpg (no picture that PIL can read)")
    assert "1 other file left alone" in told[2]
    assert config("runs/progan-pictures")["data"] == str(Path("pictures").resolve())


def test_a_run_is_resumed_from_another_place_and_sampled_when_its_pictures_are_gone(monkeypatch, capsys):
    photos()
    flags = ["dcgan", "--channels", "1"]
    assert train(*flags, data=["--data", "pictures", "--device", "cpu"]) == 0
    truth = samples("runs/dcgan-pictures")
    assert truth.shape == (5, 1, 8, 8)
    Path("away").mkdir()
    monkeypatch.chdir("away")
    assert main(["resume", "../runs/dcgan-pictures", "--steps", "6"]) == 0
    assert main(["list", "../runs"]) == 0
    monkeypatch.chdir("..")
    Path("pictures/ü 0.png").unlink()
    capsys.readouterr()
    assert main(["resume", "runs/dcgan-pictures", "--steps", "8"]) == 4
    assert "holds another run: data is" in one_line(capsys)
    Path("pictures").rename("elsewhere")
    assert main(["resume", "runs/dcgan-pictures", "--steps", "8"]) == 2
    assert "there is no folder" in one_line(capsys)
    assert not np.array_equal(samples("runs/dcgan-pictures"), truth)  # it has been trained on


IDX = {"images": b"\0\0\x08\x03", "labels": b"\0\0\x08\x01"}


def idx(folder, n=12, side=28, kind=8):
    """Files in the format of MNIST."""
    Path(folder).mkdir(exist_ok=True)
    sizes = b"".join(k.to_bytes(4, "big") for k in (n, side, side))
    dots = np.random.default_rng(0).integers(0, 256, n * side * side * (4 if kind == 13 else 1), dtype=np.uint8)
    Path(folder, "train-images-idx3-ubyte").write_bytes(bytes([0, 0, kind, 3]) + sizes + dots.tobytes())
    Path(folder, "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + sizes[:4] + bytes(n))


@pytest.mark.parametrize(
    ("data", "channels"), [("digits", 1), ("faces", 3), ("glyphs", 1), ("scenes", 3), ("stacked", 3)]
)
def test_made_data_have_the_channels_that_they_have(data, channels, capsys):
    if data in ("digits", "stacked"):
        pytest.importorskip("sklearn")
    found = _picture_data.read(data, 16, n=7)
    assert found.images.shape == (7, channels, 16, 16)
    with pytest.raises(ValueError, match=f"--channels {4 - channels} does not fit {data}, which has {channels}"):
        _picture_data.read(data, 16, 4 - channels, n=7)
    assert _picture_data.label(data) == _picture_data.settled(data) == data


def test_of_digits_a_few_are_from_all_over():
    pytest.importorskip("sklearn")
    from ganlab.pictures import digits

    few, every = _picture_data.read("digits", 8, n=10), digits("all").images
    np.testing.assert_array_equal(few.images, every[[k * 1797 // 10 for k in range(10)]])
    assert len(_picture_data.read("digits", 8, n=5000)) == len(_picture_data.read("digits", 8)) == 1797


def test_mnist_s_files_are_framed_and_halved(monkeypatch):
    from ganlab import _mnist

    monkeypatch.setattr(_mnist, "PUBLISHED", {})
    idx("m")
    monkeypatch.setattr(_picture_data, "FILES", {"mnist": lambda place: _picture_data.mnist(place, check=False)})
    found = _picture_data.read("mnist:m", 16)
    truth = _picture_data.mnist("m", check=False).images
    framed = np.pad(truth, [(0, 0), (0, 0), (2, 2), (2, 2)], constant_values=-1)
    np.testing.assert_allclose(found.images, framed.reshape(12, 1, 16, 2, 16, 2).mean((3, 5)), atol=1e-6)
    assert _picture_data.label("mnist:m") == "mnist"
    assert _picture_data.settled("mnist:m") == f"mnist:{Path('m').resolve()}"


def test_an_array_of_pictures_is_data():
    np.save("mine.npy", pictures())
    assert train(data=["--data", "mine.npy", "--device", "cpu"]) == 0
    assert train() == 0
    np.testing.assert_array_equal(samples("runs/progan-mine"), samples())


# --- sheets --------------------------------------------------------------------------------------------------------


def test_sheets_show_the_same_noise_as_training_goes_on():
    from PIL import Image

    assert train("progan", "--save-every", "2") == 0
    place = Path("runs/progan-faces/samples")
    names = [f"0004-{k:06d}.png" for k in (2, 4, 6)] + [f"0008-{k:06d}.png" for k in (2, 4, 6, 8, 10)]
    assert sorted(file.name for file in place.iterdir()) == names
    for run in levels(torch.as_tensor(pictures()), PROGAN, device="cpu"):
        for record in loop(run):
            if record.step % 2 == 0:
                shown = np.asarray(Image.open(place / f"{run.data.shape[-1]:04d}-{record.step:06d}.png"))
                zoom = 64 // run.data.shape[-1]
                truth = 255 * mosaic(run.sample(64), 8, zoom, 4)
                assert shown.shape == (8 * 68 + 4, 8 * 68 + 4, 3)
                assert np.abs(shown - truth).max() <= 0.5 + 1e-4


def test_a_sheet_of_any_number_and_of_numbers_beyond_the_screen():
    from PIL import Image

    x = np.full((5, 1, 128, 128), 7.0)
    x[0], x[1] = np.nan, -np.inf
    shown = np.asarray(Image.open(io.BytesIO(_formats.sheet(x))))
    assert shown.shape == (2 * 132 + 4, 3 * 132 + 4, 3)
    assert [int(shown[60, k, 0]) for k in (60, 200, 340)] == [128, 0, 255]


def test_pictures_make_no_table(capsys):
    assert train() == 0
    capsys.readouterr()
    assert main(["sample", "runs/progan-faces", "-o", "x.csv"]) == 2
    assert one_line(capsys) == "ganlab: unknown suffix '.csv': choose one of .npy, .png"
    assert main(["sample", "runs/progan-faces", "-o", "x.PNG"]) == 0
    assert Path("x.PNG").read_bytes() == Path("runs/progan-faces/samples/0008-000010.png").read_bytes()


# --- kill, resume, list --------------------------------------------------------------------------------------------

LONGER = ["--stable", "160", "--fade", "80", "--save-every", "7", "--every", "1"]


def begin_or_resume(folder, *flags):
    """What a user types after a kill."""
    if Path(folder, "run.json").exists():
        return main(["resume", str(folder)])
    return train("progan", *flags, "--out", str(folder))


@posix
def test_twelve_kills_at_random_moments_lose_nothing(capsys):
    """Fault 29: weights, moments, history and sheets are those of the run that nobody touched."""
    begin = time.monotonic()
    assert train("progan", *LONGER, "--out", "whole") == 0
    lasted = time.monotonic() - begin
    moments, kills, starts = random.Random(0), 0, 0
    while kills < 12:
        starts += 1
        assert starts < 100
        pid = fork(lambda: begin_or_resume("broken", *LONGER))
        time.sleep(moments.uniform(0, lasted / 4))
        os.kill(pid, signal.SIGKILL)
        if exit_code(pid) == 0:  # it was faster: once more from the start, with the kills that there were
            assert same(everything("broken"), everything("whole"))
            Path("broken").rename(f"broken {starts}")
        else:
            kills += 1
    assert begin_or_resume("broken", *LONGER) == 0
    assert same(everything("broken"), everything("whole"))
    assert config("broken") == config("whole")
    assert not list(Path("broken").rglob("lock"))


def dies(monkeypatch, where):
    """Let the process be killed at one moment."""
    kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    if where == "between two levels":
        monkeypatch.setattr(growing.progan, "grow", kill)
    elif where == "before a sheet":
        monkeypatch.setattr(_formats, "sheet", kill)
        monkeypatch.setattr(sys.modules["ganlab.neural._picture_plan"], "sheet", kill)
    elif where == "before the first checkpoint":
        monkeypatch.setattr(sessions, "save", kill)
    elif where == "before anything":
        monkeypatch.setattr(sessions, "fit", kill)
    else:
        stage = 3 if where == "at the third level" else 2

        def fading(run):
            for record in loop(run):
                if run.G.stage == stage and run.step == 3:  # of a fade of four
                    kill()
                yield record

        monkeypatch.setattr(sessions, "train", fading)


CHANGES = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}  # before each of them Python tells


def dies_before(change, folder, start):
    """Start a run, and be killed before the given change to its folder."""
    changes = itertools.count()

    def hook(event, args):
        touches = event in CHANGES and str(args[0]).startswith(folder) and (event != "open" or args[2] & os.O_CREAT)
        if touches and next(changes) == change:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return start(folder)


@posix
@pytest.mark.parametrize("data", ["points", "pictures"])
def test_a_kill_before_any_change_on_disk_loses_nothing(data, capsys):
    """Fault 29, at every moment: the folder is never one that cannot be taken up again."""
    pictures = ["--save-every", "7", "--every", "5"]
    points = ["train", "ring", "--steps", "5", "--save-every", "2", "--every", "2", "--batch", "8", "--device", "cpu"]

    def start(folder):
        if Path(folder, "run.json").exists():
            return main(["resume", folder])
        return train("progan", *pictures, "--out", folder) if data == "pictures" else main([*points, "--out", folder])

    assert start("whole") == 0
    for change in itertools.count():
        folder = f"broken {change}"
        code = exit_code(fork(functools.partial(dies_before, change, folder, start)))
        assert start(folder) == 0, change
        assert same(everything(folder), everything("whole")), change
        assert config(folder) == config("whole")
        assert not [p.name for p in Path(folder).rglob("*") if p.name == "lock" or p.suffix == ".tmp"], change
        if code == 0:
            break
    assert change > (60 if data == "pictures" else 40)


@posix
@pytest.mark.parametrize("where", ["in the middle of a fade", "between two levels", "before a sheet",
                                   "before the first checkpoint", "before anything",
                                   "at the third level"])  # fmt: skip
def test_a_kill_at_the_worst_moment_loses_nothing(where, monkeypatch, capsys):
    side = 16 if where == "at the third level" else 8
    flags = ["--save-every", "1", "--every", "1", "--resolution", str(side)]
    assert train("progan", *flags, "--out", "whole") == 0

    def work():
        dies(monkeypatch, where)
        return train("progan", *flags, "--out", "broken")

    assert exit_code(fork(work)) == -signal.SIGKILL
    reached = {"in the middle of a fade": "8 x 8: 2/10", "at the third level": "16 x 16: 2/10",
               "between two levels": "4 x 4: 6/6",
               "before a sheet": "4 x 4: 1/6"}.get(where, "4 x 4: 0/6")  # fmt: skip
    capsys.readouterr()
    assert main(["list", "."]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [" ".join(row.split()) for row in rows] == [
        f"{name} progan faces {side} {step} wasserstein + wgan_gp 10 + drift 0.001"
        for name, step in (("broken", reached), ("whole", f"{side} x {side}: 10/10"))
    ]
    assert main(["resume", "broken"]) == 0
    assert same(everything("broken"), everything("whole"))


def test_a_signal_saves_draws_and_can_be_resumed(monkeypatch, capsys):
    def interrupted(run):
        for record in loop(run):
            if run.G.stage == 2 and run.step == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            yield record

    assert train("progan", "--out", "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "train", interrupted)
        assert train("progan", "--out", "broken") == 143
    assert "SIGTERM after step 3; saved: " in one_line(capsys)
    assert Path("broken/samples/0008-000003.png").exists()
    assert main(["resume", "broken"]) == 0
    np.testing.assert_array_equal(samples("broken"), samples("whole"))
    assert main(["resume", "broken"]) == 0  # has nothing left to do
    assert not list(Path("broken").rglob("lock"))


@pytest.mark.parametrize("model", ["dcgan", "infogan", "baseline"])
def test_a_run_of_one_network_is_made_longer_bit_for_bit(model):
    assert train(model, "--steps", "6", "--out", "whole") == 0
    assert train(model, "--steps", "3", "--out", "short") == 0
    assert main(["resume", "short", "--steps", "6"]) == 0
    np.testing.assert_array_equal(samples("short"), samples("whole"))
    assert config("short") == config("whole")


def test_levels_with_batches_of_their_own(capsys):
    """Larger ones, too: for a sample there are blank pictures, as many as a batch needs."""
    assert train("progan", "--batches", "8=8", "16=2") == 0  # a level that is not there may be named
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told[1:]] == ["4 x 4, step 6", "8 x 8, step 5"]
    growth = Growth(8, stable=24, fade=16, width=4, batches={8: 8}, recipe=PROGAN.recipe)
    for run in levels(torch.as_tensor(pictures()), growth, device="cpu"):
        list(loop(run))
    np.testing.assert_array_equal(samples(), run.sample(5))
    assert main(["resume", "runs/progan-faces"]) == 0
    assert main(["list"]) == 0
    assert "8 x 8: 5/5" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["train", "progan", "--help"])
    assert "256=14 512=6 1024=3" in capsys.readouterr().out


def test_a_growing_run_has_its_length_from_its_levels(capsys):
    assert train() == 0
    capsys.readouterr()
    assert main(["resume", "runs/progan-faces", "--steps", "9"]) == 2
    assert "--stable and --fade" in one_line(capsys)


# --- faults --------------------------------------------------------------------------------------------------------

BAD = {  # fault, model, flags: what is said
    (14, "dcgan", "--batch 1"): "batch 1 has no batch statistics",
    (14, "dcgan", "--batch 1 --norm none"): "batch 1 has no batch statistics",
    (14, "infogan", "--batch 1"): "batch 1 has no batch statistics",
    (15, "progan", "--group 1"): "group must be a whole number of at least 2",
    (16, "progan", "--batch 41"): "0 batches: there are 40 samples, and a batch needs 41",
    (16, "dcgan", "--batch 41"): "0 batches",
    (17, "progan", "--resolution 48"): "power of two from 4 to 1024, got 48: the nearest is 32",
    (17, "progan", "--resolution 2"): "the nearest is 4",
    (17, "progan", "--resolution 2048"): "the nearest is 1024",
    (17, "dcgan", "--resolution 4"): "resolution must be a power of two from 8 to 1024, got 4: the nearest is 8",
    (17, "baseline", "--resolution 12"): "power of two",
    (17, "infogan", "--resolution 28"): "the nearest is 32",
    (17, "progan", "--start 16"): "start 16 must not be above resolution 8",
    (17, "progan", "--start 5"): "the nearest is 4 or 8",
    (18, "progan", "--channels 2"): "--channels 2 does not fit faces, which has 3",
    (18, "progan", "--channels 1"): "--channels 1 does not fit faces, which has 3",
    (19, "progan", "--fade 0"): "fade must be a whole number of at least 1",
    (19, "progan", "--stable 0"): "stable must be a whole number of at least 1",
    (35, "progan", "--device gpu"): "there is no device 'gpu' on this machine: choose auto or one of cpu",
    (35, "dcgan", "--device cuda:77"): "there is no device 'cuda:77' on this machine: choose auto or one of cpu",
    (37, "progan", "--data nowhere"): "there is no folder 'nowhere', and no made data of that name",
    (37, "progan", "--data mnist:nowhere"): "MNIST is not in nowhere: get train-images-idx3-ubyte.gz",
    (0, "progan", "--steps 5"): "unrecognized arguments: --steps 5 (`ganlab train progan --help` shows more)",
    (0, "progan", "--batches 8"): "--batches takes RESOLUTION=BATCH, such as 256=14 512=6, got 8",
    (0, "progan", "--batches 4=4 8=many"): "got 4=4 8=many",
    (0, "progan", "--batches 9=4"): "power of two",
    (0, "progan", "--batches 8=0"): "batches[8] must be a whole number of at least 1",
    (0, "progan", "--batches 8=41"): "a batch needs 41",  # said before the level of 4 is trained
    (0, "progan", "--pictures 0"): "pictures must be",
    (0, "progan", "--seed -1"): "seed must be a whole number of at least 0, got -1",
    (0, "progan", "--threads 0"): "threads must be",
    (0, "progan", "--width 0"): "width must be",
    (0, "infogan", "--latent 2"): "--latent must be at least 3, one number for each code",
    (0, "infogan", "--categorical 1"): "categorical must be",
    (0, "dcgan", "--norm layer"): "unknown norm 'layer'",
    (0, "dcgan", "--penalty consistency=1"): "put Dropout layers in D",
    (0, "progan", "--penalty consistency=1"): "put Dropout layers in D",
    (0, "progan", "--name a/b"): "--name is one plain word",
    (0, "progan", "--out file/run"): "cannot be a run's folder",
    (0, "progan", "--every 0"): "every must be",
}  # fmt: skip


@pytest.mark.parametrize(("fault", "model", "flags"), BAD)
def test_bad_input_is_one_line_and_code_2_and_leaves_nothing_behind(fault, model, flags, capsys):
    Path("file").touch()
    assert train(model, *flags.split()) == 2
    line = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
    assert len(line) == 1
    assert BAD[fault, model, flags] in line[0]
    assert [p.name for p in Path().rglob("*") if p.is_file()] == ["file"]
    if "consistency" in flags:
        assert train(model) == 0  # in the same folder
    assert main(["train", "progan", "--resolution", "8"]) == 2  # without --data


@pytest.mark.usefixtures("shown_warnings")
def test_batch_1_of_a_growing_run_is_said_once_and_finite(capsys):
    """Fault 14."""
    assert train("progan", "--batch", "1") == 0
    assert one_line(capsys) == (
        "ganlab: warning: minibatch stddev of a single sample is the constant 1e-4: use a larger batch or group"
    )
    assert np.isfinite(samples()).all()


@pytest.mark.usefixtures("shown_warnings")
def test_a_group_that_does_not_divide_the_batch_shrinks_with_a_notice(capsys):
    """Fault 15."""
    assert train("progan", "--batch", "6", "--group", "4") == 0
    assert one_line(capsys) == (
        "ganlab: warning: a batch of 6 cannot be split into groups of 4: minibatch stddev uses 2"
    )


@pytest.mark.parametrize(("make", "words"), [
    (lambda x: np.uint8(127.5 * (x + 1)), "turn bytes into floats with x / 127.5 - 1"),
    (lambda x: 127.5 * (x + 1), "they reach from"),
    (lambda x: np.where(x > 0, np.nan, x), "numbers are NaN or infinite"),
    (lambda x: x.transpose(0, 2, 3, 1), "channels come second"),
    (lambda x: x[:, :, :4], "cut them to squares"),
    (lambda x: x[:, :, ::2, ::2], "resize them"),
    (lambda x: x[:, :2], "2 channels"),
    (lambda x: x[:0], "there are none"),
    (lambda x: np.array([{}]), "Python objects in dtype"),
])  # fmt: skip
def test_arrays_that_are_no_pictures_are_told_what_is_wanted(make, words, capsys):
    """Fault 18."""
    np.save("x.npy", make(pictures(6)), allow_pickle=True)
    assert train("progan", "--channels", "3", data=["--data", "x.npy", "--device", "cpu"]) == 2
    assert words in one_line(capsys)
    assert not Path("runs").exists()


@pytest.mark.parametrize("damage", ["cut", "claims more than it holds", "text"])
def test_a_damaged_array_is_bad_input(damage, capsys):
    """Fault 37."""
    np.save("x.npy", pictures(6))
    whole = Path("x.npy").read_bytes()
    other = {"cut": whole[:-9], "text": b"<html>", "claims more than it holds": whole.replace(b"(6, ", b"(9, ")}[damage]
    Path("x.npy").write_bytes(other)
    assert train(data=["--data", "x.npy", "--device", "cpu"]) == 2
    assert "x.npy cannot be read as a .npy file of numbers" in one_line(capsys)


def test_folders_without_a_picture_say_what_counts(capsys):
    """Fault 37."""
    Path("d").mkdir()
    Path("d/a.txt").touch()
    assert train(data=["--data", "d"]) == 2
    assert "there are no pictures in d: 1 other files; what counts ends in" in one_line(capsys)
    Path("d/a.png").write_bytes(b"<html>")
    assert train(data=["--data", "d"]) == 2
    assert "none of the 1 pictures in d can be read: a.png" in one_line(capsys)
    assert train(data=["--data", "d/a.txt"]) == 2
    assert "is a file: take the folder that it lies in" in one_line(capsys)
    photos("p")
    assert train("progan", "--out", "p/run", data=["--data", "p"]) == 2
    assert "lies inside --data p, where its sheets would count as pictures" in one_line(capsys)
    assert train("progan", "--channels", "4", data=["--data", "p"]) == 2
    assert "channels" in one_line(capsys)


@pytest.mark.parametrize("damage", ["cut", "another", "html", "numbers"])
def test_files_of_mnist_that_are_not_the_published_ones_are_refused(damage, capsys):
    """Fault 37."""
    idx("m", kind=13 if damage == "numbers" else 8)
    file = Path("m/train-images-idx3-ubyte")
    content = {"cut": file.read_bytes()[:-9], "html": b"<!DOCTYPE html><html>"}.get(damage, file.read_bytes())
    file.unlink() if damage == "html" else None
    Path("m/train-images-idx3-ubyte.gz" if damage == "html" else file).write_bytes(content)
    assert train(data=["--data", "mnist:m", "--device", "cpu"]) == 2
    assert "train-images-idx3-ubyte" in one_line(capsys)


def test_without_scikit_learn_digits_say_what_to_install_and_made_data_work(capsys, monkeypatch):
    """Fault 37, and 36."""
    from ganlab import _stacks

    _stacks.digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    for data in ("digits", "stacked"):
        assert train(data=["--data", data, "--device", "cpu"]) == 2
        assert "pip install scikit-learn" in one_line(capsys)
    assert train() == 0


@pytest.mark.parametrize("what", ["json fade", "json batch", "json resolution", "level moved", "level skipped"])
def test_a_run_is_not_resumed_at_another_stage(what, capsys):
    """Fault 19."""
    assert train("progan", "--resolution", "16", "--save-every", "3") == 0
    folder = Path("runs/progan-faces")
    about = config()
    if what.startswith("json"):
        for place in ("0016/step-00000010.pt",):
            (folder / place).unlink()
        manifest = json.loads((folder / "0016" / checkpoints.MANIFEST).read_text())
        manifest["checkpoints"].pop()
        (folder / "0016" / checkpoints.MANIFEST).write_text(json.dumps(manifest))
        values = {"fade": ("fade", 60), "resolution": ("resolution", 64)}
        key, value = values.get(what.removeprefix("json "), ("batch", 2))
        (about["recipe"] if key == "batch" else about)[key] = value
        (folder / "run.json").write_text(json.dumps(about))
    else:
        source = folder / ("0008" if what == "level moved" else "0004")
        for file in (folder / "0016").iterdir():
            file.unlink()
        (folder / "0016").rmdir()
        source.rename(folder / "0016")
    capsys.readouterr()
    assert main(["resume", str(folder)]) == 4
    line = one_line(capsys)
    assert ("of its fade" if what == "json fade" else "holds another run") in line


HOSTILE = {
    "stride 0": lambda state: state["G"].update({"rgb.bias": torch.zeros(()).expand(10**12)}),
    "another shape": lambda state: state["ema"].update({"rgb.bias": torch.zeros(7)}),
    "an unknown key": lambda state: state["D"].update({"payload": torch.zeros(1)}),
    "NaN": lambda state: state["G"]["rgb.bias"].fill_(float("nan")),
    "another version": lambda state: state.update({"schema": 99}),
}


@pytest.mark.parametrize("what", [*HOSTILE, "a flipped byte", "cut", "empty", "pickle"])
def test_a_hostile_checkpoint_of_a_level_is_refused(what, capsys, monkeypatch):
    """Faults 25 to 28."""
    from hashlib import sha256

    assert train() == 0
    place = Path("runs/progan-faces/0008")
    file = place / "step-00000010.pt"
    data = file.read_bytes()
    if what in HOSTILE:
        state = torch.load(file, weights_only=True)
        HOSTILE[what](state)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
    elif what == "pickle":
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
        buffer = io.BytesIO()
        torch.save({"schema": Bomb()}, buffer)
        data = buffer.getvalue()
    else:
        data = {"a flipped byte": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-100], "empty": b""}[what]
    file.write_bytes(data)
    if what in HOSTILE or what == "pickle":  # with a list that vouches for it
        manifest = json.loads((place / checkpoints.MANIFEST).read_text())
        manifest["checkpoints"][-1] |= {"sha256": sha256(data).hexdigest(), "size": len(data)}
        (place / checkpoints.MANIFEST).write_text(json.dumps(manifest))
    capsys.readouterr()
    for command in (["resume", "runs/progan-faces"], ["sample", "runs/progan-faces", "-o", "x.png"]):
        assert main(command) == 4
        assert "step-00000010.pt" in one_line(capsys)
    assert not Path("x.png").exists()
    assert not Path("exploded").exists()


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


def test_a_run_that_diverges_is_code_3_and_its_last_good_checkpoint_can_be_sampled(capsys):
    flags = ["--optimizer", "sgd", "--lr", "1e3", "--save-every", "1", "--objective", "quadratic", "--penalty", "none"]
    assert train("baseline", "--steps", "300", *flags) == 3
    line = one_line(capsys)
    assert "Last good checkpoint: " in line
    assert samples("runs/baseline-faces").shape == (5, 3, 8, 8)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory.\nTried"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you ..."),
    ],
)
@pytest.mark.parametrize("when", ["pictures", "training", "samples"])
def test_memory_that_runs_out_is_one_line_with_advice(when, error, capsys, monkeypatch):
    """Fault 35."""
    assert train("dcgan", "--out", "before") == 0

    def greedy(*_, **__):
        raise error

    def greedy_loop(run):
        yield next(loop(run))
        raise error

    if when == "training":
        monkeypatch.setattr(sessions, "train", greedy_loop)
    monkeypatch.setattr(*{"pictures": (_picture_data, "read", greedy), "samples": (Run, "sample", greedy),
                          "training": (sessions, "train", greedy_loop)}[when])  # fmt: skip
    capsys.readouterr()
    assert main(["sample", "before", "-o", "x.npy"]) == 2 if when == "samples" else train("dcgan") == 2
    assert "lower --batch" in (line := one_line(capsys))
    assert "out of memory" in line


def test_another_error_of_torch_is_not_taken_for_one_of_memory(monkeypatch):
    def broken(run):
        raise RuntimeError("a bug of ours")
        yield

    monkeypatch.setattr(sessions, "train", broken)
    with pytest.raises(RuntimeError, match="a bug of ours"):
        train("dcgan")


@pytest.mark.usefixtures("shown_warnings")
def test_a_full_disk_is_code_4_and_what_was_there_stays(capsys, monkeypatch):
    """Fault 30: also when only the sheet does not fit."""
    assert train("progan", "--resolution", "4") == 0
    truth = samples()
    write = checkpoints.write

    def full(path, data):
        if path.suffix == ".png":
            raise checkpoints.CheckpointError(f"cannot write {path}: {OSError(errno.ENOSPC, 'No space left')}")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", full)
        assert main(["resume", "runs/progan-faces"]) == 4
        assert "No space left" in one_line(capsys)
        assert train("dcgan", "--save-every", "2") == 4
        assert "No space left" in one_line(capsys)
        assert (
            train("dcgan", "--save-every", "2", "--out", "going", "--keep-going") == 4
        )  # the last one must be written
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in told] == [
        "warning",
        f"cannot write {Path('going/samples/0008-000004.png')}",
    ]
    np.testing.assert_array_equal(samples(), truth)
    assert main(["resume", "going"]) == 0
    assert Path("going/samples/0008-000004.png").exists()


def test_two_processes_in_one_folder_are_refused(capsys):
    """Fault 32: between two levels, too."""
    assert train() == 0
    for place in ("", "0008"):
        with sessions.open_folder(Path("runs/progan-faces", place)):
            assert main(["resume", "runs/progan-faces"]) == 4
        assert "is in use by process" in one_line(capsys)
    assert train() == 2
    assert "is not empty: `ganlab resume" in one_line(capsys)
    assert train("progan", "--out", "my runs") == 0
    assert train("progan", "--out", "my runs") == 2
    assert '`ganlab resume "my runs"` goes on' in one_line(capsys)


@pytest.mark.parametrize("text", ['{"model": "progan"}', '{"model": 5, "recipe": {}}',
                                  '{"model": "progan", "recipe": 5}',
                                  '{"model": "dcgan", "data": "faces", "recipe": {"x": 1}}', "{"])  # fmt: skip
def test_a_damaged_run_json_is_one_line(text, capsys):
    assert train() == 0
    Path("runs/progan-faces/run.json").write_text(text)
    capsys.readouterr()
    assert main(["resume", "runs/progan-faces"]) in (2, 4)
    one_line(capsys)
    assert main(["list"]) == 0
    assert "damaged" in capsys.readouterr().out


# --- from the shell ------------------------------------------------------------------------------------------------


def test_two_processes_grow_the_run_of_one_and_resume_it(elsewhere):
    """Two processes over gloo, killed in the fade, and resumed by two."""
    photos()
    data = ["--data", "pictures", "--device", "cpu"]
    flags = [*data, *SMALL["progan"], "--save-every", "1"]
    assert train("progan", "--save-every", "1", "--out", "one", data=data) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    killer = Path("killer.py")
    killer.write_text("""
import os, signal, sys
from ganlab.cli import main
from ganlab.neural import sessions
loop = sessions.train
def train(run):
    for record in loop(run):
        if run.G.stage == 2 and run.step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield record
sessions.train = train
sys.exit(main(sys.argv[1:]))
""")
    killed = shell(*torchrun, str(killer), "train", "progan", *flags, "--out", "two")
    assert killed.returncode != 0
    assert sorted(p.name for p in Path("two/0008").glob("*.pt")) == ["step-00000001.pt", "step-00000002.pt"]
    done = shell(*torchrun, "-m", "ganlab", "resume", "two")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b"8 x 8, step 10: ") == 1
    np.testing.assert_allclose(samples("two"), samples("one"), atol=1e-5)
    names = [sorted(p.name for p in Path(name, "samples").iterdir()) for name in ("one", "two")]
    assert names[0] == names[1]


def test_the_command_says_one_line_without_locale_or_terminal(elsewhere):
    photos("é")
    done = shell("-W", "error", "-m", "ganlab", "train", "progan", "--data", "é", *SMALL["progan"], "--out", "ü")
    assert (done.returncode, done.stderr) == (0, b""), done.stderr  # no bar
    assert done.stdout.decode().splitlines()[0].startswith("Pictures ")
    failed = shell("-m", "ganlab", "resume", "ü", "--device", "gpu")
    assert failed.returncode == 2
    assert failed.stderr.decode().splitlines() == [
        "ganlab: there is no device 'gpu' on this machine: choose auto or one of cpu"
    ]


def test_names_that_are_no_text_are_kept():
    name = os.fsdecode(b"p\xff")
    try:
        photos(name)
    except (OSError, UnicodeError):
        pytest.skip("this system has no such names")
    assert train("dcgan", data=["--data", name, "--device", "cpu"]) == 0
    (folder,) = Path("runs").iterdir()
    assert main(["resume", str(folder), "--steps", "5"]) == 0


def test_the_bar_names_the_level(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert train("progan", "--every", "1") == 0
    shown = capsys.readouterr().err
    for words in ("4 x 4: 100%", "6/6", "8 x 8: 100%", "10/10", "d_gain"):
        assert words in shown


def test_many_threads_are_asked_for_and_kept():
    assert train("dcgan", "--threads", "2") == 0
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert main(["resume", "runs/dcgan-faces", "--steps", "5"]) == 0
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_settings_that_an_older_run_json_lacks_have_their_defaults():
    assert train() == 0
    about = config()
    for name in ("threads", "group", "every", "ganlab"):
        about.pop(name)
    about["recipe"].pop("ema")
    Path("runs/progan-faces/run.json").write_text(json.dumps(about))
    assert main(["resume", "runs/progan-faces"]) == 0
    plan = PicturePlan(about)
    assert (plan.config["threads"], plan.config["group"], plan.config["recipe"]["ema"]) == (1, None, 0.999)


def test_the_planar_half_is_built_as_before():
    run, law = cli.build({"data": "ring", "recipe": {"steps": 1}, "points": 500}, device="cpu")
    assert (run.recipe.steps, law.name) == (1, "ring")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["train", "ring", "--data", "faces"]) == 2


def test_pictures_without_a_model_are_told_to_take_one(capsys):
    assert main(["train", "glyphs"]) == 2
    assert "`ganlab train MODEL --data glyphs` with one of progan, dcgan, infogan, baseline" in one_line(capsys)


def test_the_folder_of_all_levels_is_locked_while_one_of_them_trains(monkeypatch):
    seen = []

    def look_around(run):
        for record in loop(run):
            seen.append(sorted(p.as_posix() for p in Path("runs/progan-faces").rglob("lock")))
            yield record

    monkeypatch.setattr(sessions, "train", look_around)
    assert train() == 0
    levels = [["runs/progan-faces/0004/lock"]] * 6 + [["runs/progan-faces/0008/lock"]] * 10
    assert seen == [[*inner, "runs/progan-faces/lock"] for inner in levels]
