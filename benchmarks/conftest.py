"""Speeds are printed as the ratios and rates that benchmarks/README.md keeps."""

import pytest

LINES = []


@pytest.fixture
def tell():
    """A function that keeps one line for the end of the run: what was measured, its value and its target."""
    return lambda what, value, target: LINES.append(f"{what:<62} {value:>14}   target {target}")


def pytest_terminal_summary(terminalreporter):
    if LINES:
        terminalreporter.section("speeds")
        for line in LINES:
            terminalreporter.write_line(line)
