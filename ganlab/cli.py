"""The command ``ganlab``: its door, which opens without torch and then says what to install."""

import sys

__all__ = ["main"]


def main(argv=None):
    """Run the command with these arguments, by default those of the shell; return its exit code.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     main(["list", folder])
    no runs
    0
    """
    try:
        from ganlab.neural.cli import main as command
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("torch", "tqdm"):
            raise
        print(f"ganlab: training needs {error.name}: pip install 'ganlab[torch]'", file=sys.stderr)
        return 1
    return command(argv)
