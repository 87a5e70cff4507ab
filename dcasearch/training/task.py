"""The task of a training; it stands in `dcasearch.task`, which needs no torch."""

from dcasearch.task import Task

__all__ = ["Task"]
