"""The ledger of this book has no fault, and the checker finds every fault a ledger can have."""

import shutil
from pathlib import Path

import ledger
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
GOOD = {"id": "F-01", "page": "the-game", "status": "CORRECT", "statement": "Two players.", "source": ["000"]}


def test_the_books_claims_are_proved(book_pages):
    claims = ledger.read_ledger(ROOT / ledger.LEDGER)
    results = ledger.read_results(ROOT / ledger.RESULTS)
    faults = ledger.row_faults(claims, book_pages) + ledger.result_faults(claims, results, ledger.digest(ROOT))
    assert not faults, "\n" + "\n".join(faults)


@pytest.fixture
def house(tmp_path):
    """A small repository with one proved claim; returns its root."""
    for folder in ("book", "ganlab", "tests/claims"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ganlab/games.py").write_text("x = 1\n")
    (tmp_path / "tests/claims/test_game.py").write_text("def test_two(): pass\n")
    write(tmp_path, [GOOD])
    record(tmp_path)
    return tmp_path


def write(root, rows):
    (root / ledger.LEDGER).write_text(yaml.safe_dump({"sources": {"000": "An article"}, "claims": rows}))


def record(root, claim="F-01", outcome="passed", page="the-game"):
    entry = {"tests": ["tests/claims/test_game.py::test_two"], "outcome": outcome, "page": page}
    ledger.write_results(root, {claim: entry})


def faults_of(root):
    claims = ledger.read_ledger(root / ledger.LEDGER)
    results = ledger.read_results(root / ledger.RESULTS)
    return ledger.row_faults(claims, {"the-game"}) + ledger.result_faults(claims, results, ledger.digest(root))


def test_a_proved_claim_has_no_fault(house):
    assert faults_of(house) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "RIGHT"}, "none of CORRECT, CORRECTED"),
        ({"status": "CORRECTED"}, "needs `slip:`"),
        ({"status": "CITED"}, "CITED, so it has no test"),
        ({"status": "CITED", "source": []}, "CITED needs a `source:`"),
        ({"source": ["009"]}, "source 009 is not under"),
        ({"page": "the-gmae"}, "not in _toc.yml"),
        ({"page": "the-gmae"}, "the mark says 'the-game'"),
        ({"id": "F-02"}, "F-02: no test; add one"),
        ({"id": "F-02"}, "no claim F-01 in book/claims.yml"),
    ],
)
def test_a_bad_row_is_found(house, change, message):
    write(house, [GOOD | change])
    record(house)
    assert message in "\n".join(faults_of(house))


def test_a_repeated_id_is_found(house):
    write(house, [GOOD, GOOD])
    record(house)
    assert any("appears 2 times" in fault for fault in faults_of(house))


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_claim_that_did_not_pass_is_found(house, outcome):
    record(house, outcome=outcome)
    assert faults_of(house) == [f"F-01: its test {outcome}; mend it, then {ledger.REMEDY}"]


@pytest.mark.parametrize("path", ["ganlab/games.py", "tests/claims/test_game.py", ledger.LEDGER])
def test_a_change_of_what_was_proved_makes_the_record_stale(house, path):
    with (house / path).open("a") as file:
        file.write("# changed\n")
    (fault,) = faults_of(house)
    assert "stale" in fault
    assert "make ledger" in fault


def test_line_ends_and_other_files_do_not_make_it_stale(house):
    path = house / "ganlab/games.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (house / "README.md").write_text("changed")
    assert faults_of(house) == []


def test_a_missing_record_says_what_to_do(house):
    (house / ledger.RESULTS).unlink()
    assert any("make ledger" in fault for fault in faults_of(house))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("claims: [", "is not YAML"),
        ("[]", "needs the keys"),
        ("claims: [{id: F-01}]", r"claim number 1 \(F-01\) has no page"),
        ("claims: [F-01]", "not a mapping"),
        ("claims: [{id: A, page: b, status: c, statement: d, slipp: e}]", "unknown key slipp"),
    ],
)
def test_an_unreadable_ledger_is_refused(tmp_path, text, message):
    path = tmp_path / "claims.yml"
    path.write_text(text)
    with pytest.raises(ledger.LedgerError, match=message):
        ledger.read_ledger(path)


def test_a_missing_ledger_is_refused(tmp_path):
    with pytest.raises(ledger.LedgerError, match="does not exist"):
        ledger.read_ledger(tmp_path / "claims.yml")


PLUGIN_TEST = """
import pytest

@pytest.mark.claim("F-01", page="the-game")
@pytest.mark.parametrize("n", [1, 2])
def test_two(n):
    assert n < LIMIT
"""


@pytest.fixture
def run_pytest(pytester, house, monkeypatch):
    """Run the plugin on the made-up house, in its own process and with no other plugin than xdist."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for file in ("book/_ext/ledger.py", "tests/ledger_plugin.py"):
        (house / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, house / file)
    (house / "conftest.py").write_text('pytest_plugins = ["ledger_plugin"]\n')
    (house / "pytest.ini").write_text("[pytest]\npythonpath = book/_ext tests\nmarkers = claim: a claim\n")

    def run(limit, *args):
        (house / "tests/claims/test_game.py").write_text(PLUGIN_TEST.replace("LIMIT", str(limit)))
        return pytester.runpytest_subprocess(
            "-p", "xdist.plugin", "--rootdir", house, "-c", house / "pytest.ini", *args
        )

    return run


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_the_plugin_records_the_outcome_of_all_cases(run_pytest, house, workers):
    run_pytest(3, "--ledger", house / "tests/claims", *workers)
    assert faults_of(house) == []
    run_pytest(2, "--ledger", house / "tests/claims", *workers)
    assert faults_of(house) == [f"F-01: its test failed; mend it, then {ledger.REMEDY}"]


def test_the_plugin_refuses_a_partial_record(run_pytest, house):
    result = run_pytest(3, "--ledger", "-k", "two", house / "tests/claims")
    result.stderr.fnmatch_lines(["*--ledger records a run of all the claim tests*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_an_unknown_claim_stops_the_run(run_pytest, house):
    write(house, [GOOD | {"id": "F-02"}])
    result = run_pytest(3, house / "tests")
    result.stderr.fnmatch_lines(["*no claim F-01 in book/claims.yml*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_claims_test_elsewhere_stops_the_run(run_pytest, house):
    (house / "tests/test_elsewhere.py").write_text(PLUGIN_TEST.replace("LIMIT", "3"))
    result = run_pytest(3, house / "tests")
    result.stderr.fnmatch_lines(["*a claim's test lives in tests/claims*"])
