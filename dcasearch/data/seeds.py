"""Seeds for everything random in a training, each a function of what it is for and of nothing that ran before."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: int | str) -> int:
    """Return 63 bits that depend on all parts, e.g. `derived_seed(seed, "order", epoch)`."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
