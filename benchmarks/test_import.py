"""Importing the package costs little more than importing numpy: a class waits for it in every notebook."""

import subprocess
import sys

import pytest


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("package", ["numpy", "ganlab"])
def test_import_time(benchmark, package):
    benchmark.pedantic(
        subprocess.run, ([sys.executable, "-c", f"import {package}"],), {"check": True}, rounds=5, warmup_rounds=1
    )
