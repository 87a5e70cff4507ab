"""Each kind of attention: the equations of its paper, with the places where a connection enters.

A function gets its parameters (names without the block's prefix), a map X, its options, and `hear`: (dimension, the
tensors of G) -> f(G, αP). It returns the output and, by dimension, its message: one tensor, or one per branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, TypeAlias

import numpy as np

from tests.reference.arithmetic import (
    EPSILON,
    Array,
    Weights,
    batch_norm,
    convolution,
    fully_connected,
    layer_norm,
    mean,
    nearest,
    pooled,
    relu,
    sigmoid,
    softmax,
)

Messages: TypeAlias = dict[str, list[Array]]
Hear: TypeAlias = Callable[[str, list[Array]], list[Array]]


@dataclass(frozen=True)
class Call:
    """What a kind runs on."""

    w: Weights
    x: Any
    """A map; SK's pair of maps."""
    options: Mapping[str, Any]
    hear: Hear
    training: bool


Kind: TypeAlias = Callable[[Call], tuple[Array, Messages]]


def none(c: Call) -> tuple[Array, Messages]:
    return c.x, {}


def se(c: Call) -> tuple[Array, Messages]:
    g = mean(c.x)
    (f,) = c.hear("channel", [g])
    t = sigmoid(fully_connected(c.w, "channel.fc2", relu(fully_connected(c.w, "channel.fc1", f))))
    return c.x * t, {"channel": [t * g]}


def eca(c: Call) -> tuple[Array, Messages]:
    g = mean(c.x)
    (f,) = c.hear("channel", [g])
    kernel = c.w["channel.conv.weight"].ravel()
    half = len(kernel) // 2
    padded = np.pad(f, ((0, 0), (half, half), (0, 0), (0, 0)))
    t = sigmoid(sum(k * padded[:, n : n + f.shape[1]] for n, k in enumerate(kernel)))
    return c.x * t, {"channel": [t * g]}


def lct(c: Call) -> tuple[Array, Messages]:
    g = mean(c.x)
    (f,) = c.hear("channel", [g])
    channels = f.shape[1]
    shared = gcd(c.options.get("groups", 64), channels)
    groups = max(n for n in range(1, shared + 1) if shared % n == 0 and (channels // n >= 4 or n == 1))
    z = f.reshape(len(f), groups, -1)
    normal = (z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + EPSILON)
    a = c.w["channel.weight"] * normal.reshape(len(f), channels) + c.w["channel.bias"]
    t = sigmoid(a)[:, :, None, None]
    return c.x * t, {"channel": [t * g]}


def srm(c: Call) -> tuple[Array, Messages]:
    mu, sigma = mean(c.x), c.x.std((2, 3), keepdims=True)
    f_mu, f_sigma = c.hear("channel", [mu, sigma])
    weight = c.w["channel.fc.weight"][:, :, None, None]
    t = sigmoid(batch_norm(c.w, "channel.norm", weight[:, 0] * f_mu + weight[:, 1] * f_sigma, c.training))
    return c.x * t, {"channel": [t * mu]}


def gc(c: Call) -> tuple[Array, Messages]:
    weights = softmax(fully_connected(c.w, "channel.mask", c.x).reshape(len(c.x), -1), 1)
    g = np.einsum("bcn,bn->bc", c.x.reshape(*c.x.shape[:2], -1), weights)[:, :, None, None]
    (f,) = c.hear("channel", [g])
    hidden = relu(layer_norm(c.w, "channel.norm", fully_connected(c.w, "channel.fc1", f)))
    t = fully_connected(c.w, "channel.fc2", hidden)
    return c.x + t, {"channel": [t]}


def non_local(c: Call) -> tuple[Array, Messages]:
    images, channels, height, width = c.x.shape
    theta, phi = (
        fully_connected(c.w, f"channel.{name}", c.x).reshape(images, -1, height * width) for name in ("theta", "phi")
    )
    a = softmax(np.einsum("bhi,bhj->bij", theta, phi, optimize=True), 2)
    attended = np.einsum("bij,bcj->bci", a, c.x.reshape(images, channels, -1), optimize=True).reshape(c.x.shape)
    g = mean(attended)
    (f,) = c.hear("channel", [g])
    y = fully_connected(c.w, "channel.value", attended - g + f)
    norm = {name.replace("affine", "norm"): value for name, value in c.w.items()}
    t = batch_norm(norm, "channel.norm", fully_connected(c.w, "channel.out", y), c.training)
    return c.x + t, {"channel": [mean(t)]}


def ge(c: Call) -> tuple[Array, Messages]:
    extent = c.options.get("extent", None if "channel.gather.0.weight" not in c.w else 8)
    g = c.x
    if "channel.gather.0.weight" in c.w:
        for n in range(0, 2 * (extent.bit_length() - 1), 2):
            g = convolution(c.w, f"channel.gather.{n}", g, stride=2)
            g = batch_norm(c.w, f"channel.gather.{n + 1}", g, c.training)
    else:
        g = mean(c.x) if extent is None else _averages(c.x, extent)
    (f,) = c.hear("channel", [g])
    if "channel.excite.fc1.weight" in c.w:
        f = fully_connected(c.w, "channel.excite.fc2", relu(fully_connected(c.w, "channel.excite.fc1", f)))
    t = sigmoid(f)
    return c.x * nearest(t, *c.x.shape[2:]), {"channel": [t * g]}


def _averages(x: Array, extent: int) -> Array:
    return pooled(x, 2 * extent - 1, extent, pad=extent - 1)


def sk(c: Call) -> tuple[Array, Messages]:
    g = [mean(branch) for branch in c.x]
    first, second = c.hear("channel", g)
    hidden = relu(batch_norm(c.w, "channel.norm", fully_connected(c.w, "channel.fc1", first + second), c.training))
    logits = np.stack(np.split(fully_connected(c.w, "channel.fc2", hidden), 2, 1))
    t = softmax(logits, 0)
    return t[0] * c.x[0] + t[1] * c.x[1], {"channel": [t[0] * g[0], t[1] * g[1]]}


def cbam(c: Call) -> tuple[Array, Messages]:
    average, maximum = mean(c.x), c.x.max((2, 3), keepdims=True)
    z = sum(
        fully_connected(c.w, "channel.fc2", relu(fully_connected(c.w, "channel.fc1", f)))
        for f in c.hear("channel", [average, maximum])
    )
    t = sigmoid(z)
    gated = c.x * t
    g = np.concatenate((gated.max(1, keepdims=True), gated.mean(1, keepdims=True)), 1)
    (f,) = c.hear("spatial", [g])
    s = sigmoid(batch_norm(c.w, "spatial.norm", convolution(c.w, "spatial.conv", f), c.training))
    return gated * s, {"channel": [t * average], "spatial": [s * g]}


def bam(c: Call) -> tuple[Array, Messages]:
    """Both branches gate one map: X (1 + σ(Mc + Ms))."""
    g = mean(c.x)
    plane = c.x
    for convolve, norm in (("reduce", "norm"), ("conv1", "norm1"), ("conv2", "norm2")):
        dilation = 1 if convolve == "reduce" else c.options.get("dilation", 4)
        plane = convolution(c.w, f"spatial.layers.{convolve}", plane, dilation=dilation)
        plane = plane + c.w[f"spatial.layers.{convolve}.bias"][:, None, None]
        plane = relu(batch_norm(c.w, f"spatial.layers.{norm}", plane, c.training))
    plane = fully_connected(c.w, "spatial.layers.plane", plane)
    (f_c,), (f_s,) = c.hear("channel", [g]), c.hear("spatial", [plane])
    hidden = relu(batch_norm(c.w, "channel.norm", fully_connected(c.w, "channel.fc1", f_c), c.training))
    m_c = fully_connected(c.w, "channel.fc2", hidden)
    messages = {"channel": [sigmoid(m_c) * g], "spatial": [sigmoid(f_s) * plane]}
    return c.x * (1 + sigmoid(m_c + f_s)), messages


def sge(c: Call) -> tuple[Array, Messages]:
    groups = len(c.w["spatial.weight"])
    x = c.x.reshape(len(c.x), groups, -1, *c.x.shape[2:])
    g = (x * x.mean((3, 4), keepdims=True)).sum(2)
    (f,) = c.hear("spatial", [g])
    normal = (f - mean(f)) / (f.std((2, 3), keepdims=True) + EPSILON)
    t = sigmoid(c.w["spatial.weight"][:, None, None] * normal + c.w["spatial.bias"][:, None, None])
    return (x * t[:, :, None]).reshape(c.x.shape), {"spatial": [t * g]}


def coord(c: Call) -> tuple[Array, Messages]:
    z_h, z_w = c.x.mean(3, keepdims=True), c.x.mean(2, keepdims=True)
    (f_h,), (f_w,) = c.hear("height", [z_h]), c.hear("width", [z_w])
    strips = np.concatenate((f_h, f_w.swapaxes(2, 3)), 2)
    z = batch_norm(c.w, "norm", fully_connected(c.w, "conv", strips), c.training)
    f = z * np.clip(z + 3, 0, 6) / 6
    rows = c.x.shape[2]
    g_h = sigmoid(fully_connected(c.w, "height.conv", f[:, :, :rows]))
    g_w = sigmoid(fully_connected(c.w, "width.conv", f[:, :, rows:].swapaxes(2, 3)))
    return c.x * g_h * g_w, {"height": [g_h * z_h], "width": [g_w * z_w]}


def simam(c: Call) -> tuple[Array, Messages]:
    squares, variance, added = (c.x - mean(c.x)) ** 2, c.x.var((2, 3), keepdims=True), c.options.get("e_lambda", 1e-4)
    energy = 4 * (variance + added) / (squares + 2 * variance + 2 * added)
    (f,) = c.hear("neuron", [1 / energy])
    t = sigmoid(f)
    return c.x * t, {"neuron": [t / energy]}


KINDS: dict[str, Kind] = {
    "none": none,
    "se": se,
    "eca": eca,
    "lct": lct,
    "srm": srm,
    "gc": gc,
    "non_local": non_local,
    "ge_theta_minus": ge,
    "ge_theta": ge,
    "ge_theta_plus": ge,
    "sk": sk,
    "cbam": cbam,
    "bam": bam,
    "sge": sge,
    "coord": coord,
    "simam": simam,
}


@dataclass(frozen=True)
class Port:
    """What a block sends and takes in one dimension."""

    axes: str = ""
    """Which of H and W its tensors have."""
    planes: bool = False
    branches: int = 1
    scale: int = 1
    """Positions of the block's map a position of the port's."""


def ports(name: str, options: Mapping[str, Any]) -> dict[str, Port]:
    """Return a kind's dimensions."""
    if name in ("ge_theta_minus", "ge_theta", "ge_theta_plus"):
        extent = options.get("extent", None if name == "ge_theta_minus" else 8)
        return {"channel": Port() if extent is None else Port("HW", scale=extent)}
    others = {
        "none": {},
        "sk": {"channel": Port(branches=2)},
        "bam": {"channel": Port(), "spatial": Port("HW", planes=True)},
        "cbam": {"channel": Port(), "spatial": Port("HW", planes=True)},
        "sge": {"spatial": Port("HW", planes=True)},
        "coord": {"height": Port("H"), "width": Port("W")},
        "simam": {"neuron": Port("HW")},
    }
    return others.get(name, {"channel": Port()})
