"""What a session trains: the loaders, the loss and the metrics of a task.

`base` says what a task has to give, and measures a network. `classification` is the first task. The table of tasks,
with the metrics of each, is `dcasearch.metrics.TASKS`.
"""

from dcasearch.training.tasks.base import LearningTask, Meter, learning_task, measure

__all__ = ["LearningTask", "Meter", "learning_task", "measure"]
