"""What the pictures share: colours, dashes, the part of the plane that is drawn, and a field on it."""

import numpy as np

from ganlab.checks import number, numbers

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
NAMES = {"theta": r"$\theta$", "psi": r"$\psi$", "D": "$D$", "t": "score $t$", "p_g": "$p_g$"}


def window_of(game, span, paths):
    """The part of the plane to draw: as asked, or around the rest point and the paths, inside the domain."""
    if span is not None and np.ndim(span) == 2:
        return [tuple(numbers("span", interval)) for interval in span]
    rest = np.array(game.rest, dtype=float)
    if span is not None:
        return [(r - number("span", span, 0, open_low=True), r + span) for r in rest]
    points = np.concatenate([rest[None], *(p.states.reshape(-1, 2) for p in paths)])
    low, high = points.min(axis=0), points.max(axis=0)
    pad = 0.15 * np.maximum(high - low, 0.5)
    first, last = np.array(game.domain).T
    low, high = np.maximum(low - pad, first + 1e-3), np.minimum(high + pad, last - 1e-3)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def draw_field(game, window, nullclines, density, ax):
    """Stream lines and nullclines on a grid that is cut off where the field is not defined."""
    x, y = (np.linspace(a, b, 61) for a, b in window)
    grid = np.meshgrid(x, y)
    with np.errstate(all="ignore"):
        u, v = (np.broadcast_to(row, grid[0].shape) for row in game.field(*grid))
    undefined = ~(np.isfinite(u) & np.isfinite(v))
    for value, (low, high) in zip(grid, game.domain, strict=True):
        undefined |= (value <= low) | (value >= high)
    u, v = np.ma.array(u, mask=undefined), np.ma.array(v, mask=undefined)
    if density:
        ax.streamplot(x, y, u, v, color="#B8B8B8", linewidth=0.7, arrowsize=0.7, density=density)
    for row, colour, dash in ((u, COLOURS[4], "dashed"), (v, COLOURS[3], "dotted")) if nullclines else ():
        if row.min() < 0 < row.max():
            ax.contour(x, y, row, levels=[0.0], colors=[colour], linestyles=[dash], linewidths=1.2)
