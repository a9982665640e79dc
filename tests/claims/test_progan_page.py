"""The claims of the page on growing. Oracles: torch's counter of multiplications, loops, autograd, built networks."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from proofs import claims_of, studies_of
from scipy.stats import wilcoxon

from ganlab import metrics

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from ganlab.drawings import faces  # noqa: E402
from ganlab.neural.growing import PUBLISHED, Growth, levels  # noqa: E402
from ganlab.neural.minibatch import MinibatchStdDev  # noqa: E402
from ganlab.neural.models import progan  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

claim = claims_of("progan")
stored = studies_of("progan")

SIDES = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
FILTERS = [512, 512, 512, 512, 256, 128, 64, 32, 16]  # table 2 of the paper


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def count(net):
    return sum(p.numel() for p in net.parameters())


def work_at(k):
    """Multiplications of G for one picture, as the page counts them."""
    f = FILTERS[:k]
    total = 160 * 512 * 512 + 3 * f[-1] * SIDES[k - 1] ** 2
    return total + sum(9 * (a + b) * b * side**2 for (a, b), side in zip(pairwise(f), SIDES[1:], strict=False))


# ---- stages


@claim("A-09")
def test_nine_stages_twice_a_side_four_times_in_pixels():
    grown = Growth(1024).resolutions
    assert list(grown) == SIDES
    assert [b / a for a, b in pairwise(grown)] == [2] * 8
    assert [(b / a) ** 2 for a, b in pairwise(grown)] == [4] * 8
    G = progan.generator(4, 1, 4, 4)
    for side in SIDES[:4]:
        x = G(noise(2, 4))
        assert x.shape == (2, 1, side, side)
        if side < 32:
            G = progan.grow(G)
            G.fade.set(1)


@claim("PROGAN-01")
def test_nine_tenths_of_the_weights_are_there_at_32_and_15_percent_of_the_work():
    G, D = progan.generator(1024), progan.discriminator(1024)
    at_32 = progan.generator(32)
    assert (count(at_32), count(G), count(D)) == (20_715_011, 23_071_507, 23_077_137)
    assert count(at_32) / count(G) == pytest.approx(0.9, abs=0.003)
    assert work_at(4) / work_at(9) == pytest.approx(0.15, abs=0.001)


@claim("PROGAN-01", "PROGAN-05")
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_count_of_multiplications_is_torch_s(k):
    G, D = progan.generator(SIDES[k - 1]), progan.discriminator(SIDES[k - 1])
    found = []
    for net, x in ((G, torch.zeros(2, 512)), (D, torch.zeros(2, 3, SIDES[k - 1], SIDES[k - 1]))):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            net(x)
        found.append(counter.get_total_flops() / 4)  # two pictures, and an addition for each multiplication
    assert found[0] == work_at(k)
    assert found[1] == pytest.approx(found[0], rel=0.002)  # the mirror image


# ---- the fade


@claim("A-11")
@pytest.mark.parametrize("side", [4, 8, 16])
def test_at_alpha_0_every_score_is_the_old_one_bit_by_bit(side):
    G, D = progan.generator(side, 3, 6, 8, seed=1), progan.discriminator(side, 3, 8, seed=2)
    large_G, large_D = progan.grow(G, seed=3), progan.grow(D, seed=4)
    z, x = noise(8, 6), noise(8, 3, 2 * side, 2 * side, seed=5)
    assert torch.equal(large_G(z), G(z).repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert torch.equal(large_D(large_G(z)), D(G(z)))
    old = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    torch.testing.assert_close(large_D(progan.soften(x, 0.0)), D(old))
    assert torch.equal(large_D(progan.soften(x, 0.0)), D(progan.halve(x)))
    names = dict(large_G.named_parameters())
    assert all(torch.equal(p, names[n.replace("rgb.", "low.")]) for n, p in G.named_parameters())


@claim("A-11")
def test_in_between_the_fake_moves_in_proportion_and_at_1_the_old_colours_play_no_part():
    G = progan.grow(progan.generator(8, 3, 6, 8, seed=1).double(), seed=3)
    D = progan.grow(progan.discriminator(8, 3, 8, seed=2).double(), seed=4)
    z, x = noise(4, 6, dtype=torch.float64), noise(4, 3, 16, 16, dtype=torch.float64)
    found, ends = {}, []
    for alpha in (0.0, 0.125, 0.5, 1.0):
        G.fade.set(alpha)
        found[alpha] = G(z)
    whole = (found[1.0] - found[0.0]).norm()
    assert whole > 0.1
    for alpha in (0.125, 0.5):
        assert ((found[alpha] - found[0.0]).norm() / whole).item() == pytest.approx(alpha, rel=1e-12)
    D.fade.set(1)
    for size in (1.0, 100.0):
        with torch.no_grad():
            G.low.weight.mul_(size), D.low.weight.mul_(size)
        ends.append((G(z), D(x)))
    assert torch.equal(ends[0][0], ends[1][0])
    assert torch.equal(ends[0][1], ends[1][1])


@claim("A-11")
def test_without_a_fade_the_picture_jumps_and_with_one_it_does_not():
    real, jumps = torch.as_tensor(faces(64, np.random.default_rng(0), 8).images), {}
    for fade in (64, 2):  # in steps of four pictures: 16, and none
        growth = Growth(8, stable=40, fade=fade, width=8, recipe=Recipe(batch=4, latent=6, ema=0.0))
        for run in levels(real, growth, device="cpu"):
            pictures = []
            for record in train(run):
                if run.G.stage == 2 and record.step <= 2:
                    pictures.append(run.sample(32))
        jumps[fade] = np.abs(pictures[1] - pictures[0]).mean()
    assert jumps[64] < jumps[2] / 5


# ---- three ideas


@claim("PROGAN-02")
@pytest.mark.parametrize("n", [2, 18, 144, 4608])
def test_adam_moves_an_equalised_layer_by_its_rate_and_a_plain_one_by_the_root_of_its_inputs(n):
    lr, he = 1e-3, np.sqrt(2 / n)
    for scale, size, expected in ((1.0, he, lr * np.sqrt(n / 2)), (he, 1.0, lr)):
        w = (size * noise(500, n)).requires_grad_()
        before = w.detach().clone()
        adam = torch.optim.Adam([w], lr, betas=(0.0, 0.99))
        (noise(32, n, seed=1) @ (scale * w).T).square().mean().backward()
        adam.step()
        assert ((w - before).norm() / before.norm()).item() == pytest.approx(expected, rel=0.06)


@claim("PROGAN-02")
def test_every_layer_of_the_package_moves_by_the_same_share():
    G, shares = progan.generator(16, 3, 256, 32), []
    before = {name: p.detach().clone() for name, p in G.named_parameters() if name.endswith("weight")}
    adam = torch.optim.Adam(G.parameters(), 1e-3, betas=(0.0, 0.99))
    G(noise(16, 256)).square().sum().backward()
    adam.step()
    for name, p in G.named_parameters():
        if name in before and p.numel() > 500:
            shares.append(((p - before[name]).norm() / before[name].norm()).item())
    assert len(shares) == 6
    assert shares == pytest.approx([1e-3] * 6, rel=0.05)
    for layer in G.blocks.modules():  # and computes what a layer with He's start does
        if isinstance(layer, progan.EqualConv):
            n = (layer.weight[:, 0] if layer.first else layer.weight[0]).numel()
            assert (layer.scale * layer.weight.std()).item() == pytest.approx(np.sqrt(2 / n), rel=0.05)


@claim("PROGAN-03")
@pytest.mark.parametrize("c", [0.2, 7.0])
def test_pixel_norm_forgets_the_size_of_the_weights_and_the_slope_is_orthogonal_to_them(c):
    W, h, target = (noise(*s, dtype=torch.float64) for s in ((6, 5, 3, 3), (4, 5, 6, 6), (4, 6, 6, 6)))
    norm = progan.PixelNorm()

    def layer(W):
        return norm(F.leaky_relu(F.conv2d(h, W, padding=1), 0.2))

    torch.testing.assert_close(layer(c * W), layer(W), rtol=1e-5, atol=1e-6)  # 1e-8 under the root
    W.requires_grad_()
    (slope,) = torch.autograd.grad((layer(W) - target).square().sum(), W)
    assert abs((slope * W).sum()) < 1e-5 * slope.norm() * W.norm()
    plain = F.leaky_relu(F.conv2d(h, W, padding=1), 0.2)
    (slope,) = torch.autograd.grad((plain - target).square().sum(), W)
    assert abs((slope * W).sum()) > 0.1 * slope.norm() * W.norm()  # and this is what it is good for


@claim("PROGAN-04")
def test_the_deviation_is_that_of_two_loops_and_tells_a_collapse():
    x = torch.as_tensor(faces(16, np.random.default_rng(0), 8).images)
    flat, total = x.reshape(16, -1).double().numpy(), 0.0
    for column in flat.T:
        mean = sum(column) / 16
        total += np.sqrt(sum((v - mean) ** 2 for v in column) / 16 + 1e-8)
    layer = MinibatchStdDev()
    assert layer(x)[:, -1].numpy() == pytest.approx(total / flat.shape[1], rel=1e-5)
    assert layer(x[:1].repeat(16, 1, 1, 1))[:, -1].numpy() == pytest.approx(1e-4, rel=1e-3)
    # all ones of k in 16: the root of p (1 - p)
    for k in (0, 3, 8):
        bits = torch.zeros(16, 1)
        bits[:k] = 1
        assert layer(bits)[0, -1].item() == pytest.approx(np.sqrt(k / 16 * (1 - k / 16) + 1e-8), rel=1e-5)


# ---- the bill


def saving(images):
    """How many times less work the published schedule is; one picture at a time would be the same sum."""
    done = 0
    for k in range(1, 10):
        until = images if k == 9 else min(images, 800_000 + 1_600_000 * (k - 1))
        done += (until - min(images, max(0, 800_000 + 1_600_000 * (k - 2)))) * work_at(k)
    return images * work_at(9) / done


@claim("PROGAN-05")
@pytest.mark.parametrize(("million", "times"), [(6.4, 11.3), (12, 3.0), (19, 1.7)])
def test_the_schedule_saves_work_and_the_less_the_longer(million, times):
    images = int(million * 1e6)
    assert saving(images) == pytest.approx(times, abs=0.05)
    every = 10_000  # the second way: the package's schedule, asked at every 10,000th picture
    spent = sum(work_at(progan.schedule(shown)[0]) for shown in range(0, images, every)) * every
    assert images * work_at(9) / spent == pytest.approx(times, abs=0.06)


@claim("A-10")
def test_the_days_of_the_slide_fit_the_count_of_work():
    done = np.cumsum([work_at(k) * (0.8 if k == 1 else 1.6) for k in range(1, 10)])
    ends = dict(zip(SIDES, 100 * done / done[-1], strict=True))
    assert {side: round(ends[side], 1) for side in (8, 16, 32, 256, 512)} == {
        8: 0.2, 16: 1.3, 32: 5.6, 256: 47.6, 512: 71.4}  # fmt: skip
    shortest, longest = (8 / ends[side] for side in (512, 256))  # days for a hundredth, with 512 on day 8
    assert (round(100 * shortest), round(100 * longest)) == (11, 17)
    assert ends[16] * longest < 1  # day 0
    assert ends[32] * longest < 1  # and not on day 1, as the slide has it


@claim("A-12")
def test_small_stages_show_more_pictures_a_second():
    speeds = {int(k): v for k, v in stored("time")["speeds"].items()}
    assert list(speeds) == SIDES[:6]
    assert all(b < a / 1.2 for a, b in pairwise(speeds.values()))
    assert speeds[4] > 8 * speeds[32]
    from progan_time import pictures_a_second

    assert pictures_a_second(4, 20) > 3 * pictures_a_second(32, 4)


# ---- frames


@claim("FIG-13")
def test_a_code_begins_a_level_with_its_old_picture_and_keeps_some_of_it():
    real = torch.as_tensor(faces(1000, np.random.default_rng(0), 16).images)
    recipe = replace(PUBLISHED, latent=16, lr=8e-3)
    growth, frames = Growth(16, start=8, stable=720, fade=720, width=16, recipe=recipe), []
    now = None
    for run in levels(real, growth, device="cpu"):
        if frames:
            assert np.array_equal(run.sample(64)[:, :, ::2, ::2], now)
        for _ in train(run):
            pass
        frames.append(run.sample(64))
        now = run.sample(64, averaged=False)  # the network that grows
    old, new = (x - x.mean(0) for x in (frames[0], progan.halve(torch.as_tensor(frames[1])).numpy()))
    apart = np.square(old[:, None] - new[None]).mean((2, 3, 4))
    others = [
        np.mean([apart[i, j] for i, j in enumerate(np.random.default_rng(k).permutation(64))]) for k in range(300)
    ]
    assert np.diag(apart).mean() < np.quantile(others, 0.01)
    assert np.diag(apart).mean() > 0.001  # some of it


# ---- what it is worth


def last(name, what="swd"):
    return np.array([row[what] for row in stored("ingredients")["rows"][name]])


def interval(name):
    """Student's interval for the mean logarithm of the ratio to everything, seed by seed."""
    return metrics.mean_interval(np.log(last(name) / last("everything")))


@claim("PROGAN-06")
def test_the_fade_and_the_averaged_generator_help_and_of_two_others_one_cannot_tell():
    floor = stored("ingredients")["floor"]["swd"]
    assert min(last("everything").min(), last("no growth").min()) > 2 * floor  # nobody is done
    assert interval("no fade")[0] > np.log(1.1)
    averaged, now = last("everything"), last("everything", "no average")
    assert metrics.mean_interval(np.log(now / averaged))[0] > 0
    assert interval("least squares")[0] > np.log(2)
    for name in ("no pixel norm", "no minibatch deviation", "no equalised rate, lr / 8.5"):
        low, high = interval(name)
        assert -0.25 < low < 0 < high < 0.4, name  # 1 is inside: nothing can be told
    assert interval("no equalised rate")[0] > np.log(1.25)


@claim("PROGAN-06")
def test_pixel_norm_raises_recall():
    with_norm, without = last("everything", "recall"), last("no pixel norm", "recall")
    assert len(without) == 10
    assert (without < with_norm).all()  # by chance once in 1,024
    assert (last("no equalised rate", "recall") < with_norm).all()
    assert np.median(last("no equalised rate, lr / 8.5", "recall")) > np.median(with_norm) - 0.05
    assert 2 <= (last("no minibatch deviation", "recall") >= with_norm).sum() <= 5  # which may be chance


@claim("A-12", "PROGAN-06")
def test_full_size_is_better_with_as_many_pictures_and_dearer():
    assert interval("no growth")[1] < 0
    cost = last("no growth", "seconds") / last("everything", "seconds")
    assert metrics.mean_interval(cost)[0] > 1.15


def first(looks, mark):
    return next((t for t, distance in looks if distance <= mark), np.inf)


@claim("A-12")
def test_the_race_to_growing_s_last_distance():
    rows = stored("ingredients")["rows"]
    marks = [(g["swd"], g["seconds"]) for g in rows["everything"]]
    sooner = [first(d["looks"], mark) < t for d, (mark, t) in zip(rows["no growth"], marks, strict=True)]
    assert np.mean(sooner) > 0.7
    race = stored("time")["race"]
    times = {name: [first(d["looks"], g["swd"]) / g["seconds"] for d, g in zip(race[name], race["grown"], strict=True)]
             for name in ("full size", "full size, slower rate")}  # fmt: skip
    assert len(times["full size"]) == 10
    assert np.sum(np.array(times["full size"]) < 1) == 3
    assert 1.2 < np.median(times["full size"]) < 1.4
    assert wilcoxon(np.log(times["full size"])).pvalue > 0.2  # a lead that ten seeds do not settle
    assert np.sum(np.array(times["full size, slower rate"]) > 1) == 9
    assert np.sum(np.isinf(times["full size, slower rate"])) == 5
    ends = {name: np.array([[row["swd"], row["seconds"]] for row in race[name]]) for name in ("grown", "full size")}
    assert ends["full size"][:, 0].max() < 70 < 83 < ends["grown"][:, 0].min()
    assert 1.8 < np.median(ends["full size"][:, 1] / ends["grown"][:, 1]) < 2.5


@claim("PROGAN-06")
def test_each_row_of_the_study_takes_out_what_it_says_and_nothing_else():
    from progan_ingredients import ROWS, SETTINGS, growth_of, take_out

    real, z = torch.as_tensor(faces(32, np.random.default_rng(0), 16).images), noise(6, SETTINGS["latent"])
    steps = {name: growth_of(change, 3) for name, change in ROWS.items()}
    assert {name: sum(g.steps(r)[1] for r in g.resolutions) for name, g in steps.items()} == dict.fromkeys(ROWS, 15)
    assert [steps["no fade"].steps(r) for r in (4, 8, 16)] == [(0, 3), (1, 6), (1, 6)]
    assert [steps["everything"].steps(r) for r in (4, 8, 16)] == [(0, 3), (3, 6), (3, 6)]

    def fresh(what):
        (run, *_) = (r for r in levels(real, Growth(8, start=8, width=8, recipe=replace(PUBLISHED, latent=32))))
        take_out(run, what)
        return run

    plain = fresh(None)
    for what in ("pixel norm", "minibatch deviation", "equalised rate"):
        run = fresh(what)
        same_G, same_D = (
            torch.allclose(mine(x), theirs(x), rtol=1e-4, atol=1e-5)
            for mine, theirs, x in ((run.G, plain.G, z), (run.D, plain.D, real[:, :, :8, :8]))
        )
        assert (same_G, same_D) == (what != "pixel norm", what != "minibatch deviation")
        torch.testing.assert_close(run.ema(z), run.G(z))
        scales = {m.scale for m in run.D.modules() if isinstance(m, progan.EqualConv)}
        assert (scales == {1.0}) == (what == "equalised rate")
    alone = fresh("minibatch deviation").D
    torch.testing.assert_close(alone(real[:4, :, :8, :8]), alone(real[:, :, :8, :8])[:4], rtol=1e-4, atol=1e-4)


@claim("A-12", "PROGAN-06")
def test_a_small_part_of_the_study_again():
    from progan_ingredients import ROWS, SETTINGS, train_row

    pictures, held_out = (faces(n, np.random.default_rng(seed), 16).images for seed, n in ((0, 300), (1, 100)))
    before = dict(SETTINGS)
    SETTINGS["measured"] = 100
    try:
        short, longer = (train_row(ROWS["no growth"], 0, pictures, held_out, n, 5) for n in (1, 12))
    finally:
        SETTINGS.update(before)
    assert longer["swd"] < 0.7 * short["swd"]
    assert longer["seconds"] > 3 * short["seconds"]
    assert [t for t, _ in longer["looks"]] == sorted(t for t, _ in longer["looks"])
