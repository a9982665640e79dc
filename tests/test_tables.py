"""Tables read the same in a terminal and in a notebook, and hostile text stays text."""

import xml.etree.ElementTree as ET

import pytest

from ganlab.checks import InputError
from ganlab.tables import Table

ROWS = [("one & two", 1.5), ("<script>alert(1)</script>", -20)]


def test_columns_line_up():
    lines = repr(Table(("name", "x"), ROWS)).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert lines[2].endswith("-20")


def test_the_html_has_every_cell_and_runs_nothing():
    tree = ET.fromstring(Table(("name", "x"), ROWS)._repr_html_())
    cells = [cell.text for cell in tree.iter() if cell.tag in ("td", "th")]
    assert cells == ["name", "x", "one & two", "1.5", "<script>alert(1)</script>", "-20"]


def test_rows_may_be_any_iterable_and_must_fit():
    assert Table(("a", "b"), (row for row in ROWS)).rows == tuple(ROWS)
    with pytest.raises(InputError, match="2 cells"):
        Table(("a", "b"), [(1, 2, 3)])
