"""Which networks of libraries were tried, and what became of each: the table of `dcasearch backbones`. No torch.

`benchmarks/backbones.py` makes it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path

_FILE = "measured.csv"
YES, NO, NOT_TRIED = "yes", "no", ""
CHECKS: Mapping[str, str] = {
    "built": "built and traced, with blocks for attention",
    "same": "with nothing inserted equal to the library's bit for bit, in both modes",
    "chain": "channel attention in a chain: forward and backward at two image sizes",
    "dense": "channel and spatial attention, densely connected: forward and backward at two image sizes",
    "export": "torch.export with any number of images",
    "compile": "torch.compile as one graph (aot_eager)",
}
"""What was tried, in order; each needs `built`."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One network of a library."""

    name: str
    family: str
    """File or module of the library that it stands in."""
    version: str
    """The library's."""
    parameters: int
    rule: str = ""
    """The pass that found its blocks (`dcasearch.models.traced.blocks`)."""
    blocks: int = 0
    stages: int = 0
    on_branch: int = 0
    """Blocks with attention on the residual branch; the others have it at their output."""
    convolution: str = NOT_TRIED
    """Whether each block has a convolution that attention can take the place of."""
    own_attention: str = NOT_TRIED
    """Whether it has attention of its own that can be taken out."""
    built: str = NO
    same: str = NOT_TRIED
    chain: str = NOT_TRIED
    dense: str = NOT_TRIED
    export: str = NOT_TRIED
    compile: str = NOT_TRIED
    seconds: float = 0.0
    """Of building on the meta device, tracing and finding the blocks."""
    note: str = ""
    """Why something does not work, or works in part only."""

    @property
    def works(self) -> bool:
        """Whether everything that was tried works."""
        return all(getattr(self, check) == YES for check in CHECKS)


@cache
def measured() -> tuple[Measured, ...]:
    """Return the table that comes with the package, by name; the file has the networks as they were tried."""
    rows = read(files("dcasearch.architecture").joinpath(_FILE).read_text(encoding="utf-8").splitlines())
    return tuple(sorted(rows, key=lambda row: row.name))


def read(lines: Iterable[str]) -> tuple[Measured, ...]:
    """Return a table from its lines."""
    typed = {"parameters": int, "blocks": int, "stages": int, "on_branch": int, "seconds": float}
    return tuple(
        Measured(**{key: typed.get(key, str)(value) for key, value in row.items()}) for row in csv.DictReader(lines)
    )


def append(path: Path, row: Measured) -> None:
    """Add a row to a table's file; one that does not exist begins with its head."""
    begins = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Measured)], lineterminator="\n")
        if begins:
            writer.writeheader()
        writer.writerow(asdict(row))
