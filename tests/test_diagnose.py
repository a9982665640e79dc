"""Runs that were made sick on purpose are recognised, and healthy ones are left in peace."""

import math
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.signal import lfilter

from ganlab import InputError, Objective, least_squares
from ganlab.data import Mixture, ring
from ganlab.diagnose import Diagnosis, Finding, diagnose, history_of
from ganlab.metrics import modes_report

LAW = ring()
LOG2 = math.log(2)
QUIET = {"d_gain": -1.3, "g_gain": -0.7, "real": 0.1, "fake": -0.1, "penalty": 0.0, "d_norm": 0.3, "g_norm": 0.2}


def chart(n=400, every=1, **changed):
    """A made-up history of n rows: quiet, except for what is changed (to a number or an array)."""
    columns = {name: np.broadcast_to(value, n) for name, value in {**QUIET, **changed}.items()}
    return [{"step": every * (k + 1), **{name: float(x[k]) for name, x in columns.items()}} for k in range(n)]


def names(diagnosis):
    return [finding.name for finding in diagnosis]


def at_modes(*modes, n=400):
    """Samples that sit on some modes of the ring, in equal shares."""
    return LAW.means[np.resize(modes, n)]


def ramp(start, end, n=400):
    """Half the rows at one level, then half at another."""
    return np.repeat([start, end], n // 2)


# Rows that are made up, so that the truth is known exactly.


def test_a_quiet_history_has_nothing_wrong():
    found = diagnose(chart())
    assert found.healthy
    assert names(found) == []
    assert repr(found) == "nothing found wrong"


# Gain of a critic that guesses, and its supremum, by hand.
GAINS = {
    "saturating": (-2 * LOG2, 0),
    "nonsaturating": (-2 * LOG2, 0),
    "maximum_likelihood": (-2 * LOG2, 0),
    "label_smoothing": (0.9 * math.log(0.45) + 1.1 * math.log(0.55), 0.9 * math.log(0.9) + 0.1 * math.log(0.1)),
    "least_squares": (-0.25, 0),
    "hinge": (-2, 0),
    "rpgan": (-LOG2, 0),
    "ragan": (-2 * LOG2, 0),
    "rahinge": (-2, 0),
    "ralsgan": (-2, 0),
}


@pytest.mark.parametrize("objective", GAINS)
def test_a_critic_is_saturated_when_it_has_nearly_all_there_is_to_gain(objective):
    guess, top = GAINS[objective]
    for way, verdict in ((0.0, []), (0.93, []), (0.96, ["discriminator saturated"]), (1, ["discriminator saturated"])):
        assert names(diagnose(chart(d_gain=guess + way * (top - guess)), objective)) == verdict


def test_the_labels_of_least_squares_decide_what_saturated_means():
    assert names(diagnose(chart(d_gain=-0.1), least_squares(-1, 1, 0))) == []  # guessing gives -1
    assert names(diagnose(chart(d_gain=-0.01), least_squares(-1, 1, 0))) == ["discriminator saturated"]


def test_saturation_is_judged_by_the_last_quarter():
    assert diagnose(chart(d_gain=np.repeat([-0.001, -1.3], [300, 100]))).healthy
    assert not diagnose(chart(d_gain=np.repeat([-1.3, -0.001], [300, 100]))).healthy


def test_the_evidence_of_saturation_holds_the_numbers():
    (finding,) = diagnose(chart(d_gain=-0.01, real=9.0, fake=-8.0))
    for number in ("-0.01", "99 %", "-1.39", "supremum (0)", "9 on data", "-8 on fakes"):
        assert number in finding.evidence
    assert finding.page == "losses"


@pytest.mark.parametrize("gain", [-50.0, 0.0, 3.0, 90.0])
def test_a_wasserstein_critic_is_never_saturated_and_its_gain_is_read_as_w1(gain):
    found = diagnose(chart(d_gain=gain), "wasserstein")
    assert found.healthy
    assert f"D's gain, {gain:.3g}, estimates the Wasserstein distance W1" in repr(found)
    assert ("lags behind" in repr(found)) == (gain < 0)
    assert diagnose(chart(d_gain=gain), "quadratic").notes == ()


def test_a_student_s_objective_is_judged_by_its_own_supremum():
    mine = Objective(f1=lambda t: -((t - 3) ** 2), f2=lambda t: -((t + 3) ** 2), f3=lambda t: t)  # guessing gives -18
    assert names(diagnose(chart(d_gain=-0.5), mine)) == ["discriminator saturated"]
    assert diagnose(chart(d_gain=-1.3), mine).healthy
    lifted = Objective(f1=mine.f1, f2=lambda t: 7 - (t + 3) ** 2, f3=mine.f3)  # guessing -11, supremum 7
    assert names(diagnose(chart(d_gain=6.5), lifted)) == ["discriminator saturated"]
    assert diagnose(chart(d_gain=5.0), lifted).healthy


@pytest.mark.parametrize(("end", "gain", "dead"), [(1e-5, -0.5, True), (1e-3, -0.5, False), (1e-5, -1.0, False)])
def test_a_generator_s_gradient_is_dead_if_it_is_gone_while_the_fakes_are_bad(end, gain, dead):
    found = diagnose(chart(g_norm=ramp(0.2, end), d_gain=gain))
    assert names(found) == ["generator gradient dead"] * dead


def test_a_generator_s_gradient_far_below_the_critic_s_is_dead_too():
    assert names(diagnose(chart(g_norm=1e-3, d_norm=5.0, d_gain=-0.5))) == ["generator gradient dead"]
    assert diagnose(chart(g_norm=1e-2, d_norm=5.0, d_gain=-0.5)).healthy


def test_for_an_unbounded_objective_the_samples_say_whether_the_fakes_are_bad():
    far, good = LAW.means.repeat(50, axis=0) * 1.5, LAW.means.repeat(50, axis=0)
    rows = chart(g_norm=ramp(0.2, 1e-5))
    assert names(diagnose(rows, "wasserstein", far, LAW)) == ["generator gradient dead"]
    assert diagnose(rows, "wasserstein", good, LAW).healthy
    assert diagnose(rows, "wasserstein").healthy  # nothing is known of the fakes


@pytest.mark.parametrize("period", [5.3, 20, 61.7, 90])
@pytest.mark.parametrize("score", ["real", "fake"])
def test_the_period_of_a_swing_in_noise_is_found_within_a_few_per_cent(period, score):
    rng, t = np.random.default_rng(1), np.arange(800)
    swing = np.sin(2 * np.pi * t / period + 1) + 0.3 * rng.standard_normal(800) + 0.002 * t
    (finding,) = diagnose(chart(800, every=10, **{score: swing}))
    assert finding.name == "oscillation"
    assert {"real": "on data", "fake": "on fakes"}[score] in finding.evidence
    assert period_of(finding) == pytest.approx(10 * period, rel=0.04)


def period_of(finding):
    return float(finding.evidence.split("period of ")[1].split(" steps")[0])


def test_a_swing_that_grows_is_an_oscillation_and_one_that_dies_out_is_none():
    t = np.arange(800)
    for rate, verdict in ((0.002, ["oscillation"]), (-0.0005, ["oscillation"]), (-0.005, [])):
        assert names(diagnose(chart(800, fake=np.exp(rate * t) * np.sin(t / 8)))) == verdict


@pytest.mark.parametrize("period", [105, 150, 400, 3000])
def test_fewer_than_four_swings_are_no_oscillation(period):
    assert diagnose(chart(800, fake=np.sin(2 * np.pi * np.arange(800) / period))).healthy


@pytest.mark.parametrize("memory", [0, 0.5, 0.9, 0.99, 1])
@pytest.mark.parametrize("n", [64, 500])
def test_red_noise_of_any_memory_is_hardly_ever_taken_for_an_oscillation(memory, n):
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(100):
        noise = lfilter([1], [1, -memory], rng.standard_normal((2, n + 300)))[:, -n:] / 10
        alarms += "oscillation" in names(diagnose(chart(n, real=noise[0], fake=noise[1])))
    assert alarms <= 2


def test_scores_that_stand_still_up_to_rounding_do_not_oscillate():
    assert diagnose(chart(real=0.1 + 1e-14 * np.sin(np.arange(400) / 5))).healthy


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"real": np.geomspace(0.5, 5000, 400)}, "the gap between the mean scores"),
        ({"fake": -np.geomspace(0.5, 5000, 400)}, "the gap between the mean scores"),
        ({"d_norm": np.geomspace(0.5, 5000, 400)}, "the gradient of D"),
        ({"g_norm": np.geomspace(0.5, 5000, 400)}, "the gradient of G"),
    ],
)
def test_growth_by_orders_of_magnitude_is_divergence(changed, what):
    (finding,) = (f for f in diagnose(chart(**changed), "wasserstein") if f.name == "diverging")
    assert finding.evidence.startswith(what)
    few = {name: x[:12] for name, x in changed.items()}
    assert names(diagnose(chart(12, **few | {"g_norm": np.geomspace(1, 1e9, 12)}))) == ["diverging"]


def test_tenfold_growth_a_small_start_and_a_common_drift_are_no_divergence():
    assert diagnose(chart(d_norm=np.geomspace(0.5, 40, 400)), "wasserstein").healthy
    assert diagnose(chart(d_norm=np.geomspace(1e-6, 40, 400)), "wasserstein").healthy
    spike = np.where(np.arange(400) == 399, 1e6, 0.3)  # one bad batch
    assert diagnose(chart(d_norm=spike)).healthy
    drift = np.geomspace(1, 1e5, 400)  # the constant that such a critic is free to add
    assert diagnose(chart(real=drift + 1, fake=drift), "wasserstein").healthy


@pytest.mark.parametrize("quantity", QUIET)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_number_that_is_not_finite_is_named_with_its_step(quantity, value):
    rows = chart(every=5)
    rows[70][quantity] = value
    for row in rows[80:]:
        row.update(dict.fromkeys(QUIET, math.nan))
    (finding,) = diagnose(rows)
    assert finding.evidence == f"{quantity} is {value} at step 355"
    assert finding.page == "training-loop"
    rows[3][quantity] = value  # too early for anything else to be judged
    assert names(diagnose(rows)) == ["not finite"]


def test_what_precedes_a_nan_is_still_judged_and_the_debris_behind_it_is_not():
    rows = chart(d_gain=np.repeat([-1e-3, math.nan], 200), g_norm=np.repeat([0.2, 1e9], 200))
    broken = np.full((400, 2), math.nan)
    assert names(diagnose(rows, samples=broken, law=LAW)) == ["not finite", "discriminator saturated"]


@pytest.mark.parametrize(
    ("penalties", "penalty", "violated"),
    [
        ({"wgan_gp": 10.0}, 3.5, True),
        ({"wgan_gp": 10.0}, 1.5, False),
        ({"dragan": 2.0}, 1.0, True),
        ({"wgan_gp": 10.0, "dragan": 10.0}, 3.5, False),
        ({"wgan_gp_one_sided": 10.0}, 3.5, True),
        ({"r1": 0.1}, 100.0, False),
        ({"wgan_gp": 0.1, "drift": 0.001}, 100.0, False),
        ({"wgan_gp": 0.0}, 0.0, False),
        ({}, 100.0, False),
        (None, 100.0, False),
    ],
)
def test_a_slope_penalty_is_violated_if_the_mean_gap_is_more_than_half(penalties, penalty, violated):
    found = diagnose(chart(penalty=penalty), "wasserstein", penalties=penalties)
    assert names(found) == ["penalty violated"] * violated


def test_a_lazy_penalty_is_judged_by_its_mean():
    lazy = np.where(np.arange(400) % 20 == 0, 20 * 10 * 0.64, 0.0)
    (finding,) = diagnose(chart(penalty=lazy), "wasserstein", penalties={"wgan_gp": 10.0})
    assert "by 0.8" in finding.evidence


@pytest.mark.parametrize("k", [1, 3, 7])
def test_a_collapse_counts_the_modes_that_are_left(k):
    (finding,) = diagnose(chart(), samples=at_modes(*range(k)), law=LAW)
    assert finding.name == "mode collapse"
    assert f"at {k} of 8 modes" in finding.evidence
    assert "one snapshot" in finding.evidence
    assert finding.page == "mode-collapse"


def test_all_modes_in_their_due_shares_are_no_collapse():
    rng = np.random.default_rng(0)
    for law in (LAW, ring(sd=0.3), Mixture([[0.0], [1.0], [9.0]], 0.3, [0.1, 0.2, 0.7])):
        for _ in range(20):
            assert diagnose(chart(), samples=law.sample(200, rng), law=law).healthy
    blurred = LAW.sample(400, rng) + 0.2 * rng.standard_normal((400, 2))
    assert diagnose(chart(), samples=blurred, law=LAW).healthy  # bad quality is another illness


def test_a_mode_is_lost_when_it_has_less_than_a_tenth_of_its_due():
    for stray, verdict in ((4, ["mode collapse"]), (6, [])):
        samples = np.concatenate([at_modes(*range(7), n=400 - stray), at_modes(7, n=stray)])
        assert names(diagnose(chart(), samples=samples, law=LAW)) == verdict


def test_the_due_of_a_rare_mode_is_its_own_weight():
    law = Mixture([[0.0], [5.0]], 0.1, [0.05, 0.95])
    for rare, verdict in ((4, []), (1, ["mode collapse"])):  # of 20 that are due
        samples = np.repeat([0.0, 5.0], [rare, 400 - rare])
        assert names(diagnose(chart(), samples=samples, law=law)) == verdict


def test_samples_on_the_way_between_modes_have_collapsed_as_well():
    samples = np.full((400, 2), 0.9) + 0.01 * np.random.default_rng(0).standard_normal((400, 2))
    (finding,) = diagnose(chart(), samples=samples, law=LAW)
    assert "1 of 8 modes, 100 % at one" in finding.evidence
    assert "quality 0 %" in finding.evidence


def test_a_static_collapse_is_told_from_hopping():
    still = [at_modes(0, 1)] * 8
    hopping = [at_modes(*pair) for pair in ((0, 1), (4, 5)) * 4]
    assert names(diagnose(chart(), samples=still, law=LAW)) == ["mode collapse"]
    (finding,) = diagnose(chart(), samples=hopping, law=LAW)
    assert finding.name == "mode hopping"
    assert "hopped 3 times" in finding.evidence
    assert "0 -> 4 -> 0 -> 4" in finding.evidence


def test_small_moves_early_moves_and_a_spread_that_shrinks_are_no_hopping():
    wobble = [at_modes(*m) for m in ((0, 1, 2), (1, 2, 3)) * 4]  # a third moves
    early = [at_modes(k % 8) for k in range(4)] + [at_modes(5)] * 4
    shrinks = [at_modes(*range(8))] * 5 + [at_modes(2)] * 3
    for samples in (wobble, early, shrinks):
        assert names(diagnose(chart(), samples=samples, law=LAW)) == ["mode collapse"]
    assert diagnose(chart(), samples=[at_modes(2), at_modes(*range(8))], law=LAW).healthy  # it has recovered


# What cannot be used.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history": chart(63)}, "63 rows.*at least 64"),
        ({"history": []}, "0 rows"),
        ({"history": [{"step": 1}]}, "numbers for step, d_gain"),
        ({"history": [dict(row, d_gain="high") for row in chart()]}, "numbers for step"),
        ({"history": chart() + chart()}, "must increase"),
        ({"history": [{k: v if k == "step" else [v, v] for k, v in row.items()} for row in chart()]}, "history_of"),
        ({"objective": "hing"}, "choose one of"),
        ({"samples": at_modes(0)}, "both or neither"),
        ({"law": LAW}, "both or neither"),
        ({"samples": at_modes(0, n=150), "law": LAW}, "at least 160"),
        ({"samples": [at_modes(0), at_modes(0, n=150)], "law": LAW}, "at least 160"),
        ({"samples": np.full((400, 2), np.nan), "law": LAW}, "finite"),
        ({"penalties": ["r1"]}, "map names to weights"),
        ({"penalties": {"wgan_gp": -1.0}}, "the weights of penalties"),
    ],
)
def test_bad_input_is_refused_with_what_is_allowed(options, message):
    with pytest.raises(InputError, match=message):
        diagnose(**{"history": chart(), **options})


def test_one_seed_is_taken_out_of_the_rows_of_several():
    stacked = [{k: v if k == "step" else [v, 2 * v] for k, v in row.items()} for row in chart()]
    assert history_of(stacked, 0) == chart()
    assert history_of(stacked, 1)[5]["real"] == 0.2
    for rows, s in ((stacked, 2), (stacked, -1), (chart(), 0)):
        with pytest.raises(InputError):
            history_of(rows, s)


# How a diagnosis reads.


def test_a_diagnosis_is_read_as_text_and_as_a_table():
    sick = Diagnosis((Finding("fever <3", "39 C & more", "rest", "losses"),), ("a note",))
    assert repr(sick) == "fever <3: 39 C & more\n  rest (page losses)\na note"
    table = ElementTree.fromstring(sick._repr_html_())
    cells = ["".join(cell.itertext()) for cell in table.iter("td")]
    assert cells == ["39 C & more", "rest", "losses"]
    assert [link.get("href") for link in table.iter("a")] == ["losses.html"]
    well = ElementTree.fromstring(Diagnosis((), ("a note",))._repr_html_())
    assert [p.text for p in well.iter("p")] == ["nothing found wrong", "a note"]
    assert not sick.healthy


# Real runs of small networks, several seeds at once.

EASY = ring(sd=0.1)
SEEDS = 4


def trained(law=EASY, every=50, nets=None, **recipe):
    """Train small networks; return the diagnosis of every seed, the last samples, the rows, and how it ended."""
    torch = pytest.importorskip("torch")
    from ganlab.neural.models.mlp import mlp
    from ganlab.neural.recipes import Recipe
    from ganlab.neural.runs import DivergedError, Run
    from ganlab.neural.training import train

    torch.set_num_threads(1)
    recipe = Recipe(**{"ema": 0.0, "lr": 2e-3} | recipe)  # an averaged generator would hide the hops
    seeds = range(SEEDS)
    G, D = mlp(2, 2, (32, 32), seed=seeds), mlp(2, 1, (32, 32), seed=range(100, 100 + SEEDS))
    run = Run(G, D, law, recipe, seed=seeds, device="cpu", points=5000)
    rows, snapshots, error = [], [], None
    try:
        for record in train(run):
            rows.append(record.row())
            if record.step % every == 0:
                snapshots.append(run.sample(1000))
    except DivergedError as stop:
        error = stop
    judge = EASY if snapshots else None
    found = [diagnose(history_of(rows, s), recipe.objective, [x[s] for x in snapshots] or None, judge,
                      recipe.penalties) for s in seeds]  # fmt: skip
    return found, snapshots[-1] if snapshots else None, rows, error


HEALTHY = {
    "nonsaturating": {"steps": 600},
    "rpgan": {"steps": 600, "penalties": {"r1": 0.1, "r2": 0.1}},
    "hinge": {"steps": 600, "penalties": {"r1": 0.1}},
    "least_squares": {"steps": 600, "penalties": {"r1": 0.1}},
    "wasserstein": {"steps": 400, "penalties": {"wgan_gp": 2.0}, "n_critic": 3, "betas": (0.0, 0.9)},
}


def test_healthy_runs_of_five_recipes_give_at_most_one_false_alarm():
    healthy, alarms = 0, []
    for objective, recipe in HEALTHY.items():
        found, samples, _, _ = trained(objective=objective, **recipe)
        for diagnosis, last in zip(found, samples, strict=True):
            if modes_report(last, EASY).modes == 8:  # the generator has learnt the ring: the oracle of health
                healthy += 1
                alarms += [(objective, name) for name in names(diagnosis)]
        assert all("W1" in repr(d) for d in found) == (objective == "wasserstein")
        assert not any("penalty violated" in names(d) for d in found)
    assert healthy >= 10
    assert len(alarms) <= 1, (healthy, alarms)


def test_a_critic_that_is_trained_too_much_kills_the_generator_of_the_saturating_loss_only():
    for objective, dead in (("saturating", True), ("nonsaturating", False)):
        found, _, _, _ = trained(objective=objective, steps=350, lr=1e-2, lr_g=1e-4, n_critic=3)
        assert (sum("generator gradient dead" in names(d) for d in found) >= SEEDS - 1) == dead
        assert all("discriminator saturated" in names(d) for d in found) or not dead


@pytest.mark.parametrize("objective", ["hinge", "least_squares", "rpgan"])
def test_a_critic_far_ahead_is_saturated_with_other_losses_too(objective):
    found, _, _, _ = trained(objective=objective, steps=150, lr=1e-2, lr_g=1e-5, n_critic=2)
    assert all("discriminator saturated" in names(d) for d in found)


def test_a_generator_that_outruns_its_critic_hops_from_mode_to_mode():
    found, samples, _, _ = trained(steps=500, lr=2e-4, lr_g=5e-3)
    assert sum("mode hopping" in names(d) for d in found) >= SEEDS - 1
    assert np.mean([modes_report(x, EASY).modes for x in samples]) < 4


def test_a_generator_that_was_taught_three_modes_has_collapsed_to_three_and_stays_there():
    law = Mixture(EASY.means[:3], 0.1)
    found, _, _, _ = trained(law, steps=500, penalties={"r1": 0.1})
    collapsed = [f for d in found for f in d if f.name == "mode collapse"]
    assert len(collapsed) >= SEEDS - 1
    assert sum("at 3 of 8 modes" in f.evidence and "static over" in f.evidence for f in collapsed) >= SEEDS - 1


def test_a_critic_without_a_leash_explodes():
    found, _, rows, error = trained(objective="wasserstein", steps=150, lr=1e-2, lr_g=1e-5)
    assert error is None
    assert np.isfinite([row["d_gain"] for row in rows]).all()
    assert all("diverging" in names(d) for d in found)


def test_a_huge_learning_rate_is_diverging_before_it_is_nan():
    found, _, rows, error = trained(objective="wasserstein", steps=200, optimizer="sgd", lr=1.0)
    assert "not finite" in str(error)
    assert len(rows) < 64
    assert all({"diverging", "not finite"} & set(names(d)) for d in found)


def test_numbers_that_no_one_checked_are_found_in_the_history():
    found, _, rows, error = trained(objective="wasserstein", steps=100, optimizer="sgd", lr=1.0, check_every=1000)
    assert error is None
    for s, diagnosis in enumerate(found):
        first = next(row["step"] for row in history_of(rows, s) if not np.isfinite(list(row.values())).all())
        assert f"at step {first}" in next(f.evidence for f in diagnosis if f.name == "not finite")


def test_a_penalty_too_weak_for_its_critic_is_violated():
    found, _, _, _ = trained(objective="wasserstein", steps=300, betas=(0.0, 0.9), penalties={"wgan_gp": 0.01})
    assert all("penalty violated" in names(d) for d in found)


@pytest.mark.parametrize("lr", [0.1, 0.16])
def test_the_dirac_gan_circles_with_the_period_of_theory(lr):
    torch = pytest.importorskip("torch")
    from ganlab.neural.recipes import Recipe
    from ganlab.neural.runs import Run
    from ganlab.neural.training import train

    class Point(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, z):
            return 0 * z + self.theta

    def rows(**options):
        recipe = Recipe("wasserstein", steps=600, batch=2, latent=1, optimizer="sgd", lr=lr, ema=0.0, **options)
        return [r.row() for r in train(Run(Point(), torch.nn.Linear(1, 1), torch.ones(8, 1), recipe, device="cpu"))]

    (finding,) = diagnose(rows(), "wasserstein")
    assert finding.name == "oscillation"
    # alternating steps: w += h (1 - theta), theta += h w, whose multipliers are exp(+-2i asin(h / 2))
    assert period_of(finding) == pytest.approx(2 * math.pi / (2 * math.asin(lr / 2)), rel=0.02)
    assert diagnose(rows(penalties={"r1": 0.5}), "wasserstein").healthy
