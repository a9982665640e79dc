"""Samples that move while a generator trains: a scalable drawing that needs no script and no video codec."""

from html import escape

import numpy as np

from ganlab._animation import Animation
from ganlab._canvas import COLOURS
from ganlab.checks import InputError, number, numbers

__all__ = ["film"]

SIZE = 400


def film(snapshots, steps, law=None, span=3.0, seconds=12, alt=""):
    """Return an `Animation` of a generator's samples through training, each dot the same noise all the time.

    Parameters
    ----------
    snapshots : (F, n, 2) array
        The samples at F moments; a hundred or two at a few dozen moments keep the page small.
    steps : sequence of F ints
        The training step of each moment; the bar below the picture runs through them.
    law : Mixture, optional
        Its modes are drawn as crosses.
    span : float
        Half the width of the square window around 0.
    seconds : float
        How long the film takes.
    alt : str
        What it shows, for readers who cannot see it. Required.

    Returns
    -------
    Animation

    Raises
    ------
    InputError
        Without an `alt` text, or if the shapes do not fit.

    Examples
    --------
    >>> film(np.zeros((2, 5, 2)), [0, 10], alt="Five dots stand still.")
    Animation (2 kB)
    """
    if not (isinstance(alt, str) and alt.strip()):
        raise InputError("alt must say in a sentence what the film shows")
    snapshots = np.asarray(numbers("snapshots", snapshots))
    if snapshots.ndim != 3 or snapshots.shape[2] != 2 or len(snapshots) != len(steps) or len(steps) < 2:
        raise InputError(f"snapshots must have shape (F, n, 2) with F = {len(steps)} >= 2 steps, got {snapshots.shape}")
    number("span", span, 0, open_low=True), number("seconds", seconds, 0, open_low=True)
    inside = np.clip(snapshots, -1.05 * span, 1.05 * span)
    at = np.rint((inside * [1, -1] / span + 1) * SIZE / 2).astype(int).transpose(1, 2, 0)
    when = np.asarray(steps) - steps[0]
    timing = f'dur="{seconds:g}s" repeatCount="indefinite" keyTimes="{";".join(f"{t:.4g}" for t in when / when[-1])}"'
    dots = "".join(
        f'<circle r="3"><animate attributeName="cx" {timing} values="{_row(x)}"/>'
        f'<animate attributeName="cy" {timing} values="{_row(y)}"/></circle>' for x, y in at)  # fmt: skip
    still = "".join(f'<circle r="3" cx="{x[-1]}" cy="{y[-1]}"/>' for x, y in at)
    modes = () if law is None else np.rint((law.modes * [1, -1] / span + 1) * SIZE / 2).astype(int)
    crosses = "".join(f'<path d="M{x - 6} {y}h12M{x} {y - 6}v12"/>' for x, y in modes)
    return Animation(f"""<div class="ganlab-animation"><svg viewBox="-8 -8 {SIZE + 16} {SIZE + 44}" role="img" \
aria-label="{escape(alt)}" style="width:100%;max-width:420px;color:inherit">
<style>.ganlab-still {{display: none}} @media (prefers-reduced-motion: reduce) {{
.ganlab-film {{display: none}} .ganlab-still {{display: inline}}}}</style>
<clipPath id="ganlab-window"><rect width="{SIZE}" height="{SIZE}"/></clipPath>
<rect width="{SIZE}" height="{SIZE}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>
<g stroke="currentColor" stroke-width="2">{crosses}</g>
<g fill="{COLOURS[1]}" fill-opacity="0.7" clip-path="url(#ganlab-window)"><g class="ganlab-film">{dots}</g>\
<g class="ganlab-still">{still}</g></g>
<rect class="ganlab-film" y="{SIZE + 8}" height="5" width="{SIZE}" fill="{COLOURS[0]}">\
<animate attributeName="width" dur="{seconds:g}s" repeatCount="indefinite" values="0;{SIZE}"/></rect>
<text y="{SIZE + 30}" fill="currentColor" font-size="14">step {int(steps[0])}</text>
<text x="{SIZE}" y="{SIZE + 30}" text-anchor="end" fill="currentColor" font-size="14">step {int(steps[-1])}</text>
</svg></div>""")


def _row(values):
    return ";".join(map(str, values))
