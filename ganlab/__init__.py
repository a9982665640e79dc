"""ganlab: everything that the course on GAN training computes.

The names below are the ones that the book uses. Importing the package loads numpy and nothing else that
is heavy; SciPy, SymPy, matplotlib and torch come in with the first function that needs them.
"""

from ganlab.checks import InputError, NoEquilibrium
from ganlab.dirac import R1, R2, Clip, Consensus, GradientPenalty, InstanceNoise, dirac_gan
from ganlab.dynamics import Trajectory, flow, simulate
from ganlab.games import Game, bilinear, pointwise, quadratic
from ganlab.jacobians import eigenvalues, jacobian, numeric_jacobian, symbolic_eigenvalues, symbolic_jacobian
from ganlab.methods import METHODS
from ganlab.objectives import OBJECTIVES, Objective, label_smoothing, least_squares
from ganlab.reports import report
from ganlab.stability import largest_stable_step, lyapunov, multipliers, spectral_radius, verdict
from ganlab.theory import conditions

__version__ = "2026.1.0"
