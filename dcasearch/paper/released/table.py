"""The released models: what each is here, its row in the paper's tables, and the form of its file. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.errors import UserError, nearest
from dcasearch.paper.released.names import (
    CONNECTED_MNASNET,
    CONNECTED_MOBILENET,
    MNASNET,
    MOBILENET,
    PLAIN,
    RESNET,
    Names,
)
from dcasearch.paper.released.unreleased import ROWS
from dcasearch.paper.rows import row_of


@dataclass(frozen=True, kw_only=True)
class Released:
    """One network that the authors' released code builds."""

    row: str
    """Its id: that of a row of the paper's tables, or `released_` and the factory where no row is this network."""
    factory: str
    """The function of the released code that builds it."""
    names: Names = PLAIN
    written: Mapping[str, Any] | None = None
    """The architecture, as in YAML; None: that of the row."""
    also: tuple[str, ...] = ()
    """Other rows of the paper's tables that are the same network."""
    note: str = ""
    """How it differs from the row of the paper's tables that it is nearest to."""
    differs: str = ""
    """How this package's network computes otherwise than the released one; empty for equal networks."""
    by_rule: bool = False
    """Whether its keys were never compared with the released code: the file was, at another depth."""

    @property
    def rows(self) -> tuple[str, ...]:
        """Every id that it is found by."""
        return (self.row, *self.also)

    @property
    def network(self) -> str:
        """Backbone, attention and whether it is connected, e.g. `resnet50, se, connected`."""
        built = self.architecture
        kind = _kind(built)
        parts = (built.backbone.name, kind if kind != NO_ATTENTION else "", "connected" if built.connections else "")
        return ", ".join(filter(None, parts))

    @cached_property
    def architecture(self) -> Architecture:
        """What builds it here."""
        return row_of(self.row).architecture if self.written is None else Architecture.parse(self.written)


_ONE_FC = {"fc": {"norm_act": True}}
_MIXED = {"function": "learned", "channel_matching": _ONE_FC}
"""SE and GE: 2 -> 1 convolution with bias, LayerNorm, ReLU; one FC with bias, LayerNorm, ReLU."""
_UNSCALED = (
    "the released network sends SK's softmax weights T as they are, and this package sends T times G, as section 3.2 "
    "of the paper says. The weights were trained for the other message, so the outputs are not those of the authors' "
    "network"
)
_COUPLED = "the released code passes the whole gated map; the paper's row passes each dimension alone"
_THETA_MINUS = "GE without parameters (theta-minus, whole extent); the paper's row is theta, extent 8"
_SMALL = "18 layers; the paper's tables have no such row"


def _cbam(**matching: object) -> dict[str, Any]:
    """Return CBAM's released connection: BatchNorm in the matching, the message is the whole gated map."""
    fc = {**matching, "norm": "bn", "act": "relu"}
    return {"function": {"learned": {"bias": False}}, "channel_matching": {"fc": fc}, "coupling": "coupled"}


def _other(
    factory: str,
    names: Names,
    note: str,
    backbone: str,
    attention: Mapping[str, Any],
    *,
    connections: Mapping[str, Any] | None = None,
) -> Released:
    """Return a released network that no row of the tables is."""
    written: dict[str, Any] = {"backbone": {"name": backbone}, "attention": attention}
    if connections is not None:
        written["connections"] = connections
    return Released(row=f"released_{factory}", factory=factory, names=names, written=written, note=note)


def _resnets() -> tuple[Released, ...]:
    se, ge, cbam, sk, gc, linked_gc = (
        RESNET[kind] for kind in ("se", "ge_theta_minus", "cbam", "sk", "gc", "connected gc")
    )
    minus = {"name": "ge_theta_minus"}
    gc_fc = {"reduction": 16, "bias": True, "norm": "ln", "act": "relu", "norm_at": "inner", "min_hidden": 1}
    gc_link = {"function": "direct", "channel_matching": {"fc2": gc_fc}}
    wide = _cbam(bias=True)
    return (
        Released(row="t1_resnet50", also=("t3_resnet50",), factory="old_resnet50"),
        Released(row="t1_se_resnet50", also=("t2_se", "t3_se50", "t4_se"), factory="se_resnet50", names=se),
        Released(
            row="t1_dca_se_resnet50", also=("t2_direct", "t3_dca_se50", "t4_1fc"), factory="dca_se_resnet50", names=se
        ),
        Released(row="t1_sk_resnet50", factory="sk2_resnet50", names=sk),
        Released(row="t1_dca_sk_resnet50", factory="dca_sk2_resnet50", names=sk),
        Released(row="t1_gc_resnet50", factory="gc_resnet50", names=gc),
        Released(row="t1_dca_gc_resnet50", factory="dca_gc_resnet50", names=linked_gc),
        Released(row="t1_cbam_resnet50", also=("t5_cbam", "t6_cbam"), factory="cbam_resnet50", names=cbam),
        _other("dca_cbam_resnet50", cbam, _COUPLED, "resnet50", {"name": "cbam"}, connections=wide),
        _other("getheta_resnet50", ge, _THETA_MINUS, "resnet50", minus),
        _other("dca_getheta_resnet50", ge, _THETA_MINUS, "resnet50", minus, connections=_MIXED),
        Released(row="t3_resnet101", factory="old_resnet101", by_rule=True),
        Released(row="t3_se101", factory="se_resnet101", names=se, by_rule=True),
        Released(row="t3_dca_se101", factory="dca_se_resnet101", names=se),
        Released(row="t3_resnet152", factory="old_resnet152", by_rule=True),
        Released(row="t3_se152", factory="se_resnet152", names=se, by_rule=True),
        Released(row="t3_dca_se152", factory="dca_se_resnet152", names=se),
        _other("se_resnet18", se, _SMALL, "resnet18", {"name": "se"}),
        _other("dca_se_resnet18", se, _SMALL, "resnet18", {"name": "se"}, connections=_MIXED),
        _other("dca_gc_resnet18", linked_gc, _SMALL, "resnet18", {"name": "gc"}, connections=gc_link),
    )


def _mnasnets() -> tuple[Released, ...]:
    name, minus, cbam = "mnasnet1_0", {"name": "ge_theta_minus"}, {"name": "cbam", "reduction": 8}
    plain, linked = MNASNET, CONNECTED_MNASNET
    two_fc = {
        "function": "learned",
        "channel_matching": {"fc2": {"reduction": 16, "norm_act": True, "min_hidden": 1}},
    }
    r16, r8 = (
        "r = 16 in every block; the paper's row has r = 8 in first blocks",
        "r = 8; the paper's row has r = 16",
    )
    return (
        Released(row="t1_mnas", factory="old_mnasnet1_0"),
        Released(row="t1_se_mnas", factory="se_mnasnet1_0", names=plain["se"]),
        Released(row="t1_dca_se_mnas", factory="dca_se_mnasnet1_0r8", names=linked["se"]),
        _other("dca_se_mnasnet1_0", linked["se"], r16, name, {"name": "se"}, connections=two_fc),
        _other("cbam_mnasnet1_0", plain["cbam"], r8, name, cbam),
        _other("dca_cbam_mnasnet1_0r8", linked["cbam"], _COUPLED, name, cbam, connections=_cbam()),
        _other("getheta_mnasnet1_0", plain["ge_theta_minus"], _THETA_MINUS, name, minus),
        _other("dca_getheta_mnasnet1_0", linked["ge_theta_minus"], _THETA_MINUS, name, minus, connections=_MIXED),
    )


def _mobilenets() -> tuple[Released, ...]:
    name, minus, cbam = "mobilenet_v2", {"name": "ge_theta_minus"}, {"name": "cbam", "reduction": 8}
    plain, linked = MOBILENET, CONNECTED_MOBILENET
    se, without_bias = {"name": "se", "reduction": 8}, {**_MIXED, "function": {"learned": {"bias": False}}}
    one_fc = "one FC (3.65M); the paper's row has two (3.60M)"
    return (
        Released(row="t1_mbv2", factory="old_mobilenet_v2"),
        Released(row="t1_se_mbv2", factory="se_mobilenet_v2", names=plain["se"]),
        _other("dca_se_mobilenet_v2", linked["se"], one_fc, name, se, connections=without_bias),
        Released(row="t1_sk_mbv2", factory="sk_mobilenet_v2", names=plain["sk"]),
        Released(row="t1_dca_sk_mbv2", factory="dca_sk_mobilenet_v2", names=linked["sk"], differs=_UNSCALED),
        Released(row="t1_cbam_mbv2", factory="cbam_mobilenet_v2", names=plain["cbam"]),
        _other("dca_cbam_mobilenet_v2", linked["cbam"], _COUPLED, name, cbam, connections=_cbam()),
        _other("getheta_mobilenet_v2", plain["ge_theta_minus"], _THETA_MINUS, name, minus),
        _other("dca_getheta_mobilenet_v2", linked["ge_theta_minus"], _THETA_MINUS, name, minus, connections=_MIXED),
    )


RELEASED: tuple[Released, ...] = (*_resnets(), *_mnasnets(), *_mobilenets())
"""Every network that can be imported, by backbone."""


def twin_of(model: Released) -> Released | None:
    """Return the other model whose file has the same keys and shapes, if there is one.

    Theta-minus has no parameters: unconnected, its checkpoint looks like the plain backbone's.
    """
    built = model.architecture
    kinds = {NO_ATTENTION, _PARAMETER_FREE} - {_kind(built)}
    if built.connections is not None or len(kinds) > 1:
        return None
    twins = (
        other
        for other in RELEASED
        if {_kind(other.architecture)} == kinds
        and other.architecture.backbone == built.backbone
        and other.architecture.connections is None
    )
    return next(twins, None)  # the deeper ResNets have no theta-minus


_PARAMETER_FREE = "ge_theta_minus"


def _kind(architecture: Architecture) -> str:
    return architecture.network.nodes[0].kind


def released_of(row: str) -> Released:
    """Return the released model of a row.

    Raises:
        UserError: no released code builds the row, or there is no such row.
    """
    by_row = {id: model for model in RELEASED for id in model.rows}
    if row in by_row:
        return by_row[row]
    importable = f"Importable: {', '.join(by_row)}."
    if row in ROWS:
        raise UserError(f"no released code builds row '{row}': {ROWS[row]}. {importable}")
    raise UserError(f"'{row}' is not a row; {nearest(row, (*by_row, *ROWS))}")
