"""Every stored result says what made it, and that script has not changed since."""

import json
from pathlib import Path

import pytest
from results import RESULTS, fingerprint, store

ROOT = RESULTS.parent.parent
FILES = sorted(RESULTS.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_stored_result_names_the_command_seeds_and_versions_that_made_it(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    assert set(record) == {"command", "sha256", "seeds", "versions", "results"}
    script = ROOT / record["command"].split()[1]
    assert record["sha256"] == fingerprint(script), f"{script.name} has changed since: run `{record['command']}` again"
    assert record["seeds"], "say which seeds were run"
    assert set(record["versions"]) >= {"ganlab", "torch", "python"}
    assert path.stat().st_size < 400_000, "store fewer digits or fewer steps: the book has to stay small"


def test_store_writes_what_the_page_will_read(tmp_path):
    script = tmp_path / "my_study.py"
    script.write_text("print(1)\n", encoding="utf-8")
    path = store(script, range(3), {"hq": [0.9]}, tmp_path)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "my-study.json"
    assert record["results"] == {"hq": [0.9]}
    assert record["seeds"] == [0, 1, 2]
    assert record["sha256"] == fingerprint(Path(script))
    with pytest.raises(ValueError, match="JSON"):
        store(script, [0], {"kl": float("nan")}, tmp_path)
