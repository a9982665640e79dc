"""Real pictures: the readers against PIL, scikit-learn and files written by hand, and every way in which files break.

"Fault n" is number n of the forty faults that the project answers for. Nothing here needs a network: the mirrors are
folders.
"""

import gzip
import io
import os
import struct
import sys
import urllib.request
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganlab import _mnist, _photos, pictures
from ganlab.checks import InputError
from ganlab.pictures import Pictures, check_images, digits, folder, mnist, mosaic, power_of_two, read_idx


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(*shape):
    return rng().uniform(-1, 1, shape)


# ---- what networks expect (fault 18)


def test_good_pictures_pass_and_become_float32():
    x = noise(2, 3, 8, 8)
    seen = check_images(x, channels=3, resolution=8)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen, x.astype(np.float32))
    for extreme in (-1.0, 1.0):
        assert check_images(np.full((1, 1, 4, 4), extreme)).mean() == extreme


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 3, 8, 8), np.uint8), ["uint8", "x / 127.5 - 1"]),
        (np.zeros((2, 3, 8, 8), np.int64), ["int64", "floats"]),
        (np.zeros((2, 3, 8, 8), bool), ["bool", "floats"]),
        (np.zeros((2, 3, 8, 8), complex), ["complex128"]),
        (np.full((2, 3, 8, 8), 255.0), ["255", "x / 127.5 - 1"]),
        (np.full((2, 3, 8, 8), -1.1), ["-1.1", "scale"]),
        (np.where(noise(2, 3, 8, 8) > 0.9, np.nan, 0), ["NaN", " of 384 "]),
        (np.full((2, 3, 8, 8), -np.inf), ["infinite", "384 of 384"]),
        (np.zeros((2, 8, 8, 3)), ["(2, 8, 8, 3)", "transpose(0, 3, 1, 2)"]),
        (np.zeros((2, 8, 8)), ["x[:, None]"]),
        (np.zeros((8, 8)), ["(8, 8)", "four axes"]),
        (np.zeros((2, 1, 8, 8)), ["1 channels, not 3"]),
        (np.zeros((2, 3, 8, 4)), ["squares"]),
        (np.zeros((2, 3, 16, 16)), ["resized(8)"]),
        (np.zeros((0, 3, 8, 8)), ["none"]),
        ("x", ["no numbers"]),
        ([[1.0], [1.0, 2.0]], ["list"]),
    ],
)
def test_wrong_pictures_are_refused_with_what_was_seen_and_wanted(x, words):
    with pytest.raises(InputError) as error:
        check_images(x, channels=3, resolution=8)
    for word in words:
        assert word in str(error.value)
    if not isinstance(x, list):
        assert "(n, 3, 8, 8)" in str(error.value)


def test_the_axis_of_channels_is_found_when_their_number_is_not_given():
    with pytest.raises(InputError, match=r"transpose\(0, 3, 1, 2\)"):
        check_images(np.zeros((2, 8, 8, 3)))
    assert check_images(np.zeros((2, 12, 3, 3))).shape == (2, 12, 3, 3)  # features are no pictures turned round


def test_a_tensor_is_checked_like_an_array():
    torch = pytest.importorskip("torch")
    assert check_images(torch.zeros(2, 1, 4, 4)).dtype == np.float32
    with pytest.raises(InputError, match=r"x\.detach\(\)\.cpu\(\)"):
        check_images(torch.zeros(2, 1, 4, 4, requires_grad=True))


@pytest.mark.parametrize(("value", "nearest"), [(3, 4), (0, 4), (-8, 4), (5, 4), (7, 8), (100, 128), (65, 64),
                                                (2048, 1024), (10**30, 1024)])  # fmt: skip
def test_a_resolution_that_cannot_be_grown_names_the_nearest_that_can(value, nearest):
    """Fault 17."""
    with pytest.raises(InputError, match=rf"got {value}: the nearest is {nearest}$"):
        power_of_two("resolution", value)


def test_every_power_of_two_in_range_is_a_resolution():
    assert [power_of_two("resolution", n) for n in (4, 8, np.int32(16), 1024)] == [4, 8, 16, 1024]
    for value in (True, 8.0, "8", None):
        with pytest.raises(InputError, match="whole number"):
            power_of_two("resolution", value)


# ---- sets of pictures


def test_labels_must_be_one_whole_number_a_picture():
    for labels in ([0, 1], [0.0, 1.0, 2.0], [[0], [1], [2]], ["a", "b", "c"]):
        with pytest.raises(InputError, match="3 whole numbers"):
            Pictures(np.zeros((3, 1, 4, 4)), labels)
    with pytest.raises(InputError, match="uint8"):
        Pictures(np.zeros((3, 1, 4, 4), np.uint8))


def test_pictures_say_what_they_are():
    p = Pictures(np.zeros((3, 1, 4, 4)), [2, 5, 3], "mine", "one is missing")
    assert repr(p) == "Pictures 'mine': 3 of 1 x 4 x 4, labels 2 to 5\n  one is missing"
    assert (len(p), p.channels, p.resolution) == (3, 1, 4)


def test_a_sample_repeats_with_its_seed_and_holds_no_picture_twice():
    p = Pictures(np.linspace(-1, 1, 50)[:, None, None, None] * np.ones((50, 1, 4, 4)))
    x = p.sample(50, rng(1))
    assert len(np.unique(x[:, 0, 0, 0])) == 50
    assert not np.array_equal(x, p.images)
    np.testing.assert_array_equal(x, p.sample(50, rng(1)))
    for n, generator in ((51, rng()), (0, rng()), (1, 0)):
        with pytest.raises(InputError):
            p.sample(n, generator)


@pytest.mark.parametrize(("old", "new"), [(28, 32), (28, 16), (8, 4), (8, 32), (12, 8), (5, 64), (8, 8)])
def test_area_averaging_is_the_mean_over_a_grid_that_both_sizes_divide(old, new):
    x = Pictures(noise(3, 2, old, old))
    fine = np.lcm(old, new)
    blown = x.images.astype(float).repeat(fine // old, axis=2).repeat(fine // old, axis=3)
    truth = blown.reshape(3, 2, new, fine // new, new, fine // new).mean(axis=(3, 5))
    np.testing.assert_allclose(x.resized(new).images, truth, atol=1e-6)


@given(st.integers(1, 70), st.sampled_from([4, 8, 16, 32]))
def test_area_averaging_keeps_the_mean_and_the_range(old, new):
    x = Pictures(np.sign(noise(1, 1, old, old)))
    assert abs(x.resized(new).images.mean(dtype=float) - x.images.mean(dtype=float)) < 1e-6
    assert np.abs(x.resized(new).images).max() <= 1


@pytest.mark.parametrize(("old", "new"), [(8, 32), (28, 16), (5, 8), (8, 4), (28, 32)])
def test_nearest_takes_the_pixel_at_the_centre_as_pil_does(old, new):
    x = Pictures(noise(1, 1, old, old))
    truth = Image.fromarray(x.images[0, 0]).resize((new, new), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(x.resized(new, "nearest").images[0, 0], np.asarray(truth))


def test_padding_keeps_every_pixel_in_a_frame_of_background():
    x = Pictures(noise(2, 1, 28, 28), [4, 7], "x")
    p = x.resized(32, "pad")
    np.testing.assert_array_equal(p.images[:, :, 2:30, 2:30], x.images)
    assert (p.images == -1).sum() == 2 * (32**2 - 28**2)
    np.testing.assert_array_equal(p.labels, [4, 7])
    with pytest.raises(InputError, match="area"):
        x.resized(16, "pad")
    with pytest.raises(InputError, match="unknown way to resize 'cubic'"):
        x.resized(32, "cubic")
    with pytest.raises(InputError, match="the nearest is 32"):
        x.resized(28)


# ---- handwritten digits


def test_the_digits_are_those_of_scikit_learn():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    p, bunch = digits("all"), load_digits()
    assert p.images.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal((p.images[:, 0] + 1) * 8, bunch.images)
    np.testing.assert_array_equal(p.labels, bunch.target)
    assert (p.images.min(), p.images.max()) == (-1, 1)


def test_the_digits_are_split_once_for_all_with_a_fifth_of_every_digit_held_out():
    everything, train, test = (digits(split) for split in ("all", "train", "test"))
    assert (len(train), len(test)) == (1442, 355)
    for digit in range(10):
        whole = np.count_nonzero(everything.labels == digit)
        assert np.count_nonzero(test.labels == digit) == whole // 5
    rows = {split: {p.tobytes() for p in part.images} for split, part in [("train", train), ("test", test)]}
    assert len(rows["train"] | rows["test"]) == len({p.tobytes() for p in everything.images})
    assert not rows["train"] & rows["test"]
    np.testing.assert_array_equal(test.images, digits("test").images)
    # Both splits hold all writers: each tenth of the file gives its share.
    place = {p.tobytes(): k for k, p in enumerate(everything.images)}
    tenths = np.bincount([place[p.tobytes()] * 10 // 1797 for p in test.images])
    assert tenths.min() >= 30
    with pytest.raises(InputError, match="all, test, train"):
        digits("held")


def test_without_scikit_learn_the_digits_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets", raising=False)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        digits()


def test_pictures_are_the_data_of_a_run():
    torch = pytest.importorskip("torch")
    from ganlab.neural.recipes import Recipe
    from ganlab.neural.runs import Run
    from ganlab.neural.training import train

    class Draw(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 64)

        def forward(self, z):
            return self.linear(z).tanh().unflatten(1, (1, 8, 8))

    D = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1))
    recipe = Recipe(steps=2, batch=8, latent=4)
    p = digits()
    run = Run(Draw(), D, p, recipe, device="cpu")
    assert run.data.shape == (len(p), 1, 8, 8)  # all of them, each once
    assert [record.step for record in train(run)] == [1, 2]
    assert run.sample(3).shape == (3, 1, 8, 8)
    with pytest.raises(InputError, match="0 batches"):  # fault 16
        Run(Draw(), D, torch.as_tensor(p.images[:7]), recipe, device="cpu")


# ---- IDX files (fault 37)


def idx(array, code=8):
    """An IDX file as the format's page describes it, written by hand."""
    array = np.asarray(array)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


def written(place, data):
    place.write_bytes(data)
    return place


CODES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_type_is_read_as_it_was_written(tmp_path, code, pack):
    array = (100 * noise(2, 3, 4)).astype(CODES[code]) if code > 8 else np.arange(24, dtype="u1").reshape(2, 3, 4)
    seen = read_idx(written(tmp_path / "x", pack(idx(array, code))))
    np.testing.assert_array_equal(seen, array)
    assert seen.dtype == np.dtype(CODES[code]).newbyteorder("=")
    assert seen.flags.writeable


def test_the_printed_header_of_mnist_is_read():
    """Magic numbers 2051 and 2049 of the format's page: 00000803 and 00000801."""
    assert idx(np.zeros((1, 28, 28), "u1"))[:4] == struct.pack(">I", 2051)
    assert idx(np.zeros(1, "u1"))[:4] == struct.pack(">I", 2049)


GOOD = idx(rng().integers(0, 256, (5, 6, 6)).astype("u1"))
PACKED = gzip.compress(GOOD)
BROKEN = {
    "empty": (b"", "starts with nothing"),
    "cut off in the magic number": (GOOD[:3], "starts with 00 00 08"),
    "cut off in the header": (GOOD[:9], "cut off in its header"),
    "cut off in the data": (GOOD[:-1], "less than the 180 bytes"),
    "too long": (GOOD + b"\0", "more than the 180 bytes"),
    "wrong magic": (b"\x89PNG" + GOOD[4:], "starts with 89 50 4e 47"),
    "unknown type": (b"\0\0\x0a\x03" + GOOD[4:], "starts with 00 00 0a 03"),
    "no axes": (b"\0\0\x08\0" + GOOD[4:], "starts with 00 00 08 00"),
    "a giant in its header": (b"\0\0\x08\x03" + b"\xff" * 12 + GOOD[16:], "less than"),
    "page": (b"\n <!DOCTYPE html><html>403 Forbidden</html>", "web page"),
    "page in gzip": (gzip.compress(b"<html>please log in</html>"), "web page"),
    "gzip cut off": (PACKED[:-9], "cut off"),
    "gzip without its end": (PACKED[:-4], "cut off"),
    "gzip of something cut off": (gzip.compress(GOOD[:-1]), "less than the 180 bytes"),
    "gzip of too much": (gzip.compress(GOOD + bytes(10**6)), "more than the 180 bytes"),
    "gzip with a wrong CRC": (PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:], "damaged: CRC check failed"),
    "gzip with a wrong length": (PACKED[:-4] + bytes([PACKED[-4] ^ 1]) + PACKED[-3:], "damaged"),
    "gzip with rubbish behind": (PACKED + b"rubbish", "damaged"),
    "gzip of a giant": (gzip.compress(b"\0\0\x08\x03" + b"\x7f" * 12 + GOOD[16:]), "less than"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_and_says_how(tmp_path, name):
    """Fault 37."""
    data, words = BROKEN[name]
    file = written(tmp_path / "x.gz", data)
    with pytest.raises(InputError, match=words) as error:
        read_idx(file)
    assert str(file) in str(error.value)
    assert "get it again" in str(error.value)


def test_a_web_page_is_called_one(tmp_path):
    for page in (
        b"<!DOCTYPE html>",
        b"<html><head>",
        b"<?xml version='1.0'?><Error>",
        b"\xef\xbb\xbf<html>",
        b"\n\n\n\n <p>",
    ):
        with pytest.raises(InputError, match="is a web page"):
            read_idx(written(tmp_path / "x.gz", page))


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_flipped_byte_in_gzip_is_never_read_as_other_data(place, flip):
    """Only the header's own fields (time, name of the system) may change without a word; the data are the same then."""
    data = bytearray(PACKED)
    data[place] ^= flip
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as home:
        file = os.path.join(home, "x")
        with open(file, "wb") as target:
            target.write(data)
        try:
            seen = read_idx(file)
        except InputError:
            return
    np.testing.assert_array_equal(seen, np.frombuffer(GOOD[16:], "u1").reshape(5, 6, 6))


def test_a_path_that_is_none_is_refused(tmp_path):
    for path in (tmp_path / "nothing", tmp_path, None, 3, "a\0b", "x" * 5000):
        with pytest.raises(InputError):
            read_idx(path)


# ---- MNIST


PAIR = {
    "images": rng(1).integers(0, 256, (6, 28, 28)).astype("u1"),
    "labels": np.array([3, 1, 4, 1, 5, 9], "u1"),
}
NAMES = {"images": "-images-idx3-ubyte", "labels": "-labels-idx1-ubyte"}


def put(place, start="train", pack=gzip.compress, end=".gz", **changed):
    place.mkdir(parents=True, exist_ok=True)
    for what, array in (PAIR | changed).items():
        written(place / f"{start}{NAMES[what]}{end}", pack(idx(array)))


@pytest.fixture
def published(monkeypatch):
    """Let the small files be the published ones, on a mirror that is made from folders."""

    def declare(fashion=False, **changed):
        for what, array in (PAIR | changed).items():
            data = idx(array)
            packed = gzip.compress(data, mtime=0)
            row = (len(packed), sha256(packed).hexdigest(), sha256(data).hexdigest())
            monkeypatch.setitem(_mnist.PUBLISHED, (fashion, f"train{NAMES[what]}"), row)

    return declare


@pytest.mark.parametrize(("pack", "end"), [(gzip.compress, ".gz"), (bytes, "")])
def test_files_of_ones_own_are_read_when_asked(tmp_path, pack, end):
    put(tmp_path, "t10k", pack, end)
    p = mnist(tmp_path, split="test", check=False)
    np.testing.assert_allclose((p.images[:, 0] + 1) * 127.5, PAIR["images"], atol=1e-4)
    np.testing.assert_array_equal(p.labels, PAIR["labels"])
    assert repr(p) == "Pictures 'MNIST, test': 6 of 1 x 28 x 28, labels 1 to 9"
    with pytest.raises(InputError, match="check=False"):
        mnist(tmp_path, split="test")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz and train-labels"):
        mnist(tmp_path, check=False)


def test_every_pixel_value_lies_where_it_should(tmp_path):
    ramp = np.tile(np.arange(256, dtype="u1").reshape(1, 16, 16), (6, 1, 1))
    put(tmp_path, images=ramp)
    seen = mnist(tmp_path, check=False).images[0, 0].ravel()
    assert (seen[0], seen[255]) == (-1, 1)
    np.testing.assert_allclose(np.diff(seen), 2 / 255, atol=1e-6)


def test_the_hash_is_that_of_the_content_however_it_is_packed(tmp_path, published):
    published()
    for level in (1, 9):
        put(tmp_path / str(level), pack=lambda data, level=level: gzip.compress(data, level))
        assert len(mnist(tmp_path / str(level))) == 6
    damaged = PAIR["images"].copy()
    damaged[3, 14, 14] ^= 1
    put(tmp_path / "damaged", pack=bytes, end="", images=damaged)  # no CRC would tell
    with pytest.raises(InputError, match="not the file that MNIST published"):
        mnist(tmp_path / "damaged")


def test_fashion_is_not_taken_for_digits(tmp_path, published):
    published(fashion=True)
    put(tmp_path)
    with pytest.raises(InputError, match="belongs to Fashion-MNIST: pass fashion=True"):
        mnist(tmp_path)
    assert mnist(tmp_path, fashion=True).name == "Fashion-MNIST, train"


def test_the_folders_of_torchvision_and_the_names_of_kaggle_are_found(tmp_path):
    put(tmp_path / "a" / "MNIST" / "raw", pack=bytes, end="")
    put(tmp_path / "b" / "FashionMNIST" / "raw")
    assert len(mnist(tmp_path / "a", check=False)) == len(mnist(tmp_path / "b", fashion=True, check=False)) == 6
    with pytest.raises(InputError, match="Fashion-MNIST is not in"):
        mnist(tmp_path / "a", fashion=True)
    (tmp_path / "c").mkdir()
    for what, name in (("images", "train-images.idx3-ubyte"), ("labels", "train-labels.idx1-ubyte")):
        written(tmp_path / "c" / name, idx(PAIR[what]))
    assert len(mnist(tmp_path / "c", check=False)) == 6


@pytest.mark.parametrize(
    "changed", [{"labels": PAIR["labels"][:5]}, {"images": PAIR["images"][:, 0]}, {"labels": PAIR["images"]}]
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, changed):
    put(tmp_path, **changed)
    with pytest.raises(InputError, match="do not fit together"):
        mnist(tmp_path, check=False)


def test_the_published_sums_have_the_form_of_sums():
    rows = list(_mnist.PUBLISHED.values())
    sums = [text for row in rows for text in row[1:]]
    assert len(rows) == 8
    assert len(set(sums)) == 16
    assert {len(bytes.fromhex(text)) for text in sums} == {32}


def no_network(*args, **kwargs):
    raise AssertionError("nothing may be fetched without being asked")


def test_nothing_is_fetched_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(InputError, match="download=True"):
        mnist(tmp_path)
    assert list(tmp_path.iterdir()) == []


def mirrors(monkeypatch, *places):
    monkeypatch.setitem(_mnist.MIRRORS, False, tuple(place.as_uri() + "/" for place in places))


def packed_once(data):
    return gzip.compress(data, mtime=0)


def test_a_download_takes_the_first_mirror_that_has_the_published_files(tmp_path, monkeypatch, published):
    published()
    bad, good, home = tmp_path / "bad", tmp_path / "good", tmp_path / "é home" / "data"
    put(bad, images=PAIR["images"][::-1], pack=packed_once)
    put(good, pack=packed_once)
    mirrors(monkeypatch, tmp_path / "nothing", bad, good)
    p = mnist(home, download=True)
    np.testing.assert_array_equal(p.labels, PAIR["labels"])
    np.testing.assert_array_equal(p.images, mnist(good).images)
    assert sorted(file.name for file in home.iterdir()) == [f"train{NAMES[what]}.gz" for what in ("images", "labels")]
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    assert len(mnist(home, download=True)) == 6  # what is there is not fetched again


PAGE = b"<!DOCTYPE html><html>403 Forbidden</html>"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: PAGE, "a web page"),
        (lambda data: data[:-7], "bytes with SHA-256"),
        (lambda data: data + bytes(10**6), "bytes with SHA-256"),
        (None, "nothing"),
    ],
)
def test_a_download_that_is_not_the_published_file_leaves_nothing_behind(
    tmp_path, monkeypatch, published, damage, words
):
    """Fault 37: hash first; offline, the message says where to put the files."""
    published()
    if damage:
        put(tmp_path / "bad", pack=lambda data: damage(packed_once(data)))
    mirrors(monkeypatch, tmp_path / ("bad" if damage else "nothing"))
    home = tmp_path / "home"
    with pytest.raises(InputError, match=words) as error:
        mnist(home, download=True)
    assert f"put them into {home}" in str(error.value)
    assert not home.exists() or list(home.iterdir()) == []


def test_a_server_that_breaks_off_is_one_mirror_less(tmp_path, monkeypatch, published):
    import http.client

    published()
    put(tmp_path / "good", pack=packed_once)
    mirrors(monkeypatch, tmp_path / "refuses", tmp_path / "good")
    ask = urllib.request.urlopen

    def breaks_off(url, timeout):
        assert timeout > 0
        if "refuses" in url:
            raise http.client.IncompleteRead(b"half")
        return ask(url, timeout=timeout)

    monkeypatch.setattr(urllib.request, "urlopen", breaks_off)
    assert len(mnist(tmp_path / "home", download=True)) == 6


def test_no_more_is_read_than_the_published_size(tmp_path, monkeypatch, published):
    published()

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            assert 0 < size < 10**5, "an endless answer would be read to its end"
            return bytes(size)

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Endless())
    with pytest.raises(InputError, match="could not be downloaded"):
        mnist(tmp_path / "home", download=True)


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch, published):
    published()
    put(tmp_path / "good", pack=packed_once)
    mirrors(monkeypatch, tmp_path / "good")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        mnist(tmp_path / "home", download=True)
    assert list((tmp_path / "home").iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a file"):
        mnist(written(tmp_path / "x", b""))
    with pytest.raises(InputError, match="unknown split"):
        mnist(tmp_path, split="valid")


# ---- a folder of one's own


def colour(height, width, value):
    return np.full((height, width, 3), value, dtype=np.uint8)


def back(p):
    """The bytes that a set was made from."""
    return np.round((p.images + 1) * 127.5).astype(int)


def test_a_picture_of_the_right_size_comes_back_pixel_for_pixel(tmp_path):
    x = rng().integers(0, 256, (8, 8, 3)).astype("u1")
    Image.fromarray(x).save(tmp_path / "x.png")
    p = folder(tmp_path, 8)
    np.testing.assert_array_equal(back(p)[0], x.transpose(2, 0, 1))
    assert (p.labels, p.notes, p.name) == (None, (), tmp_path.name)
    grey = np.asarray(Image.fromarray(x).convert("L"))
    np.testing.assert_array_equal(back(folder(tmp_path, 8, channels=1))[0, 0], grey)


@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_the_middle_square_is_cut_out(tmp_path, shape):
    x = np.zeros((*shape, 3), dtype=np.uint8)
    middle = tuple(slice((side - 16) // 2, (side + 16) // 2) for side in shape)
    x[middle] = 200
    Image.fromarray(x).save(tmp_path / "x.png")
    assert (back(folder(tmp_path, 16)) == 200).all()


# What the EXIF standard says that each number means, for the picture as it is stored.
UPRIGHT = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: lambda x: x.transpose(1, 0, 2),
           6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).transpose(1, 0, 2), 8: np.rot90}  # fmt: skip


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_camera_held_sideways_makes_an_upright_picture(tmp_path, orientation):
    x = rng().integers(0, 256, (8, 8, 3)).astype("u1")
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(x).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(back(folder(tmp_path, 8))[0], UPRIGHT[orientation](x).transpose(2, 0, 1))


def test_what_is_transparent_shows_white_and_does_not_bleed(tmp_path):
    x = np.zeros((16, 16, 4), dtype=np.uint8)
    x[..., 1] = 255  # green behind the glass
    x[:, :8] = (255, 0, 0, 255)
    Image.fromarray(x).save(tmp_path / "a.png")
    x[...] = (0, 0, 0, 128)
    Image.fromarray(x).save(tmp_path / "b.png")
    red, half = back(folder(tmp_path, 16))
    assert (red[:, :, 8:] == 255).all()
    assert (red[:, :, :8] == np.array([255, 0, 0])[:, None, None]).all()
    assert np.abs(half - 127).max() <= 1
    assert (back(folder(tmp_path, 4))[0, 0] == 255).all()  # red and white alike are full in red


def test_every_kind_of_picture_is_read(tmp_path):
    grey = Image.fromarray(np.full((8, 8), 100, "u1"))
    kinds = {
        "grey.png": grey,
        "grey.tif": grey,
        "glass.png": Image.merge("LA", (grey, Image.new("L", (8, 8), 255))),
        "palette.gif": grey.convert("P"),
        "palette.png": grey.convert("RGB").quantize(4),
        "print.jpg": grey.convert("RGB").convert("CMYK"),
        "deep.png": Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)),
        "web.WEBP": grey.convert("RGB"),
        "old.bmp": grey,
    }
    for name, image in kinds.items():
        image.save(tmp_path / name)
    Image.new("1", (8, 8), 1).save(tmp_path / "white.png")
    for channels in (1, 3):
        p = folder(tmp_path, 8, channels)
        seen = dict(zip(sorted([*kinds, "white.png"]), back(p), strict=True))
        assert p.notes == ()
        assert (seen.pop("white.png") == 255).all()
        for name, image in seen.items():
            assert np.abs(image - 100).max() <= 3, name


def test_sixteen_bits_become_eight_by_rounding(tmp_path):
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    Image.fromarray(deep + (deep < 65535) * np.uint16(100)).save(tmp_path / "x.png")
    np.testing.assert_array_equal(back(folder(tmp_path, 16, 1))[0, 0].ravel(), np.arange(256))


def test_a_photograph_is_read_at_four_times_its_size_or_more(tmp_path):
    """A JPEG can be read at an eighth of its size, quickly. White noise is the worst of photographs: read at twice the
    size it would be off by 0.22 of its spread, at four times by 0.09."""
    x = Image.fromarray(rng().integers(0, 256, (64, 64)).astype("u1"))
    x.save(tmp_path / "x.png")
    x.save(tmp_path / "x.jpg", quality=98)
    for resolution in (8, 16, 32, 64):
        jpg, png = back(folder(tmp_path, resolution, 1))
        assert np.abs(jpg - png).mean() < 0.13 * png.std()


def test_a_palette_with_a_transparent_colour_is_put_on_white(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "x.gif", transparency=0)
    image.save(tmp_path / "x.png", transparency=bytes([0, 255]))
    assert (back(folder(tmp_path, 8)) == 255).all()


def test_a_large_photograph_is_averaged_not_thinned_out(tmp_path):
    board = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype("u1")
    for name in ("x.png", "x.jpg"):
        Image.fromarray(board).save(tmp_path / name)
    assert np.abs(back(folder(tmp_path, 16)) - 127.5).max() < 4
    ramp = np.tile(np.linspace(0, 255, 512).astype("u1"), (512, 1))
    for name in ("x.png", "x.jpg"):
        Image.fromarray(ramp).save(tmp_path / name, **({"quality": 95} if name == "x.jpg" else {}))
    png, jpg = back(folder(tmp_path, 16, 1))[:, 0]
    assert np.abs(png - ramp.reshape(512, 16, 32).mean(axis=2)[::32]).max() <= 2
    assert np.abs(png - jpg).max() <= 2


def test_broken_files_are_named_counted_and_left_out(tmp_path):
    """Fault 37."""
    for k in range(3):
        Image.fromarray(colour(8, 8, 50 * k)).save(tmp_path / f"{k}.png")
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "sub").mkdir()
    written(tmp_path / "0a.png", whole[:45])
    written(tmp_path / "empty.jpg", b"")
    written(tmp_path / "page.jpg", PAGE)
    crc = bytearray(whole)
    crc[20] ^= 1
    written(tmp_path / "sub" / "flipped.png", bytes(crc))
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "deep.tif")
    written(tmp_path / "notes.txt", b"mine")
    p = folder(tmp_path, 8)
    np.testing.assert_array_equal(back(p)[:, 0, 0, 0], [0, 50, 100])  # in order, and the gap is closed
    broken, others = p.notes
    assert broken.startswith("5 files could not be read and were left out: 0a.png (")
    for name in ("empty.jpg", "page.jpg", "sub/flipped.png", "deep.tif"):
        assert f"{name} (" in broken
    assert others == "1 other file left alone"
    assert str(tmp_path) not in broken


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_name_that_is_no_text_can_be_printed(tmp_path):
    """Fault 39."""
    Image.fromarray(colour(8, 8, 0)).save(tmp_path / "a.png")
    written(tmp_path / os.fsdecode(b"caf\xe9.png"), b"oops")
    assert "caf\\udce9.png (" in repr(folder(tmp_path, 8)).encode().decode()


def test_many_broken_files_are_counted_and_some_named(tmp_path):
    Image.fromarray(colour(8, 8, 0)).save(tmp_path / "z.png")
    for k in range(9):
        written(tmp_path / f"{k}.png", b"oops")
    (note,) = folder(tmp_path, 8).notes
    assert note.startswith("9 files")
    assert note.endswith("4.png (no picture that PIL can read) and 4 more")


@given(st.data())
def test_a_damaged_picture_never_stops_the_others(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "tga"]))
    buffer = io.BytesIO()
    Image.fromarray(rng().integers(0, 256, (16, 16, 3)).astype("u1")).save(buffer, kind)
    damaged = bytearray(buffer.getvalue())
    for _ in range(3):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    place = tmp_path_factory.mktemp("damaged")
    written(place / f"a.{kind}", bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    Image.fromarray(colour(8, 8, 255)).save(place / "b.png")
    p = folder(place, 8)
    assert len(p) + len([note for note in p.notes if "1 file could not" in note]) == 2
    assert (back(p)[-1] == 255).all()


def test_a_bomb_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.fromarray(colour(8, 8, 255)).save(tmp_path / "a.png")
    Image.fromarray(colour(64, 64, 255)).save(tmp_path / "b.png")
    p = folder(tmp_path, 8)
    assert len(p) == 1
    assert "b.png (more pixels than a photograph has)" in p.notes[0]


def test_the_order_is_that_of_the_paths_and_hidden_files_are_left_alone(tmp_path, monkeypatch):
    values = {"b/2.png": 40, "B.png": 10, "a.PNG": 20, "b/1.jpg": 30, ".thumbs/x.png": 90, "._a.png": 91, "é.png": 50}
    for name, value in values.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(colour(8, 8, value)).save(tmp_path / name)
    np.testing.assert_allclose(back(folder(tmp_path, 8))[:, 0, 0, 0], [10, 20, 30, 40, 50], atol=1)
    walk = type(tmp_path).rglob  # as another file system would list them
    monkeypatch.setattr(type(tmp_path), "rglob", lambda self, pattern: reversed(list(walk(self, pattern))))
    np.testing.assert_allclose(back(folder(tmp_path, 8))[:, 0, 0, 0], [10, 20, 30, 40, 50], atol=1)


def test_a_small_picture_is_enlarged_and_said_so(tmp_path):
    for shape in ((3, 5), (12, 40), (16, 16), (17, 40)):
        Image.fromarray(colour(*shape, 70)).save(tmp_path / f"{shape}.png")
    p = folder(tmp_path, 16)
    assert (back(p) == 70).all()
    assert p.notes == ("2 smaller than 16 pixels, enlarged",)


def test_most_takes_files_from_all_over_the_folder(tmp_path):
    for k in range(10):
        Image.fromarray(colour(4, 4, k)).save(tmp_path / f"{k}.png")
    assert back(folder(tmp_path, 4, most=4))[:, 0, 0, 0].tolist() == [0, 2, 5, 7]
    assert len(folder(tmp_path, 4, most=99)) == 10
    with pytest.raises(InputError, match="most"):
        folder(tmp_path, 4, most=0)


def test_a_folder_that_would_fill_the_memory_is_refused_before_it_does(tmp_path, monkeypatch):
    for k in range(3):
        Image.fromarray(colour(4, 4, k)).save(tmp_path / f"{k}.png")
    monkeypatch.setattr(pictures, "_MOST_BYTES", 2 * 3 * 4 * 4 * 4)
    with pytest.raises(InputError, match="most=2"):
        folder(tmp_path, 4)
    assert len(folder(tmp_path, 4, most=3)) == 3  # who names a number has thought of it


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no pictures in .*: 0 other files; what counts ends in .*jpg"):
        folder(tmp_path, 8)
    with pytest.raises(InputError, match="there is no"):
        folder(tmp_path / "nothing", 8)
    file = written(tmp_path / "x.png", b"oops")
    with pytest.raises(InputError, match="is a file: take the folder"):
        folder(file, 8)
    with pytest.raises(InputError, match=r"none of the 1 pictures .* x\.png \(no picture"):
        folder(tmp_path, 8)
    for bad in (None, 3, "a\0b"):
        with pytest.raises(InputError, match="must be a path"):
            folder(bad, 8)


def test_sizes_and_channels_are_checked_before_any_file_is_read(tmp_path):
    """Fault 17."""
    with pytest.raises(InputError, match="the nearest is 64"):
        folder(tmp_path / "nothing", 60)
    with pytest.raises(InputError, match="channels 4: choose one of 1, 3"):
        folder(tmp_path / "nothing", 64, channels=4)


def test_a_folder_is_read_without_tqdm(tmp_path, monkeypatch, capfd):
    Image.fromarray(colour(8, 8, 9)).save(tmp_path / "x.png")
    folder(tmp_path, 8)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    folder(tmp_path, 8)
    assert capfd.readouterr() == ("", "")  # no bar where nobody looks


def test_the_bar_is_for_terminals_and_for_those_who_wait(tmp_path, monkeypatch):
    tqdm = pytest.importorskip("tqdm")
    asked = {}
    monkeypatch.setattr(tqdm, "tqdm", lambda files, **words: asked.update(words) or files)
    Image.fromarray(colour(8, 8, 9)).save(tmp_path / "x.png")
    folder(tmp_path, 8)
    assert asked["disable"] is None  # tqdm's word for: only in a terminal
    assert asked["delay"] >= 1


def test_no_picture_is_lost_to_our_own_mistakes(tmp_path, monkeypatch):
    """What is caught is damage: a mistake in the reader must not look like 1,000 broken files."""
    Image.fromarray(colour(8, 8, 9)).save(tmp_path / "x.png")

    def mistaken(image, channels):
        raise NameError("a slip of the pen")

    monkeypatch.setattr(_photos, "_flat", mistaken)
    with pytest.raises(NameError):
        folder(tmp_path, 8)


def test_a_mosaic_has_every_picture_in_its_place():
    x = np.linspace(-1, 1, 5 * 3 * 4).reshape(5, 3, 2, 2)
    sheet = mosaic(x, columns=2, zoom=3, gap=2)
    assert sheet.shape == (3 * 8 + 2, 2 * 8 + 2, 3)
    for k in range(5):
        top, left = 2 + k // 2 * 8, 2 + k % 2 * 8
        seen = sheet[top : top + 6 : 3, left : left + 6 : 3].transpose(2, 0, 1)
        np.testing.assert_allclose(seen, (x[k] + 1) / 2, atol=1e-15)
    assert (sheet[-8:, -8:] == 0.5).all()  # no sixth picture
    assert mosaic(np.full((1, 1, 2, 2), 9.0), gap=0).shape == (2, 2, 3)
    assert mosaic(np.full((1, 1, 2, 2), 9.0), gap=0).max() == 1


@pytest.mark.parametrize("x", [np.zeros((0, 1, 2, 2)), np.zeros((2, 2, 2)), np.zeros((1, 2, 4, 4))])
def test_a_mosaic_of_something_else_is_refused(x):
    with pytest.raises(InputError, match="shape"):
        mosaic(x)


def test_a_mosaic_of_nan_is_refused():
    with pytest.raises(InputError, match="4 of 8 are NaN"):
        mosaic(np.array([[[[1.0, np.nan], [np.nan, 0.0]]]] * 2))
