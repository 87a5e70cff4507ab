"""Layers in NumPy. Every tensor is (B, C, H, W); a vector has H = W = 1, a row W = 1, a column H = 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = Mapping[str, Array]
"""Parameters and buffers by name."""

EPSILON = 1e-5
"""Of every norm."""


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def mean(x: Array) -> Array:
    """Return the mean over the map (B, C, 1, 1)."""
    return x.mean((2, 3), keepdims=True)


def fully_connected(w: Weights, name: str, x: Array) -> Array:
    """Apply a linear layer, or a 1x1 convolution, at every position."""
    weight = w[f"{name}.weight"]
    y = np.einsum("oc,bchw->bohw", weight.reshape(weight.shape[:2]), x, optimize=True)
    bias = w.get(f"{name}.bias")
    return y if bias is None else y + bias[:, None, None]


def convolution(w: Weights, name: str, x: Array, *, stride: int = 1, dilation: int = 1) -> Array:
    """Apply a k x k convolution that keeps the size before its stride; groups follow from the shapes."""
    weight = w[f"{name}.weight"]
    out, per_group, *kernel = weight.shape
    groups = x.shape[1] // per_group
    pads = [dilation * (k - 1) // 2 for k in kernel]
    padded = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[0]), (pads[1], pads[1])))
    height, width = (-(-size // stride) for size in x.shape[2:])
    y = np.zeros((len(x), groups, out // groups, height, width))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation, j * dilation
            seen = padded[:, :, top : top + stride * height : stride, left : left + stride * width : stride]
            seen = seen[:, :, :height, :width].reshape(len(x), groups, per_group, height, width)
            taps = weight[:, :, i, j].reshape(groups, out // groups, per_group)
            y += np.einsum("goc,bgchw->bgohw", taps, seen, optimize=True)
    return y.reshape(len(x), out, height, width)


def batch_norm(w: Weights, name: str, x: Array, training: bool) -> Array:
    """Normalise each channel over batch and positions, or by the running statistics."""
    if training:
        mu, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    else:
        mu, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    scale = w[f"{name}.weight"] / np.sqrt(variance + EPSILON)
    return (x - mu[:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None]


def layer_norm(w: Weights, name: str, x: Array) -> Array:
    """Normalise the channels of each position."""
    centred = x - x.mean(1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(1, keepdims=True) + EPSILON)
    return normal * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def nearest(x: Array, height: int, width: int) -> Array:
    """Enlarge a map: position i shows entry floor(i · old / new)."""
    for axis, new in ((2, height), (3, width)):
        x = x.take(np.arange(new) * x.shape[axis] // new, axis)
    return x


def pooled(x: Array, kernel: int, stride: int, *, pad: int = 0, largest: bool = False) -> Array:
    """Pool cells of an axis that has more than one entry; what lies outside of the map counts for nothing."""
    reduce = np.max if largest else np.mean
    rows, columns = (_cells(size, kernel, stride, pad) for size in x.shape[2:])
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            y[:, :, i, j] = reduce(x[:, :, row, column], axis=(2, 3))
    return y


def _cells(size: int, kernel: int, stride: int, pad: int) -> list[slice]:
    if size == 1:
        return [slice(0, 1)]
    starts = (n * stride - pad for n in range(-(-size // stride)))
    return [slice(max(start, 0), min(start + kernel, size)) for start in starts]


def averaged(x: Array, axis: int, size: int) -> Array:
    """Return an axis as so many means of windows: the n-th window has every entry that the n-th share touches."""
    length = x.shape[axis]
    windows = [np.arange(n * length // size, -(-(n + 1) * length // size)) for n in range(size)]
    return np.stack([x.take(window, axis).mean(axis) for window in windows], axis)
