"""torch for the tests that compare with it: where it is not installed, each such test is skipped by itself."""

import pytest


class _Lazy:
    def __getattr__(self, name):
        if name.startswith("_") or name == "pytestmark":  # pytest looks at whatever stands in a module
            raise AttributeError(name)
        return getattr(pytest.importorskip("torch"), name)


torch = _Lazy()
