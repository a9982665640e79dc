"""Wasserstein distances, transport plans and best critics, exactly: the truth beside which trained critics are drawn.

Names: `wasserstein(p=2)` and `gaussian_w2` are the *distance* W_2; `plan(p=2).cost` is its square; `quadratic_cost` is
the *cost* W_2^2 / 2. Points are checked before a solver sees them, and what a solver returns is proved after it.
"""

from ganlab._critic import KantorovichDual, kantorovich_dual, lipschitz_extension
from ganlab._line_laws import LineCritic, line_critic, wasserstein_line
from ganlab._plan import SOLVERS, Plan, plan, plan_of_costs
from ganlab._sinkhorn import Sinkhorn, sinkhorn, sinkhorn_divergence
from ganlab._wasserstein import gaussian_w2, quadratic_cost, sliced_wasserstein, wasserstein

__all__ = [
           "SOLVERS",
           "KantorovichDual",
           "LineCritic",
           "Plan",
           "Sinkhorn",
           "gaussian_w2",
           "kantorovich_dual",
           "line_critic",
           "lipschitz_extension",
           "plan",
           "plan_of_costs",
           "quadratic_cost",
           "sinkhorn",
           "sinkhorn_divergence",
           "sliced_wasserstein",
           "wasserstein",
           "wasserstein_line",
]  # fmt: skip
