"""The connection functions f(G, αP) as the paper and the documentation print them; all tensors (B, C, H, W)."""

from __future__ import annotations

import numpy as np

from tests.reference.arithmetic import Array, Weights, batch_norm, convolution, fully_connected, layer_norm, relu


def fused(
    function: str,
    w: Weights,
    g: Array,
    messages: list[Array],
    coefficients: list[Array],
    *,
    planes: bool,
    training: bool,
) -> Array:
    """Return f(G, A).

    Args:
        function: name; `literal` is Eq. 5 as printed.
        w: the function's own parameters.
        g: the extraction.
        messages: P_j, of G's shape.
        coefficients: α_j, or the learned weights.
        planes: whether the second axis counts planes.
        training: whether a BatchNorm takes the batch's statistics.
    """
    a = sum(
        (coefficient * p for coefficient, p in zip(coefficients, messages, strict=True)),
        start=np.zeros_like(g),
    )
    if function == "direct":  # Eq. 4
        return g + a
    if function == "literal":  # Eq. 5, 0 where it divides by 0
        return np.where(g + a == 0, 0.0, (g**2 + a**2) / np.where(g + a == 0, 1.0, g + a))
    if function == "weighted":  # Eq. 5 where the signs agree, Eq. 4 where they differ
        agree = np.sign(g) * np.sign(a) >= 0
        total = np.where(agree & (g + a != 0), g + a, 1.0)
        return np.where(agree, (g**2 + a**2) / total, g + a)
    if function == "softmax":  # Eq. 6
        least = np.minimum(g, a)
        w_g, w_a = np.exp(least - g), np.exp(least - a)
        return (w_g * g + w_a * a) / (w_g + w_a)
    if function == "concat":
        return _planes_projected(w, g, a) if planes else fully_connected(w, "fc", np.concatenate((g, a), 1))
    assert function in ("learned", "learned_without_bias")
    mixed = w["weight"] * g + a
    if planes:
        return relu(batch_norm(w, "norm", mixed, training))
    return relu(layer_norm(w, "norm", mixed + w.get("bias", np.zeros(1))))


def _planes_projected(w: Weights, g: Array, a: Array) -> Array:
    """Project each plane of G with its plane of A by its own 3x3 convolution."""
    found = []
    for n in range(g.shape[1]):
        pair = np.stack((g[:, n], a[:, n]), 1)
        found.append(convolution({"conv.weight": w["conv.weight"][n : n + 1]}, "conv", pair))
    return np.concatenate(found, 1)
