"""What only a GPU can show: the same code runs there, repeats bit for bit, goes on, and agrees with the CPU.

The test run hides GPUs, and CI has none: ``CUDA_VISIBLE_DEVICES=0 python -m pytest tests/test_gpu.py`` runs these. What
can be known without one, such as which algorithms are asked for, is tested in `test_training.py`.
"""

import copy
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ganlab.data import ring  # noqa: E402
from ganlab.drawings import DRAWINGS  # noqa: E402
from ganlab.neural.checkpoints import save  # noqa: E402
from ganlab.neural.devices import find_device, free_memory, no_memory  # noqa: E402
from ganlab.neural.draws import Draws  # noqa: E402
from ganlab.neural.models import baseline, dcgan, infogan, progan  # noqa: E402
from ganlab.neural.models._codes import Codes  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.penalties import PENALTIES  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.sessions import resume  # noqa: E402
from ganlab.neural.training import train  # noqa: E402
from ganlab.objectives import OBJECTIVES  # noqa: E402

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

CODES = Codes((10,), 2)
FASTER = {"precision": "bf16", "channels_last": True}


def planar(seed=1, **recipe):
    return Run(mlp(2, 2, seed=seed), mlp(2, 1, seed=seed), ring(), Recipe(steps=6, **recipe), seed=seed, points=2000)


def pictures(G, D, **recipe):
    x = torch.rand(100, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Run(G, D, x, Recipe(steps=6, batch=16, **recipe), seed=1)


FAMILIES = {
    "ring": planar,
    "twenty rings": lambda **r: planar(range(20), **r),
    "rpgan": lambda **r: planar(range(3), objective="rpgan", penalties={"r1": 0.1, "r2": 0.1}, lazy=2, **r),
    "wgan_gp": lambda **r: planar(objective="wasserstein", penalties={"wgan_gp": 10}, n_critic=3, **r),
    "unrolled": lambda **r: planar(unroll=3, **r),
    "noise": lambda **r: planar(instance_noise=0.3, **r),
    "dcgan": lambda **r: pictures(dcgan.generator(16, 3, 32, 16), dcgan.discriminator(16, 3, 16), latent=32, **r),
    "infogan": lambda **r: pictures(G := infogan.generator(CODES, 16, 3, width=16),
                                    infogan.discriminator(CODES, 16, 3, width=16), latent=G.latent,
                                    game_terms={infogan.information_seen: 1.0}, **r),
    "progan": lambda **r: pictures(progan.generator(16, 3, 32, 32), progan.discriminator(16, 3, 32), latent=32,
                                   objective="wasserstein", penalties={"wgan_gp": 10, "drift": 0.001}, **r),
    "baseline": lambda **r: pictures(baseline.generator(16, 3, 32, 16), baseline.discriminator(16, 3, 16), latent=32,
                                     objective="rpgan", penalties={"r1": 1.0, "r2": 1.0}, betas=(0.0, 0.99), **r),
}  # fmt: skip
PICTURES = ("dcgan", "infogan", "progan", "baseline")
KINDS = [(name, {}) for name in FAMILIES] + [(name, FASTER) for name in PICTURES]


def weights(run):
    return [t.cpu() for net in (run.G, run.D, run.ema) for t in net.state_dict().values()]


def trained(run, steps=6):
    for record in train(run):
        assert all(np.isfinite(value).all() for value in record.row().values())
        if record.step == steps:
            break
    return weights(run)


@pytest.mark.parametrize(("name", "choices"), KINDS)
def test_a_run_repeats_and_goes_on_bit_for_bit(tmp_path, name, choices):
    """In float32 the convolutions did not, until they were asked to."""
    make = FAMILIES[name]
    run = make(**choices)
    assert run.device == torch.device("cuda", 0)
    whole = trained(run)
    for first, second in zip(whole, trained(make(**choices)), strict=True):
        assert torch.equal(first, second)
    half = make(**choices)
    trained(half, 3)
    save(half, tmp_path)
    late = make(**choices)
    resume(late, tmp_path)
    assert late.step == 3
    for first, second in zip(whole, trained(late), strict=True):
        assert torch.equal(first, second)


class Here(Draws):
    """Chance from the CPU for a run on the GPU: the same numbers on both."""

    def __init__(self, device):
        super().__init__(0)
        self.there = device

    def _rows(self, draw, n):
        return super()._rows(draw, n).to(self.there)


@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "consistency"])  # layers with their own chance
def test_penalties_are_those_of_the_cpu(name):
    found = []
    for device in ("cpu", "cuda"):
        D = mlp(2, 1, seed=3).double().to(device)
        real, fake = (torch.randn(32, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(s)).to(device)
                      for s in (1, 2))  # fmt: skip
        value = PENALTIES[name](D, real, fake, Here(device))
        slopes = torch.autograd.grad(value, list(D.parameters()), allow_unused=True)
        found.append(torch.cat([value.reshape(1), *(s.flatten() for s in slopes if s is not None)]).detach().cpu())
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_are_those_of_the_cpu(name):
    G, D = dcgan.generator(16, 3, 32, 8).double(), dcgan.discriminator(16, 3, 8).double()
    z = torch.randn(8, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = []
    for device in ("cpu", "cuda"):
        g, d = copy.deepcopy(G).to(device), copy.deepcopy(D).to(device)
        gain = OBJECTIVES[name].g_gain(None, d(g(z.to(device))))
        found.append(torch.cat([s.flatten().cpu() for s in torch.autograd.grad(gain, list(g.parameters()))]))
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", DRAWINGS)
def test_pictures_are_made_on_the_gpu(name):
    here, there = (DRAWINGS[name](20, np.random.default_rng(0), 32, like=torch.zeros(1, device=device)).images
                   for device in ("cpu", "cuda"))  # fmt: skip
    assert there.is_cuda
    torch.testing.assert_close(here, there.cpu(), rtol=0, atol=1e-4)


def test_memory_that_runs_out_is_known_as_such():
    assert find_device().type == "cuda"
    assert 0 < free_memory(find_device()) < 10**13
    with pytest.raises(torch.OutOfMemoryError) as told:
        torch.empty(10**13, device="cuda")
    assert no_memory(told.value)


@pytest.mark.parametrize("start", [["-m", "ganlab"], ["-m", "torch.distributed.run", "--standalone", "-m", "ganlab"]])
def test_the_command_takes_the_gpu_and_its_run_can_be_sampled_without(tmp_path, start):
    """Under torchrun gradients go through NCCL, if only to oneself."""

    def ganlab(start, *words):
        command = [sys.executable, *start, *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    done = ganlab(start, "train", "ring", "--steps", "20", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert '"device": "cuda"' in (tmp_path / "run" / "checkpoints.json").read_text(encoding="utf-8")
    done = ganlab(["-m", "ganlab"], "sample", "run", "--device", "cpu", "-o", "samples.npy", "-n", "50")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "samples.npy").shape == (50, 2)
