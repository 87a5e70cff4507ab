"""What a session trains: the loaders, the loss and the metrics of a task.

`base` says what a task has to give, and measures a network. `classification` and `detection` (its numbers:
`average_precision`) are the tasks. Their table, with the metrics of each, is `dcasearch.metrics.TASKS`.
"""

from dcasearch.training.tasks.base import LearningTask, Meter, learning_task, measure, metered

__all__ = ["LearningTask", "Meter", "learning_task", "measure", "metered"]
