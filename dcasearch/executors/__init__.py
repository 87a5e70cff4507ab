"""Where jobs run. An executor drives a `dcasearch.search.work.Work` to its end; it decides nothing about trials."""

from dcasearch.executors.local import LocalExecutor

__all__ = ["LocalExecutor"]
