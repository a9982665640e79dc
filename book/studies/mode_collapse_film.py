"""One run that hops from mode to mode, kept as a film: what 160 dots of noise become, every 80 steps.

It is the run without any cure of ``mode_collapse_cures.py``, for one seed. Stored: the samples of the present generator
at 26 moments and every tenth row of the history, which `ganlab.diagnose` reads.

``python book/studies/mode_collapse_film.py`` writes ``book/results/mode-collapse-film.json`` (ten seconds).
"""

import sys
from pathlib import Path

import torch

from ganlab.diagnose import history_of
from ganlab.neural.training import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from mode_collapse_cures import make

SETTINGS = {"seed": 5, "dots": 160, "film_every": 80, "row_every": 10}


def shoot(seed):
    """Train one seed; returns the steps, the snapshots (F, dots, 2) and the history."""
    run, rows = make({}, [seed]), []
    steps, snapshots = [0], [run.sample(SETTINGS["dots"], averaged=False)[0]]
    for record in train(run):
        if record.step % SETTINGS["row_every"] == 0:
            rows.append(record.row())
        if record.step % SETTINGS["film_every"] == 0:
            steps.append(record.step)
            snapshots.append(run.sample(SETTINGS["dots"], averaged=False)[0])
    return steps, snapshots, history_of(rows, 0)


def main():
    from results import store

    steps, snapshots, history = shoot(SETTINGS["seed"])
    history = [{k: v if k == "step" else float(f"{v:.4g}") for k, v in row.items()} for row in history]
    found = {"steps": steps, "snapshots": [x.round(2).tolist() for x in snapshots], "history": history}
    print(store(__file__, [SETTINGS["seed"]], {"settings": SETTINGS, **found}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
