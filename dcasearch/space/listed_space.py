"""A space that is a list of written-out architectures, each with a label: the rows of a table.

It holds what axes cannot say, e.g. another reduction in the first block of each stage. A sampler is asked one
question, `architecture`, whose choices are the labels. A label is a person's word for a network: it is in no id and in
no evaluation key, so equal networks of two studies share their records whatever they are called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dcasearch.architecture import Architecture, BackboneLayout, ConnectionFunction, vanilla_of
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.errors import UserError, nearest
from dcasearch.evaluation import fingerprint
from dcasearch.space.axes import Option, Suggest
from dcasearch.space.space import Baseline, Point, Space
from dcasearch.trial import LABELLED

Role: TypeAlias = Literal["plain", "vanilla", "connected"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One architecture of a list."""

    label: str
    architecture: Architecture
    written: Mapping[str, Any]
    """The architecture as it was written."""
    against: str | None = None
    """Label of the row that this one is compared with, where the list says it."""

    @property
    def role(self) -> Role:
        """What the network is: recognised, not marked, since a mark could be wrong."""
        network = self.architecture.network
        if network.edges:
            return "connected"
        return "plain" if all(node.kind == NO_ATTENTION for node in network.nodes) else "vanilla"


@dataclass(frozen=True)
class ListedSpace(Space):
    """A list of labelled architectures; labels differ, and so do the networks (`dcasearch.space.read_space`)."""

    rows: tuple[Row, ...]

    @property
    def fingerprint(self) -> str:
        """Equal for lists of equal labels and architectures, in this order; `against` may change."""
        return fingerprint([{"label": row.label, **row.written} for row in self.rows])

    def parameters(self) -> dict[str, tuple[Option, ...]]:
        """Return the one question, with the labels as its choices."""
        return {LABELLED: tuple(Option(row.label, row.label) for row in self.rows)}

    def sample(self, suggest: Suggest) -> Point:
        """Return the row whose label `suggest` answers.

        Raises:
            UserError: there is no such row.
        """
        label = suggest(LABELLED, tuple(row.label for row in self.rows))
        return Point({LABELLED: label}, self.row(str(label)).architecture)

    def row(self, label: str) -> Row:
        """Return the row of a label.

        Raises:
            UserError: there is no such row.
        """
        for row in self.rows:
            if row.label == label:
                return row
        raise UserError(f"{LABELLED}: '{label}' is not a row; {nearest(label, (row.label for row in self.rows))}")

    def label_of(self, architecture_id: str) -> str | None:
        """Return the label of an architecture's id, None where no row has it."""
        return next((row.label for row in self.rows if row.architecture.id == architecture_id), None)

    def reference(self, row: Row) -> Row | None:
        """Return the row that a row is compared with, None where the list has none.

        What the row says (`against`); else of a connected network the same one without its connections, and of a
        vanilla one the plain backbone.
        """
        if row.against is not None:
            return self.row(row.against)
        if row.role == "plain":
            return None
        base = vanilla_of(row.architecture) if row.role == "connected" else _plain_of(row.architecture)
        return next((other for other in self.rows if other.architecture.id == base.id), None)

    def layouts(self) -> Iterator[BackboneLayout]:
        """Yield the geometry of every row's backbone."""
        return (row.architecture.backbone.layout for row in self.rows)

    def vanillas(self) -> Iterator[Architecture]:
        """Yield every row without its connections; one network may come more than once."""
        return (vanilla_of(row.architecture) for row in self.rows)

    def functions(self) -> Iterator[ConnectionFunction]:
        """Yield the connection function of every connected row."""
        for row in self.rows:
            if row.architecture.connections is not None and row.role == "connected":
                yield row.architecture.connections.function

    def messages(self) -> Collection[str]:
        """Return the sources of the rows' messages."""
        return {edge.message for row in self.rows for edge in row.architecture.network.edges}

    def all_baselines(self) -> tuple[Baseline, ...]:
        """Return the rows without connections, under their labels. They are trained as rows, so they cost nothing."""
        return tuple(Baseline(row.label, row.architecture) for row in self.rows if row.role != "connected")


def _plain_of(architecture: Architecture) -> Architecture:
    """Return the same backbone without attention."""
    parts = ("attention", "stage_attention", "connections")
    return Architecture.parse({key: value for key, value in architecture.to_dict().items() if key not in parts})
