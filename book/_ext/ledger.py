"""The claims ledger: read it, fingerprint what proves it, and list what is wrong with it.

The one definition of the ledger's rules. The pytest plugin (tests/conftest.py), the check (tests/test_claims.py) and
the book (claims_page.py) all use it; it needs nothing but PyYAML.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

LEDGER, RESULTS = "book/claims.yml", "book/claims-results.json"
PROVED_BY = ("ganlab/**/*.py", "tests/claims/**/*.py", LEDGER)
STATUSES = {
    "CORRECT": "the source is right",
    "CORRECTED": "the source is wrong or incomplete; the right statement is given",
    "EMPIRICAL": "only an experiment decides it",
    "DISPUTED": "it may fail; what was measured is said",
    "CITED": "context only: a source, no test",
}
REMEDY = "run `make ledger` and commit " + RESULTS


class LedgerError(ValueError):
    """The ledger cannot be read at all; the message says where and why."""


@dataclass(frozen=True)
class Claim:
    """One row: what is claimed, who claimed it, what they got wrong (`slip`), and the page that shows it."""

    id: str
    page: str
    status: str
    statement: str
    source: tuple = ()
    formula: str = ""
    slip: str = ""
    note: str = ""


@dataclass(frozen=True)
class Ledger:
    """All rows in their order, and the sources they name."""

    claims: tuple
    sources: dict = field(default_factory=dict)

    @property
    def by_id(self):
        return {claim.id: claim for claim in self.claims}


def read_ledger(path):
    """Read ``claims.yml``; a row of the wrong shape is a `LedgerError` that names it."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LedgerError(f"{path} does not exist: it is the list of the book's claims") from None
    except yaml.YAMLError as error:
        raise LedgerError(f"{path} is not YAML: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("claims"), list):
        raise LedgerError(f"{path} needs the keys `sources:` and `claims:` (a list)")
    return Ledger(tuple(_claim(row, n) for n, row in enumerate(data["claims"], 1)), data.get("sources") or {})


def _claim(row, n):
    known = set(Claim.__dataclass_fields__)
    if not isinstance(row, dict):
        raise LedgerError(f"claim number {n} is not a mapping of id, page, status, statement: {row!r}")
    name = f"claim number {n} ({row.get('id')})"
    if missing := sorted({"id", "page", "status", "statement"} - set(row)):
        raise LedgerError(f"{name} has no {', '.join(missing)}")
    if unknown := sorted(map(str, set(row) - known)):
        raise LedgerError(f"{name} has the unknown key {', '.join(unknown)}; the keys are {', '.join(sorted(known))}")
    source = row.get("source") or ()
    texts = {key: str(value).strip() for key, value in row.items() if key != "source" and value is not None}
    return Claim(**texts, source=(str(source),) if isinstance(source, str | int) else tuple(map(str, source)))


def read_results(path):
    """Read the recorded outcome of the claim tests; none recorded yet is an empty record."""
    path = Path(path)
    if not path.exists():
        return {"digest": "", "claims": {}}
    return json.loads(path.read_text(encoding="utf-8"))


def write_results(root, claims):
    """Record ``{id: {tests, outcome, page}}`` with the fingerprint of what was run; no dates, so no git noise."""
    record = {"digest": digest(root), "claims": claims}
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (Path(root) / RESULTS).write_text(text, encoding="utf-8", newline="\n")


def digest(root):
    """Fingerprint of the package, the claim tests and the ledger, the same on every system."""
    root, mark = Path(root), hashlib.sha256()
    for path in sorted(
        {p for pattern in PROVED_BY for p in root.glob(pattern)}, key=lambda p: p.relative_to(root).as_posix()
    ):
        text = path.read_bytes().replace(b"\r\n", b"\n")
        mark.update(path.relative_to(root).as_posix().encode() + b"\0" + text + b"\0")
    return mark.hexdigest()


def row_faults(ledger, pages=None):
    """What is wrong with the rows themselves; `pages`, when given, are the book's pages."""
    counts = Counter(claim.id for claim in ledger.claims)
    faults = [f"{i}: appears {n} times in {LEDGER}; give each claim its own id" for i, n in counts.items() if n > 1]
    sources = {str(key) for key in ledger.sources}
    for c in ledger.claims:
        if c.status not in STATUSES:
            faults.append(f"{c.id}: status {c.status!r} is none of {', '.join(STATUSES)}")
        if c.status == "CORRECTED" and not c.slip:
            faults.append(f"{c.id}: CORRECTED needs `slip:`, what the source says")
        if c.status == "CITED" and not c.source:
            faults.append(f"{c.id}: CITED needs a `source:`, since no test stands behind it")
        if unknown := sorted(set(c.source) - sources):
            faults.append(f"{c.id}: source {', '.join(unknown)} is not under `sources:` in {LEDGER}")
        if pages is not None and c.page not in pages:
            faults.append(f"{c.id}: page {c.page!r} is not in _toc.yml; the pages are {', '.join(sorted(pages))}")
    return faults


def mark_faults(ledger, marks):
    """What is wrong with the marks ``(id, page, test)`` that tests carry."""
    faults, claims = [], ledger.by_id
    for claim_id, page, test in marks:
        claim = claims.get(claim_id)
        if claim is None:
            faults.append(f"{test}: no claim {claim_id} in {LEDGER}; add the row or correct the id")
        elif claim.status == "CITED":
            faults.append(f"{test}: {claim_id} is CITED, so it has no test; change its status or drop the mark")
        elif claim.page != page:
            faults.append(f"{test}: {claim_id} is on page {claim.page!r} in {LEDGER}, the mark says {page!r}")
    return faults


def result_faults(ledger, results, current):
    """What is wrong with the recorded results, given the fingerprint of the files as they are now."""
    recorded = results.get("claims", {})
    marks = [(i, entry["page"], test) for i, entry in recorded.items() for test in entry["tests"]]
    faults = mark_faults(ledger, marks)
    for claim in ledger.claims:
        outcome = recorded.get(claim.id, {}).get("outcome")
        if outcome is None and claim.status != "CITED":
            faults.append(
                f"{claim.id}: no test; add one marked claim({claim.id!r}, page={claim.page!r}), then {REMEDY}"
            )
        elif outcome not in (None, "passed"):
            faults.append(f"{claim.id}: its test {outcome}; mend it, then {REMEDY}")
    if results.get("digest") != current:
        faults.append(f"{RESULTS} is stale: the package, a claim test or {LEDGER} changed since; {REMEDY}")
    return faults


def tests_of(results, claim_id):
    """The tests recorded for a claim, and their joint outcome (``untested`` when there is none)."""
    entry = results.get("claims", {}).get(claim_id, {})
    return entry.get("tests", []), entry.get("outcome", "untested")
