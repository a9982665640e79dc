"""`make execute` gives the same file on every run, and leaves a page with an error alone."""

import sys
from pathlib import Path

import execute
import nbformat
import pytest

import ganlab

CELLS = {
    "prose": nbformat.v4.new_markdown_cell("# A page"),
    "figure": nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2]);"),
    "text": nbformat.v4.new_code_cell("import sys\nfor n in range(3):\n    print(n, flush=True)\n"),
}


@pytest.fixture(autouse=True)
def inline_backend(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)


def page(tmp_path, *cells, name="small-page"):
    path = tmp_path / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path


def test_a_second_run_changes_nothing(tmp_path):
    path = page(tmp_path, *CELLS.values(), nbformat.v4.new_code_cell("  "))
    assert execute.execute(path) is True
    first = path.read_bytes()
    assert execute.execute(path) is False
    assert path.read_bytes() == first
    book = nbformat.read(path, as_version=4)
    assert [cell.id for cell in book.cells] == [f"small-page-{n:02d}" for n in range(4)]
    assert [cell.execution_count for cell in book.cells if cell.cell_type == "code"] == [1, 2, 3]
    assert "image/png" in book.cells[2].outputs[0].data
    assert book.cells[3].outputs[0].text == "0\n1\n2\n"
    assert book.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_an_error_is_shown_and_nothing_is_stored(tmp_path, capsys):
    path = page(tmp_path, CELLS["prose"], nbformat.v4.new_code_cell("1 / 0"))
    before = path.read_bytes()
    assert execute.main([str(path)]) == 1
    assert path.read_bytes() == before
    shown = capsys.readouterr().err
    assert "1 / 0" in shown
    assert "ZeroDivisionError" in shown
    assert "NOT stored" in shown


def test_a_cell_that_never_ends_is_stopped(tmp_path, capsys):
    path = page(tmp_path, nbformat.v4.new_code_cell("import time; time.sleep(60)"))
    assert execute.main(["--timeout", "2", str(path)]) == 1
    assert "longer than 2 s" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "text"), [("page.txt", "{}"), ("page.ipynb", "not json"), ("missing.ipynb", None)])
def test_what_is_not_a_page_is_refused(tmp_path, capsys, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert execute.main([str(tmp_path / name)]) == 1
    assert "notebook" in capsys.readouterr().err


def test_the_set_up_cell_is_replaced_not_repeated():
    book = nbformat.v4.new_notebook(cells=list(CELLS.values()))
    execute.put_setup_cell(book, "old")
    execute.put_setup_cell(book, "new")
    assert [cell.source for cell in book.cells if "setup-colab" in cell.metadata.get("tags", [])] == ["new"]
    assert book.cells[0].cell_type == "markdown", "a page opens with its title"


def test_the_set_up_cell_does_nothing_outside_colab():
    source = execute.setup_source()
    assert "https://github.com/" in source
    assert f"--branch=v{ganlab.__version__}" in source, "the package of this very version"
    here, packages = Path.cwd(), set(sys.modules)
    exec(compile(source, "set-up cell", "exec"), {})
    assert (Path.cwd(), set(sys.modules)) == (here, packages)
