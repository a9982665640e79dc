"""Draw book/_static/atlas.svg: the poster of the convergence atlas, by the atlas page's own cells."""

import os
from pathlib import Path

import matplotlib as mpl
import nbformat

mpl.use("Agg")
BOOK = Path(__file__).resolve().parent.parent
NEEDED = ("plots.use_style", "both = [", "def panel", "def poster")

os.chdir(BOOK)
names = {}
for cell in nbformat.read("atlas.ipynb", as_version=4).cells:
    if cell.cell_type == "code" and any(mark in cell.source for mark in NEEDED):
        exec(cell.source, names)
names["poster"]("_static/atlas.svg")
