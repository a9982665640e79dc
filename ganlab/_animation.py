"""A trajectory as a moving picture: a scalable drawing that needs no script, no matplotlib and no video codec."""

from dataclasses import dataclass
from html import escape

import numpy as np

from ganlab._canvas import COLOURS, window_of
from ganlab.checks import InputError, choose, number, whole

__all__ = ["Animation", "animate"]


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
    (x0, x1), (y0, y1) = window_of(trajectory.game, span, [trajectory])
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
<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.8"/>
<path d="M{rx - 6:.1f} {ry:.1f}h12M{rx:.1f} {ry - 6:.1f}v12" stroke="currentColor" stroke-width="2"/>
<circle class="ganlab-dot" r="6" fill="{COLOURS[1]}"><animateMotion dur="{seconds:g}s" repeatCount="indefinite" \
calcMode="linear" values="{";".join(points)}"/></circle>
</svg></div>""")
