"""A small table that looks right in a notebook, in the book and in a terminal."""

from dataclasses import dataclass
from html import escape

from ganlab.checks import InputError

__all__ = ["Table"]


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of a name and its values; numbers stand to the right.

    Parameters
    ----------
    head : sequence
        One heading a column.
    rows : sequence of sequences
        Each as long as `head`; cells are shown as ``str`` writes them.

    Raises
    ------
    InputError
        If a row is longer or shorter than the head.

    Examples
    --------
    >>> Table(("objective", "J at rest"), [("saturating", -1.386), ("hinge", -2.0)])
    objective   J at rest
    saturating     -1.386
    hinge            -2.0
    """

    head: tuple
    rows: tuple

    def __post_init__(self):
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))
        for row in self.rows:
            if len(row) != len(self.head):
                raise InputError(f"every row needs {len(self.head)} cells, as the head has; got {row!r}")

    def __repr__(self):
        lines = [[str(cell) for cell in line] for line in (self.head, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:],
                         strict=True))]).rstrip() for line in lines)  # fmt: skip

    def _repr_html_(self):
        body = "".join(_line(row, "td") for row in self.rows)
        return f'<table class="table"><thead>{_line(self.head, "th")}</thead><tbody>{body}</tbody></table>'


def _line(cells, tag):
    """One row of HTML: the first cell on the left, the others on the right and unbroken."""
    first, *others = (escape(str(cell)) for cell in cells)
    right = "".join(f'<{tag} style="text-align:right;white-space:nowrap">{cell}</{tag}>' for cell in others)
    return f'<tr><{tag} style="text-align:left">{first}</{tag}>{right}</tr>'
