"""Training: a recipe, a loop, and one picklable function from an assignment to its evaluation.

Read `evaluate` first, then `session` and `loop`. `assignments` says what is learned: loaders, loss, metrics. `network`
applies a recipe's techniques, `schedule` and `optimizer` are what their names say, `checkpoint` makes a training
resumable, `ranks` lets several processes share one, `continuation` lets a longer one go on from a shorter one.
`scoring` is what a zero-cost fidelity does in place of a training.
"""

from dcasearch.assignment import Assignment
from dcasearch.training.checkpoint import checkpoint_ids, checkpoint_of, checkpoint_path, discard, discard_of
from dcasearch.training.continuation import continues, later_continues
from dcasearch.training.evaluate import begin, evaluate
from dcasearch.training.ranks import Ranks
from dcasearch.training.scoring import Scoring
from dcasearch.training.session import Session
from dcasearch.training.weights import evaluate_weights, put_start, sha256_of, weights_path, weights_sizes

__all__ = [
    "Assignment",
    "Ranks",
    "Scoring",
    "Session",
    "begin",
    "checkpoint_ids",
    "checkpoint_of",
    "checkpoint_path",
    "continues",
    "discard",
    "discard_of",
    "evaluate",
    "evaluate_weights",
    "later_continues",
    "put_start",
    "sha256_of",
    "weights_path",
    "weights_sizes",
]
