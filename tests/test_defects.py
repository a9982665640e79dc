"""Defects of well-known GAN code that have no better home: each is a property that ours must have.

The others stand beside the module they concern: B1, B3 (one epsilon a sample), B4, B5, B10 and B13 in
test_penalties.py, B6 in test_minibatch.py, B7 in test_data.py, B8 in test_game_terms.py, B15 in test_unrolled.py.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from ganlab.data import ring  # noqa: E402
from ganlab.metrics import modes_report  # noqa: E402
from ganlab.neural.models.mlp import mlp  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.runs import Run  # noqa: E402
from ganlab.neural.training import train  # noqa: E402
from ganlab.objectives import OBJECTIVES, is_zero_sum  # noqa: E402
from ganlab.relativistic import RELATIVISTIC  # noqa: E402


@pytest.mark.parametrize("name", [*OBJECTIVES, *RELATIVISTIC])
def test_b2_every_loss_reaches_the_weights_of_the_player_that_it_is_for(name):
    # torchgan's mutual information penalty rebuilds a tensor from its losses: a value without a gradient
    objective = (OBJECTIVES | RELATIVISTIC)[name]
    G, D = mlp(2, 2, (8,), seed=0), mlp(2, 1, (8,), seed=1)
    real = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    fake = G(torch.randn(16, 2, generator=torch.Generator().manual_seed(1)))
    for gain, player in ((objective.d_gain, D), (objective.g_gain, G)):
        slopes = torch.autograd.grad(
            gain(D(real)[:, 0], D(fake)[:, 0]), list(player.parameters())[:2], retain_graph=True
        )
        assert all(slope.abs().sum() > 0 for slope in slopes)


def test_b3_a_penalty_is_summed_into_the_loss_and_not_a_step_of_its_own(monkeypatch):
    # torchgan's WGAN-GP steps for the loss and again for the penalty
    recipe = Recipe(objective="wasserstein", penalties={"wgan_gp": 10.0}, steps=3, batch=16)
    run = Run(mlp(2, 2, (8,), seed=0), mlp(2, 1, (8,), seed=1), ring(), recipe, device="cpu", points=100)
    steps, step = [], run.opt_D.step
    monkeypatch.setattr(run.opt_D, "step", lambda: steps.append(1) or step())
    for _ in train(run):
        pass
    assert len(steps) == 3


def test_b9_every_sample_is_counted_once():
    # GAN Lab's histogram of the data deletes as it reads: 154 of 450 points counted, mass 0.342
    law = ring()
    report = modes_report(law.sample(450, np.random.default_rng(0)), law)
    assert sum(report.counts) == round(report.hq * report.n)
    far = modes_report(np.full((10, 2), 50.0), law)
    assert (far.n, far.hq, sum(far.counts)) == (10, 0.0, 0)


@pytest.mark.parametrize("t", [-3.0, -6.0, -12.0])
def test_b11_a_confident_discriminator_starves_the_saturating_generator_and_not_the_other(t):
    # D2L explains the saturating gradient the wrong way round. At a fake's score t, with D = 1 / (1 + e^-t):
    # d/dt of -log(1 - D) is D, which dies with D; d/dt of log D is 1 - D, which does not.
    D = 1 / (1 + np.exp(-t))
    score = torch.tensor([t], dtype=torch.float64, requires_grad=True)
    for name, slope in (("saturating", D), ("nonsaturating", 1 - D)):
        (ours,) = torch.autograd.grad(OBJECTIVES[name].g_gain(None, score), score)
        assert ours.item() == pytest.approx(slope, rel=1e-12)


def test_b12_nothing_is_called_minimax_that_is_not():
    # mimicry's minimax_loss_gen is the non-saturating loss
    assert "minimax" not in OBJECTIVES
    assert is_zero_sum("saturating")
    assert not is_zero_sum("nonsaturating")


def test_b14_scores_are_squashed_once():
    # vegans and PyTorch-GAN feed probabilities to a loss that expects scores
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    ones, zeros = torch.ones(2), torch.zeros(2)
    bce = F.binary_cross_entropy_with_logits
    objective = OBJECTIVES["nonsaturating"]
    assert objective.d_gain(real, fake).item() == pytest.approx(-(bce(real, ones) + bce(fake, zeros)).item())
    assert objective.g_gain(None, fake).item() == pytest.approx(-bce(fake, ones).item())
    assert objective.d_gain(real.sigmoid(), fake.sigmoid()).item() != pytest.approx(objective.d_gain(real, fake).item())
