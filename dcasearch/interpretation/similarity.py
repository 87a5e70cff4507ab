"""How alike two looks at the same images are: overlap of focus, and linear CKA. Pure: arrays in, numbers out.

CKA: Kornblith et al. (2019), Similarity of Neural Network Representations Revisited. Its estimate here is the unbiased
one of HSIC: Song et al. (2012), Feature Selection via Dependence Maximization, Eq. 5. The plain estimate goes to 1 for
unrelated features where there are more features than images, and blocks have up to 2,048 channels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dcasearch.interpretation.intervals import Floats

SHARE = 0.2
"""Of the pixels that are called the focus of a map."""
CHANCE = SHARE / (2 - SHARE)
"""IoU of the focus of two unrelated maps: share² / (2·share - share²)."""
LEAST_IMAGES = 256
"""Below so many images no CKA is told."""
_CONSTANT = 1e-6
"""What varies by less than this share of its size is called constant: it is rounding in fp32."""


def focus(maps_BHW: Floats, share: float = SHARE) -> NDArray[np.bool_]:
    """Return which pixels hold the largest values of each map: a share of them, and those equal to the last.

    A pixel at the map's least value is never in it. So a map that is one value everywhere has no focus, and of a
    Grad-CAM that is 0 in most places only what is above 0 counts.
    """
    flat = maps_BHW.reshape(len(maps_BHW), -1)
    count = max(1, round(share * flat.shape[1]))
    least_inside = np.partition(flat, -count, axis=1)[:, -count][:, None]
    rounding = _CONSTANT * np.abs(flat).max(1, keepdims=True)  # an enlarged map of one value varies by rounding
    chosen = (flat >= least_inside) & (flat > flat.min(1, keepdims=True) + rounding)
    return np.asarray(chosen.reshape(maps_BHW.shape))


def overlap(first_BHW: NDArray[np.bool_], second_BHW: NDArray[np.bool_]) -> Floats:
    """Return intersection over union of each pair of masks, shape (B,); nan where one of them is empty."""
    first, second = (mask.reshape(len(mask), -1) for mask in (first_BHW, second_BHW))
    both, either = (first & second).sum(1), (first | second).sum(1)
    empty = ~first.any(1) | ~second.any(1)
    return np.where(empty, np.nan, both / np.maximum(either, 1))


def is_constant(features_NF: Floats) -> bool:
    """Return whether features are the same for every image."""
    size = float(np.abs(features_NF).max(initial=0.0))
    return float(np.abs(features_NF - features_NF.mean(0)).max(initial=0.0)) <= _CONSTANT * size


def gram(features_NF: Floats) -> Floats:
    """Return the products of the centred features of each two images, shape (N, N), for `cka`."""
    centred = features_NF - features_NF.mean(0)
    return np.asarray(centred @ centred.T)


def cka(first_NN: Floats, second_NN: Floats) -> float:
    """Return linear CKA of two features from their products (`gram`): 1 where they agree up to rotation and scale.

    The estimate is unbiased in HSIC, so that of unrelated features is around 0, and may be a little below. It is nan
    where one of them does not vary.
    """
    own = hsic(first_NN, first_NN), hsic(second_NN, second_NN)
    if min(own) <= 0:
        return math.nan
    return hsic(first_NN, second_NN) / math.sqrt(own[0] * own[1])


def hsic(first_NN: Floats, second_NN: Floats) -> float:
    """Return the unbiased estimate of HSIC (Song et al., Eq. 5) of two matrices of products, from n > 3 images."""
    n = len(first_NN)
    k, m = (matrix - np.diag(np.diag(matrix)) for matrix in (first_NN, second_NN))
    k_sums, m_sums = k.sum(0), m.sum(0)
    value = (k * m).sum() + k_sums.sum() * m_sums.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k_sums @ m_sums)
    return float(value / (n * (n - 3)))
