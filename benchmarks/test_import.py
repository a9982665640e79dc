"""Importing the package costs little more than importing numpy: a class waits for it in every notebook."""

import statistics
import subprocess
import sys
import time

import pytest

ROUNDS = 11


def seconds(package):
    """Wall time of a whole fresh interpreter that imports one package."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {package}"], check=True)
    return time.perf_counter() - start


@pytest.mark.benchmark(group="import")
def test_import_time(benchmark, tell):
    pairs = []
    benchmark.pedantic(lambda: pairs.append((seconds("numpy"), seconds("ganlab"))), rounds=ROUNDS, warmup_rounds=1)
    numpy, ganlab = (statistics.median(column) for column in zip(*pairs, strict=True))
    tell("import ganlab, whole process", f"{ganlab:.3f} s", "")
    tell("  against import numpy, median of paired ratios", f"{statistics.median(g / n for n, g in pairs):.2f}", "<= 4")
    tell("  import numpy, whole process", f"{numpy:.3f} s", "")
