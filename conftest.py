"""What every pytest run of the course needs: honest, quick notebook kernels."""

import gc
import os
import shutil
import tempfile

import pytest

# pytester: tests/test_claims.py runs the ledger's plugin on small made-up repositories.
pytest_plugins = ["pytester", "ledger_plugin"]


def pytest_configure(config):
    # Small nets and small arrays: a second thread costs more than it gives, above all under xdist (torch obeys too).
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What the tests and pages say holds on a CPU; CUDA_VISIBLE_DEVICES=0 shows tests/test_gpu.py the card.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    if config.pluginmanager.hasplugin("nbval") and config.getoption("nbval", default=False):
        sockets = tempfile.mkdtemp(prefix="ganlab-nbval-")
        config.add_cleanup(lambda: shutil.rmtree(sockets, ignore_errors=True))
        _mend_nbval(sockets)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Keep the garbage collector out of docstring examples.

    SymPy drops a compiled function's source from linecache when that function is collected, and doctest walks through
    linecache: a collection in between is a KeyError that has nothing to do with the example.
    """
    if not isinstance(item, pytest.DoctestItem):
        return (yield)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def _mend_nbval(sockets):
    """Two repairs of nbval 0.11: kernels over private sockets, and cells run with a history.

    Over TCP two kernels started at once can pick the same port. Without a history IPython cannot see the trailing
    semicolon that keeps a cell quiet, and the page would seem to have an output too many.
    """
    import nbval.kernel as kernel

    manager = kernel.KernelManager

    def private_manager(**options):
        return manager(transport="ipc", ip=os.path.join(tempfile.mkdtemp(dir=sockets), "k"), **options)

    def execute_cell_input(self, cell_input, allow_stdin=None):
        return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

    kernel.KernelManager = private_manager
    kernel.RunningKernel.execute_cell_input = execute_cell_input
