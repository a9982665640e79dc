"""Every check says what was given and what is allowed, and lets nothing through that is not a number."""

import re
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from ganlab.checks import InputError, NoEquilibrium, choose, number, number_or_symbol, numbers, whole

NAN, INF = float("nan"), float("inf")


def says(error, *parts):
    """The message contains each of the parts."""
    for part in parts:
        assert part in str(error.value), f"{part!r} is missing in {error.value}"


@pytest.mark.parametrize("check", [number, numbers, number_or_symbol])
@pytest.mark.parametrize(
    "value",
    [NAN, INF, -INF, -1, 0, True, np.bool_(True), "0.2", b"1", None, 1j, [], object(), [[1], [2, 3]], sp.nan, sp.oo],
)
def test_what_is_not_a_positive_number_is_refused(check, value):
    with pytest.raises(InputError) as error:
        check("p_d", value, 0, open_low=True)
    says(error, "p_d", "(0, inf)", repr(value))


@pytest.mark.parametrize("value", [NAN, INF, -1, "x", True])
def test_one_bad_entry_spoils_an_array(value):
    with pytest.raises(InputError, match="p_d"):
        numbers("p_d", [0.2, value] if value is not True else [True, False], 0)


@pytest.mark.parametrize("value", [0.25, 1, np.float32(0.5), np.array(0.5), Fraction(1, 3), sp.Rational(1, 3)])
def test_a_number_of_any_kind_comes_back_as_it_was(value):
    assert number("x", value, 0, 1) is value


def test_arrays_are_for_numbers_only():
    assert numbers("x", (1, 2)).dtype == float
    assert numbers("x", (0, 1), 0, 1).tolist() == [0, 1], "bounds belong to the interval unless it is said to be open"
    assert number("x", 0, 0) == number("x", 0, high=0) == number_or_symbol("x", 0, 0) == 0
    with pytest.raises(InputError, match=r"x must be one number, got an array of shape \(2,\)"):
        number("x", (1, 2))


@pytest.mark.parametrize(
    ("low", "high", "open_low", "open_high", "inside", "outside", "bounds"),
    [
        (0, 1, False, False, (0, 1), (-1e-9, 1 + 1e-9), "[0, 1]"),
        (0, 1, True, True, (1e-9, 1 - 1e-9), (0, 1), "(0, 1)"),
        (0, 1, False, True, (0,), (1,), "[0, 1)"),
        (0, 1, True, False, (1,), (0,), "(0, 1]"),
        (-np.inf, 3, False, False, (-1e300, 3), (4,), "(-inf, 3]"),
    ],
)
def test_bounds_are_kept_and_written_as_in_a_textbook(low, high, open_low, open_high, inside, outside, bounds):
    for value in inside:
        assert number("x", value, low, high, open_low, open_high) == value
    for value in outside:
        with pytest.raises(InputError, match=re.escape(bounds)):
            number("x", value, low, high, open_low, open_high)


def test_a_symbol_stands_for_an_admissible_number_only_where_it_may():
    a = sp.Symbol("a")
    assert number_or_symbol("alpha", 1 - a, 0, 1) == 1 - a
    with pytest.raises(InputError, match="p_d must be a number"):
        number("p_d", a)


@pytest.mark.parametrize("value", [0, -3, 1.0, 2.5, True, np.bool_(True), "3", None, NAN, [1]])
def test_what_is_not_a_whole_number_is_refused(value):
    with pytest.raises(InputError) as error:
        whole("n_d", value)
    says(error, "n_d", "at least 1", repr(value))


@pytest.mark.parametrize(("value", "low"), [(1, 1), (np.int64(7), 1), (0, 0)])
def test_a_whole_number_comes_back_as_an_int(value, low):
    assert type(whole("n", value, low)) is int
    assert whole("n", value, low) == value


@pytest.mark.parametrize("name", ["pink", "", False, 3, ["red"], {"red": 1}])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(InputError) as error:
        choose("colour", name, {"red": 1, "blue": 2, None: 3, True: 4})
    says(error, "colour", repr(name), "None, True, blue, red")


def test_the_errors_are_value_errors():
    assert issubclass(InputError, ValueError)
    assert issubclass(NoEquilibrium, ValueError)
