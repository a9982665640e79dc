"""Codes against truths: clusters and their names, tables of information and their gaps, by scikit-learn and by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from ganlab.checks import InputError
from ganlab.codes import (
    Gap,
    exact_information,
    information_gap,
    information_table,
    matching,
    matching_error,
)

kinds = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=2, max_size=60).map(np.transpose)


# ---- clusters


@given(kinds)
@settings(max_examples=60, deadline=None)
def test_no_other_names_put_more_samples_in_their_place(pair):
    found, labels = pair
    names = matching(found, labels)
    right = np.sum(names[found] == labels)
    classes, clusters = labels.max() + 1, found.max() + 1
    places = [*range(classes), *[-1] * max(clusters - classes, 0)]
    assert right == max(np.sum(np.array(p)[found] == labels) for p in itertools.permutations(places, int(clusters)))
    used = names[names >= 0]
    assert len(set(used.tolist())) == len(used) == min(classes, clusters)
    assert matching_error(found, labels) == pytest.approx(1 - right / len(found))


def test_names_are_kept_on_other_samples():
    names = matching([0, 0, 1, 2, 2, 2], [2, 2, 0, 1, 1, 0])
    assert names.tolist() == [2, 0, 1]
    assert names[[2, 1, 0]].tolist() == [1, 0, 2]
    assert matching([0, 1, 2, 2], [0, 0, 0, 0]).tolist() == [-1, -1, 0]  # the largest has the only class


def test_the_best_of_all_names_flatters_chance():
    """I-11: ten clusters thrown at random have less than 90 % errors when the names are chosen afterwards."""
    rng = np.random.default_rng(0)
    errors, held_out = [], []
    for _ in range(50):
        found, labels, found_held, labels_held = rng.integers(10, size=(4, 355))
        errors.append(matching_error(found, labels))
        held_out.append(np.mean(matching(found, labels)[found_held] != labels_held))
    assert np.mean(errors) < 0.86
    assert np.mean(held_out) == pytest.approx(0.9, abs=0.01)


# ---- information


@given(kinds)
@settings(max_examples=60, deadline=None)
def test_the_table_is_that_of_scikit_learn(pair):
    table = information_table(pair, pair)
    expected = [[mutual_info_score(a, b) for b in pair] for a in pair]
    np.testing.assert_allclose(table, expected, atol=1e-12)


def test_numbers_are_cut_into_bins_of_equal_filling_and_maps_of_them_change_nothing():
    rng = np.random.default_rng(1)
    v, w = rng.normal(size=(2, 2000))
    table = information_table([v, v**3, -np.exp(v)], [v], bins=8)
    assert table == pytest.approx(math.log(8), abs=1e-9)
    by_hand = np.digitize(w, np.quantile(w, np.arange(1, 8) / 8)), (v.argsort().argsort() * 8) // 2000
    assert information_table([w], [v], bins=8)[0, 0] == pytest.approx(mutual_info_score(*by_hand), abs=1e-12)
    # the bias of unrelated columns: 2 n I is nearly chi-squared
    assert information_table([w], [v], bins=8)[0, 0] == pytest.approx(49 / 4000, abs=5 * math.sqrt(98) / 4000)


def test_the_information_of_a_gaussian_pair_is_approached_from_below():
    rng, rho, n = np.random.default_rng(2), 0.8, 200_000
    a, b = rng.normal(size=(2, n))
    exact = -math.log(1 - rho**2) / 2
    found = [information_table([a], [rho * a + math.sqrt(1 - rho**2) * b], bins=k)[0, 0] for k in (4, 10, 40)]
    assert found == sorted(found)
    assert found[0] < 0.85 * exact
    assert found[2] == pytest.approx(exact, rel=0.02)
    assert found[2] < exact


def test_a_kind_is_a_kind_whatever_its_number():
    labels = np.random.default_rng(3).integers(5, size=300)
    renamed = np.array([70, -3, 8, 0, 1])[labels]
    expected = exact_information(np.diag(np.bincount(labels) / 300))
    assert information_table([renamed], [labels])[0, 0] == pytest.approx(expected)


# ---- the gap


def test_the_gap_is_one_for_copies_and_zero_for_doubles():
    v = np.random.default_rng(4).integers(4, size=(3, 3000))
    copies = information_gap([v[2], v[0], v[1]], v)
    assert copies.value == pytest.approx(1, abs=0.01)  # but for the bias of what is unrelated
    assert information_gap([v[0], v[0], v[1], v[1]], v[:2]).value == 0
    assert information_gap([v[0]], v[:1]).by_factor == pytest.approx((1.0,))


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_gap_is_that_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    codes, factors = rng.integers(3, size=(3, 40)), rng.integers(4, size=(2, 40))
    gap, expected = information_gap(codes, factors, shuffles=1), []
    for f in factors:
        second, first = sorted(mutual_info_score(c, f) for c in codes)[-2:]
        expected.append((first - second) / mutual_info_score(f, f))
    assert gap.by_factor == pytest.approx(tuple(expected))
    assert gap.value == pytest.approx(np.mean(expected))
    assert gap.chance >= 0


def test_chance_is_the_gap_of_codes_that_know_nothing():
    rng = np.random.default_rng(5)
    v, other = rng.random((2, 2, 1000))
    others = [information_gap(rng.random((2, 1000)), v, shuffles=1).value for _ in range(30)]
    known = information_gap(v, v, shuffles=30)
    assert known.chance == pytest.approx(np.mean(others), abs=4 * np.std(others) / math.sqrt(30))
    assert known.value > 0.8 > 10 * known.chance
    assert information_gap(other, v, shuffles=30).value < 4 * known.chance
    assert repr(Gap(0.5, (0.5,), 0.01)) == "MIG 0.500 (chance 0.010)"


def test_a_turn_of_the_codes_closes_the_gap():
    v = np.random.default_rng(6).normal(size=(2, 20_000))
    turned = np.array([[1, 1], [-1, 1]]) @ v / math.sqrt(2)
    assert information_gap(v, v).value > 0.95
    assert information_gap(turned, v).value < 0.02
    # though nothing is lost: turned back, it is there again
    assert information_gap(np.array([[1, -1], [1, 1]]) @ turned, v).value > 0.95


def test_the_same_generator_gives_the_same_chance():
    v = np.random.default_rng(7).random((2, 100))
    assert information_gap(v, v) == information_gap(v, v, rng=np.random.default_rng(0))
    assert information_gap(v, v).chance != information_gap(v, v, rng=np.random.default_rng(1)).chance


FINE = [np.arange(6) % 2, np.linspace(0, 1, 6)]


@pytest.mark.parametrize(("call", "words"), [
    (lambda: information_table([], FINE), "one or more columns"),
    (lambda: information_table(np.zeros((0, 6)), FINE), "one or more columns"),
    (lambda: information_table(FINE, [np.arange(5)]), r"lengths \[5, 6\]"),
    (lambda: information_table([[[1, 2]]], FINE), "columns"),
    (lambda: information_table([[0.5, math.nan] * 3], FINE), "codes"),
    (lambda: information_table(FINE, [["a"] * 6]), "factors"),
    (lambda: information_table(FINE, FINE, bins=1), "bins"),
    (lambda: information_gap(np.zeros((9, 2)), np.zeros((9, 2))), r"codes must .* 9 arrays of 2.*\.T"),
    (lambda: information_table(np.eye(2), np.zeros((9, 2))), r"factors must .* 9 arrays of 2.*\.T"),
    (lambda: information_gap(np.arange(5.0), np.arange(5.0)), r"list of columns \(n,\)"),
    (lambda: information_gap(FINE, [np.zeros(6, int)]), "number 0"),
    (lambda: information_gap(FINE, FINE, shuffles=0), "shuffles"),
    (lambda: information_gap(FINE, FINE, rng=3), "rng"),
    (lambda: matching([0, 1], [0]), "equally many"),
    (lambda: matching([0.5], [0]), "whole numbers"),
])  # fmt: skip
def test_what_is_no_code_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
