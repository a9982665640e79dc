"""The derivative of a field at its rest point: in closed form, in numbers, by differences, and its eigenvalues."""

import numpy as np

from ganlab.checks import InputError, NoEquilibrium, number

__all__ = ["eigenvalues", "jacobian", "numeric_jacobian", "ordered", "symbolic_eigenvalues", "symbolic_jacobian"]


def symbolic_jacobian(game):
    """Return the Jacobian at the rest point as a SymPy matrix in the game's parameters.

    Raises
    ------
    NoEquilibrium
        If the field jumps at the rest point and so has no Jacobian there.

    Examples
    --------
    >>> from ganlab import pointwise
    >>> symbolic_jacobian(pointwise("saturating"))
    Matrix([
    [-8*p_d, -2],
    [     2,  0]])
    """
    if "_at_rest" not in vars(game):  # once a game, and not once for every step size that is tried
        vars(game)["_at_rest"] = _at_rest(game)
    return vars(game)["_at_rest"].copy()


def _at_rest(game):
    from ganlab import _symbolic

    if game.equilibrium is None:
        raise NoEquilibrium(f"{game.name} has no rest point")
    if not game.smooth:
        raise NoEquilibrium(f"{game.name}: the field jumps at the rest point, so there is no Jacobian there")
    at_rest = game.jacobian_rows.subs(dict(zip(game.symbols, game.equilibrium, strict=True)))
    if game.noise is not None:
        at_rest = at_rest.applyfunc(lambda entry: _symbolic.gaussian_mean(entry, *game.noise))
    at_rest = at_rest.applyfunc(_symbolic.closed)
    return at_rest - game.consensus * at_rest.T * at_rest if game.consensus else at_rest


def symbolic_eigenvalues(game):
    """Return the two eigenvalues of a planar game as SymPy formulas, the one with the minus sign first.

    Raises
    ------
    InputError
        If the game has not two coordinates.
    NoEquilibrium
        As for `symbolic_jacobian`.

    Examples
    --------
    >>> from ganlab import dirac_gan
    >>> symbolic_eigenvalues(dirac_gan())
    (-I/2, I/2)
    """
    import sympy as sp

    matrix = symbolic_jacobian(game)
    if matrix.shape != (2, 2):
        raise InputError(f"closed-form eigenvalues need two coordinates, {game.name} has {matrix.shape[0]}")
    half, root = matrix.trace() / 2, sp.sqrt(sp.factor(matrix.trace() ** 2 / 4 - matrix.det()))
    return tuple(sp.simplify(half + sign * root) for sign in (-1, 1))


def jacobian(game):
    """Return the Jacobian at the rest point as numbers, from its closed form.

    Returns
    -------
    (dim, dim) array
        Entry (i, j) is the derivative of coordinate i's velocity by coordinate j.

    Raises
    ------
    InputError
        If a parameter is an array or a symbol.
    NoEquilibrium
        As for `symbolic_jacobian`.

    Examples
    --------
    >>> from ganlab import R1, dirac_gan
    >>> jacobian(dirac_gan("saturating", R1(0.3))).tolist()
    [[0.0, -0.5], [0.5, -0.3]]
    """
    if "_jacobian" not in vars(game):  # the closed form takes SymPy a while, and every multiplier asks for it
        matrix = symbolic_jacobian(game).subs({s: v for s, v in game.parameters.items() if np.ndim(v) == 0})
        if matrix.free_symbols:
            names = ", ".join(sorted(map(str, matrix.free_symbols)))
            raise InputError(f"{game.name}: give {names} one number to get a numeric Jacobian")
        vars(game)["_jacobian"] = np.array(matrix.evalf(), dtype=float)
    return vars(game)["_jacobian"].copy()


def numeric_jacobian(game, at=None, step=1e-6):
    """Return the Jacobian by central differences of the compiled field: the check on the closed form.

    Parameters
    ----------
    at : (dim,) array_like, optional
        Where; the rest point by default.
    step : float
        Half the width of the difference.

    Returns
    -------
    (dim, dim) array

    Raises
    ------
    InputError
        If the step is not positive, or `at` is left out and the game has no rest point.

    Examples
    --------
    >>> from ganlab import bilinear
    >>> np.round(numeric_jacobian(bilinear(2.0)), 6).tolist()
    [[0.0, -2.0], [2.0, 0.0]]
    """
    z = np.array([float(v) for v in (game.rest if at is None else at)])
    shifts = number("step", step, 0, open_low=True) * np.eye(len(z))
    columns = [(np.array(game.field(*(z + d))) - np.array(game.field(*(z - d)))) / (2 * step) for d in shifts]
    return np.array(columns, dtype=float).T


def eigenvalues(game):
    """Return the eigenvalues of the Jacobian at the rest point, largest real part first.

    Returns
    -------
    (dim,) array, complex where one of them is

    Raises
    ------
    InputError, NoEquilibrium
        As for `jacobian`.

    Examples
    --------
    >>> from ganlab import pointwise
    >>> np.round(eigenvalues(pointwise("quadratic", p_d=2.5)), 6).tolist()
    [-0.5, -2.0]
    """
    return ordered(np.linalg.eigvals(jacobian(game)))


def ordered(values):
    """Return eigenvalues sorted by falling real part, then by imaginary part, so that two runs list them alike.

    Examples
    --------
    >>> ordered(np.array([-1.0, 2.0, 0.5])).tolist()
    [2.0, 0.5, -1.0]
    """
    return np.array(sorted(values, key=lambda v: (-round(v.real, 12), v.imag)))
