"""One function a picture. Every function draws on `ax` (or a new figure) and returns the axes.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; lines also differ in dash or marker.
"""

from dataclasses import dataclass
from html import escape

import matplotlib.pyplot as plt
import numpy as np

from ganlab._symbolic import to_numpy
from ganlab.checks import InputError, choose, number, numbers, whole
from ganlab.objectives import get
from ganlab.theory import conditions, constants

__all__ = ["COLOURS", "Animation", "abscissa_against_rate", "animate", "eigenvalue_plane", "phase_portrait",
           "radius_against_step", "use_style"]  # fmt: skip

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
NAMES = {"theta": r"$\theta$", "psi": r"$\psi$", "D": "$D$", "t": "score $t$", "p_g": "$p_g$"}


def use_style():
    """Set the book's look for every figure that follows: readable on a phone, small files, white ground.

    Examples
    --------
    >>> with plt.rc_context():
    ...     use_style()
    ...     plt.rcParams["figure.dpi"]
    100.0
    """
    from cycler import cycler

    plt.rcParams.update({
        "figure.figsize": (5.6, 3.9), "figure.dpi": 100, "savefig.dpi": 100, "figure.constrained_layout.use": True,
        "figure.facecolor": "white", "savefig.facecolor": "white", "font.size": 11, "axes.titlesize": 12,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
        "legend.frameon": False, "legend.fontsize": 10, "lines.linewidth": 1.8,
        "axes.prop_cycle": cycler(color=COLOURS)})  # fmt: skip


def _axes(ax):
    return ax if ax is not None else plt.subplots()[1]


def _label(symbol):
    return NAMES.get(str(symbol), f"${symbol}$")


def _window(game, span, paths):
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


def phase_portrait(game, trajectories=(), span=None, nullclines=True, labels=None, density=1.1, ax=None):
    """Draw a planar game's field, its nullclines and its rest point, with trajectories on top.

    Parameters
    ----------
    game : Game
        With two coordinates.
    trajectories : Trajectory or sequence of Trajectory
    span : float or ((low, high), (low, high)), optional
        Half the width around the rest point, or the window.
    nullclines : bool
        Draw where either velocity is zero.
    labels : sequence of str, optional
        One for each trajectory.
    density : float
        Of the field's stream lines; 0 draws none.
    ax : matplotlib axes, optional

    Raises
    ------
    InputError
        If the game is not planar or the number of labels is not that of trajectories.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> phase_portrait(dirac_gan(), span=2).get_xlabel()
    '$\\\\theta$'
    """
    if len(game.symbols) != 2:
        raise InputError(f"a phase portrait needs two coordinates, {game.name} has {len(game.symbols)}")
    paths = [trajectories] if hasattr(trajectories, "states") else list(trajectories)
    if labels is not None and len(labels) != len(paths):
        raise InputError(f"labels must name each of the {len(paths)} trajectories, got {len(labels)}")
    ax, window = _axes(ax), _window(game, span, paths)
    _field(game, window, nullclines, density, ax)
    for k, path in enumerate(paths):
        colour, dash = COLOURS[k % len(COLOURS)], DASHES[k % len(DASHES)]
        for j, line in enumerate(np.moveaxis(path.states.reshape(len(path.states), -1, 2), 1, 0)):
            ax.plot(*line.T, color=colour, linestyle=dash, label=labels[k] if labels and j == 0 else None)
            ax.plot(*line[0], "o", color=colour, markersize=6)
            ax.plot(*line[-1], "s", color=colour, markersize=5, markerfacecolor="white")
    ax.plot(*np.array(game.rest, dtype=float), "*", color="black", markersize=11, zorder=5)
    ax.set(xlim=window[0], ylim=window[1], xlabel=_label(game.symbols[0]), ylabel=_label(game.symbols[1]))
    if labels:
        ax.legend(loc="best")
    return ax


def _field(game, window, nullclines, density, ax):
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


def eigenvalue_plane(values, circle=False, ax=None):
    """Draw eigenvalues (or multipliers) in the complex plane, against the imaginary axis or the unit circle.

    Parameters
    ----------
    values : array or dict of str to array
        Complex numbers, or several named sets.
    circle : bool
        True for multipliers: shade the unit disk. False for eigenvalues: shade the left half-plane.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> eigenvalue_plane([0.5j, -0.5j]).get_xlabel()
    'real part'
    """
    ax = _axes(ax)
    named = values if isinstance(values, dict) else {None: values}
    points = np.concatenate([np.atleast_1d(v) for v in named.values()])
    if circle:
        ax.add_patch(plt.Circle((0, 0), 1, facecolor="#009E7322", edgecolor=COLOURS[2], linewidth=1.2))
    else:
        reach = 1.2 * max(1e-3, np.max(np.abs(points)))
        ax.axvspan(-reach, 0, color="#009E7322", linewidth=0)
        ax.axvline(0, color=COLOURS[2], linewidth=1.2)
        ax.set(xlim=(-reach, max(0.35 * reach, 1.2 * points.real.max())), ylim=(-reach, reach))
    for k, (name, v) in enumerate(named.items()):
        ax.plot(np.real(v), np.imag(v), "os^Dvxp"[k % 7], color=COLOURS[k % len(COLOURS)], label=name, markersize=7)
    if None not in named:
        ax.legend(loc="best")
    ax.set(xlabel="real part", ylabel="imaginary part")
    ax.set_aspect("equal", adjustable="datalim" if circle else "box")
    return ax


def abscissa_against_rate(objectives, p_d=0.2, rates=None, ax=None):
    """Draw the largest real part of the pointwise field's eigenvalues against the discriminator's rate tau.

    Parameters
    ----------
    objectives : sequence of str or Objective
    p_d : float
    rates : array, optional
        The values of tau; by default three decades around each best rate.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    InputError
        For a number where a list is wanted, an unknown name, or a rate or density that is not positive.

    Examples
    --------
    >>> abscissa_against_rate(["saturating", "wasserstein"]).get_ylabel()
    'largest real part'
    """
    ax = _axes(ax)
    if isinstance(objectives, str):
        raise InputError(f"objectives must be a list, such as [{objectives!r}]")
    number("p_d", p_d, 0, open_low=True), numbers("rates", 1 if rates is None else rates, 0, open_low=True)
    abscissa = to_numpy(("p_d", "s", "Delta", "tau"), list(conditions().eigenvalues))
    for k, objective in enumerate(objectives):
        name, (_, s, delta) = get(objective).name, (float(v) for v in constants(objective))
        best = 4 * delta / (p_d * s) ** 2 if s else 1.0
        taus = best * np.logspace(-1.5, 1.5, 181) if rates is None else np.asarray(rates)
        height = np.max(np.real(abscissa(p_d, s, delta, taus + 0j)), axis=0)
        ax.plot(taus, height, color=COLOURS[k % len(COLOURS)], linestyle=DASHES[k % len(DASHES)], label=name)
        if s:
            ax.plot([best], [2 * delta / (p_d * s)], "o", color=COLOURS[k % len(COLOURS)])
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xscale="log", xlabel=r"discriminator's rate $\tau$", ylabel="largest real part")
    ax.legend()
    return ax


def radius_against_step(trajectories, log=True, ax=None):
    """Draw the distance from the rest point against the step number (or the flow's time).

    Parameters
    ----------
    trajectories : dict of str to Trajectory
    log : bool
        Logarithmic distance, on which a geometric rate is a straight line.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> from ganlab import R1, dirac_gan, simulate
    >>> radius_against_step({"R1": simulate(dirac_gan("saturating", R1(0.3)), (1, 1))}).get_yscale()
    'log'
    """
    ax = _axes(ax)
    for k, (name, path) in enumerate(trajectories.items()):
        at = path.times if path.steps is None else path.steps
        ax.plot(at, path.radius, color=COLOURS[k % len(COLOURS)], linestyle=DASHES[k % len(DASHES)], label=name)
    timed = all(path.steps is None for path in trajectories.values())
    ax.set(xlabel="time" if timed else "step", ylabel="distance from the rest point", yscale="log" if log else "linear")
    ax.legend()
    return ax


@dataclass(frozen=True)
class Animation:
    """A trajectory as a moving picture: a scalable drawing that needs no script and no video codec.

    Its `html` shows in a notebook and in the built book, offline too; readers who asked their system for
    less motion see the whole path standing still.
    """

    html: str

    def _repr_html_(self):
        return self.html

    def __repr__(self):
        return f"Animation ({len(self.html) // 1000} kB)"


def animate(trajectory, seconds=8, frames=240, span=None, alt="", colour=COLOURS[0]):
    """Return an `Animation` of one planar trajectory: the path, and a dot that moves along it in time.

    Parameters
    ----------
    trajectory : Trajectory
        Of a single start.
    seconds : float
        How long one run takes.
    frames : int
        At most so many points of the path are kept.
    span : float or window, optional
        As in `phase_portrait`.
    alt : str
        What the picture shows, for readers who cannot see it. Required.

    Returns
    -------
    Animation

    Raises
    ------
    InputError
        Without an `alt` text, or for a trajectory of several starts.

    Examples
    --------
    >>> from ganlab import dirac_gan, simulate
    >>> animate(simulate(dirac_gan(), (1, 1)), alt="A dot circles outwards.")
    Animation (6 kB)
    """
    if not (isinstance(alt, str) and alt.strip()):
        raise InputError("alt must say in a sentence what the moving picture shows")
    if trajectory.states.ndim != 2 or trajectory.states.shape[1] != 2:
        raise InputError("animate draws a single planar start; pick one trajectory")
    number("seconds", seconds, 0, open_low=True), whole("frames", frames, 2)
    choose("colour", colour, dict.fromkeys(COLOURS))
    (x0, x1), (y0, y1) = _window(trajectory.game, span, [trajectory])
    keep = np.unique(np.linspace(0, len(trajectory.states) - 1, frames).round().astype(int))
    width, height = 420, int(np.clip(420 * (y1 - y0) / (x1 - x0), 240, 420))  # a circle is a circle where it fits
    scale = np.array([width / (x1 - x0), -height / (y1 - y0)])
    points = [f"{x:.1f},{y:.1f}" for x, y in (trajectory.states[keep] - [x0, y1]) * scale]
    rx, ry = (np.array(trajectory.game.rest, dtype=float) - [x0, y1]) * scale
    across, up = (escape({"theta": "θ", "psi": "ψ"}.get(str(s), str(s))) for s in trajectory.game.symbols)
    return Animation(f"""<div class="ganlab-animation"><svg viewBox="-30 -8 {width + 40} {height + 36}" role="img" \
aria-label="{escape(alt)}" style="width:100%;max-width:460px;color:inherit">
<style>@media (prefers-reduced-motion: reduce) {{.ganlab-dot {{display: none}}}}</style>
<rect width="{width}" height="{height}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>
<text x="{width / 2:.0f}" y="{height + 20}" text-anchor="middle" fill="currentColor" font-size="14">{across}</text>
<text x="-14" y="{height / 2:.0f}" text-anchor="middle" fill="currentColor" font-size="14">{up}</text>
<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-opacity="0.7"/>
<path d="M{rx - 6:.1f} {ry:.1f}h12M{rx:.1f} {ry - 6:.1f}v12" stroke="currentColor" stroke-width="2"/>
<circle class="ganlab-dot" r="6" fill="{COLOURS[1]}"><animateMotion dur="{seconds:g}s" repeatCount="indefinite" \
calcMode="linear" values="{";".join(points)}"/></circle>
</svg></div>""")
