"""What a run looks at before it starts, so that what does not fit is said before training."""

import numpy as np
import torch

from ganlab.checks import InputError, whole
from ganlab.neural._scores import scores
from ganlab.neural.devices import no_memory
from ganlab.neural.minibatch import pack

__all__ = ["as_tensor", "share_of_batch", "try_out"]


def as_tensor(data, points):
    """The data as one tensor of finite floats: a law is sampled, a set of pictures is taken as it is."""
    if hasattr(data, "images"):
        data = data.images
    elif hasattr(data, "sample"):
        data = data.sample(whole("points", points), np.random.default_rng(0))
    try:
        data = torch.as_tensor(data)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"data must be a tensor or a law such as ganlab.data.ring(), got {data!r}") from None
    if not data.is_floating_point() or data.ndim < 2:
        raise InputError(f"data must be floats of shape (N, ...), got {data.dtype} of shape {tuple(data.shape)}")
    if not torch.isfinite(data).all():
        raise InputError(f"data must be finite: {int((~torch.isfinite(data)).sum())} of {data.numel()} numbers are not")
    return data


def share_of_batch(recipe, points, rng):
    """How many samples this process draws at a time."""
    if recipe.batch % rng.world:
        raise InputError(f"batch {recipe.batch} cannot be shared by {rng.world} processes: "
                         f"take {recipe.batch // rng.world * rng.world or rng.world}")  # fmt: skip
    if points < recipe.batch * recipe.pack:
        raise InputError(f"0 batches: there are {points} samples, and a batch needs {recipe.batch * recipe.pack}; "
                         "lower batch or pack, or repeat the data")  # fmt: skip
    if recipe.game_terms and (recipe.pack > 1 or recipe.instance_noise):
        raise InputError("game_terms work on plain samples: leave out pack and instance_noise")
    return recipe.batch // rng.world * recipe.pack


@torch.no_grad()
def try_out(run):
    """Send one batch of zeros through both networks, so that what does not fit is said before training."""
    z = torch.zeros(
        *[len(run.rng.seeds)] * run.rng.stacked, run.n, run.recipe.latent, device=run.device, dtype=run.dtype
    )
    seeds = len(run.rng.seeds)
    if run.rng.stacked and any(len(p) != seeds for net in (run.G, run.D) for p in net.parameters()):
        raise InputError(f"a Run of {seeds} seeds needs G and D stacked for the same number of seeds: "
                         f"mlp(..., seed=range({seeds}))")  # fmt: skip
    try:
        run.G.eval(), run.D.eval()
        fake = run.G(z)
        if fake.shape[1 + run.rng.stacked :] != run.data.shape[1:]:
            raise InputError(f"G makes samples of shape {tuple(fake.shape[1:])}, data have {tuple(run.data.shape[1:])}")
        scores(run.D, pack(fake, run.recipe.pack))
    except (RuntimeError, IndexError) as error:
        if no_memory(error):
            raise
        raise InputError(f"G and D do not fit noise {tuple(z.shape)} and data {tuple(run.data.shape)} "
                         f"(stacks need the same number of seeds in G, D and Run): {error}") from None  # fmt: skip
    finally:
        run.G.train(), run.D.train()
    _try_objective(run.objective)
    if run.recipe.batch == 1 and (run.rng.stacked or any("BatchNorm" in type(m).__name__ for m in run.D.modules())):
        raise InputError("batch 1 has no batch statistics and cannot be stacked: take batch 2 or more")


@torch.enable_grad()
def _try_objective(objective):
    """Ask a student's own objective for a gradient before training does."""
    t = torch.zeros(2, requires_grad=True)
    try:
        (objective.d_gain(t, t) + objective.g_gain(t, t)).backward()
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{objective.name}: f1, f2 and f3 must work on tensors; write them with ganlab.primitives "
                         f"(softplus, log, ...) instead of numpy ({error})") from None  # fmt: skip
