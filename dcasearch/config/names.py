"""Names of metrics and tasks as types: what a study's YAML may say where one is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dcasearch.errors import nearest
from dcasearch.metrics import METRICS, TASKS, is_cost


class _Named:
    """Makes a text the name of an entry of a table. The table is read when the text is, so entries may come later."""

    def __init__(self, table: Mapping[str, object], *, only: Callable[[str], bool] = lambda name: True) -> None:
        self._table, self._only = table, only

    def names(self) -> list[str]:
        """Return the names that are allowed."""
        return [name for name in self._table if self._only(name)]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": self.names(), "type": "string"}

    def _known(self, name: str) -> str:
        if name not in self.names():
            raise PydanticCustomError("name", "'{name}' is not allowed; {nearest}", self._told(name))
        return name

    def _told(self, name: str) -> dict[str, Any]:
        return {"name": name, "nearest": nearest(name, self.names())}


MetricName = Annotated[str, _Named(METRICS)]
CostName = Annotated[str, _Named(METRICS, only=is_cost)]
MeasuredName = Annotated[str, _Named(METRICS, only=lambda name: METRICS[name].known == "each epoch")]
TaskName = Annotated[str, _Named(TASKS)]
