"""What the tests of every page's claims share: the mark that names the claim, and the stored studies."""

import json
from functools import cache
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"


def claims_of(page):
    """Return a decorator ``claim(*ids)`` that marks a test as a proof of claims of this page."""

    def claim(*ids):
        def decorate(test):
            for name in reversed(ids):
                test = pytest.mark.claim(name, page=page)(test)
            return test

        return decorate

    return claim


def studies_of(page):
    """Return a function from the rest of a study's name to what it found, as the page reads it."""

    @cache
    def stored(name):
        return json.loads((RESULTS / f"{page}-{name}.json").read_text(encoding="utf-8"))["results"]

    return stored
