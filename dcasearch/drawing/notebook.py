"""A network as HTML for a notebook: its drawing and what is said of it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

from dcasearch.architecture.network import Network
from dcasearch.drawing.network import draw


def network_html(network: Network, lines: Iterable[str] = (), *, resolution: int | None = None) -> str:
    """Return a network's drawing with lines of text below it; the drawing follows the reader's light or dark screen.

    Args:
        network: resolved.
        lines: plain text, without HTML.
        resolution: pixels per side of the input, which the drawing names.
    """
    svg = base64.b64encode(draw(network, resolution=resolution).encode()).decode()
    image = f'<img style="max-width: 100%" alt="the network" src="data:image/svg+xml;base64,{svg}">'
    return "\n".join([f"<div>{image}", *(f"<div>{escape(line)}</div>" for line in lines), "</div>"])
