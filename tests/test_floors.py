"""Imports point downward only, torch stays in its wing, and the numpy half works where torch does not exist."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ganlab"
FLOORS = {
    "_files": 0,
    "_march": 0,
    "_numeric": 0,
    "checks": 0,
    "_intervals": 1,
    "_samples": 1,
    "tables": 1,
    "_channels": 1,
    "codes": 2,
    "_laws": 2,
    "_neighbours": 2,
    "_kernels": 2,
    "_features": 1,
    "_kernel_distance": 2.5,
    "_classifier_test": 2.5,
    "_frechet": 2.5,
    "_patches": 2.5,
    "quality": 4,
    "data": 3,
    "_idx": 1,
    "_images": 2,
    "_mnist": 2,
    "_mosaic": 1,
    "_photos": 2,
    "pictures": 3,
    "two_sample": 3,
    "metrics": 4,
    "_canvas": 1,
    "_lyapunov": 1,
    "_solve": 1,
    "_symbolic": 1,
    "methods": 1,
    "_animation": 2,
    "_film": 3,
    "_game": 2,
    "_roots": 2,
    "dynamics": 2,
    "jacobians": 2,
    "primitives": 2,
    "_shapes": 2.5,
    "_factors": 2.75,
    "_face_layers": 2.75,
    "_record": 3,
    "_glyphs": 3.5,
    "_faces": 3.5,
    "_scenes": 3.5,
    "_stacks": 3.5,
    "drawings": 4,
    "_quadratic_program": 2.25,
    "_quadratic": 2.5,
    "_critic": 2.5,
    "_plan": 2,
    "_sinkhorn": 2,
    "_wasserstein": 2.25,
    "_line_laws": 2.5,
    "transport": 3,
    "_divergence": 2.5,
    "_variational": 3,
    "_gaussians": 2,
    "_line_divergence": 3,
    "_fit": 3.5,
    "_best_critic": 3.5,
    "divergences": 4,
    "_objective": 2.5,
    "objectives": 3,
    "games": 4,
    "relativistic": 4,
    "_symptoms": 4,
    "diagnose": 5,
    "theory": 4,
    "dirac": 5,
    "stability": 5,
    "atlas": 6,
    "reports": 6,
    "plots": 6,
    "neural": 7,
    "cli": 8,
    "__main__": 9,
}
# Which heavy package may be imported where: anywhere inside, or only inside a function.
ONLY_IN = {"torch": "neural", "matplotlib": "plots"}
NOT_AT_THE_TOP = {"scipy", "sympy", "ot"}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def name_of(path):
    """Its floor's name: ``games`` for ganlab/games.py, ``neural`` for everything under ganlab/neural/."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    """Yield ``(dotted name, at module level)`` for every import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} write the full name, from ganlab..."
            names = [node.module] if node.module != "ganlab" else [f"ganlab.{alias.name}" for alias in node.names]
            yield from ((name, node in top) for name in names)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_downward(path):
    here = name_of(path)
    assert here in FLOORS, f"give ganlab/{path.name} a floor in tests/test_floors.py"
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "ganlab" or parts[1] in (here, "__version__"):
            continue
        assert FLOORS[parts[1]] < FLOORS[here], f"{here} (floor {FLOORS[here]}) must not import {name}"


def test_no_two_modules_need_each_other():
    graph = {}
    for path in modules():
        here = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        graph[here] = {name for name, _ in imports(path) if name.startswith("ganlab.")}
    list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names the circle


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_heavy_packages_stay_where_they_belong(path):
    for name, at_top in imports(path):
        package = name.split(".")[0]
        assert name_of(path) == ONLY_IN.get(package, name_of(path)), f"{path.name} imports {name}"
        # A private module is itself imported late; that `import ganlab` stays light is tested below.
        late = package in NOT_AT_THE_TOP and not name_of(path).startswith("_")
        assert not (late and at_top), f"{path.name} imports {name} at the top: move it into the function that needs it"


def python(code):
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy():
    heavy = python("import sys, ganlab; print({'scipy', 'sympy', 'matplotlib', 'torch'} & set(sys.modules))")
    assert heavy.strip() == "set()"


def test_the_numpy_half_computes_without_torch():
    code = """
import sys
sys.modules["torch"] = None  # any import of torch now fails
import ganlab
game = ganlab.dirac_gan("saturating")
print(ganlab.verdict(game))
"""
    assert "centre" in python(code)


def test_measures_and_objectives_work_without_torch_and_the_neural_half_names_what_to_install():
    """Fault 36."""
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from ganlab import data, diagnose, metrics, objectives, relativistic
law = data.ring()
print(metrics.modes_report(law.sample(2000, np.random.default_rng(0)), law).modes)
t = np.zeros(4)
for gain in (objectives.OBJECTIVES["hinge"].d_gain(t, t), relativistic.RELATIVISTIC["rpgan"].d_gain(t, t)):
    print(round(float(gain), 4))
row = dict(d_gain=-1.3, g_gain=-0.7, real=0.1, fake=-0.1, penalty=0.0, d_norm=0.3, g_norm=0.2)
print(diagnose.diagnose([dict(row, step=k) for k in range(100)]).healthy)
for module in ("recipes", "training", "cli"):
    try:
        __import__(f"ganlab.neural.{module}")
    except ImportError as error:
        print(error)
"""
    advice = "ganlab.neural needs torch: pip install 'ganlab[torch]'"
    assert python(code).splitlines() == ["8", "-2.0", "-0.6931", "True", *[advice] * 3]
