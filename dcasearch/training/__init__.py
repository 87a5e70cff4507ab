"""Training: a recipe, a loop, and one picklable function from a task to its evaluation.

Read `evaluate` first, then `training` and `loop`. `network` applies a recipe's techniques, `schedule`, `optimizer`
and `metrics` are what their names say, `checkpoint` makes a training resumable, `ranks` lets several processes share
one. `scoring` is what a zero-cost fidelity does in place of a training.
"""

from dcasearch.training.checkpoint import checkpoint_path, discard
from dcasearch.training.evaluate import begin, evaluate
from dcasearch.training.metrics import Metrics
from dcasearch.training.ranks import Ranks
from dcasearch.training.scoring import Scoring
from dcasearch.training.task import Task
from dcasearch.training.training import Training
from dcasearch.training.weights import evaluate_weights, sha256_of, weights_path, weights_sizes

__all__ = [
    "Metrics",
    "Ranks",
    "Scoring",
    "Task",
    "Training",
    "begin",
    "checkpoint_path",
    "discard",
    "evaluate",
    "evaluate_weights",
    "sha256_of",
    "weights_path",
    "weights_sizes",
]
