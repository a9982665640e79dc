"""The training loop that a student reads in class."""

from dataclasses import dataclass

import numpy as np
import torch

from ganlab.neural import parallel
from ganlab.neural._scores import scores

__all__ = ["Record", "train"]


@dataclass(frozen=True, repr=False)
class Record:
    """What happened in one generator step, as tensors: one number each, or one a seed.

    `d_gain` and `g_gain` are what the players raise, `real` and `fake` the mean scores of the last batch, `penalty` the
    weighted sum that D paid, `d_norm` and `g_norm` the lengths of the two players' gradients. They stay on the device,
    so that nobody waits for a GPU before somebody looks: `row` turns them into plain numbers.
    """

    step: int
    d_gain: object
    g_gain: object
    real: object
    fake: object
    penalty: object
    d_norm: object
    g_norm: object

    def row(self):
        """Return the record as a dict of numbers, or of lists of numbers with several seeds."""
        return {k: v.tolist() if isinstance(v, torch.Tensor) else v for k, v in vars(self).items()}

    def __repr__(self):
        return ", ".join(f"{k} {np.mean(v):.4g}" for k, v in self.row().items())


# [the loop]
def train(run):
    """Train `run` to its last step; yield a `Record` after every generator step.

    Raises
    ------
    DivergedError
        Before a step that is not finite would touch the weights.
    """
    G, recipe, objective = run.G, run.recipe, run.objective
    while run.step < recipe.steps:
        with run.turn():  # sets learning rates, noise, random numbers
            for k in range(recipe.n_critic):
                real, z = run.batch()
                last = k == recipe.n_critic - 1  # its fakes serve both players
                with run.autocast(), torch.set_grad_enabled(last):
                    fake = run.prepare(G(z))
                with run.autocast():
                    t_real, t_fake = run.scores(real, fake.detach())
                penalty = run.penalty(k, real, fake.detach(), z, t_real)
                d_gain = objective.d_gain(t_real, t_fake)
                d_norm = ascend(run, run.opt_D, d_gain - penalty)
                run.clip()
            with run.autocast():
                critic = run.critic(real, fake)  # D itself, or D some steps ahead
                t_data = scores(critic, real) if run.compares else None
                g_gain = run.g_gain(t_data, scores(critic, fake))
            g_norm = ascend(run, run.opt_G, g_gain - run.game_terms("G", real, z))
            run.average()
            run.step += 1
        yield record(run.step, d_gain, g_gain, t_real, t_fake, penalty, d_norm, g_norm)


def ascend(run, optimizer, gain):
    """Take one step up the gain; the gradients of the other player are left alone."""
    (weights,) = optimizer.param_groups[0]["params"]  # all of this player's, in one tensor
    weights.grad = weights.slope(gain)  # averaged over the processes
    norm = run.check(weights, gain)
    optimizer.step()
    return norm


# [end of the loop]


@torch.no_grad()
def record(step, d_gain, g_gain, t_real, t_fake, penalty, d_norm, g_norm):
    """Write down a step: mean scores instead of batches, averaged over the processes."""
    numbers = d_gain.detach(), g_gain.detach(), t_real.mean(-1), t_fake.mean(-1), penalty.detach(), d_norm, g_norm
    return Record(step, *(numbers if parallel.world() == 1 else parallel.average(torch.stack(numbers)).unbind()))
