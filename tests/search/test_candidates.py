from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch.errors import Interrupted
from dcasearch.search.candidates import architectures, draw_unvisited
from dcasearch.space import Point, Space, load_study, read_space
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


def test_an_enumeration_and_the_draws_in_a_large_space_can_be_interrupted() -> None:
    def stop() -> None:
        raise Interrupted("stopped")

    for space in (read_space(SPACE), load_study(Path("studies/mnasnet_attention.yaml")).space):
        with pytest.raises(Interrupted):
            draw_unvisited(space, set(), lambda point: False, "0", stop)
    small = read_space(SPACE)
    with pytest.raises(Interrupted):
        architectures(small, stop)
    assert architectures(small)  # what was broken off is no enumeration
