"""The pytest plugin that ties tests to claims: it checks the marks, and with ``--ledger`` records what they proved."""

import ledger
import pytest


def pytest_addoption(parser):
    parser.addoption("--ledger", action="store_true", help="record what all the claim tests proved (use `make ledger`)")


def pytest_configure(config):
    # An xdist worker has `workerinput`; only the controller sees every report.
    if config.getoption("ledger") and not hasattr(config, "workerinput"):
        _refuse_partial_run(config)
        config.pluginmanager.register(Recorder(config.rootpath), "ledger-recorder")


def _refuse_partial_run(config):
    """A record of some of the claims would read as if the others had no test."""
    chosen = [(config.invocation_params.dir / arg).resolve() for arg in config.args]
    narrowing = ("keyword", "markexpr", "maxfail", "lf", "deselect")
    if chosen != [config.rootpath / "tests/claims"] or any(getattr(config.option, name, None) for name in narrowing):
        raise pytest.UsageError("--ledger records a run of all the claim tests: use `make ledger`")


def pytest_collection_modifyitems(config, items):
    marks = [(mark, item) for item in items for mark in item.iter_markers("claim")]
    if not marks:
        return
    rows, faults = [], []
    for mark, item in marks:
        if config.rootpath / "tests/claims" not in item.path.parents:
            faults.append(
                f"{item.nodeid}: a claim's test lives in tests/claims, so that a change makes the record stale"
            )
        if len(mark.args) != 1 or set(mark.kwargs) != {"page"}:
            faults.append(f'{item.nodeid}: write the mark as claim("F-20", page="vector-field")')
            continue
        row = (mark.args[0], mark.kwargs["page"])
        rows.append((*row, item.nodeid))
        # user_properties travel with the report, also from an xdist worker.
        item.user_properties.append(("claim", row))
    faults += ledger.mark_faults(ledger.read_ledger(config.rootpath / ledger.LEDGER), rows)
    if faults:
        raise pytest.UsageError("\n".join(dict.fromkeys(faults)))


class Recorder:
    """Gathers the outcome of every claim test and writes the record at the end."""

    def __init__(self, root):
        self.root, self.claims = root, {}

    def pytest_runtest_logreport(self, report):
        # A passing set-up or tear-down says nothing; a failing or skipping one means that the test did not pass.
        if report.when != "call" and report.passed:
            return
        for name, value in report.user_properties:
            if name == "claim":
                self._add(*value, report.nodeid.split("[")[0], report.outcome)

    def _add(self, claim_id, page, test, outcome):
        entry = self.claims.setdefault(claim_id, {"tests": [], "outcome": "passed", "page": page})
        entry["tests"] = sorted({*entry["tests"], test})
        # One test that failed or did not run leaves the claim unproved; a failure is never overwritten.
        if outcome != "passed" and entry["outcome"] != "failed":
            entry["outcome"] = outcome

    def pytest_sessionfinish(self, exitstatus):
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            ledger.write_results(self.root, self.claims)

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.write_line(f"{len(self.claims)} claims recorded in {ledger.RESULTS}")
