"""Growing by levels: the published schedule, real pictures that fade as fakes do, and resuming that changes nothing."""

import pytest

torch = pytest.importorskip("torch")
from ganlab.checks import InputError  # noqa: E402
from ganlab.neural import checkpoints, sessions  # noqa: E402
from ganlab.neural.growing import PUBLISHED, Growth, levels, pyramid  # noqa: E402
from ganlab.neural.models.progan import double, halve, schedule, soften  # noqa: E402
from ganlab.neural.recipes import Recipe  # noqa: E402
from ganlab.neural.training import train  # noqa: E402

SMALL = Growth(16, stable=32, fade=16, width=8, recipe=Recipe(batch=4, latent=8))


def pictures(n=12, side=16, channels=1):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def finish(run):
    for _ in train(run):
        pass


def test_levels_follow_the_published_schedule():
    shown, growth = 0, Growth(16, stable=800, fade=400, width=8, recipe=Recipe(batch=4, latent=8))
    for run in levels(pictures(), growth):
        stage = run.G.stage
        fade, steps = growth.steps(run.data.shape[-1])
        for step in (0, 1, fade // 2, fade, steps - 1):
            run.step = step
            with run.turn():
                alpha = 1.0 if run.D.fade is None else run.D.fade.now()
            if step < steps:
                assert schedule(shown + 4 * step, 16, 800, 400) == (stage, pytest.approx(alpha))
        shown, run.step = shown + 4 * steps, steps
        if run.G.fade is not None:
            run.G.fade.set(1), run.D.fade.set(1)
    assert shown == 800 + 2 * (800 + 400)


def test_the_paper_s_numbers():
    assert (PUBLISHED.lr, PUBLISHED.betas, PUBLISHED.batch, PUBLISHED.ema, PUBLISHED.latent) == (
        1e-3, (0.0, 0.99), 16, 0.999, 512)  # fmt: skip
    assert Growth(1024, batches={256: 14, 512: 6, 1024: 3}).steps(1024) == (266_667, 533_334)


def test_D_sees_real_pictures_as_soft_as_the_fakes():
    for run in levels(pictures(), SMALL):
        if run.G.stage == 3:
            run.step = 2
            with run.turn():
                real, _ = run.batch()
                raw = run.data[run.rng.at(2).integers(len(run.data), run.n)]
                torch.testing.assert_close(real, soften(raw, 0.5), rtol=0, atol=0)
                assert run.G.fade.now() == run.D.fade.now() == 0.5
            run.step = 0
        finish(run)
    with run.turn():
        torch.testing.assert_close(run.batch()[0], run.data[run.rng.at(run.step).integers(12, 4)], rtol=0, atol=0)


def test_a_grown_pair_begins_where_the_last_one_ended():
    small = None
    for run in levels(pictures(), SMALL):
        if small is not None:
            z = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
            torch.testing.assert_close(run.G.eval()(z), double(small.G.eval()(z)), rtol=0, atol=0)
            run.G.train()
        finish(run)
        small = run


def test_resuming_in_the_middle_of_a_fade_is_bit_for_bit(tmp_path):
    whole = [run for run in levels(pictures(), SMALL) if finish(run) is None]
    for run in levels(pictures(), SMALL):
        place = tmp_path / str(run.data.shape[-1])
        if run.G.stage == 2:
            for _ in range(2):  # of a fade of four
                next(train(run))
            checkpoints.save(run, place)
            break
        sessions.fit(run, place, progress=False)
    for run, same in zip(levels(pictures(), SMALL), whole, strict=True):
        place = tmp_path / str(run.data.shape[-1])
        if place.exists():
            sessions.resume(run, place)
        finish(run)
        for mine, theirs in zip(run.ema.state_dict().values(), same.ema.state_dict().values(), strict=True):
            assert torch.equal(mine, theirs)


def test_pyramid_is_means():
    x = pictures(3, 16, 3)
    found = pyramid(x, (4, 16))
    assert sorted(found) == [4, 16]
    assert found[16] is x
    torch.testing.assert_close(found[4], x.reshape(3, 3, 4, 4, 4, 4).mean((3, 5)))
    torch.testing.assert_close(halve(halve(x)), found[4], rtol=0, atol=0)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Growth(48), "32 or 64"), (lambda: Growth(16, start=32), "must not be above"),
    (lambda: Growth(16, fade=0), "fade"), (lambda: Growth(16, batches={8: 0}), r"batches\[8\]"),
    (lambda: Growth(recipe="wgan"), "must be a Recipe"), (lambda: next(levels(pictures(), 16)), "must be a Growth"),
    (lambda: next(levels(pictures(), SMALL, seed=-1)), "seed must be .* got -1"),
    (lambda: pyramid(torch.zeros(2, 3, 8, 4), (4,)), "square"),
    (lambda: pyramid(torch.zeros(2, 3, 8, 8), (4, 16)), "resize them, or end at 8"),
    (lambda: pyramid(torch.zeros(2, 3, 12, 12), (4,)), "power of two"),
])  # fmt: skip
def test_what_does_not_fit_is_named(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_a_later_level_s_batch_that_does_not_fit_is_told_at_once():
    growth = Growth(16, stable=32, fade=16, width=8, batches={16: 13}, recipe=SMALL.recipe)
    with pytest.raises(InputError, match="there are 12 samples, and a batch needs 13"):
        next(levels(pictures(), growth))


def test_a_level_must_be_trained_to_its_end():
    grown = levels(pictures(), SMALL)
    next(grown)
    with pytest.raises(InputError, match="stands at step 0 of 8"):
        next(grown)
