"""Run pages from a clean kernel and store them so that running them again changes nothing.

``python book/_tools/execute.py book/vector-field.ipynb ...``: each page is executed in its own folder with one thread.
A page with an error is reported and left as it was. What is stored is the same on every run: fixed cell ids, no
timings, no machine names, and the set-up cell that installs the package on Colab and does nothing anywhere else.
"""

import argparse
import os
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
SETUP_TAG = "setup-colab"
CELL_KEYS = ("tags", "mystnb", "jupyter")
SETUP = """\
# On Colab this fetches the book with its package and stored studies; anywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    import os
    import subprocess

    def run(*command):
        subprocess.run(command, check=True)

    here = "/content/ganlab"
    if not os.path.exists(here):
        edition = ["--depth=1", "--branch=v{version}"]
        run("git", "clone", "-q", *edition, "{repository}", here)
    run(sys.executable, "-m", "pip", "install", "-q", f"{{here}}[torch]")
    os.chdir(f"{{here}}/book")
"""


class PageError(RuntimeError):
    """A page that cannot be executed; nothing was stored."""


def setup_source(root=ROOT):
    """Source of the set-up cell: the version of pyproject.toml, the repository address of _config.yml."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return SETUP.format(repository=config["repository"]["url"], version=version).rstrip()


def put_setup_cell(book, source):
    """Make the set-up cell the first code cell, replacing an older one."""
    cells = [cell for cell in book.cells if SETUP_TAG not in cell.metadata.get("tags", [])]
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["remove-cell", SETUP_TAG]})
    first = next((i for i, c in enumerate(cells) if c.cell_type == "code"), len(cells))
    book.cells = [*cells[:first], cell, *cells[first:]]


def normalise(book, page):
    """Keep what a reader sees and an author wrote; drop what differs from run to run or from editor to editor."""
    book.cells = [cell for cell in book.cells if cell.source.strip()]
    book.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    book.nbformat, book.nbformat_minor = 4, 5
    for n, cell in enumerate(book.cells):
        cell.id = f"{page}-{n:02d}"
        cell.metadata = {key: cell.metadata[key] for key in CELL_KEYS if cell.metadata.get(key)}
        cell.source = cell.source.rstrip()
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)


def merge_streams(outputs):
    """Join neighbouring pieces of one stream: where a kernel cuts its text depends on the moment."""
    merged = []
    for output in outputs:
        output.pop("transient", None)
        if merged and output.output_type == "stream" == merged[-1].output_type and output.name == merged[-1].name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def run(book, folder, timeout):
    """Execute all cells in a fresh kernel; a `PageError` shows the cell that failed."""
    client = NotebookClient(
        book, timeout=timeout, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise PageError(re.sub(r"\x1b\[[0-9;]*m", "", str(error))) from None
    except CellTimeoutError as error:
        raise PageError(f"a cell ran longer than {timeout} s: {error}") from None
    except DeadKernelError as error:
        raise PageError(f"the kernel died: {error}") from None


def execute(path, root=ROOT, timeout=300):
    """Execute one page and store it; returns True when the file changed."""
    path = Path(path)
    if path.suffix != ".ipynb" or not path.is_file():
        raise PageError("not a notebook: give the path of a page, such as book/vector-field.ipynb")
    before = path.read_text(encoding="utf-8")
    try:
        book = nbformat.reads(before, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        raise PageError(f"not a valid notebook: {error}") from None
    put_setup_cell(book, setup_source(root))
    normalise(book, path.stem)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    run(book, path.parent.resolve(), timeout)
    normalise(book, path.stem)
    after = nbformat.writes(book) + "\n"
    if after == before:
        return False
    # A killed write must not leave half a page.
    partial = path.with_suffix(".partial")
    partial.write_text(after, encoding="utf-8", newline="\n")
    partial.replace(path)
    return True


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", help="notebooks to run")
    parser.add_argument("--timeout", type=int, default=300, help="seconds that one cell may take (default 300)")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    # A page draws with the kernel's own inline backend, whatever the caller's tests use.
    os.environ.pop("MPLBACKEND", None)
    failed = 0
    for page in options.pages:
        try:
            print(f"{page}: {'stored' if execute(page, timeout=options.timeout) else 'unchanged'}", flush=True)
        except PageError as error:
            failed += 1
            print(f"{page}: NOT stored\n{error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
