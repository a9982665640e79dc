"""Store what a long experiment found, with everything that is needed to find it again.

A study is a script in ``book/studies/``; it calls ``store(__file__, seeds, results)``, and its page reads
``book/results/<study>.json``. ``tests/test_results.py`` holds each stored file against the script as it stands.
"""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results"


def fingerprint(path):
    """SHA-256 of a text file, the same on every system."""
    return hashlib.sha256(Path(path).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def store(script, seeds, results, folder=RESULTS):
    """Write ``<folder>/<script's name>.json``: the results, and the command, seeds, versions and hash behind them."""
    script = Path(script)
    record = {
        "command": f"python book/studies/{script.name}",
        "sha256": fingerprint(script),
        "seeds": list(seeds),
        "versions": {name: version(name) for name in ("ganlab", "numpy", "torch")}
        | {"python": platform.python_version()},
        "results": results,
    }
    path = Path(folder) / f"{script.stem.replace('_', '-')}.json"
    path.write_text(json.dumps(record, indent=None, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")
    return path
