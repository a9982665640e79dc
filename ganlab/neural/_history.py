"""The history of a run: one JSON object a line, which others may read while it is written."""

import json
from contextlib import suppress
from pathlib import Path

from ganlab.neural import parallel
from ganlab.neural.checkpoints import CheckpointError, write

__all__ = ["HISTORY", "append", "read_history", "write_history"]

HISTORY = "history.jsonl"


def read_history(folder, step=None):
    """Return the rows of a history, up to `step` if one is given.

    A line that a kill has torn is left out, and training repeats its step.

    Examples
    --------
    >>> read_history("nowhere")
    []
    """
    try:
        lines = (Path(folder) / HISTORY).read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CheckpointError(f"the history in {folder} cannot be read: {error}") from error
    rows = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            row = json.loads(line)
            if step is None or row["step"] <= step:
                rows.append(row)
    return rows


def append(folder, row):
    """Add a row for those who look on; should that fail, the next checkpoint writes all rows and says so."""
    if folder is not None and parallel.rank() == 0:
        with suppress(OSError), open(folder / HISTORY, "a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(row) + "\n")


def write_history(folder, history):
    """Write all rows, whole or not at all."""
    write(folder / HISTORY, "".join(json.dumps(row) + "\n" for row in history).encode())
