"""Who leads in each objective, as events: one whenever the lead changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dcasearch.architecture import Architecture
from dcasearch.metrics import Direction
from dcasearch.search.objectives import losses
from dcasearch.search.work import Event, event_about
from dcasearch.trial import Value


class Leaders:
    """The best complete training of a phase, by objective. A single one: seeds are not averaged."""

    def __init__(self, objectives: Mapping[str, Direction]) -> None:
        self._objectives = objectives
        self._best: dict[str, float] = {}

    def take(self, label: str, architecture: Architecture, values: Mapping[str, Value]) -> Iterator[Event]:
        """Take the end of a complete training and yield an event for each objective in which it leads now."""
        for metric, direction in self._objectives.items():
            value = values.get(metric)
            if not isinstance(value, int | float):
                continue
            (loss,) = losses({metric: direction}, [value])
            if metric not in self._best or loss < self._best[metric]:
                self._best[metric] = loss
                fields: dict[str, Value] = {"metric": metric, "value": value, "direction": direction}
                yield event_about("leader", label, architecture, fields=fields)
