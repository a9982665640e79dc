"""Draw book/_static/hero.svg from two real runs of the Dirac-GAN: with and without friction on the critic."""

from pathlib import Path

import ganlab as gl

STATIC = Path(__file__).resolve().parent.parent / "_static"

out = gl.simulate(gl.dirac_gan("saturating"), (0.5, 0.0), lr=0.2, steps=460)
home = gl.simulate(gl.dirac_gan("saturating", gl.R1(0.1)), (-2.1, 0.0), lr=0.2, steps=520)


def curve(run, x, y, scale, every):
    return " ".join(f"{x + scale * a:.1f},{y - scale * b:.1f}" for a, b in run.states[::every])


def panel(run, x, title, colour, every=1):
    y, scale = 118, 42
    (a, b), (c, d) = run.states[0], run.states[-1]
    return f"""<g font-family="Georgia, 'Times New Roman', serif">
<path d="M{x - 112} {y}h224M{x} {y - 104}v208" stroke="#8a949e" stroke-width="1" fill="none"/>
<polyline points="{curve(run, x, y, scale, every)}" fill="none" stroke="{colour}" stroke-width="2" \
stroke-linejoin="round"/>
<circle cx="{x + scale * a:.1f}" cy="{y - scale * b:.1f}" r="5" fill="{colour}"/>
<circle cx="{x + scale * c:.1f}" cy="{y - scale * d:.1f}" r="5" fill="#ffffff" stroke="{colour}" stroke-width="2"/>
<circle cx="{x}" cy="{y}" r="3.2" fill="#5b6670"/>
<text x="{x}" y="{y + 126}" text-anchor="middle" font-size="15" fill="#5b6670">{title}</text></g>"""


svg = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 256" role="img" \
aria-label="Two runs of the smallest GAN">
<title>Two runs of the smallest GAN</title>
{panel(out, 130, "gradient steps: it spirals out", "#d2691e")}
{panel(home, 390, "the same with R1: it comes home", "#2a8cae")}
</svg>
"""
(STATIC / "hero.svg").write_text(svg, encoding="utf-8")
