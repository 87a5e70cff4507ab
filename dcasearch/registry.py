"""A name in a table: how backbones, attention blocks, connection functions, data sets … become pluggable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar

from dcasearch.errors import UserError, nearest

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A table of one kind of thing by name. A look-up that misses says the nearest name.

    `registry.register(name)` is a decorator; tests parametrize over the table, so that
    whatever is registered is enrolled in them.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its argument under `name`; a name taken twice is a bug."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.what} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except KeyError:
            raise UserError(f"'{name}' is not {self.what}; {nearest(name, self._entries)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def import_all(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, so that each registers what it has; no list of them is kept by hand."""
    for module in iter_modules(path):
        import_module(f"{package}.{module.name}")
