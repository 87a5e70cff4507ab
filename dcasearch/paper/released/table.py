"""The released models: what each is here, its row in the paper's tables, and the form of its file. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.paper.released import names as forms
from dcasearch.paper.released.names import Names


@dataclass(frozen=True, kw_only=True)
class Released:
    """One network that the authors' released code builds."""

    row: str
    """Its id: that of a row of the paper's tables, or `released_` and the factory where no row is this network."""
    factory: str
    """The function of the released code that builds it."""
    written: Mapping[str, Any]
    """The architecture, as in YAML."""
    names: Names = forms.PLAIN
    also: tuple[str, ...] = ()
    """Other rows of the paper's tables that are the same network."""
    note: str = ""
    """What the paper's tables do not say of it."""
    differs: str = ""
    """How this package's network computes otherwise than the released one; empty for equal networks."""
    by_rule: bool = False
    """Whether its keys were never compared with the released code: it is a file that was, at another depth."""

    @property
    def rows(self) -> tuple[str, ...]:
        """Every id that it is found by."""
        return (self.row, *self.also)

    @cached_property
    def architecture(self) -> Architecture:
        """What builds it here."""
        return Architecture.parse(self.written)


_Written = dict[str, Any]
_ONE_FC = {"fc": {"norm_act": True}}
_MIXED: _Written = {"function": "learned", "channel_matching": _ONE_FC}
"""SE and GE: 2 -> 1 convolution with bias, LayerNorm, ReLU; one FC with bias, LayerNorm, ReLU."""
_GC: _Written = {
    "function": "direct",
    "channel_matching": {
        "fc2": {"reduction": 16, "bias": True, "norm": "ln", "act": "relu", "norm_at": "inner", "min_hidden": 1}
    },
}
_UNSCALED = (
    "the released network sends SK's softmax weights T as they are, and this package sends T times G, as the paper's "
    "section 3.2 says. The weights fit, but they were trained for the other message: the outputs are not the authors'"
)
_COUPLED = (
    "the released code passes the whole gated map (coupling: coupled); the paper's row passes each dimension alone"
)
_THETA_MINUS = (
    "the released code's GE has no parameters (theta-minus, whole extent); the paper's row is theta, extent 8"
)


def _two_fc(reduction: int) -> _Written:
    matching = {"fc2": {"reduction": reduction, "norm_act": True, "min_hidden": 1}}
    return {"function": "learned", "channel_matching": matching}


def _cbam(**matching: object) -> _Written:
    fc = {**matching, "norm": "bn", "act": "relu"}
    return {"function": {"learned": {"bias": False}}, "channel_matching": {"fc": fc}, "coupling": "coupled"}


def _net(
    backbone: str, attention: str | _Written | None = None, connections: _Written | None = None, **options: object
) -> _Written:
    written: _Written = {"backbone": {"name": backbone}}
    if attention is not None:
        written["attention"] = {"name": attention, **options} if isinstance(attention, str) else attention
    return written if connections is None else {**written, "connections": connections}


def _resnets() -> list[Released]:
    files = forms.RESNET
    se, ge, cbam, sk = (files[name] for name in ("se", "ge_theta_minus", "cbam", "sk"))
    return [
        Released(row="t1_resnet50", also=("t3_resnet50",), factory="old_resnet50", written=_net("resnet50")),
        Released(
            row="t1_se_resnet50",
            also=("t2_se", "t3_se50", "t4_se"),
            factory="se_resnet50",
            written=_net("resnet50", "se"),
            names=se,
        ),
        Released(
            row="t1_dca_se_resnet50",
            also=("t2_direct", "t3_dca_se50", "t4_1fc"),
            factory="dca_se_resnet50",
            written=_net("resnet50", "se", _MIXED),
            names=se,
        ),
        Released(row="t1_sk_resnet50", factory="sk2_resnet50", written=_net("resnet50", "sk"), names=sk),
        Released(
            row="t1_dca_sk_resnet50", factory="dca_sk2_resnet50", written=_net("resnet50", "sk", _MIXED), names=sk
        ),
        Released(row="t1_gc_resnet50", factory="gc_resnet50", written=_net("resnet50", "gc"), names=files["gc"]),
        Released(
            row="t1_dca_gc_resnet50",
            factory="dca_gc_resnet50",
            written=_net("resnet50", "gc", _GC),
            names=files["connected gc"],
        ),
        Released(
            row="t1_cbam_resnet50",
            also=("t5_cbam", "t6_cbam"),
            factory="cbam_resnet50",
            written=_net("resnet50", "cbam"),
            names=cbam,
        ),
        Released(
            row="released_dca_cbam_resnet50",
            factory="dca_cbam_resnet50",
            written=_net("resnet50", "cbam", _cbam(bias=True)),
            names=cbam,
            note=_COUPLED,
        ),
        Released(
            row="released_getheta_resnet50",
            factory="getheta_resnet50",
            written=_net("resnet50", "ge_theta_minus"),
            names=ge,
            note=_THETA_MINUS,
        ),
        Released(
            row="released_dca_getheta_resnet50",
            factory="dca_getheta_resnet50",
            written=_net("resnet50", "ge_theta_minus", _MIXED),
            names=ge,
            note=_THETA_MINUS,
        ),
        *_other_depths(),
    ]


def _other_depths() -> list[Released]:
    se, small = forms.RESNET["se"], "an 18-layer network; the paper's tables have none"
    return [
        Released(row="t3_resnet101", factory="old_resnet101", written=_net("resnet101"), by_rule=True),
        Released(row="t3_se101", factory="se_resnet101", written=_net("resnet101", "se"), names=se, by_rule=True),
        Released(row="t3_dca_se101", factory="dca_se_resnet101", written=_net("resnet101", "se", _MIXED), names=se),
        Released(row="t3_resnet152", factory="old_resnet152", written=_net("resnet152"), by_rule=True),
        Released(row="t3_se152", factory="se_resnet152", written=_net("resnet152", "se"), names=se, by_rule=True),
        Released(row="t3_dca_se152", factory="dca_se_resnet152", written=_net("resnet152", "se", _MIXED), names=se),
        Released(
            row="released_se_resnet18", factory="se_resnet18", written=_net("resnet18", "se"), names=se, note=small
        ),
        Released(
            row="released_dca_se_resnet18",
            factory="dca_se_resnet18",
            written=_net("resnet18", "se", _MIXED),
            names=se,
            note=small,
        ),
        Released(
            row="released_dca_gc_resnet18",
            factory="dca_gc_resnet18",
            written=_net("resnet18", "gc", _GC),
            names=forms.RESNET["connected gc"],
            note=small,
        ),
    ]


_STACKS = (3, 3, 3, 2, 4, 1)
"""Blocks of MnasNet's six stacks."""


def _leaked(reduction: int) -> _Written:
    """Return SE as the released file builds it: `reduction` reaches the first block of each stack alone."""
    first, other = {"name": "se", "reduction": reduction}, {"name": "se", "reduction": 16}
    return {"blocks": [block for depth in _STACKS for block in (first, *[other] * (depth - 1))]}


def _mnasnets() -> list[Released]:
    name, plain, connected = "mnasnet1_0", forms.MNASNET, forms.CONNECTED_MNASNET
    return [
        Released(row="t1_mnas", factory="old_mnasnet1_0", written=_net(name)),
        Released(row="t1_se_mnas", factory="se_mnasnet1_0", written=_net(name, "se"), names=plain["se"]),
        Released(
            row="t1_dca_se_mnas",
            factory="dca_se_mnasnet1_0r8",
            written=_net(name, _leaked(8), _two_fc(8)),
            names=connected["se"],
            note="r = 8 in the SE blocks of the first block of each stack, 16 elsewhere",
        ),
        Released(
            row="released_dca_se_mnasnet1_0",
            factory="dca_se_mnasnet1_0",
            written=_net(name, "se", _two_fc(16)),
            names=connected["se"],
            note="r = 16 everywhere; the paper's row has r = 8 in first blocks",
        ),
        Released(
            row="released_cbam_mnasnet1_0",
            factory="cbam_mnasnet1_0",
            written=_net(name, "cbam", reduction=8),
            names=plain["cbam"],
            note="r = 8; the paper's row has r = 16",
        ),
        Released(
            row="released_dca_cbam_mnasnet1_0r8",
            factory="dca_cbam_mnasnet1_0r8",
            written=_net(name, "cbam", _cbam(), reduction=8),
            names=connected["cbam"],
            note=_COUPLED,
        ),
        Released(
            row="released_getheta_mnasnet1_0",
            factory="getheta_mnasnet1_0",
            written=_net(name, "ge_theta_minus"),
            names=plain["ge_theta_minus"],
            note=_THETA_MINUS,
        ),
        Released(
            row="released_dca_getheta_mnasnet1_0",
            factory="dca_getheta_mnasnet1_0",
            written=_net(name, "ge_theta_minus", _MIXED),
            names=connected["ge_theta_minus"],
            note=_THETA_MINUS,
        ),
    ]


def _mobilenets() -> list[Released]:
    name, plain, connected = "mobilenet_v2", forms.MOBILENET, forms.CONNECTED_MOBILENET
    without_bias = {"function": {"learned": {"bias": False}}, "channel_matching": _ONE_FC}
    return [
        Released(row="t1_mbv2", factory="old_mobilenet_v2", written=_net(name)),
        Released(row="t1_se_mbv2", factory="se_mobilenet_v2", written=_net(name, "se", reduction=8), names=plain["se"]),
        Released(
            row="released_dca_se_mobilenet_v2",
            factory="dca_se_mobilenet_v2",
            written=_net(name, "se", without_bias, reduction=8),
            names=connected["se"],
            note="one FC, 3.65M; the paper's row has two (3.60M)",
        ),
        Released(row="t1_sk_mbv2", factory="sk_mobilenet_v2", written=_net(name, "sk", reduction=8), names=plain["sk"]),
        Released(
            row="t1_dca_sk_mbv2",
            factory="dca_sk_mobilenet_v2",
            written=_net(name, "sk", _two_fc(8), reduction=8),
            names=connected["sk"],
            differs=_UNSCALED,
        ),
        Released(
            row="t1_cbam_mbv2",
            factory="cbam_mobilenet_v2",
            written=_net(name, "cbam", reduction=8),
            names=plain["cbam"],
        ),
        Released(
            row="released_dca_cbam_mobilenet_v2",
            factory="dca_cbam_mobilenet_v2",
            written=_net(name, "cbam", _cbam(), reduction=8),
            names=connected["cbam"],
            note=_COUPLED,
        ),
        Released(
            row="released_getheta_mobilenet_v2",
            factory="getheta_mobilenet_v2",
            written=_net(name, "ge_theta_minus"),
            names=plain["ge_theta_minus"],
            note=_THETA_MINUS,
        ),
        Released(
            row="released_dca_getheta_mobilenet_v2",
            factory="dca_getheta_mobilenet_v2",
            written=_net(name, "ge_theta_minus", _MIXED),
            names=connected["ge_theta_minus"],
            note=_THETA_MINUS,
        ),
    ]


RELEASED: tuple[Released, ...] = (*_resnets(), *_mnasnets(), *_mobilenets())
"""Every model that is imported, by backbone, in the order of Table 1."""
