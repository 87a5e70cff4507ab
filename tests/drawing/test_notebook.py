from __future__ import annotations

import base64
import re

from dcasearch.architecture import Architecture
from dcasearch.drawing.notebook import network_html

CHAINED = Architecture.parse({"backbone": {"name": "resnet18"}, "attention": {"name": "se"}, "connections": {}})


def drawn(html: str) -> str:
    [encoded] = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    return base64.b64decode(encoded).decode()


def test_a_network_is_its_drawing_with_what_is_said_of_it() -> None:
    html = network_html(CHAINED.network, ["a < b", "<script>"], resolution=32)
    assert drawn(html).startswith("<svg")
    assert "8×8" in drawn(html)
    assert "<div>a &lt; b</div>\n<div>&lt;script&gt;</div>" in html


def test_an_architecture_shows_itself_in_a_notebook() -> None:
    html = CHAINED._repr_html_()
    assert "SE r=16 in all stages; channel chain into all stages, direct, fc" in html
    assert CHAINED.id in html
    assert "edge" in drawn(html)
