"""What the tests share: no display, and the names of the book's pages."""

import os
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def book_pages():
    """Names of the pages in the table of contents, such as ``vector-field``."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]] + [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return {file.removeprefix("book/") for file in files}
