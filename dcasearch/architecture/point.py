"""One point of the design space: a specification with the network that it means, and its canonical id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from dcasearch.architecture.backbone import Backbone
from dcasearch.architecture.network import Network
from dcasearch.architecture.resolution import resolve, started_as_identity
from dcasearch.architecture.specification import (
    Attention,
    AttentionInit,
    Connections,
    Frozen,
    ParameterInit,
    StageAttention,
)
from dcasearch.architecture.words import sentence_of
from dcasearch.bounds import STORED
from dcasearch.errors import ArchitectureError, mistakes_of


class Architecture(Frozen):
    """One point of the design space. Equal networks have equal ids; an impossible one cannot be made.

    Raises:
        ArchitectureError: the specification names no network that can be built.
    """

    backbone: Backbone
    attention: Attention = Attention(name="none")
    connections: Connections | None = None
    stage_attention: StageAttention | None = None
    """Beside `attention`: what stands after the stages, outside the residual."""
    init: ParameterInit = "ours"
    """How parameters start (docs/method.md): `authors` is the released code's way, with its mistakes."""
    attention_init: AttentionInit = "usual"
    """How attention starts (docs/method.md): under `identity` the network starts as the one without attention."""

    def model_post_init(self, context: Any) -> None:
        """Resolve at birth, so that an impossible architecture cannot exist."""
        _ = self.network

    @classmethod
    def parse(cls, source: Mapping[str, Any] | Architecture, *, stored: bool = False) -> Architecture:
        """Return the architecture that a dict (or parsed YAML) spells out.

        Args:
            source: an architecture is returned as it is.
            stored: whether a database holds it: it was allowed once, and limits that came later are none for it.

        Raises:
            ArchitectureError: with every mistake of the dict, one a line.
        """
        if isinstance(source, Architecture):
            return source
        try:
            return cls.model_validate(source, context=STORED if stored else None)
        except ValidationError as error:
            raise ArchitectureError("\n".join(mistakes_of(error, "architecture"))) from None

    @cached_property
    def network(self) -> Network:
        """The resolved network."""
        network = resolve(self.backbone, self.attention, self.connections, self.stage_attention)
        if self.init != "ours":
            if network.library is not None:
                message = f"init: {self.init} is for the backbones that this package has prepared"
                raise ArchitectureError(message, ("init",))
            network = replace(network, init=self.init)
        return started_as_identity(network) if self.attention_init == "identity" else network

    @property
    def id(self) -> str:
        """Canonical id: 16 hexadecimal digits, equal for equal networks, whatever was written."""
        return self.network.id

    def _repr_html_(self) -> str:
        from dcasearch.drawing.notebook import network_html  # only a notebook asks for it

        return network_html(self.network, [sentence_of(self.network), f"architecture {self.id}"])

    def to_dict(self) -> dict[str, Any]:
        """Return the written form with defaults left out, as plain data for YAML and SQL."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def written_out(self) -> dict[str, Any]:
        """Return the written form with every choice in it, for what must outlive a change of our defaults.

        Keys that came after the first stored forms are left out at their default, which therefore never changes.
        """
        written = self.model_dump(mode="json", exclude_none=True)
        if self.init == "ours":
            del written["init"]
        if self.attention_init == "usual":
            del written["attention_init"]
        if self.connections is not None and self.connections.message == "sender":
            del written["connections"]["message"]
        if self.backbone.trace is None:
            del written["backbone"]["arguments"], written["backbone"]["own_attention"]
        return written
