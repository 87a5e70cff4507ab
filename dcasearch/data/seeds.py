"""Seeds for everything random in a training, each a function of what it is for and of nothing that ran before."""

from __future__ import annotations

import hashlib

import numpy as np

_WORD = 2**32
"""NumPy's frozen generator takes a seed below this, or several such words."""


def derived_seed(*parts: int | str) -> int:
    """Return 63 bits that depend on all parts, e.g. `derived_seed(seed, "order", epoch)`."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def frozen_generator(seed: int) -> np.random.RandomState:
    """Return NumPy's generator whose stream never changes, from any seed of a study (`config.numbers.Seed`)."""
    return np.random.RandomState(seed if seed < _WORD else [seed % _WORD, seed // _WORD])
