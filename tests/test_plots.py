"""Every picture draws without warning or display, says what its axes are, and can be told apart by everyone."""

import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from ganlab import R1, InputError, dirac_gan, eigenvalues, flow, multipliers, plots, pointwise, quadratic, simulate

GAME = pointwise("saturating", 0.2)
PATH = flow(GAME, (0.75, 0.9), T=5, points=51)
BATCH = simulate(dirac_gan("saturating", R1(0.3)), [(1, 1), (-1, 0.5), (0.2, -0.4)], lr=0.1, steps=60)


@pytest.fixture(autouse=True)
def _clean_figures():
    with mpl.rc_context():
        yield
    plt.close("all")


def drawn(ax):
    """Draw the figure to the end, so that late warnings show; and check what every picture owes its reader."""
    ax.figure.canvas.draw()
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    return ax


def test_there_is_no_display():
    assert mpl.get_backend().lower() == "agg"


def test_the_phase_portrait_shows_field_paths_and_rest_point():
    ax = drawn(plots.phase_portrait(GAME, PATH, labels=["flow"]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$D$", "$p_g$")
    path, first, last, rest = ax.lines
    np.testing.assert_array_equal(path.get_xydata(), PATH.states)
    np.testing.assert_array_equal(first.get_xydata()[0], PATH.states[0])
    np.testing.assert_array_equal(last.get_xydata()[0], PATH.last)
    np.testing.assert_allclose(rest.get_xydata()[0], [0.5, 0.2])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["flow"]
    assert ax.get_xlim()[0] >= 0
    assert ax.get_xlim()[1] <= 1, "nothing is drawn where the field is not defined"


def test_the_nullclines_are_where_the_field_vanishes():
    ax = plots.phase_portrait(GAME, span=((0.1, 0.9), (0.05, 0.8)), density=0)
    curves = [c for c in ax.collections if c.get_linestyle() and c.get_paths()]
    assert len(curves) == 2
    for row, curve in enumerate(curves):
        D, p_g = curve.get_paths()[0].vertices.T
        assert np.abs(GAME.field(D, p_g)[row]).max() < 0.02


def test_many_paths_and_games_fit_one_portrait():
    ax = drawn(
        plots.phase_portrait(
            BATCH.game, [BATCH, simulate(BATCH.game, (1, 1), steps=20)], span=2, labels=["batch", "one"]
        )
    )
    assert len(ax.lines) == 3 * 3 + 3 + 1
    np.testing.assert_array_equal(ax.lines[3].get_xydata(), BATCH.states[:, 1])
    assert ax.get_xlim() == (-2, 2)
    assert len({(line.get_color(), line.get_linestyle()) for line in (ax.lines[0], ax.lines[9])}) == 2
    assert len(ax.get_legend().get_texts()) == 2
    own = plt.subplots()[1]
    assert plots.phase_portrait(GAME, ax=own) is own
    drawn(plots.phase_portrait(quadratic([[0.1]], [[1.0]], [[0.1]]), span=1, nullclines=False))
    drawn(plots.phase_portrait(pointwise("nonsaturating", 0.2, coordinate="score"), span=((-4, 4), (0, 2))))


def test_the_eigenvalue_plane_shades_what_is_stable():
    values = eigenvalues(GAME)
    ax = drawn(plots.eigenvalue_plane(values))
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), np.column_stack([values.real, values.imag]))
    assert ax.get_legend() is None
    ax = drawn(
        plots.eigenvalue_plane(
            {"Euler": multipliers(GAME), "alternating": multipliers(GAME, "alternating")}, circle=True
        )
    )
    (disk,) = ax.patches
    assert (disk.center, disk.radius) == ((0, 0), 1)
    assert len({line.get_marker() for line in ax.lines}) == 2, "the sets also differ without colour"
    drawn(plots.eigenvalue_plane([0.0]))


def test_the_abscissa_against_the_rate_has_its_minimum_where_theory_says():
    ax = drawn(plots.abscissa_against_rate(["saturating", "least_squares", "wasserstein"], p_d=0.2))
    curve, best = ax.lines[:2]
    tau, height = curve.get_data()
    assert tau[np.argmin(height)] == pytest.approx(1 / (4 * 0.2**2), rel=0.03)
    assert best.get_data()[0][0] == pytest.approx(1 / (4 * 0.2**2))
    assert best.get_data()[1][0] == pytest.approx(-1 / 0.2)
    for t, h in zip(tau[::45], height[::45], strict=True):
        matrix = [[-8 * 0.2 * t, -2 * t], [2, 0]]
        assert h == pytest.approx(np.linalg.eigvals(matrix).real.max(), abs=1e-6)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "saturating",
        "least_squares(0, 1, 1)",
        "wasserstein",
    ]
    ax = drawn(plots.abscissa_against_rate(["saturating"], rates=[1.0, 2.0]))
    assert ax.lines[0].get_xdata().tolist() == [1.0, 2.0]


def test_the_radius_is_drawn_against_steps_or_time():
    ax = drawn(plots.radius_against_step({"run": BATCH}))
    assert (ax.get_xlabel(), ax.get_yscale()) == ("step", "log")
    assert len(ax.lines) == 3
    np.testing.assert_allclose(ax.lines[1].get_ydata(), np.hypot(*BATCH.states[:, 1].T))
    ax = drawn(plots.radius_against_step({"flow": PATH}, log=False))
    assert (ax.get_xlabel(), ax.get_yscale()) == ("time", "linear")
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), PATH.times)


def test_the_style_is_readable_and_every_picture_draws_with_it():
    plots.use_style()
    assert mpl.rcParams["figure.facecolor"] == "white"
    assert mpl.rcParams["font.size"] >= 11
    drawn(plots.phase_portrait(GAME, PATH))


def as_seen_with_deuteranopia(colour):
    """Vienot, Brettel, Mollon 1999: linear RGB, without the middle cones, in CIE Lab (D65)."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)])
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    blind = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    seen = np.clip(np.linalg.inv(to_lms) @ blind @ to_lms @ linear, 0, 1)
    x, y, z = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        @ seen
        / [0.9505, 1, 1.089]
    )
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_colours_can_be_told_apart_without_the_middle_cones():
    """A difference of 2.3 in CIE Lab is just noticeable; lines must differ by five times that."""
    seen = [as_seen_with_deuteranopia(c) for c in plots.COLOURS]
    distances = {(i, j): np.linalg.norm(seen[i] - seen[j]) for i in range(len(seen)) for j in range(i)}
    assert min(distances.values()) > 5 * 2.3, min(distances, key=distances.get)
    assert len({str(d) for d in plots.DASHES}) == len(plots.DASHES) >= len(plots.COLOURS), (
        "and they differ in dash as well"
    )


def test_the_animation_is_well_formed_and_moves_along_the_path():
    moving = plots.animate(PATH, seconds=3, frames=20, alt="A dot spirals in.", span=((0.3, 0.9), (0, 1)))
    root = ET.fromstring(moving.html)
    svg = root.find("svg")
    assert (svg.get("role"), svg.get("aria-label")) == ("img", "A dot spirals in.")
    motion = svg.find("circle/animateMotion")
    assert motion.get("dur") == "3s"
    points = np.array([[float(v) for v in p.split(",")] for p in motion.get("values").split(";")])
    assert len(points) == 20
    kept = PATH.states[np.linspace(0, 50, 20).round().astype(int)]
    np.testing.assert_allclose(
        points, np.column_stack([(kept[:, 0] - 0.3) / 0.6 * 420, (1 - kept[:, 1]) * 420]), atol=0.06
    )
    assert svg.find("polyline").get("points").split() == motion.get("values").split(";")
    assert "prefers-reduced-motion" in moving.html
    assert "<script" not in moving.html
    assert "http" not in moving.html, "nothing is fetched"
    assert moving._repr_html_() == moving.html
    assert repr(moving).startswith("Animation (")


def test_a_circle_stays_a_circle_in_an_animation():
    circle = flow(dirac_gan(), (1, 0), T=20, points=101)
    motion = ET.fromstring(plots.animate(circle, span=2, alt="A dot goes round.").html).find("svg/circle/animateMotion")
    points = np.array([[float(v) for v in p.split(",")] for p in motion.get("values").split(";")])
    np.testing.assert_allclose(np.linalg.norm(points - 210, axis=1), 105, atol=0.1)


def test_hostile_text_in_an_animation_is_only_text():
    alt = 'up & down "></svg><script>alert(1)</script>'
    html = plots.animate(PATH, alt=alt).html
    assert "<script" not in html
    assert ET.fromstring(html).find("svg").get("aria-label") == alt


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: plots.phase_portrait(quadratic(np.eye(2), np.eye(2), np.eye(2))), ("two coordinates", "4")),
        (lambda: plots.phase_portrait(GAME, [PATH, PATH], labels=["one"]), ("labels", "2 trajectories", "1")),
        (lambda: plots.phase_portrait(GAME, span=-1), ("span", "(0, inf)", "-1")),
        (lambda: plots.phase_portrait(GAME, span=((0, float("nan")), (0, 1))), ("span", "nan")),
        *[(lambda alt=alt: plots.animate(PATH, alt=alt), ("alt must say",)) for alt in ("", "  ", None, 3)],
        (lambda: plots.animate(BATCH, alt="x"), ("single planar start",)),
        (lambda: plots.animate(PATH, alt="x", seconds=0), ("seconds", "(0, inf)")),
        (lambda: plots.animate(PATH, alt="x", frames=1), ("frames", "at least 2")),
        (lambda: plots.animate(PATH, alt="x", colour='red" onload="'), ("colour", plots.COLOURS[0])),
        (lambda: plots.abscissa_against_rate(["gan"]), ("unknown objective 'gan'",)),
        (lambda: plots.abscissa_against_rate(["saturating"], p_d=-1), ("p_d", "(0, inf)")),
        (lambda: plots.abscissa_against_rate(["saturating"], rates=[0.0]), ("rates", "(0, inf)")),
        (lambda: plots.abscissa_against_rate("saturating"), ("objectives must be a list",)),
    ],
)
def test_bad_input_is_named(call, parts):
    with pytest.raises(InputError) as error:
        call()
    for part in parts:
        assert part in str(error.value)
