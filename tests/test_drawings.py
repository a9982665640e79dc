"""Made pictures: against matplotlib's own outlines, against themselves at other resolutions, and factor by factor."""

import json
import re
import sys

import numpy as np
import outlines
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from scipy import ndimage

from ganlab import _faces, _glyphs, _scenes, _stacks
from ganlab.checks import InputError
from ganlab.drawings import (
    CHARACTERS,
    DRAWINGS,
    SHAPES,
    draw_faces,
    draw_glyphs,
    draw_scenes,
    draw_stacked_digits,
    faces,
    glyphs,
    scenes,
    stacked_digits,
)

TABLES = {"glyphs": _glyphs.FACTORS, "faces": _faces.FACTORS, "scenes": _scenes.FACTORS[:5]}
STEM_OF_T_BAR = 170 / 2048  # in ems
DRAWERS = {"glyphs": draw_glyphs, "faces": draw_faces, "scenes": draw_scenes, "stacked digits": draw_stacked_digits}


def rng(seed=0):
    return np.random.default_rng(seed)


def averaged(images, fold):
    n, c, h, w = images.shape
    return images.reshape(n, c, h // fold, fold, w // fold, fold).mean((3, 5))


def inked(image):
    """Share of ink: 0 on the ground, 1 in full."""
    return (image + 1) / 2


# ---- glyphs


def test_the_stored_outlines_are_those_of_the_font():
    text = (outlines.HERE / "outlines.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(outlines.outlines()))
    assert "DejaVu" in (outlines.HERE / "LICENSE_DEJAVU").read_text(encoding="utf-8")


def by_matplotlib(character, resolution, rotation=0.0, width=1.0, slant=0.0, x=0.0, y=0.0, fold=12):
    """The share of ink of each pixel, counted on fold * fold points, by matplotlib's outline and test of inside."""
    path = TextPath((0, 0), character, size=1.0, prop=FontProperties("DejaVu Sans"))
    box = path.get_extents()
    path = path.transformed(Affine2D().translate(-(box.x0 + box.x1) / 2, -_glyphs.CAP / 2))
    move = Affine2D(np.array([[width, slant, 0], [0, 1, 0], [0, 0, 1]]))
    path = path.transformed(move.scale(_glyphs.EM).rotate(rotation).translate(x, y))
    line = (2 * np.arange(resolution * fold) + 1) / (resolution * fold) - 1
    points = np.stack(np.meshgrid(line, -line), axis=-1).reshape(-1, 2)
    count = np.zeros(len(points), dtype=int)
    large = 1000.0  # matplotlib cuts curves into pieces of about a unit
    for ring in path.transformed(Affine2D().scale(large)).to_polygons():
        count += type(path)(ring).contains_points(large * points)  # inside an odd number of rings: ink
    return averaged((count % 2).reshape(1, 1, resolution * fold, -1).astype(float), fold)[0, 0]


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_glyph_has_the_ink_of_the_font(character):
    ours = inked(draw_glyphs({"character": character, "thickness": _glyphs.STEM / _glyphs.CAP}, 32)[0, 0])
    error = abs(ours - by_matplotlib(character, 32))
    assert error.mean() < 0.003  # the mean ink of a character is 0.03 to 0.15
    assert error.max() < 0.15  # at corners, which a distance rounds off


MOVED = [{"rotation": 0.5}, {"rotation": -2.5}, {"width": 0.7}, {"slant": 0.4}, {"x": 0.3}, {"y": 0.3},
         {"rotation": 0.3, "width": 1.3, "slant": -0.3, "x": -0.1, "y": 0.05}]  # fmt: skip


@pytest.mark.parametrize("moved", MOVED)
def test_a_glyph_is_moved_as_its_factors_say(moved):
    stem = _glyphs.STEM / _glyphs.CAP * moved.get("width", 1.0) ** 0.5
    ours = inked(draw_glyphs({"character": "R", "thickness": stem, **moved}, 32)[0, 0])
    assert abs(ours - by_matplotlib("R", 32, **moved)).mean() < 0.003


@pytest.mark.parametrize("width", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("thickness", [0.07, 0.135, 0.2])
def test_thickness_is_that_of_the_strokes_in_capital_heights(thickness, width):
    """Stems come out thicker by the root of the width, and bars thinner by it, so the strokes' mean stays."""
    cap, root = _glyphs.CAP * _glyphs.EM, width**0.5
    stem, bar = inked(draw_glyphs({"character": "IT", "thickness": thickness, "width": width}, 256)[:, 0])
    assert stem[118:138].sum(axis=1) * 2 / 256 == pytest.approx(thickness * cap * root, abs=0.003)
    thin = STEM_OF_T_BAR - _glyphs.STEM  # the font's bars are thinner than its stems
    column = bar[:, 128 + int(30 * width)]  # right of the stem
    assert column.sum() * 2 / 256 == pytest.approx((thickness * cap / root) + thin * _glyphs.EM, abs=0.003)


def test_no_two_glyphs_are_alike():
    images = draw_glyphs({"character": np.arange(36)}, 16).reshape(36, -1)
    away = abs(images[:, None] - images[None]).mean(axis=2) + np.eye(36)
    assert away.min() > 0.015  # O and Q, the nearest; a shift of one pixel changes 0.1 and more


def test_characters_have_names():
    assert np.array_equal(draw_glyphs({"character": "A7"}, 16), draw_glyphs({"character": [10, 7]}, 16))
    few = glyphs(300, rng(), 4, character="XYZ").factors["character"]
    assert set(few.tolist()) == {33, 34, 35}


# ---- resolutions


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_seed_gives_the_same_factors_at_every_resolution(name):
    few, many = DRAWINGS[name](6, rng(3), 4), DRAWINGS[name](6, rng(3), 64)
    assert all(np.array_equal(few.factors[key], many.factors[key]) for key in many.factors)
    assert few.factors.keys() == many.factors.keys()
    assert (few.images.shape[2:], many.images.shape[2:]) == ((4, 4), (64, 64))


@pytest.mark.parametrize(("fine", "coarse"), [(64, 16), (128, 32), (256, 64), (64, 8), (60, 12), (256, 8)])
@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_averaged_down_is_nearly_the_coarser_one(name, fine, coarse):
    fine, coarse = (DRAWINGS[name](12, rng(1), resolution).images for resolution in (fine, coarse))
    error = abs(averaged(fine, fine.shape[-1] // coarse.shape[-1]) - coarse)
    picked = fine[:, :, :: fine.shape[-1] // coarse.shape[-1], :: fine.shape[-1] // coarse.shape[-1]]
    assert error.mean() < (1e-6 if name == "stacked digits" else 0.004)
    if name != "stacked digits":  # whose pixels are squares
        assert error.mean() < 0.35 * abs(picked - coarse).mean()  # single pixels of the fine picture are far off


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("resolution", [4, 5, 33, 1024])
def test_pictures_stay_in_range_at_the_ends_of_every_factor(name, resolution):
    table, n = TABLES[name], 1 if resolution == 1024 else 40
    ends = rng(5).integers(2, size=(n, len(table)))
    factors = {f.name: np.array(f.allowed)[ends[:, k]] for k, f in enumerate(table)}
    if name == "scenes":
        factors = {key: value if key == "count" else value[:, None].repeat(9, 1) for key, value in factors.items()}
    images = DRAWERS[name](factors, resolution)
    assert images.shape == (n, 3 if name != "glyphs" else 1, resolution, resolution)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    assert images.min() >= -1
    assert images.max() <= 1
    assert np.ptp(images) > 0.2


# ---- factors


@pytest.mark.parametrize("name", TABLES)
def test_the_data_card_says_what_the_tables_say(name):
    card = re.sub(r"\s+", " ", DRAWINGS[name].__doc__)
    for f in TABLES[name]:
        (low, high), (least, most) = f.usual, f.allowed
        assert f"{f.name}: {low:g} to {high:g} ({least:g} to {most:g})" in card


@pytest.mark.parametrize("name", TABLES)
def test_factors_fill_their_usual_ranges_evenly_and_independently(name):
    values = {"glyphs": glyphs, "faces": faces, "scenes": scenes}[name](3000, rng(), 4).factors
    columns = []
    for f in TABLES[name]:
        value, (low, high) = values[f.name], f.usual
        columns.append(value.reshape(len(value), -1)[:, 0])
        kinds = int(high - low) + 1 if f.whole else 5
        share = np.bincount(
            np.floor((value.ravel() - low) / (high - low + f.whole) * kinds).astype(int), minlength=kinds
        )
        assert len(share) == kinds
        # 5 standard deviations of a count
        assert abs(share - value.size / kinds).max() < 5 * np.sqrt(value.size / kinds)
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert abs(correlation).max() < 0.08  # sd 0.018


def test_places_in_a_scene_fill_the_room_on_the_card_and_do_not_tell_the_count():
    made = scenes(6000, rng(), 4).factors
    for f in (f for f in _scenes.FACTORS if f.name in ("x", "y")):
        assert 0.98 * f.usual[1] < abs(made[f.name]).max() <= f.usual[1]
    few, many = (made["x"][made["count"] == k, 0].std() for k in (1, 6))
    assert few == pytest.approx(many, abs=0.04)  # sd of the difference 0.009
    alone = scenes(6000, rng(), 4, count=1).factors["x"].std()  # one place is dealt, not six: nearer to the middle
    assert alone < made["x"].std() - 0.01


@pytest.mark.parametrize("name", ["glyphs", "faces"])
def test_a_given_factor_leaves_the_others_and_n_leaves_the_first(name):
    table = TABLES[name]
    free = DRAWINGS[name](20, rng(), 4).factors
    held = DRAWINGS[name](50, rng(), 4, **{table[1].name: 0.0}).factors
    for f in table:
        assert np.array_equal(held[f.name][:20], np.zeros(20) if f is table[1] else free[f.name])


def test_factors_may_be_given_as_a_value_a_range_or_one_a_picture():
    made = faces(200, rng(), 4, hat=True, smile=(0.5, 0.6), pose=np.linspace(-1, 1, 200), skin=0.3).factors
    assert (made["hat"] == 1).all()
    assert made["hat"].dtype.kind == "i"
    assert (made["smile"].min() >= 0.5, made["smile"].max() <= 0.6) == (True, True)
    assert np.ptp(made["smile"]) > 0.09
    assert np.array_equal(made["pose"], np.linspace(-1, 1, 200))
    assert set(made["skin"].tolist()) == {0.3}
    shapes = scenes(50, rng(), 4, shape=("disc", "triangle"), count=(2, 3)).factors
    assert set(shapes["shape"].ravel().tolist()) == {0, 2}
    assert set(shapes["count"].tolist()) == {2, 3}


CHANGES = [("glyphs", f) for f in _glyphs.FACTORS[1:]] + [("faces", f) for f in _faces.FACTORS if not f.whole]


@pytest.mark.parametrize(("name", "factor"), CHANGES, ids=lambda value: getattr(value, "name", value))
def test_every_continuous_factor_moves_the_picture_everywhere_in_its_range(name, factor):
    low, high = factor.allowed
    at = np.linspace(low, high, 9)
    images = DRAWERS[name]({factor.name: np.concatenate([at[:-1], at[:-1] + 1e-3 * (high - low)]),
                            **({"character": "R"} if name == "glyphs" else {})}, 64)  # fmt: skip
    slope = abs(images[8:] - images[:8]).mean((1, 2, 3)) / 1e-3
    assert slope.min() > (0.005 if name == "faces" else 0.05)


def changed(name, factors, **change):
    """Where the picture changes, (h, w)."""
    one, two = (DRAWERS[name]({**factors, **extra}, 128)[0] for extra in ({}, change))
    return abs(one - two).max(axis=0) > 0


def coordinates():
    line = (2 * np.arange(128) + 1) / 128 - 1
    return np.meshgrid(line, -line)


@pytest.mark.parametrize("pose", [-1.0, 0.0, 1.0])
def test_glasses_hat_and_smile_change_only_their_own_region(pose):
    _, y = coordinates()
    rest = {"pose": pose, "length": 0.8}
    glasses, hat = changed("faces", rest, glasses=True), changed("faces", rest, hat=True)
    mouth = changed("faces", rest, smile=-1.0) & (y < 0)
    assert 0.03 < glasses.mean() < 0.12
    assert 0.05 < hat.mean() < 0.25
    assert (abs(y[glasses]) < 0.22).all()
    assert (y[hat] > 0.24).all()
    assert not (glasses & hat).any()
    assert (y[mouth] < -0.2).all()
    assert mouth.any()
    for region in (glasses, hat):  # each is one piece; a white eye behind glass stays white
        assert ndimage.label(ndimage.binary_fill_holes(region), np.ones((3, 3)))[1] == 1


def test_light_leaves_the_sky_alone_and_brightens_its_own_side():
    x, y = coordinates()
    sky = (abs(x) > 0.7) & (y > -0.6)
    assert not changed("faces", {"light": -1.0}, light=1.0)[sky].any()
    left, right = draw_faces({"light": [-1.0, 1.0]}, 128).mean(1)
    cheek = (abs(x + 0.38) < 0.04) & (abs(y + 0.18) < 0.03)
    assert (left[cheek] > right[cheek] + 0.2).all()


def test_skin_and_hair_change_colour_where_they_are_and_nowhere_else():
    x, y = coordinates()
    assert not changed("faces", {}, skin=1.0)[(abs(x) > 0.65) | (y > 0.55)].any()
    assert not changed("faces", {"length": 0.0}, hair=1.0)[y < -0.56].any()
    assert not changed("faces", {}, length=1.0)[y > 0.1].any()


def test_the_ball_of_the_hat_is_there_with_the_hat_only():
    bare, worn = draw_faces({"hat": [0, 1]}, 64)[:, :, 5]  # the row at a height of 0.83
    assert np.allclose(bare[:, 32], bare[:, 0])  # sky
    assert worn[:, 32] == pytest.approx([0.94, 0.86, 0.66], abs=0.2)  # cream


# ---- scenes


@pytest.mark.parametrize(("channels", "resolution"), [(1, 64), (3, 64), (1, 128), (3, 32)])
def test_a_scene_holds_as_many_pieces_as_it_says(channels, resolution):
    made = scenes(150, rng(), resolution, channels, count=(0, 9))
    assert set(made.factors["count"].tolist()) == set(range(10))
    bright = made.images.max(axis=1) > 0
    corners = np.ones((3, 3))  # the tip of a triangle may hang on by a corner
    pieces = [ndimage.label(image, corners)[1] for image in bright]
    assert pieces == made.factors["count"].tolist()


def test_objects_lie_within_the_frame_and_apart():
    f = scenes(300, rng(), 4, size=0.2, count=9).factors
    at = np.stack([f["x"], f["y"]], axis=-1)
    between = np.linalg.norm(at[:, :, None] - at[:, None], axis=-1) + 9 * np.eye(9)
    assert between.min() >= 0.4 + _scenes.GAP
    assert abs(at).max() <= 1 - 0.2 - _scenes.GAP / 2
    assert abs(at[:, 0].mean(0)).max() < 5 * 0.43 / np.sqrt(300)  # no side is preferred


def test_objects_have_the_areas_of_geometry():
    ink = (
        inked(draw_scenes({"count": 1, "shape": [[0], [1], [2]], "size": 0.5, "angle": 0.3}, 128, 1)).mean((1, 2, 3))
        * 4
    )
    assert ink == pytest.approx(np.array([np.pi, 2, 3 * 3**0.5 / 4]) * 0.25, rel=0.005)


def test_what_cannot_be_seen_changes_nothing():
    still = {"count": 1, "x": [[-0.4, 0.4]], "size": 0.2}
    assert not changed("scenes", still, angle=1.0).any()  # a disc has no angle
    assert changed("scenes", {**still, "shape": 1}, angle=1.0).any()
    assert not changed("scenes", still, x=[[-0.4, 0.1]]).any()  # the second slot is not drawn
    assert changed("scenes", {**still, "count": 2}, x=[[-0.4, 0.1]]).any()
    colours = {"x": [[-0.4]], "colour": [[0.0], [0.3]]}
    assert np.ptp(draw_scenes(colours, 32, 1), axis=0).max() == 0
    assert np.ptp(draw_scenes(colours, 32, 3), axis=0).max() > 0.5


def test_hues_go_through_red_green_and_blue():
    colours = draw_scenes({"colour": [[0.0], [1 / 3], [2 / 3], [1.0]], "size": 0.5}, 8)[:, :, 4, 4]
    assert colours.argmax(axis=1).tolist() == [0, 1, 2, 0]
    assert np.allclose(colours[0], colours[3], atol=1e-5)


def test_too_many_large_objects_are_refused():
    with pytest.raises(InputError, match="do not fit"):
        scenes(2, rng(), 16, size=0.45)
    with pytest.raises(InputError, match=r"9 objects of size up to 0\.23 do not fit"):
        scenes(200, rng(), 16, size=0.23, count=9)


# ---- stacked digits


def test_stacked_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    real, made = load_digits(), stacked_digits(2000, rng())
    f = made.factors
    assert np.array_equal(made.images, (real.images[f["index"]] / 8 - 1).astype(np.float32))
    assert np.array_equal(real.target[f["index"]], f["digit"])
    assert np.array_equal(f["mode"], f["digit"] @ [100, 10, 1])
    assert len(set(f["mode"].tolist())) == pytest.approx(1000 * (1 - np.exp(-2)), abs=50)  # sd about 12
    assert abs(np.bincount(f["digit"].ravel()) - 600).max() < 5 * np.sqrt(600)
    assert len(set(f["index"].ravel().tolist())) > 1600  # of 1,797: 6,000 draws leave out about 64
    assert (stacked_digits(5, rng(), digit=[[1, 2, 3]] * 5).factors["mode"] == 123).all()


def test_stretching_keeps_constants_and_mirrors():
    for resolution in (4, 5, 8, 12, 64):
        w = _stacks.stretch(resolution)
        assert np.allclose(w.sum(1), 1)
        assert np.allclose(w, w[::-1, ::-1])
        assert (w >= 0).all()
    assert np.array_equal(_stacks.stretch(8), np.eye(8))


# ---- kinds


@pytest.mark.parametrize("name", DRAWINGS)
def test_tensors_give_the_same_pictures_as_arrays(name):
    torch = pytest.importorskip("torch")
    made = DRAWINGS[name](10, rng(7), 33)
    tensors = DRAWINGS[name](10, rng(7), 33, like=torch.zeros(1))
    assert isinstance(tensors.images, torch.Tensor)
    assert tensors.images.dtype == torch.float32
    assert all(isinstance(value, torch.Tensor) for value in tensors.factors.values())
    assert abs(tensors.images.numpy() - made.images).max() < 1e-5


def test_one_tensor_among_the_factors_is_enough_and_has_a_derivative():
    torch = pytest.importorskip("torch")
    for draw, rest, factor in [(draw_glyphs, {"character": "R"}, f.name) for f in _glyphs.FACTORS[1:]] + [
        (draw_faces, {"hat": True, "glasses": True}, f.name) for f in _faces.FACTORS if not f.whole
    ]:
        at = torch.tensor([0.2], requires_grad=True)
        at = at if factor != "width" else torch.tensor([0.9], requires_grad=True)
        weights = torch.as_tensor(rng().normal(size=(32, 32)).cumsum(0).cumsum(1), dtype=torch.float32) / 32
        (slope,) = torch.autograd.grad((weights * draw({**rest, factor: at}, 32)).sum(), at)
        step = 1e-3
        up, down = (
            float((weights * draw({**rest, factor: at.detach() + h}, 32)).double().sum()) for h in (step, -step)
        )
        assert float(slope) == pytest.approx((up - down) / (2 * step), rel=0.1, abs=1.0), (draw.__name__, factor)


def test_nothing_needs_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert isinstance(glyphs(2, rng(), 8).images, np.ndarray)
    with pytest.raises(InputError, match="like must be a torch tensor"):
        glyphs(2, rng(), 8, like=np.zeros(1))


def test_drawing_in_parts_changes_nothing():
    made = faces(40, rng(), 64)  # more than one block of pixels
    alone = np.concatenate([draw_faces({k: v[i : i + 1] for k, v in made.factors.items()}, 64) for i in range(40)])
    assert np.array_equal(made.images, alone)
    assert len(made) == 40


# ---- what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: glyphs(3, rng(), 3), "resolution must be a whole number of at least 4, got 3"),
        (lambda: glyphs(3, rng(), 2048), "from 4 to 1024, got 2048"),
        (lambda: glyphs(0, rng()), "n must be a whole number of at least 1"),
        (lambda: glyphs(3, 0), "rng must be a numpy Generator"),
        (lambda: glyphs(3, rng(), colour=1), "unknown factor 'colour': choose one of character, rotation"),
        (lambda: glyphs(3, rng(), character="a"), "unknown character 'a'"),
        (lambda: glyphs(3, rng(), width=3.0), r"width must lie in \[0.5, 1.5\]"),
        (lambda: glyphs(3, rng(), width=(1.2, 0.8)), "width must go from low to high"),
        (lambda: glyphs(3, rng(), width=[1.0, 1.1]), r"width must be one value, a range .* shape \(3,\)"),
        (lambda: draw_glyphs({"character": 0.5}), "character must be whole numbers"),
        (lambda: draw_glyphs({"rotation": np.nan}), "rotation must be a finite number"),
        (lambda: draw_glyphs({"x": [0.1, 0.2], "y": [0.1, 0.2, 0.3]}), "one length"),
        (lambda: draw_glyphs({"x": [[0.1], [0.2, 0.3]]}), "x must be a number"),
        (lambda: draw_glyphs({"x": [[0.1]]}), r"x must be one value or of shape \(1,\)"),
        (lambda: draw_glyphs([0.1]), "factors must be a dict"),
        (lambda: draw_faces({"hat": 0.5}), "hat must be whole numbers"),
        (lambda: faces(10**6, rng(), 256), "GiB; draw them in parts of at most"),
        (lambda: scenes(3, rng(), x=0.1), "unknown factor 'x'"),
        (lambda: scenes(3, rng(), channels=2), "channels must be 1"),
        (
            lambda: scenes(3, rng(), shape=("disc", "star")),
            "unknown shape 'star': choose one of disc, square, triangle",
        ),
        (
            lambda: draw_scenes({"count": 3, "x": [[0.1, 0.2]]}),
            "count asks for 3 objects, but the factors have 2 slots",
        ),
        (lambda: draw_scenes({"x": [[0.1], [0.2, 0.3]]}), "x must be a number"),
        (lambda: stacked_digits(3, rng(), index=3), "unknown factor 'index'"),
        (lambda: draw_stacked_digits({"index": [1, 2, 3]}), r"index must be of shape \(n, 3\)"),
        (lambda: draw_stacked_digits({}), "index must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_bad_tensors_are_named():
    torch = pytest.importorskip("torch")
    for bad in (torch.tensor([2.0]), torch.tensor([float("nan")]), torch.zeros(0)):
        with pytest.raises(InputError, match=r"slant must be finite numbers in \[-0.6, 0.6\]"):
            draw_glyphs({"slant": bad})
    with pytest.raises(InputError, match="hat must be whole"):
        draw_faces({"hat": torch.tensor([0.5])})


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    _stacks.digits.cache_clear()
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        stacked_digits(1, rng())


def test_names():
    assert (len(CHARACTERS), SHAPES) == (36, ("disc", "square", "triangle"))
    assert (
        repr(scenes(2, rng(), 16))
        == "Drawings 'scenes': 2 pictures of 3 x 16 x 16 with count, shape, size, angle, colour, x, y"
    )
