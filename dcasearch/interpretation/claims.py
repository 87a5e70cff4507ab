"""Whether what the paper says of its Figure 5 holds for a network; the claims are in claims.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter

from dcasearch.architecture import Network
from dcasearch.architecture.specification import Frozen
from dcasearch.interpretation.contributions import Contribution


class Claim(Frozen):
    """One sentence of the paper, with the bounds that make it a question. Bounds are in percentage points."""

    says: str
    backbone: str
    """The paper's network: a claim says nothing of another one."""
    attention: str | None = None
    """The kind of attention that it is about; None for every kind."""
    connections: Annotated[tuple[int, ...], Field(strict=False)] | None = None
    """None for all."""
    range: float | None = None
    """The largest and the smallest share are no further apart."""
    near: float | None = None
    within: float = 0
    """No share is further than this from `near`."""
    below: float | None = None
    """Every share is below this."""

    def holds(self, percent: Sequence[float]) -> bool:
        """Return whether some shares, in percent, keep the bounds."""
        spread = self.range is None or max(percent) - min(percent) <= self.range
        near = self.near is None or all(abs(value - self.near) <= self.within for value in percent)
        return spread and near and (self.below is None or max(percent) < self.below)

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        said = []
        if self.range is not None:
            said.append(f"the shares lie within {self.range:g} points")
        if self.near is not None:
            said.append(f"each share is {self.near:g} ± {self.within:g}%")
        if self.below is not None:
            said.append(f"each share is below {self.below:g}%")
        return " and ".join(said)

    def applies_to(self, network: Network, line: Sequence[Contribution]) -> bool:
        """Return whether the claim is about a line of this network's contributions."""
        kinds = {contribution.kind for contribution in line}
        return network.backbone[0] == self.backbone and (self.attention is None or kinds == {self.attention})


@cache
def claims() -> tuple[Claim, ...]:
    """Return the paper's claims."""
    written = (files("dcasearch.interpretation") / "claims.yaml").read_text(encoding="utf-8")
    return tuple(TypeAdapter(list[Claim]).validate_python(yaml.safe_load(written)))


def verdicts(network: Network, line: Sequence[Contribution], percent: Mapping[int, float]) -> Iterator[str]:
    """Yield a sentence for each claim that is about a network's line.

    Args:
        network: whose contributions they are.
        line: the contributions of one dimension and branch.
        percent: the share of each connection in one reading, in percent; connections without a share are not in it.
    """
    for claim in claims():
        if not claim.applies_to(network, line):
            continue
        wanted = claim.connections or tuple(contribution.connection for contribution in line)
        missing = [str(connection) for connection in wanted if connection not in percent]
        if missing:
            yield f"{claim.says}: cannot be said, without a share of connection {', '.join(missing)}"
            continue
        shares = [percent[connection] for connection in wanted]
        seen = f"{min(shares):.1f}% to {max(shares):.1f}%" if len(shares) > 1 else f"{shares[0]:.1f}%"
        yield f"{claim.says}: {'holds' if claim.holds(shares) else 'does not hold'}, {seen} ({claim.bounds})"
