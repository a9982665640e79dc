"""The speeds that the book's pictures need, in processor time of one core, and the ratio to the sources' own script."""

import statistics
import time

import numpy as np
import pytest

from ganlab import OBJECTIVES, flow, pointwise, report, simulate

P_D, RATE = 0.2, 1e-3
MANY = np.column_stack(
    [np.random.default_rng(0).uniform(0.1, 0.9, 10_000), np.random.default_rng(1).uniform(0.05, 1.0, 10_000)]
)
on_one_core = pytest.mark.benchmark(timer=time.process_time, group="simulation")


def median(benchmark):
    return benchmark.stats.stats.median


@on_one_core
def test_euler_at_ten_thousand_starts(benchmark, tell):
    game, steps = pointwise("saturating", P_D), 1000
    benchmark.pedantic(lambda: simulate(game, MANY, lr=RATE, steps=steps, save_every=steps), rounds=9, warmup_rounds=1)
    tell("Euler at 10,000 starts, step-trajectories a second", f"{steps * len(MANY) / median(benchmark):.3g}", ">= 2e8")


@on_one_core
def test_ten_thousand_flows_in_one_solve(benchmark, tell):
    game = pointwise("saturating", P_D)
    benchmark.pedantic(lambda: flow(game, MANY, T=10, points=2, rtol=1e-9), rounds=9, warmup_rounds=1)
    tell("10,000 trajectories to T = 10 at 1e-9, one adaptive solve", f"{median(benchmark):.3f} s", "< 0.1 s")


def the_sources_script(steps):
    """The vector-field article's experiment in our words: plain floats, numpy's logarithm, every state appended."""
    D, p_g = 0.75, 0.9
    Ds, p_gs = [D], [p_g]
    for _ in range(steps):
        v_D = P_D / D - p_g / (1 - D)
        v_p = -np.log(1 - D) + np.log(0.5)
        D += RATE * v_D
        p_g += RATE * v_p
        Ds.append(D)
        p_gs.append(p_g)
    return Ds, p_gs


@on_one_core
def test_one_start_against_the_sources_script(benchmark, tell):
    game, steps, times = pointwise("saturating", P_D), 100_000, {"script": [], "package": []}
    runs = {
        "script": lambda: the_sources_script(steps),
        "package": lambda: simulate(game, (0.75, 0.9), lr=RATE, steps=steps),
    }
    np.testing.assert_allclose(runs["package"]().states, np.column_stack(runs["script"]()), rtol=1e-9)

    def both():
        names = ["script", "package"]
        for name in names[:: 1 if len(times["script"]) % 2 else -1]:  # whoever goes first changes every round
            start = time.process_time()
            runs[name]()
            times[name].append(time.process_time() - start)

    benchmark.pedantic(both, rounds=20, warmup_rounds=1)
    tell("one start, 100,000 steps, every state kept", f"{statistics.median(times['package']):.3f} s", "")
    tell("  the sources' script in the same run", f"{statistics.median(times['script']):.3f} s", "")
    ratios = [ours / theirs for ours, theirs in zip(times["package"], times["script"], strict=True)]
    tell("  median of paired ratios", f"{statistics.median(ratios):.2f}", "<= 1.0")


@on_one_core
def test_report(benchmark, tell):
    def fresh():
        from ganlab import objectives

        objectives._expressions.cache_clear(), objectives._rest_score.cache_clear()
        return [report(name) for name in OBJECTIVES]

    benchmark.pedantic(fresh, rounds=5, warmup_rounds=1)
    tell("report(objective), mean over the table", f"{1e3 * median(benchmark) / len(OBJECTIVES):.0f} ms", "")
