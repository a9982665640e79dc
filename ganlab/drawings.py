"""Pictures that are made, with their factors as labels, at any resolution from 4 to 1024.

A maker draws factors from a seed and then the pictures; a drawer turns factors into pictures and draws nothing at
random, for traversals. The factors do not depend on the resolution: the same seed gives the same pictures, finer.
Edges are anti-aliased by their distance, so a picture averaged down is nearly the coarser one. Where the factors are
torch tensors the pictures are tensors on the same device, with derivatives with respect to the continuous factors.

`DRAWINGS` has the four makers by name, `FACTORS` what each of their factors is, may be and usually is.
"""

from ganlab import _faces, _glyphs, _scenes, _stacks
from ganlab._faces import draw_faces, faces
from ganlab._glyphs import CHARACTERS, draw_glyphs, glyphs
from ganlab._record import Drawings
from ganlab._scenes import SHAPES, draw_scenes, scenes
from ganlab._stacks import draw_stacked_digits, stacked_digits

__all__ = ["CHARACTERS", "DRAWINGS", "FACTORS", "SHAPES", "Drawings", "draw_faces", "draw_glyphs", "draw_scenes",
           "draw_stacked_digits", "faces", "glyphs", "scenes", "stacked_digits"]  # fmt: skip

DRAWINGS = {"glyphs": glyphs, "faces": faces, "scenes": scenes, "stacked digits": stacked_digits}
FACTORS = {"glyphs": _glyphs.FACTORS, "faces": _faces.FACTORS, "scenes": _scenes.FACTORS,
           "stacked digits": _stacks.FACTORS}  # fmt: skip
