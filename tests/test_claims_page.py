"""The book's side of the ledger: links to claims resolve, and an unknown one fails the build."""

import os
import subprocess
import sys
from pathlib import Path

import ledger
import pytest
import yaml

pytest.importorskip("sphinx", reason="the book's tools are not installed: pip install -e '.[book]'")
pytest.importorskip("myst_parser", reason="the book's tools are not installed: pip install -e '.[book]'")

EXTENSIONS = Path(__file__).resolve().parent.parent / "book/_ext"
CLAIM = {
    "id": "F-01",
    "page": "claims",
    "status": "CORRECTED",
    "statement": "Two **players** at $x=0$.",
    "formula": r"x_1 \in (0,1)",
    "source": ["000"],
    "slip": "says three.",
}
CONF = """
extensions = ["myst_parser", "sphinx.ext.mathjax", "claims_page"]
root_doc = "book/claims"
myst_enable_extensions = ["dollarmath"]
html_theme = "sphinx_book_theme"
html_theme_options = {"repository_url": "https://github.com/a/b", "repository_branch": "main"}
"""
TABLE = "# Claims\n\n```{claims-table}\n```\n\n"


def build(root, text):
    """Build a one-page book strictly; returns the exit status, what was said, and the page."""
    (root / "book").mkdir()
    (root / ledger.LEDGER).write_text(yaml.safe_dump({"sources": {"000": "An article"}, "claims": [CLAIM]}))
    (root / "tests").mkdir()
    (root / "tests/test_x.py").write_text("\n\ndef test_two(): pass\n")
    entry = {"tests": ["tests/test_x.py::test_two"], "outcome": "passed", "page": "claims"}
    ledger.write_results(root, {"F-01": entry})
    (root / "book/claims.md").write_text(text)
    (root / "conf.py").write_text(CONF)
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, str(root), str(root / "out")],
        env={**os.environ, "PYTHONPATH": str(EXTENSIONS)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    page = root / "out/book/claims.html"
    return done.returncode, done.stderr, page.read_text(encoding="utf-8") if page.exists() else ""


def test_a_claim_shows_its_status_its_test_and_its_place(tmp_path):
    status, said, html = build(tmp_path, TABLE + "See {claim}`F-01`.\n\n```{claims-of} claims\n```\n")
    assert (status, said) == (0, "")
    for part in (
        'id="claim-F-01"',
        'href="#claim-F-01"',
        "badge-corrected",
        "badge-passed",
        "<strong>players</strong>",
        r"x_1 \in (0,1)",
        "says three.",
        'href="https://github.com/a/b/blob/main/tests/test_x.py#L3"',
        "1 claim: 1 held by tests that pass",
        "ledger.js",
    ):
        assert part in html, part


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{claim}`F-99`", "F-99 is not in book/claims.yml"),
        ("```{claims-of} no-such-page\n```", "has page 'no-such-page'"),
    ],
)
def test_an_unknown_claim_or_page_fails_the_build(tmp_path, text, message):
    status, said, _ = build(tmp_path, TABLE + text + "\n")
    assert status != 0
    assert message in said


def test_a_broken_ledger_fails_the_build_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.delitem(CLAIM, "statement")
    status, said, _ = build(tmp_path, TABLE)
    assert status != 0
    assert "claim number 1 (F-01) has no statement" in said
