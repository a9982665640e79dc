"""The parts of a cartoon face, from the back to the front: each answers a distance, a colour and perhaps its share.

Lengths are in half pictures (x to the right, y up, both from -1 to 1), angles in radians, colours from 0 to 1.
"""

from ganlab._shapes import box, capsule, ellipse, hypot

__all__ = ["LAYERS", "SKY"]

FAR = 9.0  # added to a distance: not there
HAIR = ((0.10, 0.08, 0.10), (0.40, 0.24, 0.14), (0.78, 0.36, 0.14), (0.95, 0.78, 0.40), (0.93, 0.92, 0.90))
SKIN = ((1.0, 0.86, 0.75), (0.87, 0.64, 0.47), (0.36, 0.22, 0.16))
SKY, SHIRT, DARK, WHITE, LIP, BLUSH = ((0.72, 0.85, 0.94), (0.20, 0.50, 0.52), (0.13, 0.10, 0.14), (1.0, 1.0, 1.0),
                                       (0.72, 0.20, 0.22), (0.93, 0.42, 0.40))  # fmt: skip
WOOL, CREAM, RIM = (0.80, 0.22, 0.24), (0.97, 0.93, 0.84), (0.14, 0.16, 0.24)
A, B, MIDDLE = 0.50, 0.60, -0.06  # the head's half axes and the height of its middle
EYES, EYE_HEIGHT = (-0.44, 0.44), 0.0  # angles on the head, seen from its middle


def palette(stops, t):
    """The colour at t in [0, 1] on the way through the stops, as three channels."""
    answer = []
    for channel in zip(*stops, strict=True):
        # a sum of hats is piecewise linear through the stops
        scaled = t * (len(stops) - 1)
        answer.append(sum(value * (1 - abs(scaled - k)).clip(0, None) for k, value in enumerate(channel)))
    return answer


def turned(xp, f, angle, radius=A):
    """Where a feature at this angle stands after the turn, and how much narrower it looks."""
    angle = angle + 0.34 * f["pose"]
    return radius * xp.sin(angle) + 0.05 * f["pose"], xp.cos(angle)


def tinted(colour, by):
    """A colour times a brightness."""
    return [channel * by for channel in colour]


def lit(f, x):
    """The brightness that the light gives across the picture."""
    return 0.94 + 0.5 * f["light"] * x.clip(-0.7, 0.7)


def _head(f, x, y):
    """The coordinates seen from the middle of the head, which moves by up to 0.05 half pictures with the pose."""
    return x - 0.05 * f["pose"], y - MIDDLE


def back_hair(xp, f, x, y):
    """The hair behind the head: a cap 1.17 half pictures wide, and a fall of 0.24 to 0.96 with the length."""
    cap = ellipse(x, y - 0.06, 0.585, 0.60)
    half = 0.12 + 0.36 * f["length"]
    fall = box(x, y - 0.06 + half, 0.585, half, 0.06)
    return cap + (fall - cap).clip(None, 0), tinted(palette(HAIR, f["hair"]), 0.72 * lit(f, x))


def neck(xp, f, x, y):
    """The neck, 0.34 half pictures wide and 0.44 high."""
    return box(x, y + 0.72, 0.17, 0.22, 0.05), tinted(palette(SKIN, f["skin"]), 0.78 * lit(f, x))


def shirt(xp, f, x, y):
    """The shirt: the top of an ellipse 1.56 half pictures wide, which begins 0.74 below the middle."""
    return ellipse(x, y + 1.16, 0.78, 0.42), tinted(SHIRT, lit(f, x))


def ears(xp, f, x, y):
    """The ears, each 0.18 half pictures wide and 0.26 high, half behind the head."""
    u, v = _head(f, x, y)
    return ellipse(abs(u + 0.05 * f["pose"]) - A, v + 0.02, 0.09, 0.13), tinted(palette(SKIN, f["skin"]),
                                                                              0.86 * lit(f, x))  # fmt: skip


def head(xp, f, x, y):
    """The head, 1.0 half pictures wide and 1.2 high, darker toward its edge."""
    u, v = _head(f, x, y)
    toward = (1 - (u / A) ** 2 - (v / B) ** 2).clip(0, None) ** 0.5  # how much the skin faces us
    return ellipse(u, v, A, B), tinted(palette(SKIN, f["skin"]), (0.84 + 0.14 * toward) * lit(f, x) / 0.94)


def cheek(angle):
    """A blush at this angle (radians), 0.20 half pictures wide and 0.15 high, one third of it seen."""

    def layer(xp, f, x, y):
        middle, narrow = turned(xp, f, angle)
        return ellipse(x - middle, y + 0.27, 0.10 * narrow, 0.075), BLUSH, 0.35

    return layer


def eye(angle):
    """The white of the eye at this angle (radians), 0.23 half pictures wide and 0.25 high."""

    def layer(xp, f, x, y):
        middle, narrow = turned(xp, f, angle)
        return ellipse(x - middle, y - EYE_HEIGHT, 0.115 * narrow, 0.125), WHITE

    return layer


def pupil(angle):
    """The pupil at this angle (radians), 0.13 half pictures wide and 0.16 high, which looks where the head turns."""

    def layer(xp, f, x, y):
        middle, narrow = turned(xp, f, angle)
        return ellipse(x - middle - 0.035 * f["pose"], y - EYE_HEIGHT + 0.01, 0.066 * narrow, 0.078), DARK

    return layer


def glint(angle):
    """The light in the pupil at this angle (radians), 0.044 half pictures wide and 0.048 high."""

    def layer(xp, f, x, y):
        middle, narrow = turned(xp, f, angle)
        return ellipse(x - middle - 0.035 * f["pose"] - 0.022, y - EYE_HEIGHT - 0.025, 0.022 * narrow, 0.024), WHITE

    return layer


def brow(angle):
    """The brow at this angle (radians), 0.2 half pictures long and 0.052 thick, slanted unless the smile is 1."""

    def layer(xp, f, x, y):
        middle, narrow = turned(xp, f, angle)
        return (capsule(x - middle, y - 0.20, 0.10 * narrow, 0.04 * angle * (f["smile"] - 1), 0.026),
                tinted(palette(HAIR, f["hair"]), 0.62))  # fmt: skip

    return layer


def nose(xp, f, x, y):
    """The nose, 0.11 half pictures wide and 0.14 high, which turns a little farther than the face."""
    middle, _ = turned(xp, f, 0.0, 0.6)
    return ellipse(x - middle, y + 0.17, 0.055, 0.07), tinted(palette(SKIN, f["skin"]), 0.80 * lit(f, x))


def _mouth(xp, f, x, y):
    """Along the mouth from -1 to 1, how far outside it, and the height over its curve."""
    middle, narrow = turned(xp, f, 0.0)
    half = 0.21 * narrow
    u = (x - middle) / half
    return u, (abs(u) - 1).clip(0, None) * half, y + 0.40 - 0.11 * f["smile"] * (u.clip(-1, 1) ** 2 - 0.4)


def laugh(xp, f, x, y):
    """The open part of a glad mouth, between its curve and the line through the corners."""
    u, beyond, over = _mouth(xp, f, x, y)
    wide = 0.11 * (2 * f["smile"] - 1).clip(0, None) * (1 - u.clip(-1, 1) ** 2)
    return hypot(beyond, abs(over - wide / 2) - wide / 2) * _sign(abs(over - wide / 2) - wide / 2) + 0.004, WHITE


def _sign(a):
    """Minus one where a is negative, else one."""
    return 1 - 2.0 * (a < 0)


def mouth(xp, f, x, y):
    """The lips: a curved stroke 0.42 half pictures long and 0.056 thick, bent up or down by the smile."""
    u, beyond, over = _mouth(xp, f, x, y)
    slope = 0.22 / 0.21 * f["smile"] * u * (1 - u * u).clip(0, None)  # thinner toward the corners
    return hypot(beyond, over / (1 + slope * slope) ** 0.5) - 0.028, LIP


def fringe(xp, f, x, y):
    """The hair on the forehead: the head, 0.035 half pictures wider, above a slanted curve."""
    u, v = _head(f, x, y)
    part = u - 0.16 + 0.2 * f["pose"]
    line = 0.36 - 0.55 * part * part - 0.10 * part
    away = ellipse(u, v - 0.015, A + 0.035, B + 0.03)
    over = (line - v) / 1.2
    return away + (over - away).clip(0, None), tinted(palette(HAIR, f["hair"]), lit(f, x))


def lens(angle):
    """The glass before the eye at this angle (radians), 0.36 half pictures wide and 0.34 high, an eighth of it seen."""

    def layer(xp, f, x, y):
        middle, narrow = turned(xp, f, angle)
        return ellipse(x - middle, y - EYE_HEIGHT, 0.18 * narrow, 0.17) + FAR * (1 - f["glasses"]), WHITE, 0.12

    return layer


def rim(angle):
    """The ring around the glass at this angle (radians), 0.044 half pictures thick."""

    def layer(xp, f, x, y):
        middle, narrow = turned(xp, f, angle)
        return abs(ellipse(x - middle, y - EYE_HEIGHT, 0.18 * narrow, 0.17)) - 0.022 + FAR * (1 - f["glasses"]), RIM

    return layer


def bridge(xp, f, x, y):
    """The bridge of the glasses, 0.044 half pictures high, from rim to rim."""
    left, right = (turned(xp, f, angle) for angle in EYES)
    start, end = left[0] + 0.18 * left[1], right[0] - 0.18 * right[1]
    return box(x - (start + end) / 2, y - 0.03, (end - start) / 2 + 0.02, 0.022, 0.01) + FAR * (1 - f["glasses"]), RIM


def crown(xp, f, x, y):
    """The hat above a height of 0.30 half pictures, 1.12 wide, with stripes."""
    u, _ = _head(f, x, y)
    away, over = ellipse(u, y - 0.30, 0.56, 0.52), 0.30 - y
    stripes = 0.93 + 0.07 * xp.cos(40.0 * u)
    return away + (over - away).clip(0, None) + FAR * (1 - f["hat"]), tinted(WOOL, stripes * lit(f, x))


def cuff(xp, f, x, y):
    """The brim of the hat, 1.2 half pictures wide and 0.2 high."""
    u, _ = _head(f, x, y)
    return box(u, y - 0.36, 0.60, 0.10, 0.09) + FAR * (1 - f["hat"]), tinted(CREAM, lit(f, x))


def bobble(xp, f, x, y):
    """The ball on the hat, with a radius of 0.13 half pictures."""
    u, _ = _head(f, x, y)
    return hypot(u, y - 0.83) - 0.13 + FAR * (1 - f["hat"]), tinted(CREAM, lit(f, x))


# Each layer with the part of the picture that holds it: left, right, bottom, top. The middle of the face is symmetric.
SIDES = {-1: (-0.75, 0.3), 1: (-0.3, 0.75)}
LAYERS = (
    (back_hair, (-0.7, 0.7, -0.85, 0.75)),
    (neck, (-0.3, 0.3, -1, -0.4)),
    (shirt, (-0.9, 0.9, -1, -0.6)),
    (ears, (-0.7, 0.7, -0.35, 0.2)),
    (head, (-0.65, 0.65, -0.75, 0.65)),
    *((make(angle), (*SIDES[side], low, high)) for make, low, high in (
        (cheek, -0.45, -0.1), (eye, -0.2, 0.2), (pupil, -0.15, 0.15), (glint, -0.1, 0.15), (brow, 0.05, 0.35))
      for side, angle in zip(SIDES, EYES, strict=True)),
    (nose, (-0.5, 0.5, -0.35, 0)),
    (laugh, (-0.6, 0.6, -0.65, -0.2)),
    (mouth, (-0.6, 0.6, -0.65, -0.2)),
    (fringe, (-0.7, 0.7, -0.75, 0.7)),
    *((make(angle), (*SIDES[side], -0.3, 0.3)) for make in (lens, rim)
      for side, angle in zip(SIDES, EYES, strict=True)),
    (bridge, (-0.4, 0.4, -0.1, 0.15)),
    (crown, (-0.75, 0.75, 0.2, 0.95)),
    (cuff, (-0.8, 0.8, 0.15, 0.55)),
    (bobble, (-0.3, 0.3, 0.6, 1)),
)  # fmt: skip
