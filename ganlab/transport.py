"""Wasserstein distances, transport plans and best critics, exactly: the truth beside which trained critics are drawn.

Which power is meant: `wasserstein` with p = 2 and `gaussian_w2` are the *distance* W_2; `plan` with p = 2 has the cost
W_2^2; `quadratic_cost` and `quadratic_potentials` have the *cost* W_2^2 / 2 of WGAN-QC. What is handed in is checked
before a solver sees it, and what a solver returns is proved before you see it.
"""

from ganlab._critic import KantorovichDual, kantorovich_dual, lipschitz_extension
from ganlab._line_laws import LineCritic, line_critic, wasserstein_line
from ganlab._plan import Plan, plan, plan_of_costs
from ganlab._quadratic import (
    Potentials,
    TransportCritic,
    critic_from_potentials,
    quadratic_potentials,
    quadratic_slack,
    transport_map,
)
from ganlab._sinkhorn import Sinkhorn, sinkhorn, sinkhorn_divergence
from ganlab._wasserstein import gaussian_w2, quadratic_cost, sliced_wasserstein, wasserstein

__all__ = ["KantorovichDual", "LineCritic", "Plan", "Potentials", "Sinkhorn", "TransportCritic",
           "critic_from_potentials", "gaussian_w2", "kantorovich_dual", "line_critic", "lipschitz_extension", "plan",
           "plan_of_costs", "quadratic_cost", "quadratic_potentials", "quadratic_slack", "sinkhorn",
           "sinkhorn_divergence", "sliced_wasserstein", "transport_map", "wasserstein", "wasserstein_line"]  # fmt: skip
