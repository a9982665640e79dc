"""Make ganlab/_data/outlines.json: the outlines of 36 characters of DejaVu Sans, as polygons in font units.

Run with ``python book/_tools/outlines.py``. The font is the one that matplotlib ships; its licence, which lies beside
the file as LICENSE_DEJAVU, allows copies and changed copies under another name.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath

HERE = Path(__file__).resolve().parents[2] / "ganlab" / "_data"
FONTS = Path(get_data_path()) / "fonts" / "ttf"
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
EM = 2048  # font units; every point of the font is a whole number of them
TOLERANCE = 0.5  # units: a fifth of a pixel at 1024 pixels


def polygons(character):
    """The closed polygons of one character, each a list of [x, y] in font units, curves cut into straight pieces."""
    path = TextPath((0, 0), character, size=EM, prop=FontProperties(fname=FONTS / "DejaVuSans.ttf"))
    rings = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        points = points.reshape(-1, 2)
        if code == Outline.MOVETO:
            rings.append([points[0]])
        elif code == Outline.LINETO:
            rings[-1].append(points[0])
        elif code == Outline.CURVE3:
            rings[-1].extend(pieces(rings[-1][-1], *points))
    return [tidy(ring) for ring in rings]


def pieces(a, b, c):
    """Points on the parabola from a to c with control point b, so close that the chords stay within the tolerance."""
    # A chord over 1/m of the curve is at most |a - 2 b + c| / (4 m^2) off.
    m = int(np.ceil(np.sqrt(np.linalg.norm(a - 2 * b + c) / (4 * TOLERANCE))))
    t = np.arange(1, m + 1)[:, None] / m
    return list((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)


def tidy(ring):
    """Whole units, without points that repeat their neighbour (the last point is joined to the first)."""
    ring = [[round(float(x)), round(float(y))] for x, y in ring]
    return [point for k, point in enumerate(ring) if point != ring[k - 1]]


def outlines():
    """Everything that the file holds."""
    return {"font": "outlines of DejaVu Sans, see LICENSE_DEJAVU", "em": EM,
            "outlines": {character: polygons(character) for character in CHARACTERS}}  # fmt: skip


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    text = json.dumps(outlines(), separators=(",", ":")).replace(']]],"', ']]],\n"').replace('{"0"', '{\n"0"')
    (HERE / "outlines.json").write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(FONTS / "LICENSE_DEJAVU", HERE / "LICENSE_DEJAVU")
