"""Zero-cost scores: what an untrained network, on a batch or two, says of how well it will train; one paper a file."""

from dcasearch.scores import grad_norm, naswot, snip, synflow, zico  # noqa: F401  # importing them fills SCORES
from dcasearch.scores.base import SCORES, Batches, Score

__all__ = ["SCORES", "Batches", "Score"]
