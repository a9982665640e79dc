"""The stored classifiers: the safetensors format against the official program, hashes, held-out accuracy, modes."""

import json
import re
import shutil
import struct
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

torch = pytest.importorskip("torch")

from ganlab import pictures  # noqa: E402
from ganlab.checks import InputError  # noqa: E402
from ganlab.drawings import CHARACTERS, glyphs, stacked_digits  # noqa: E402
from ganlab.metrics import kl_floor  # noqa: E402
from ganlab.neural import features  # noqa: E402
from ganlab.neural._safetensors import TYPES, pack, unpack  # noqa: E402
from ganlab.neural.features import EXTRACTORS, classifier, extractor, label_report, verified  # noqa: E402

# Written by safetensors 0.8.0: save({"b": float32 [[1, 2, 3]], "a": float16 [0.5], "n": int64 7}).
OFFICIAL = (
    b'\xa8\x00\x00\x00\x00\x00\x00\x00{"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},'
    b'"b":{"dtype":"F32","shape":[1,3],"data_offsets":[8,20]},"a":{"dtype":"F16","shape":[1],"data_offsets":[20,22]}}'
    b"    \x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x008"
)


def rng(seed=0):
    return np.random.default_rng(seed)


def file_of(table, values=b""):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + values


# ---- the format


def test_reads_what_the_official_program_wrote():
    found = unpack(OFFICIAL)
    assert sorted(found) == ["a", "b", "n"]
    assert found["b"].tolist() == [[1, 2, 3]]
    assert found["b"].dtype == np.float32
    assert found["a"].tolist() == [0.5]
    assert found["a"].dtype == np.float16
    assert found["n"].shape == ()
    assert found["n"] == 7


def test_the_official_program_reads_what_we_write():
    official = pytest.importorskip("safetensors.numpy")
    arrays = {"b": np.arange(6, dtype="f4").reshape(2, 3), "a": np.array([0.5], "f2"), "n": np.array(7),
              "empty": np.zeros((0, 3))}  # fmt: skip
    found = official.load(pack(arrays))
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    assert set(unpack(official.save(arrays))) == set(arrays)


@given(st.dictionaries(st.text(max_size=5).filter(lambda name: name != "__metadata__"),
                       arrays_of.arrays(st.sampled_from(sorted(TYPES.values())), arrays_of.array_shapes(min_dims=0),
                                        elements=st.integers(-100, 100)), max_size=4))  # fmt: skip
def test_there_and_back(arrays):
    data = pack(arrays)
    found = unpack(data)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    assert (8 + int.from_bytes(data[:8], "little")) % 8 == 0


def test_other_kinds_of_numbers_are_refused_and_other_orders_of_bytes_are_put_right():
    with pytest.raises(InputError, match="must be of one of the types"):
        pack({"a": np.array([1 + 2j])})
    assert unpack(pack({"a": np.array([1, 2], ">f4")}))["a"].tolist() == [1, 2]
    assert unpack(pack({"a": np.arange(6.0).reshape(2, 3).T}))["a"].tolist() == [[0, 3], [1, 4], [2, 5]]


F4 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD = {
    "nothing": b"",
    "seven bytes": bytes(7),
    "a table of no length": bytes(16),
    "a table of 4 TiB": struct.pack("<Q", 2**42) + b"{}",
    "a table that is cut": file_of({"a": F4})[:20],
    "no JSON": file_of(b"{oops}"),
    "JSON, but no table": file_of(b"[1, 2]"),
    "not UTF-8": file_of(b'{"\xff": 1}'),
    "a table a thousand deep": file_of(b"[" * 100_000),
    "numbers cut": file_of({"a": F4}, bytes(7)),
    "numbers left over": file_of({"a": F4}, bytes(9)),
    "a hole": file_of({"a": F4 | {"data_offsets": [1, 9]}}, bytes(9)),
    "an overlap": file_of({"a": F4, "b": F4 | {"data_offsets": [4, 12]}}, bytes(12)),
    "backwards": file_of({"a": F4 | {"data_offsets": [8, 0]}}, bytes(8)),
    "a giant": file_of({"a": F4 | {"shape": [2**40], "data_offsets": [0, 2**42]}}, bytes(8)),
    "a giant that overflows to 2": file_of({"a": F4 | {"shape": [2**32 + 1, 2**32, 2]}}, bytes(8)),
    "a negative shape": file_of({"a": F4 | {"shape": [-1, -2]}}, bytes(8)),
    "a shape of fractions": file_of({"a": F4 | {"shape": [2.0]}}, bytes(8)),
    "a shape of truths": file_of({"a": F4 | {"shape": [True, 2]}}, bytes(8)),
    "an unknown type": file_of({"a": F4 | {"dtype": "O"}}, bytes(8)),
    "no shape": file_of({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)),
    "a name twice": file_of(b'{"a":%s,"a":%s}' % (json.dumps(F4).encode(), json.dumps(F4).encode()), bytes(8)),
    "an entry that is a number": file_of({"a": 1}),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_bytes_are_refused_before_anything_is_made_of_them(data):
    with pytest.raises(InputError, match=r"^gift is no safetensors file"):
        unpack(data, "gift")


def test_metadata_are_no_tensor():
    assert list(unpack(file_of({"__metadata__": {"by": "us"}, "a": F4}, bytes(8)))) == ["a"]


# ---- the stored files


@pytest.mark.parametrize("name", EXTRACTORS)
def test_a_tampered_file_is_refused_and_both_hashes_are_named(name, tmp_path, monkeypatch):
    data = bytearray((features.FOLDER / f"{name}.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / f"{name}.safetensors").write_bytes(data)
    monkeypatch.setattr(features, "FOLDER", tmp_path)
    with pytest.raises(InputError) as caught:
        extractor(name)
    for digest in (EXTRACTORS[name].sha256, sha256(data).hexdigest()):
        assert digest in str(caught.value)
    shutil.rmtree(tmp_path)
    with pytest.raises(InputError, match="cannot be read: install ganlab again"):
        extractor(name)


def test_a_file_with_the_right_hash_and_wrong_bytes_is_still_no_file_of_weights(tmp_path):
    (tmp_path / "x").write_bytes(b"12345678")
    with pytest.raises(InputError, match="no safetensors file"):
        verified(tmp_path / "x", sha256(b"12345678").hexdigest())


def test_the_files_are_small_and_go_into_the_package():
    files = [features.FOLDER / f"{name}.safetensors" for name in EXTRACTORS]
    assert sum(file.stat().st_size for file in files) <= 150_000
    assert sorted(features.FOLDER.glob("*.safetensors")) == sorted(files)
    assert all(re.fullmatch("[0-9a-f]{64}", plan.sha256) for plan in EXTRACTORS.values())


def test_unknown_names_are_told_the_known_ones():
    for make in (extractor, classifier):
        with pytest.raises(InputError, match="choose one of digits, glyphs"):
            make("inception")
    with pytest.raises(InputError, match="seed"):
        classifier("digits", seed=-1)


# ---- what they see


def held_out(name):
    if name == "digits":
        known = pictures.digits("test")
        return known.images, known.labels
    made = glyphs(2000, rng(77), 16)
    return made.images, made.factors["character"]


@pytest.mark.parametrize(("name", "least"), [("digits", 0.975), ("glyphs", 0.975)])
def test_held_out_accuracy(name, least):
    images, labels = held_out(name)
    found = extractor(name)
    assert np.mean(found.labels(images) == labels) >= least
    # a test that shuffled labels would pass, too, is none
    assert np.mean(found.labels(images) == rng().permutation(labels)) < 0.3


@pytest.mark.parametrize("name", EXTRACTORS)
def test_features_and_probabilities_are_those_of_a_plain_forward_pass(name):
    images, _ = held_out(name)
    found, plan = extractor(name), EXTRACTORS[name]
    x = torch.from_numpy(images)
    stored = unpack((features.FOLDER / f"{name}.safetensors").read_bytes())
    w = {key: torch.from_numpy(a).float() for key, a in stored.items()}
    h, at = x, 0
    for k in range(len(plan.widths) - 1):  # written out once more, by hand
        h = torch.relu(torch.conv2d(h, w[f"0.{at}.weight"], w[f"0.{at}.bias"], stride=2 if k else 1, padding=1))
        at += 2
    seen = h.flatten(1) @ w[f"0.{at + 1}.weight"].T + w[f"0.{at + 1}.bias"]
    logits = torch.relu(seen) @ w["1.1.weight"].T + w["1.1.bias"]
    assert np.allclose(found.features(images), seen.numpy(), atol=1e-3)
    p = found.probabilities(images)
    assert p.shape == (len(images), len(plan.classes))
    assert np.allclose(p, (logits - torch.logsumexp(logits, 1, keepdim=True)).exp().numpy(), atol=1e-4)
    assert np.array_equal(found.labels(images), p.argmax(1))


def test_many_pictures_are_taken_in_parts_and_tensors_are_pictures_too(monkeypatch):
    images, _ = held_out("digits")
    found = extractor("digits")
    whole = found.features(images)
    monkeypatch.setattr(features, "_AT_ONCE", 100)
    assert np.allclose(found.features(images), whole, atol=1e-4)
    assert np.array_equal(found.features(torch.from_numpy(images).double().requires_grad_()), found.features(images))


def test_the_network_passes_gradients_to_the_picture_and_keeps_its_weights():
    found = extractor("digits")
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    found.network(x)[0, 3].backward()
    assert x.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in found.network.parameters())
    assert found.name == f"digits@{found.sha256[:8]}"
    assert found.sha256 == EXTRACTORS["digits"].sha256


@pytest.mark.parametrize("images", [np.zeros((3, 1, 16, 16)), np.zeros((3, 3, 8, 8)), np.zeros((3, 1, 8, 8), np.uint8),
                                    np.full((3, 1, 8, 8), np.nan), np.zeros((3, 8, 8)), "pictures"])  # fmt: skip
def test_what_is_no_such_picture_is_refused(images):
    with pytest.raises(InputError, match="images must be"):
        extractor("digits").features(images)
    with pytest.raises(InputError, match="images must be"):
        extractor("digits").probabilities(images)


def test_glyphs_have_the_classes_of_the_drawings():
    assert extractor("glyphs").classes == CHARACTERS
    found = extractor("glyphs")
    assert all(found.labels(glyphs(50, rng(), 16, character=c, rotation=0.0, slant=0.0).images).tolist().count(k) > 40
               for k, c in enumerate(CHARACTERS))  # fmt: skip


# ---- stacked digits


def test_labels_of_stacked_digits_are_their_modes():
    made = stacked_digits(2000, rng())
    found = extractor("digits").labels(made.images)
    assert np.mean(found == made.factors["mode"]) > 0.97  # the classifier has seen four fifths of these
    each = [extractor("digits").labels(made.images[:, c : c + 1]) for c in range(3)]
    assert np.array_equal(found, 100 * each[0] + 10 * each[1] + each[2])


def test_a_label_report_counts_what_the_classifier_sees():
    seen = extractor("digits")
    images = pictures.digits("test").images
    counts = np.bincount(seen.labels(images), minlength=10)
    found = label_report(images, seen)
    assert found.counts == tuple(counts.tolist())
    assert (found.modes, found.of, found.n, found.hq, found.ceiling) == (10, 10, len(images), 1.0, 1.0)
    share = counts / counts.sum()
    assert found.reverse_kl == pytest.approx(np.sum(share * np.log(10 * share)), rel=1e-9)
    assert found.forward_kl == pytest.approx(np.sum(0.1 * np.log(0.1 / share)), rel=1e-9)
    assert found.floor == pytest.approx(kl_floor([0.1] * 10, len(images)))


def test_a_collapsed_generator_has_one_mode_and_the_log_of_their_number():
    seen = extractor("digits")
    digit = pictures.digits("all").images[:1]
    found = label_report(np.repeat(digit, 30, 0), seen)
    assert (found.modes, found.forward_kl) == (1, np.inf)
    assert found.reverse_kl == pytest.approx(np.log(10))
    stacked = label_report(np.repeat(np.repeat(digit, 3, 1), 30, 0), seen)
    assert (stacked.modes, stacked.of) == (1, 1000)
    assert stacked.reverse_kl == pytest.approx(np.log(1000))


def test_weights_of_a_label_report():
    seen, images = extractor("digits"), pictures.digits("test").images
    share = np.bincount(seen.labels(images), minlength=10) / len(images)
    assert label_report(images, seen, share).reverse_kl == pytest.approx(0, abs=1e-12)
    with pytest.raises(InputError, match="weights"):
        label_report(images, seen, [0.5, 0.5])
