"""Exact transport against SciPy and POT on the same input: both take turns in one process, and ratios are paired."""

import statistics
import time

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from ganlab.transport import plan, plan_of_costs, quadratic_potentials, wasserstein

on_one_core = pytest.mark.benchmark(timer=time.process_time, group="transport")


def race(benchmark, tell, what, target, ours, theirs, rounds, inner=1):
    """Tell both medians and the median of the paired ratios; whoever goes first changes every round."""
    runs, times = {"ours": ours, "theirs": theirs}, {"ours": [], "theirs": []}

    def both():
        names = ["ours", "theirs"]
        for name in names[:: 1 if len(times["ours"]) % 2 else -1]:
            start = time.process_time()
            for _ in range(inner):
                runs[name]()
            times[name].append((time.process_time() - start) / inner)

    benchmark.pedantic(both, rounds=rounds, warmup_rounds=1)
    ratios = sorted(one / two for one, two in zip(times["ours"], times["theirs"], strict=True))
    mine, other = (1e3 * statistics.median(times[name]) for name in ("ours", "theirs"))
    tell(f"{what}: ms, ours and theirs", f"{mine:.3g} / {other:.3g}", "")
    low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    tell("  median ratio (80 % of the rounds)", f"{statistics.median(ratios):.2f} ({low:.2f}-{high:.2f})", target)


@on_one_core
@pytest.mark.parametrize("n", [1_000, 100_000])
@pytest.mark.parametrize("kind", ["equal numbers", "unequal numbers", "weights"])
def test_w1_on_the_line_against_scipy(benchmark, tell, n, kind):
    random = np.random.default_rng(0)
    x, y = random.normal(size=n), random.normal(size=n + (7 if kind == "unequal numbers" else 0))
    a, b = (random.dirichlet(np.ones(n)) for _ in range(2)) if kind == "weights" else (None, None)
    assert wasserstein(x, y, a=a, b=b) == pytest.approx(wasserstein_distance(x, y, a, b), abs=1e-10)
    race(benchmark, tell, f"W_1 of {n:,} points, {kind}", "<= 2 x SciPy", lambda: wasserstein(x, y, a=a, b=b),
         lambda: wasserstein_distance(x, y, a, b), rounds=21, inner=max(1, 100_000 // n))  # fmt: skip


def clouds(n):
    random = np.random.default_rng(n)
    return random.normal(size=(n, 2)), random.normal(size=(n, 2)) + 1


def pot(x, y):
    """POT on the same costs, with its potentials: made anew, as ours are."""
    import ot

    equal = np.full(len(x), 1 / len(x))
    return ot.emd(equal, equal, ot.dist(x, y) / 2, log=True)


@on_one_core
@pytest.mark.parametrize(("n", "how"), [
    (64, {"choice": "vertex"}), (512, {"choice": "vertex"}), (64, {}), (512, {}), (64, {"solver": "highs"}),
])  # fmt: skip
def test_the_quadratic_programme_against_pot(benchmark, tell, n, how):
    x, y = clouds(n)
    assert quadratic_potentials(x, y, **how).value == pytest.approx(pot(x, y)[1]["cost"], rel=1e-9)
    name = " ".join(how.values()) or "centre"
    race(benchmark, tell, f"quadratic programme of {n} points, {name}", "in one run",
         lambda: quadratic_potentials(x, y, **how), lambda: pot(x, y), rounds=11)  # fmt: skip


@on_one_core
@pytest.mark.parametrize("n", [64, 512])
def test_a_proved_plan_against_pot(benchmark, tell, n):
    x, y = clouds(n)
    halves = ((x[:, None] - y) ** 2).sum(axis=2) / 2
    assert plan(x, y, p=2).cost / 2 == pytest.approx(pot(x, y)[1]["cost"], rel=1e-9)
    race(benchmark, tell, f"plan of {n} points, potentials and proof", "in one run",
         lambda: plan(x, y, p=2), lambda: pot(x, y), rounds=21, inner=max(1, 512 // n))  # fmt: skip
    assert plan_of_costs(halves).cost == pytest.approx(pot(x, y)[1]["cost"], rel=1e-9)
