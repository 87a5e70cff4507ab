from __future__ import annotations

from collections.abc import Iterator

import pytest

from dcasearch.search.candidates import architectures, draw_unvisited
from dcasearch.space import Point, Space, read_space
from tests.support import SPACE


def test_a_small_space_is_enumerated_once_for_all_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    space, walks = read_space(SPACE), []
    enumerate_all = Space.enumerate

    def counted(self: Space) -> Iterator[Point]:
        walks.append(self)
        return enumerate_all(self)

    monkeypatch.setattr(Space, "enumerate", counted)
    left = architectures(space)
    visited: set[str] = set()
    while (point := draw_unvisited(space, visited, lambda point: True, f"{len(visited)}")) is not None:
        visited.add(point.architecture.id)
    assert visited == left
    assert len(walks) == 1


def test_a_draw_holds_what_is_not_feasible_for_none() -> None:
    assert draw_unvisited(read_space(SPACE), set(), lambda point: False, "0") is None
