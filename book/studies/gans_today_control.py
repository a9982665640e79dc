"""Three controls: twice the weight on one penalty, penalties now and then, and a critic that learns alone.

"double": in `gans_today_digits.py` the rows with R1 and R2 pay both at gamma = 1, so more in total than the rows with
one. Here one penalty is paid at gamma = 2, all else equal. Near an equilibrium that should be the same.
"lazy": the ring of `gans_today_plane.py` with R1 and R2 at gamma = 2, paid at every fourth or sixteenth step only, so
many times as strong, ten seeds.
"alone": the same networks, but the generator stands still (its learning rate is 1e-12) and draws what it drew at the
start, far from the data. Stored while the critic learns: its root mean square slope at data and at fakes, ten seeds.

``python book/studies/gans_today_control.py`` writes ``book/results/gans-today-control.json`` (about five minutes on one
free core). The page *GANs today* shows what was stored, and a claim test runs a part again.
"""

import dataclasses
import sys
from pathlib import Path

import torch

from ganlab.neural.runs import Run
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from gans_today_digits import LOSSES, PENALTIES, SETTINGS, make, study
from gans_today_plane import slopes
from gans_today_plane import study as study_in_the_plane

LOOKS = (10, 30, 100, 300, 1000)
LAZY = (4, 16)
SINGLE = ("R1 only", "R2 only")


def alone(names, seeds, looks=LOOKS, loss="rpgan"):
    """Slopes of a critic that learns while the generator stands still, at each look."""
    run = make(loss, names, 1.0, seeds, steps=looks[-1])
    run = Run(run.G, run.D, run.data, dataclasses.replace(run.recipe, lr_g=1e-12), seed=list(seeds), device="cpu")
    return [{"step": record.step, **slopes(run)} for record in train(run) if record.step in looks]


def main():
    from results import store

    seeds, results = range(SETTINGS["seeds"]), {"settings": SETTINGS, "alone": {}, "double": {}, "lazy": {}}
    for lazy in LAZY:
        results["lazy"][str(lazy)] = study_in_the_plane("ring", "rpgan", ("r1", "r2"), 2.0, seeds, lazy)
        print("lazy", lazy, results["lazy"][str(lazy)], flush=True)
    for name, names in {**PENALTIES, "none": ()}.items():
        results["alone"][name] = alone(names, seeds)
        print(name, results["alone"][name][-1], flush=True)
    for loss in LOSSES:
        for name in SINGLE:
            results["double"][f"{loss}, {name}, 2"] = study(loss, PENALTIES[name], 2.0, seeds)
            print(loss, name, results["double"][f"{loss}, {name}, 2"]["looks"][-1], flush=True)
            store(__file__, seeds, results)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
