"""The pages keep the house's rules: in the table of contents, short cells, alt texts, honest stored outputs."""

import importlib
import json
import re
from collections import Counter
from pathlib import Path

import execute
import ledger
import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [
    BOOK / (c["file"].removeprefix("book/") + ".ipynb")
    for p in TOC["parts"]
    if p.get("numbered")
    for c in p["chapters"]
]
LONGEST_CELL, LONGEST_LINE, MOST_IN_A_ROW, SHORTEST_ALT, LARGEST_PAGE = 15, 80, 2, 40, 1_500_000
# What must not stand in a stored output, and why a reader would stop at it.
FOREIGN = {
    "a machine's path": r"/(root|home|work|tmp|Users)/",
    "a memory address": r"0x[0-9a-f]{6,}",
    "a timing": r"\b\d+(\.\d+)? ?(it/s|ms|µs|seconds)\b",
    "a warning": r"Warning\b",
}

page = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    """The code cells with their place in the page."""
    return [(n, cell) for n, cell in enumerate(read(path).cells) if cell.cell_type == "code"]


def is_hidden(cell):
    return any(tag.startswith(("hide-", "remove-")) for tag in cell.metadata.get("tags", []))


def prose(path):
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def text_of(output):
    data = output.get("data", {})
    return output.get("text", "") + "".join(str(v) for kind, v in data.items() if kind in ("text/plain", "text/html"))


def test_the_table_of_contents_and_the_folder_agree(book_pages):
    files = {path.stem for path in BOOK.iterdir() if path.suffix in (".md", ".ipynb")}
    assert files == book_pages, "every page is in _toc.yml, and every entry of _toc.yml has its file"


def test_cell_ids_are_unique_over_the_whole_book():
    ids = Counter(cell.id for path in NOTEBOOKS for cell in read(path).cells)
    assert [i for i, n in ids.items() if n > 1] == []


@page
def test_the_page_is_stored_as_make_execute_stores_it(path):
    book, stored = read(path), path.read_text(encoding="utf-8")
    execute.normalise(book, path.stem)
    assert nbformat.writes(book) + "\n" == stored, f"run `make execute PAGE=book/{path.name}`"


@page
def test_the_colab_cell_is_current(path):
    first = code_cells(path)[0][1]
    assert first.metadata["tags"] == ["remove-cell", execute.SETUP_TAG], "run `make execute`"
    assert first.source == execute.setup_source(), "the version or the address changed: run `make execute`"


@page
def test_cells_are_short_and_not_crowded(path):
    in_a_row = 0
    for n, cell in enumerate(read(path).cells):
        if cell.cell_type != "code":
            in_a_row = 0
        elif not is_hidden(cell):
            in_a_row += 1
            lines = [line for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#")]
            assert len(lines) <= LONGEST_CELL, f"cell {n} has {len(lines)} lines"
            wide = [line for line in cell.source.splitlines() if len(line) > LONGEST_LINE]
            assert not wide, f"cell {n}: the text column cuts lines off after {LONGEST_LINE} characters: {wide}"
            assert in_a_row <= MOST_IN_A_ROW, f"cell {n} is the third code cell in a row: say something in between"


@page
def test_the_page_was_run_from_top_to_bottom(path):
    counts = [cell.execution_count for _, cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), f"run `make execute PAGE=book/{path.name}`"


@page
def test_stored_outputs_hold_nothing_of_the_machine_that_made_them(path):
    for n, cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", f"cell {n} ended in an error"
            assert output.get("name") != "stderr", f"cell {n} wrote to stderr: {text_of(output)[:200]}"
            for what, pattern in FOREIGN.items():
                assert not re.search(pattern, text_of(output)), f"cell {n} prints {what}: {text_of(output)[:200]}"


@page
def test_every_picture_says_what_it_shows(path):
    for n, cell in code_cells(path):
        if any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= SHORTEST_ALT, f"cell {n}: metadata mystnb.image.alt must say what the picture shows"
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", prose(path)):
        assert alt.strip(), f"picture {target} has no alt text"


@page
def test_the_page_is_not_too_heavy(path):
    assert path.stat().st_size <= LARGEST_PAGE


@chapter
def test_a_chapter_has_all_its_parts(path):
    text = prose(path)
    assert ":class: predict" in text, "no Predict box: the reader commits to an answer first"
    assert re.search(r"^## Summary", text, re.M), "no `## Summary`"
    assert "{cite" in text, "cites nothing"
    if any(claim.page == path.stem for claim in ledger.read_ledger(ROOT / ledger.LEDGER).claims):
        assert "```{claims-of} " + path.stem in text, f"ends without ```{{claims-of}} {path.stem}"
    exercises = re.findall(r"\{exercise(?:-start)?\}[^\n]*\n(?::[^\n]*\n)*?:label: *(\S+)", text)
    assert 2 <= len(exercises) <= 4, f"has {len(exercises)} labelled exercises; 2 to 4 are asked for"
    solutions = re.findall(r"\{solution(?:-start)?\} *(\S+)\n(?::[^\n]*\n)*?:class: *dropdown", text)
    assert sorted(solutions) == sorted(exercises), "every exercise has a folded solution"


def resolve(name):
    """Import what a dotted name such as ``ganlab.games.pointwise`` stands for."""
    module, *rest = name.split(".")
    found = importlib.import_module(module)
    for part in rest:
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(f"{found.__name__}.{part}")
    return found


def test_the_notation_page_names_things_that_exist():
    """Every `` `ganlab.x.y` `` (or `` `gl.x` ``) of the dictionary of symbols is in the package."""
    (path,) = [p for p in BOOK.glob("notation.*") if p.suffix in (".md", ".ipynb")]
    text = path.read_text(encoding="utf-8") if path.suffix == ".md" else prose(path)
    names = re.findall(r"`(?:ganlab|gl)((?:\.\w+)+)", text)
    assert names, "the notation page names nothing of the package"
    for name in names:
        resolve("ganlab" + name)


def test_the_notation_page_shows_a_name_that_does_not_exist():
    with pytest.raises(ModuleNotFoundError):
        resolve("ganlab.games.no_such_game")


def test_the_reference_lists_every_public_module():
    pages = [(BOOK / name).read_text(encoding="utf-8") for name in ("api.md", "api-neural.md")]
    listed = re.findall(r"automodule:: ([\w.]+)", "\n".join(pages))
    modules = [path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "ganlab").rglob("*.py")]
    assert sorted(listed) == sorted(".".join(parts) for parts in modules if not parts[-1].startswith("_"))


def test_the_repositorys_address_stands_in_one_place():
    address = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    suffixes = {".py", ".md", ".yml", ".toml", ".txt", ".cff", ".css", ".js", ".ipynb", ""}
    folders = [
        ROOT,
        BOOK,
        BOOK / "_ext",
        BOOK / "_tools",
        BOOK / "_static",
        ROOT / "ganlab",
        ROOT / ".github/workflows",
    ]
    elsewhere = []
    for path in (p for folder in folders for p in folder.iterdir() if p.is_file() and p.suffix in suffixes):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":  # the set-up cell is generated, and proved current above
            text = json.dumps(
                [c.source for c in read(path).cells if execute.SETUP_TAG not in c.metadata.get("tags", [])]
            )
        if address.split("//")[1] in text and path.name != "_config.yml":
            elsewhere.append(path.name)
    assert elsewhere == []
