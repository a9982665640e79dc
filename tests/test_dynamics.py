"""Runs keep what was asked, stop what must stop and leave the others alone; the flow is as exact as it claims."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ganlab import (
    METHODS,
    R1,
    Clip,
    GradientPenalty,
    InputError,
    InstanceNoise,
    Objective,
    bilinear,
    dirac_gan,
    flow,
    pointwise,
    simulate,
)
from ganlab._march import CHUNK, SINGLE_CHUNK
from ganlab.primitives import sqrt

quick = settings(max_examples=20, deadline=None, derandomize=True)
# name of the objective, h = 0.2, 500 steps from (1, 1): the end states of Mescheder's notebook, measured independently
GOLDEN_ENDS = [
    ((), "saturating", (-2.161611, -2.217775)),
    ((), "nonsaturating", (0.548337, 0.330441)),
    ((Clip(1.0),), "wasserstein", (-0.065641, 1.0)),
    ((GradientPenalty(0.7),), "wasserstein", (-0.180849, -1.792694)),
]
GOLDEN_RADII = [  # method options, objective, remedies, radius after 500 alternating steps
    ({"n_d": 1}, "saturating", (), 1.421019),
    ({"n_d": 1}, "nonsaturating", (), 0.283923),
    ({"n_d": 1}, "wasserstein", (Clip(1.0),), 1.024119),
    ({"n_d": 1}, "wasserstein", (GradientPenalty(0.7),), 1.221067),
    ({"n_d": 5}, "saturating", (), 1.84527),
    ({"n_d": 5}, "nonsaturating", (), 0.138877),
    ({"n_d": 5}, "wasserstein", (Clip(1.0),), 0.916885),
    ({"n_d": 5}, "wasserstein", (GradientPenalty(0.7),), 0.716301),
]
INSIDE, OUT, WILD = (0.5, 0.2), (0.999, 2.0), (40.0, 40.0)


@pytest.mark.parametrize(("remedies", "name", "end"), GOLDEN_ENDS)
def test_the_notebooks_end_states_are_reached(remedies, name, end):
    path = simulate(dirac_gan(name, *remedies), (1, 1), lr=0.2, steps=500)
    assert path.last == pytest.approx(end, abs=2e-6)
    assert path.radius[-1] == pytest.approx(math.hypot(*end), abs=3e-6)


@pytest.mark.parametrize(("options", "name", "remedies", "radius"), GOLDEN_RADII)
def test_the_notebooks_alternating_radii_are_reached(options, name, remedies, radius):
    path = simulate(dirac_gan(name, *remedies), (1, 1), "alternating", lr=0.2, steps=500, save_every=500, **options)
    assert path.radius[-1] == pytest.approx(radius, abs=5e-6)


def test_the_articles_run_ends_where_its_script_ends():
    path = simulate(pointwise("saturating", 0.2), (0.75, 0.9), lr=1e-3, steps=100_000, save_every=100_000)
    assert path.last == pytest.approx((0.5, 0.2), abs=1e-12)
    D, p_g = 0.75, 0.9
    for _ in range(3000):
        D, p_g = D + 1e-3 * (0.2 / D - p_g / (1 - D)), p_g + 1e-3 * (-math.log(1 - D) + math.log(0.5))
    assert simulate(pointwise("saturating", 0.2), (0.75, 0.9), lr=1e-3, steps=3000).last == pytest.approx(
        (D, p_g), rel=1e-13
    )


@pytest.mark.parametrize("method", METHODS)
def test_many_starts_equal_one_after_the_other_bit_for_bit(method):
    starts = np.random.default_rng(3).uniform(-1, 1, (7, 2))
    game = dirac_gan("nonsaturating", R1(0.1))
    together = simulate(game, starts, method, lr=0.1, steps=CHUNK + 70)
    for k, start in enumerate(starts):
        alone = simulate(game, [start], method, lr=0.1, steps=CHUNK + 70)
        np.testing.assert_array_equal(together.states[:, k], alone.states[:, 0])


@pytest.mark.parametrize("method", METHODS)
def test_a_single_start_on_floats_equals_the_arrays(method):
    for game in (dirac_gan("nonsaturating", R1(0.1)), pointwise("maximum_likelihood", 0.4)):
        start = (0.6, 0.3)
        alone = simulate(game, start, method, lr=0.05, steps=SINGLE_CHUNK + 60)
        batch = simulate(game, [start], method, lr=0.05, steps=SINGLE_CHUNK + 60)
        assert alone.states.shape == (SINGLE_CHUNK + 61, 2)
        np.testing.assert_allclose(alone.states, batch.states[:, 0], rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(alone.times, batch.times)


@quick
@given(steps=st.integers(1, 300), every=st.integers(1, 400), many=st.booleans())
def test_saving_less_keeps_the_first_the_last_and_every_so_manyth(steps, every, many):
    game, start = dirac_gan(), [(1.0, 1.0), (0.3, 0.2)] if many else (1.0, 1.0)
    full, some = (simulate(game, start, lr=0.1, steps=steps, save_every=n) for n in (1, every))
    expected = sorted({*range(0, steps, every), steps})
    assert some.steps.tolist() == expected
    np.testing.assert_array_equal(some.states, full.states[expected])
    np.testing.assert_array_equal(some.times, full.times[expected])
    np.testing.assert_allclose(some.times, 0.1 * np.array(expected), rtol=1e-14)


@pytest.mark.parametrize("steps", [CHUNK - 1, CHUNK, CHUNK + 1, SINGLE_CHUNK - 1, SINGLE_CHUNK, SINGLE_CHUNK + 1])
def test_chunks_leave_no_seam(steps):
    for start in ((1.0, 0.5), [(1.0, 0.5)]):
        path = simulate(bilinear(), start, lr=0.01, steps=steps, save_every=3)
        np.testing.assert_allclose(
            np.ravel(path.radius), math.hypot(1, 0.5) * (1 + 1e-4) ** (path.steps / 2), rtol=1e-12
        )


def test_a_run_is_described_in_words():
    game = dirac_gan()
    path = simulate(game, (1, 1), lr=0.2, steps=500)
    assert (
        repr(path) == "Trajectory of Dirac-GAN saturating, simultaneous: 1 trajectory, 501 states to t=100 (finished)"
    )
    assert (path.status, path.stopped, path.game, path.method) == ("finished", 100.0, game, "simultaneous")
    assert path.last.tolist() == path.states[-1].tolist()
    two = simulate(pointwise("saturating", 0.2), [INSIDE, OUT], lr=1e-3, steps=50, save_every=25)
    assert "2 trajectories, 3 states to t=0.05 (1 finished, 1 left the domain)" in repr(two)
    assert simulate(game, (1, 1), lr=(0.1, 0.2), steps=5).times.tolist() == [0, 1, 2, 3, 4, 5], (
        "two rates have no common time"
    )
    assert two.radius.shape == (3, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [5, CHUNK + 40])
def test_a_trajectory_that_leaves_does_not_disturb_the_others(method, steps):
    game = pointwise("saturating", p_d=0.2)
    starts = [INSIDE, (0.9995, 3.0), (0.75, 0.9), (0.4, 0.3)]
    mixed = simulate(game, starts, method, lr=0.01, steps=steps)
    for k, start in enumerate(starts):
        alone = simulate(game, [start], method, lr=0.01, steps=steps)
        np.testing.assert_array_equal(mixed.states[:, k], alone.states[:, 0])
        assert mixed.status[k] == alone.status[0]
        assert mixed.stopped[k] == alone.stopped[0]


def test_a_trajectory_that_leaves_stays_at_its_last_good_state_and_is_marked():
    path = simulate(pointwise("saturating", p_d=0.2), [INSIDE, OUT], lr=1e-3, steps=40)
    assert path.status.tolist() == ["finished", "left the domain"]
    assert path.stopped.tolist() == [0.04, 0.0]
    np.testing.assert_array_equal(path.states[:, 1], np.tile(OUT, (41, 1)))
    np.testing.assert_allclose(path.states[:, 0], np.tile(INSIDE, (41, 1)), atol=1e-15)
    alone = simulate(pointwise("saturating", p_d=0.2), OUT, lr=1e-3, steps=40)
    assert (alone.status, alone.stopped) == ("left the domain", 0.0)
    np.testing.assert_array_equal(alone.states, path.states[:, 1])


def test_a_late_exit_is_timed_to_the_step():
    """Euler from the start by hand, until D is outside (0, 1)."""
    p_d, h = 0.01, 1e-3
    D, p_g, k = 0.25, 0.9, 0
    while True:
        new = D + h * (p_d / D - p_g / (1 - D)), p_g + h * (-math.log(1 - D) + math.log(0.5))
        if not 0 < new[0] < 1:
            break
        (D, p_g), k = new, k + 1
    for start in ((0.25, 0.9), [(0.25, 0.9)]):
        path = simulate(pointwise("saturating", p_d), start, lr=h, steps=k + 500)
        assert np.ravel(path.status).tolist() == ["left the domain"]
        assert np.ravel(path.stopped).tolist() == pytest.approx([k * h])
        assert np.ravel(path.last).tolist() == pytest.approx([D, p_g], rel=1e-9)
        assert np.isfinite(path.states).all()


@pytest.mark.parametrize("start", [WILD, [(0.1, 0.1), WILD]])
def test_divergence_keeps_the_trajectory_so_far_and_marks_it(start):
    game = bilinear(3.0)
    path = simulate(game, start, lr=1.0, steps=60)
    step = 0
    while math.hypot(*WILD) * 10 ** (step / 2) < 1e9:
        step += 1
    last = np.atleast_1d(path.stopped)[-1]
    assert np.atleast_1d(path.status)[-1] == "diverged"
    assert abs(last - step) <= 1
    wild = path.states.reshape(61, -1, 2)[:, -1]
    np.testing.assert_array_equal(wild[int(last) :], np.tile(wild[int(last)], (61 - int(last), 1)))
    np.testing.assert_allclose(
        np.linalg.norm(wild[: int(last) + 1], axis=1), math.hypot(*WILD) * 10 ** (np.arange(last + 1) / 2)
    )


@pytest.mark.parametrize("start", [(8.0, -8.0), [(8.0, -8.0), (0.1, 0.1)]])
def test_an_overflow_is_a_divergence_and_not_an_exit(start):
    """exp(64) throws a float out of its range in one step, where there is no border to cross."""
    path = simulate(dirac_gan("maximum_likelihood"), start, lr=1.0, steps=50)
    assert np.atleast_1d(path.status)[0] == "diverged"
    assert np.isfinite(path.states).all()


def test_a_formula_that_stops_being_real_stops_the_run():
    root = Objective(f1=lambda t: 2 * sqrt(t), f2=lambda t: -t, f3=lambda t: t, name="root")
    for start in ((0.5, 4.0), [(0.5, 4.0)]):
        path = simulate(pointwise(root, 0.2), start, lr=0.1, steps=50)
        assert np.ravel(path.status).tolist() == ["diverged"]
        assert np.isfinite(path.states).all()


def test_a_noisy_game_runs_alone_as_in_a_batch():
    game = dirac_gan("saturating", InstanceNoise(0.7))
    alone, batch = (simulate(game, start, lr=0.2, steps=500) for start in ((1, 1), [(1, 1)]))
    np.testing.assert_allclose(alone.states, batch.states[:, 0], rtol=1e-12, atol=1e-14)
    assert alone.radius[-1] == pytest.approx(5.7e-5, abs=5e-7)


# ----------------------------------------------------------------------------------------------- the flow


def by_scipy(start, p_d, T):
    """The saturating field by hand, one trajectory at a time, at the tightest tolerance."""

    def field(_, z):
        return [p_d / z[0] - z[1] / (1 - z[0]), -np.log(1 - z[0]) + np.log(0.5)]

    return solve_ivp(field, (0, T), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]


@pytest.mark.parametrize("T", [0.3, 2.0, 10.0])
def test_the_stacked_flow_equals_scipy_one_by_one(T):
    rng = np.random.default_rng(5)
    starts = np.column_stack([rng.uniform(0.1, 0.9, 40), rng.uniform(0.05, 1.5, 40)])
    path = flow(pointwise("saturating", 0.2), starts, T=T, points=5)
    assert (path.status == "finished").all()
    np.testing.assert_allclose(path.last, [by_scipy(z, 0.2, T) for z in starts], atol=3e-9)


def test_a_lively_start_among_ten_thousand_quiet_ones_keeps_its_accuracy():
    starts = np.tile([0.5, 0.2], (10_000, 1))
    starts[17] = 0.9, 2.0
    path = flow(pointwise("saturating", 0.2), starts, T=1.0, points=2)
    np.testing.assert_allclose(path.last[17], by_scipy(starts[17], 0.2, 1.0), atol=2e-8)
    np.testing.assert_allclose(path.last[18], [0.5, 0.2], atol=1e-14)


def test_the_flow_of_the_bilinear_game_is_the_circle():
    path = flow(bilinear(2.0), [(1.0, 0.0), (0.0, -2.0)], T=math.pi, points=101)
    t = path.times
    np.testing.assert_allclose(t, np.linspace(0, math.pi, 101))
    np.testing.assert_allclose(path.states[:, 0], np.column_stack([np.cos(2 * t), np.sin(2 * t)]), atol=1e-8)
    np.testing.assert_allclose(path.states[:, 1], 2 * np.column_stack([np.sin(2 * t), -np.cos(2 * t)]), atol=1e-8)
    assert path.steps is None
    assert path.states.shape == (101, 2, 2)


def test_tighter_tolerances_give_smaller_errors():
    errors = [
        np.abs(flow(bilinear(), (1, 0), T=20, rtol=r, atol=r / 10).last - [math.cos(20), math.sin(20)]).max()
        for r in (1e-4, 1e-7, 1e-10)
    ]
    assert errors[0] > 20 * errors[1] > 400 * errors[2]


@pytest.mark.parametrize(
    ("name", "p_d", "blow_up"), [("saturating", 0.01, 2.728160528), ("nonsaturating", 0.05, 1.652774329)]
)
def test_the_free_field_blows_up_at_the_known_time(name, p_d, blow_up):
    alone = flow(pointwise(name, p_d), (0.25, 0.9), T=10)
    assert alone.status == "left the domain"
    assert alone.stopped == pytest.approx(blow_up, abs=2e-9)
    assert alone.last[0] == pytest.approx(1, abs=1e-3)
    many = flow(pointwise(name, p_d), [(0.5, p_d), (0.25, 0.9), (0.45, 0.1)], T=10)
    assert many.status.tolist() == ["finished", "left the domain", "finished"]
    assert many.stopped[1] == pytest.approx(blow_up, abs=2e-9)
    for k, start in ((0, (0.5, p_d)), (2, (0.45, 0.1))):
        np.testing.assert_allclose(many.last[k], flow(pointwise(name, p_d), start, T=10).last, atol=1e-8)
    after = many.times > blow_up
    np.testing.assert_array_equal(many.states[after, 1], np.tile(many.last[1], (after.sum(), 1)))


def test_a_flow_to_infinity_is_marked_as_diverged_and_timed():
    """x' = x^2, written as a one-player game: from 1 it is at infinity at t = 1."""
    import sympy as sp

    from ganlab import Game

    x = sp.Symbol("x", real=True)
    game = Game("square", (x,), (x**2,), equilibrium=(sp.Integer(0),))
    path = flow(game, [(1.0,), (-1.0,), (0.5,)], T=4.0, points=9)
    assert path.status.tolist() == ["diverged", "finished", "diverged"]
    assert path.stopped == pytest.approx([1.0, 4.0, 2.0], abs=1e-6)
    np.testing.assert_allclose(path.states[:, 1, 0], -1 / (1 + path.times), atol=1e-8)
    np.testing.assert_allclose(path.states[:2, 0, 0], 1 / (1 - path.times[:2]), rtol=1e-7)
    np.testing.assert_allclose(path.states[:4, 2, 0], 0.5 / (1 - path.times[:4] / 2), rtol=1e-7)
    assert np.isfinite(path.states).all()


def test_the_flow_stays_between_the_walls_and_slides_along_them():
    game = pointwise("saturating", p_d=0.01, repair="project")
    path = flow(game, [(0.25, 0.9), (0.75, 0.9)], T=60, points=1201)
    assert path.states[..., 1].min() == 0
    assert (path.status == "finished").all()
    np.testing.assert_allclose(path.last, [[0.5, 0.01]] * 2, atol=0.02)
    slow = simulate(game, [(0.25, 0.9)], lr=1e-4, steps=100_000, save_every=500)
    np.testing.assert_allclose(flow(game, (0.25, 0.9), T=10, points=201).states, slow.states[:, 0], atol=2e-4)
    clipped = flow(dirac_gan("wasserstein", Clip(1.0)), (1, 0.9), T=20, points=401)
    assert np.abs(clipped.states[:, 1]).max() == 1


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk4", 4)])
def test_fixed_steps_follow_the_flow(method, order):
    game, dt = pointwise("saturating", 0.2), 0.01
    path = flow(game, (0.75, 0.9), T=2.0, method=method, dt=dt)
    assert path.times[-1] == pytest.approx(2.0)
    assert np.abs(path.last - by_scipy((0.75, 0.9), 0.2, 2.0)).max() < 20 * dt**order
    few = flow(game, (0.75, 0.9), T=2.0, method=method, dt=dt, points=11)
    np.testing.assert_allclose(few.times, np.linspace(0, 2, 11))
    np.testing.assert_array_equal(few.last, path.last)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        *[(lambda s=s: simulate(dirac_gan(), s), ("start", "shape (2,) or (n, 2)", str(np.shape(s))))
          for s in (1.0, (1, 2, 3), [[1], [2]], np.ones((2, 2, 2)))],
        *[(lambda s=s: simulate(dirac_gan(), s), ("start must be a",))
          for s in ((1, float("nan")), (1, float("inf")), "ab", None, [], (True, False), ("1", "2"), [[1, 2], [3]])],
        (lambda: simulate(pointwise("saturating"), (0.0, 0.5)), ("start: D must lie in (0, 1)", "0")),
        (lambda: simulate(pointwise("saturating"), (1.0, 0.5)), ("D must lie in (0, 1)",)),
        (lambda: simulate(pointwise("saturating"), (-0.1, 0.5)), ("D must lie in (0, 1)",)),
        (lambda: simulate(pointwise("saturating"), [(0.5, 0.5), (1.5, 0.5)]), ("D must lie in (0, 1)", "1.5")),
        (lambda: simulate(pointwise("wasserstein"), (0.5, -0.5)), ("p_g must lie in [0, inf", "-0.5")),
        (lambda: flow(pointwise("saturating"), (1.5, 0.5)), ("D must lie in (0, 1)",)),
        (lambda: simulate(pointwise("saturating", [0.1, 0.2]), [(0.5, 0.5)] * 3), ("3 starts", "2")),
        *[(lambda n=n: simulate(dirac_gan(), (1, 1), steps=n), ("steps", "at least 1", repr(n)))
          for n in (0, -1, 2.5, True, "9")],
        *[(lambda n=n: simulate(dirac_gan(), (1, 1), save_every=n), ("save_every", repr(n))) for n in (0, 1.5, True)],
        (lambda: simulate(dirac_gan(), np.zeros((10_000, 2)), steps=100_000), ("16.0 GB", "save_every")),
        (lambda: flow(dirac_gan(), np.zeros((10_000, 2)), points=100_000), ("16.0 GB", "points")),
        *[(lambda T=T: flow(dirac_gan(), (1, 1), T=T), ("T", "(0, inf)", repr(T)))
          for T in (0, -1, float("nan"), "1", True)],
        *[(lambda n=n: flow(dirac_gan(), (1, 1), points=n), ("points", "at least 2", repr(n))) for n in (1, 2.5, True)],
        (lambda: flow(dirac_gan(), (1, 1), method="dopri"), ("'dopri'", "adaptive, euler, rk4")),
        (lambda: flow(dirac_gan(), (1, 1), rtol=0), ("rtol", "(0, inf)")),
        (lambda: flow(dirac_gan(), (1, 1), atol=-1), ("atol", "-1")),
        (lambda: flow(dirac_gan(), (1, 1), method="rk4"), ("dt (the fixed step)", "(0, 10]")),
        (lambda: flow(dirac_gan(), (1, 1), method="rk4", dt=0), ("dt", "0")),
        (lambda: flow(dirac_gan(), (1, 1), T=1, method="rk4", dt=3), ("dt", "(0, 1]", "3")),
        (lambda: flow(dirac_gan(), (1, 1), method="rk4", dt=(0.1, 0.1)), ("dt (the fixed step) must be one number",)),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, parts):
    with pytest.raises(InputError) as error:
        call()
    for part in parts:
        assert part in str(error.value)


def test_rounding_does_not_carry_a_multiplicative_density_across_zero():
    """The quadratic GAN presses p_g to 1e-30 and lets it come back; an absolute tolerance would lose its sign."""
    starts = [(0.5, 10.0), (0.9, 20.0), (0.02, 1.0)]
    path = flow(pointwise("quadratic", p_d=0.01, repair="multiply"), starts, T=4000, points=4001)
    assert set(path.status) == {"finished"}
    assert np.all(path.states[..., 1] > 0)
    assert np.max(path.radius[-1]) < 1e-6


def test_a_stiff_start_gives_up_and_lets_the_others_go_on():
    """At D = 5e-6 the critic relaxes at rate p_d / D^2 = 2e9: an explicit solver would need 1e10 steps."""
    starts = [(1e-6, 1e4), (0.75, 0.9)]
    path = flow(pointwise("saturating", p_d=0.05, repair="multiply"), starts, T=400, points=5)
    assert path.status.tolist() == ["too stiff", "finished"]
    assert path.stopped[0] < 1
    assert path.radius[-1, 1] < 1e-6
