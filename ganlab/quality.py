"""How good pictures are: distances of features (FID, KID), a classifier's opinion, and distances of patches.

A feature is a number that a network has computed from a picture; all but `patch_sliced_wasserstein` take `(n, d)`
arrays of them and do not care where they come from. Two values with other features, or other numbers of samples, cannot
be compared, so the records keep both. For quality against variety and for memorisation see `ganlab.two_sample`.
"""

from ganlab._classifier_test import ClassifierTest, classifier_test
from ganlab._frechet import ExtrapolatedFrechet, Frechet, frechet, frechet_extrapolated, frechet_floor
from ganlab._kernel_distance import KernelDistance, kernel_distance
from ganlab._patches import PatchDistance, laplacian_pyramid, patch_sliced_wasserstein

__all__ = ["ClassifierTest", "ExtrapolatedFrechet", "Frechet", "KernelDistance", "PatchDistance", "classifier_test",
           "frechet", "frechet_extrapolated", "frechet_floor", "kernel_distance", "laplacian_pyramid",
           "patch_sliced_wasserstein"]  # fmt: skip
