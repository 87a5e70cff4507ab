"""Which trained weights stay on disk: the best few of a fidelity; a checkpoint goes once its record is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dcasearch.artifacts import Place
from dcasearch.config.study import Direction, Metric
from dcasearch.evaluation import Evaluation
from dcasearch.search.objectives import ranking
from dcasearch.training import discard
from dcasearch.trial import State, Trial


class Retention:
    """Deletes what no longer needs to be kept; safe to repeat after a driver died."""

    def __init__(
        self, artifacts: Place, keep: int, objectives: Mapping[Metric, Direction], trials: Iterable[Trial]
    ) -> None:
        self._artifacts, self._keep, self._objectives = artifacts, keep, objectives
        self._kept = [trial for trial in trials if trial.state is State.COMPLETE]
        self._drop()

    def ended(self, trial: Trial, evaluation: Evaluation) -> None:
        """Delete the checkpoint of a stored evaluation, and the weights that are not among the best any more."""
        discard(evaluation.key, self._artifacts)
        if trial.state is State.COMPLETE:
            self._kept.append(trial)
            self._drop()
        else:
            self._delete_weights(trial)

    def _drop(self) -> None:
        order = ranking(self._objectives, [trial.values or () for trial in self._kept], "value")
        for n in order[self._keep :]:
            self._delete_weights(self._kept[n])
        self._kept = [self._kept[n] for n in order[: self._keep]]

    def _delete_weights(self, trial: Trial) -> None:
        (self._artifacts / "weights" / f"{trial.evaluation}.safetensors").unlink(missing_ok=True)
