from __future__ import annotations

import pytest
import yaml

from dcasearch.architecture import BACKBONES
from dcasearch.proposal.template import DEFAULT_BACKBONE, Rung, connected, space_of, space_text


def test_the_backbone_alone_is_written_anew() -> None:
    text = space_text(Rung(DEFAULT_BACKBONE, 0.5, "small", 32))
    assert yaml.safe_load(text)["backbone"] == {"name": DEFAULT_BACKBONE, "width": 0.5, "stem": "small"}
    usual = space_text(Rung(DEFAULT_BACKBONE, 1.0, "imagenet", 224))
    assert [a == b for a, b in zip(text.splitlines(), usual.splitlines(), strict=True)].count(False) == 1


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_every_backbone_has_a_space_with_a_connected_network(backbone: str) -> None:
    rung = Rung(backbone, 1.0, "imagenet", 64)
    assert connected(rung).network.edges
    assert connected(rung).backbone.name == backbone
    assert len(space_of(rung).baselines()) == 5
