"""Made pictures a second on one core: a class that trains at 32 pixels must wait for seconds, not for minutes."""

import statistics
import time

import numpy as np
import pytest

from ganlab.drawings import DRAWINGS, faces, glyphs, scenes

# About half of what benchmarks/README.md has, so that a change for the worse is seen and a busy machine is not.
TARGETS = {
    "glyphs": {16: 5_000, 32: 4_000, 64: 4_000, 128: 1_000},
    "faces": {16: 2_000, 32: 1_200, 64: 1_200, 128: 300},
    "scenes": {16: 1_200, 32: 700, 64: 700, 128: 180},
    "stacked digits": {16: 200_000, 32: 100_000, 64: 20_000, 128: 5_000},
}


@pytest.mark.benchmark(timer=time.process_time, group="drawings")
@pytest.mark.parametrize("resolution", [16, 32, 64, 128])
@pytest.mark.parametrize("name", DRAWINGS)
def test_pictures_a_second(benchmark, tell, name, resolution):
    n, times = (200 if resolution == 128 else 500), []

    def draw():
        start = time.process_time()
        DRAWINGS[name](n, np.random.default_rng(len(times)), resolution)
        times.append(time.process_time() - start)

    benchmark.pedantic(draw, rounds=7, warmup_rounds=1)
    target = TARGETS[name][resolution]
    rate = n / statistics.median(times[1:])
    tell(f"{name}, {resolution} x {resolution}: pictures a second", f"{rate:,.0f}", f">= {target:,}")


@pytest.mark.benchmark(group="drawings")
@pytest.mark.parametrize("make", [glyphs, faces, scenes], ids=lambda make: make.__name__)
def test_memory_beside_the_pictures(benchmark, tell, make):
    """Pictures are drawn some at a time: what that takes beside the answer does not grow with n."""
    import tracemalloc

    def peak(n):
        tracemalloc.start()
        images = make(n, np.random.default_rng(0), 64).images
        extra = tracemalloc.get_traced_memory()[1] / images.nbytes
        tracemalloc.stop()
        return extra

    make(1, np.random.default_rng(0), 64)  # tables are made once
    share = benchmark.pedantic(lambda: peak(1_000), rounds=1)
    tell(f"{make.__name__}: peak memory against the pictures' own, n = 1,000", f"{share:.2f}", "<= 2.5")
