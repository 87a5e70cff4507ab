"""The search space that is proposed: the file `search_space.yaml` with the backbone's line written anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from dcasearch.architecture import Architecture
from dcasearch.space import Space, read_space

_BACKBONE = "backbone:"
_TEXT = (files("dcasearch.proposal") / "search_space.yaml").read_text(encoding="utf-8")
DEFAULT_BACKBONE: str = yaml.safe_load(_TEXT)["backbone"]["name"]
"""Where the user names none: of the built-in ones the fastest for its accuracy, on a CPU and on a GPU."""


@dataclass(frozen=True)
class Rung:
    """A network at a resolution."""

    backbone: str
    width: float
    stem: str
    resolution: int

    @property
    def written(self) -> dict[str, Any]:
        """The backbone as YAML has it; what is the usual is left out."""
        width = {} if self.width == 1 else {"width": self.width}
        stem = {} if self.stem == "imagenet" else {"stem": self.stem}
        return {"name": self.backbone, **width, **stem}


def space_text(rung: Rung, *, trained: bool = False) -> str:
    """Return the search space's YAML for a backbone; where it is trained already, attention starts as the identity."""
    flow = yaml.safe_dump(rung.written, default_flow_style=True, sort_keys=False, width=1000).strip()
    lines = [f"{_BACKBONE} {flow}" if line.startswith(_BACKBONE) else line for line in _TEXT.splitlines()]
    if trained:
        lines.append("attention_init: identity   # a usual start would destroy what the network knows")
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=32)
def space_of(rung: Rung) -> Space:
    """Return the search space for a backbone."""
    return read_space(yaml.safe_load(space_text(rung)))


def connected(rung: Rung) -> Architecture:
    """Return the network whose speed stands for the space's: the first attention, connected wherever it can be."""
    return next(one.architecture for one in space_of(rung).baselines() if one.architecture.network.edges)
