"""Does growing save time? Pictures a second at each stage, and distance against CPU seconds up to 32 x 32.

The throughput is that of the page's small pair with the published loss, batch 16, after its fade: 4 to 128. The race
at 32 x 32 is between growing (as `progan_ingredients.py` does it at 16) and training at 32 from the start, with as many
real pictures, at two learning rates; every 50 steps the clock stops and the averaged generator is measured. Seconds are
those of one busy CPU core of a shared machine: compare rows, not machines.

``python book/studies/progan_time.py`` writes ``book/results/progan-time.json`` (about twenty minutes on one core).
"""

import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from progan_ingredients import SETTINGS, distance, sets, train_row

from ganlab.neural.growing import PUBLISHED, Growth, levels
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))

RACE = {"resolution": 32, "seeds": 10}
RACERS = {
    "grown": {},
    "full size": {"start": 32},
    "full size, slower rate": {"start": 32, "recipe": {"lr": 3e-3}},
}
SPEEDS = {4: 60, 8: 40, 16: 30, 32: 12, 64: 8, 128: 4}  # steps that are timed


def pictures_a_second(resolution, steps, batch=16):
    """Real pictures that D is shown in a CPU second, at one stage of the page's pair."""
    recipe = replace(PUBLISHED, latent=SETTINGS["latent"], batch=batch, check_every=50)
    growth = Growth(resolution, resolution, (steps + 2) * batch, width=SETTINGS["width"], recipe=recipe)
    (run,) = itertools.islice(levels(torch.zeros(batch, 3, resolution, resolution), growth, device="cpu"), 1)
    for record in train(run):
        if record.step == 2:  # the first two are slow
            clock = time.process_time()
    return float(f"{steps * batch / (time.process_time() - clock):.3g}")


def main():
    from results import store

    found = {"speeds": {str(r): pictures_a_second(r, n) for r, n in SPEEDS.items()}, "race": {k: [] for k in RACERS}}
    print(found["speeds"], flush=True)
    pictures, held_out, others = sets(RACE["resolution"], SETTINGS["measured"])
    found["floor"] = distance(held_out, others)
    for seed in range(RACE["seeds"]):
        for name, change in RACERS.items():
            found["race"][name].append(train_row(change, seed, pictures, held_out))
            print(name, seed, found["race"][name][-1], flush=True)
        store(__file__, range(seed + 1), found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
