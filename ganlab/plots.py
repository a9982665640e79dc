"""One function a picture. Every function draws on `ax` (or a new figure) and returns the axes.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; lines also differ in dash or marker.
"""

import matplotlib.pyplot as plt
import numpy as np

from ganlab._animation import Animation, animate
from ganlab._canvas import COLOURS, DASHES, NAMES, draw_field, window_of
from ganlab._film import film
from ganlab._symbolic import to_numpy
from ganlab.checks import InputError, number, numbers
from ganlab.objectives import get
from ganlab.theory import conditions, constants

__all__ = ["COLOURS", "Animation", "abscissa_against_rate", "animate", "cloud", "eigenvalue_plane", "film",
           "phase_portrait", "radius_against_step", "strip", "use_style"]  # fmt: skip


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
    ax, window = _axes(ax), window_of(game, span, paths)
    draw_field(game, window, nullclines, density, ax)
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


def cloud(samples, law=None, span=None, ax=None):
    """Draw samples in the plane, over the modes of the law that they should follow.

    Parameters
    ----------
    samples : (n, 2) array
        Those that are not finite are left out.
    law : Mixture, optional
        Every mode gets a circle of three standard deviations, at least large enough to be seen.
    span : float, optional
        Half the width of the window around 0.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib axes

    Raises
    ------
    InputError
        If the samples are not points of the plane.

    Examples
    --------
    >>> from ganlab.data import ring
    >>> cloud(ring().sample(100, np.random.default_rng(0)), ring()).get_aspect()
    1.0
    """
    samples = np.asarray(samples)
    if samples.ndim != 2 or samples.shape[1] != 2:
        raise InputError(f"samples must have shape (n, 2), got {samples.shape}; take one seed out of a stack")
    ax, far = _axes(ax), 1.25 * max(np.abs(law.modes).max() if law is not None else np.nanmax(np.abs(samples)), 1e-9)
    span = far if span is None else number("span", span, 0, open_low=True)
    if law is not None:
        for (x, y), sd in zip(law.modes, np.broadcast_to(law.sds, len(law.modes)), strict=True):
            ax.add_patch(plt.Circle((x, y), max(3 * sd, 0.035 * span), fill=False, color="#555555", linewidth=1.1))
    ax.plot(*samples.T, ".", color=COLOURS[1], markersize=3, alpha=0.6)
    ax.set(xlim=(-span, span), ylim=(-span, span), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    return ax


def strip(groups, label="", reference=None, ax=None):
    """Draw one row of dots a group, one dot a seed, with the median as a bar: the spread and not the best picture.

    Parameters
    ----------
    groups : dict of str to sequence of float
        From top to bottom; values that are not finite are counted beside their row.
    label : str
        Of the horizontal axis.
    reference : float, optional
        Where a dashed line stands: the noise floor, the ceiling, chance.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib axes

    Raises
    ------
    InputError
        If there is no group or one is empty.

    Examples
    --------
    >>> strip({"a": [1, 2, 2], "b": [3, 4, 5]}, "modes").get_xlabel()
    'modes'
    """
    if not groups or not all(len(values) for values in groups.values()):
        raise InputError("groups must name at least one sequence of values, and none may be empty")
    ax = ax if ax is not None else plt.subplots(figsize=(5.6, 0.8 + 0.42 * len(groups)))[1]
    if reference is not None:
        ax.axvline(reference, color="#555555", linestyle="--", linewidth=1.2)
    for row, values in enumerate(np.asarray(v, dtype=float) for v in groups.values()):
        good, colour = values[np.isfinite(values)], COLOURS[row % len(COLOURS)]
        ties = np.array([np.sum(good[:k] == value) for k, value in enumerate(good)])  # equal values side by side
        ax.plot(good, row + 0.09 * np.where(ties % 2, ties + 1, -ties) / 2, "o", color=colour, markersize=4, alpha=0.7)
        if len(good):
            ax.plot([np.median(good)] * 2, [row - 0.32, row + 0.32], color=colour, linewidth=2.2)
        if len(good) < len(values):
            ax.annotate(f"{len(values) - len(good)} not finite", (1.0, row), xycoords=("axes fraction", "data"),
                        ha="right", va="center", fontsize=9)  # fmt: skip
    ax.set(yticks=range(len(groups)), yticklabels=list(groups), ylim=(len(groups) - 0.4, -0.6), xlabel=label)
    ax.grid(axis="y", visible=False)
    return ax
