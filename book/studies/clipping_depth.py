"""How does the slope travel through a deep critic? Twelve layers, clipped at three values or penalised.

The swiss roll against its blur, the generator standing still (`clipping_critics.blurred`), critics of twelve layers
(eleven of 128 ReLU units and the answer), 300 steps, ten seeds as one stack. Stored: for the input and each hidden
layer, the mean over data and fakes of the length of the gradient of the critic with respect to that layer's output,
taken in double precision because it reaches 1e-25.

``python book/studies/clipping_depth.py`` writes ``book/results/clipping-depth.json`` (about two minutes on one free
core). The page *From clipping to penalties* draws it, and a claim test runs a part again.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from clipping_critics import CLIPPED, FREE, blurred, critic
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

SETTINGS = {"seeds": 10, "width": 128, "layers": 12, "critic_steps": 300}
RULES = {f"clip {c}": CLIPPED | {"clip": c} for c in (0.1, 0.01, 0.001)}
RULES["WGAN-GP, 10"] = FREE | {"lr": 1e-3, "penalties": {"wgan_gp": 10.0}}


def slopes_by_layer(D, points, seeds):
    """Mean length of the gradient at the input and behind every ReLU, shape (S, layers)."""
    D = D.double()
    h = torch.as_tensor(points).expand(seeds, -1, -1).clone().requires_grad_()
    outputs = [h]
    for layer in D:
        h = layer(h)
        if isinstance(layer, nn.ReLU):
            outputs.append(h)
    gradients = torch.autograd.grad(h.sum(), outputs)
    return torch.stack([g.norm(dim=-1).mean(-1) for g in gradients], 1).numpy()


def study(rule, seeds, critic_steps=None, width=None):
    real, fakes = blurred("swiss roll")
    hidden = (width or SETTINGS["width"],) * (SETTINGS["layers"] - 1)
    D = critic(real, fakes, RULES[rule], seeds, critic_steps or SETTINGS["critic_steps"], hidden)
    return slopes_by_layer(D, np.concatenate([real, fakes]), len(list(seeds)))


def main():
    from results import store

    seeds, found = range(SETTINGS["seeds"]), {"settings": SETTINGS, "slopes": {}}
    for rule in RULES:
        found["slopes"][rule] = [[float(f"{v:.4g}") for v in row] for row in study(rule, seeds)]
        print(rule, np.median(found["slopes"][rule], axis=0), flush=True)
    print(store(__file__, seeds, found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
