"""A second, tiny task: the network says as one number which digit it sees. As a script: the command line with it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dcasearch.metrics import Metric, TaskMetrics, register_metric, register_task
from dcasearch.training.tasks import LearningTask

ERROR = Metric(name="mae", label="absolute error", known="each epoch", direction="minimize", lowest=0, digits=".3f")
REGRESSION = TaskMetrics(
    name="regression", metrics=("mae",), implementation="tests.training.tasks.regression:Regression", outputs=1
)


class Regression(LearningTask):
    """The mean squared error of one number per image."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Take outputs of shape (batch, 1) and targets of shape (batch,)."""
        return F.mse_loss(outputs.float()[:, 0], targets.float())

    def meter(self, classes: int, device: torch.device) -> AbsoluteError:
        """Return a meter of the mean absolute error."""
        return AbsoluteError()


class AbsoluteError:
    def __init__(self) -> None:
        self._sum, self._images = 0.0, 0

    def update(self, outputs: Any, targets: Any) -> None:
        self._sum += float((outputs.float()[:, 0] - targets).abs().sum())
        self._images += len(targets)

    def compute(self) -> dict[str, float]:
        return {"mae": self._sum / self._images}


def register() -> None:
    register_metric(ERROR)
    register_task(REGRESSION)


# Worker processes import the script that their driver runs, so they know the task too.
if __name__ in ("__main__", "__mp_main__"):
    register()
if __name__ == "__main__":
    from dcasearch.cli import main

    main()
