"""What the tests share: no display, repeatable examples, and the names of the book's pages."""

import os
import sys
from pathlib import Path

import hypothesis
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")

# The same examples on every run, and no clock: a busy machine must not turn a test red.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks are several times faster with one thread than with two on a busy machine."""
    torch = sys.modules.get("torch")  # a module that needs it has imported it by now; the others must do without
    if torch is not None:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def book_pages():
    """Names of the pages in the table of contents, such as ``vector-field``."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]] + [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return {file.removeprefix("book/") for file in files}
