"""Networks that are known and that no released code builds: rows of the paper, and variants by their keys. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.paper.released import names as forms
from dcasearch.paper.released.names import Names

_GE = "the released GE has no parameters (theta-minus, whole extent), and this row is theta with extent 8"
_COUPLED = "the released CBAM passes the whole gated map, and this row passes the pooled vector and the planes"
_TWO_FC = "the released ResNet file has one FC, and this row has two"
_NO_FORM = "no released code has this connection function"
_ONE_DIMENSION = (
    "the released CBAM connects both dimensions together, and this row connects one dimension or both apart"
)
ROWS: Mapping[str, str] = {
    **{f"t1_{kind}_{net}": _GE for kind in ("ge", "dca_ge") for net in ("resnet50", "mnas", "mbv2")},
    **{f"t1_dca_cbam_{net}": _COUPLED for net in ("resnet50", "mnas", "mbv2")},
    "t1_cbam_mnas": "the released file has r = 8, and this row has r = 16",
    "t1_dca_se_mbv2": "the released file has one FC without bias in the mix (3.65M), and this row has two FCs (3.60M)",
    **{f"t2_{function}": _NO_FORM for function in ("softmax", "weighted")},
    **{f"t4_2fc_r{r}": _TWO_FC for r in (16, 8, 4)},
    **{f"t5_{pooling}": _ONE_DIMENSION for pooling in ("max", "avg")},
    **{f"t6_dca_{part}": _ONE_DIMENSION for part in ("c", "s", "all")},
}
"""Row of the paper's tables -> why no released checkpoint can be it."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A network that the released code nearly builds: what its keys would be is known by the same rules."""

    name: str
    """In a sentence."""
    written: Mapping[str, Any]
    names: Names

    @cached_property
    def architecture(self) -> Architecture:
        """What would build it here."""
        return Architecture.parse(self.written)


def _variant(
    name: str, backbone: str, attention: Mapping[str, Any], names: Names, reduction: int | None = None
) -> Variant:
    written: dict[str, Any] = {"backbone": {"name": backbone}, "attention": attention}
    if reduction is not None:
        matching = {"fc2": {"reduction": reduction, "norm_act": True, "min_hidden": 1}}
        written["connections"] = {"function": "learned", "channel_matching": matching}
    return Variant(name=name, written=written, names=names)


def _first_blocks(reduction: int) -> dict[str, Any]:
    """Return SE in ResNet-50 with another reduction in the first block of each stage, as Table 4's counts say."""
    first, other = {"name": "se", "reduction": reduction}, {"name": "se", "reduction": 16}
    return {"blocks": [block for depth in (3, 4, 6, 3) for block in (first, *[other] * (depth - 1))]}


_LATER = "a network of the later README, not of the released code"
VARIANTS: tuple[Variant, ...] = (
    _variant(
        f"the 28.65M DCA-SE-ResNet50 with two FCs, r = 16: row t4_2fc_r16, {_LATER}",
        "resnet50",
        {"name": "se"},
        forms.RESNET["se"],
        16,
    ),
    *(
        _variant(
            f"the {size} DCA-SE-ResNet50 with two FCs, r = {r}: row t4_2fc_r{r}",
            "resnet50",
            _first_blocks(r),
            forms.RESNET["se"],
            r,
        )
        for r, size in ((8, "29.87M"), (4, "32.31M"))
    ),
    _variant(
        f"the 26.12M DCA-GE-minus-ResNet50 with two FCs, r = 16: {_LATER}",
        "resnet50",
        {"name": "ge_theta_minus"},
        forms.RESNET["ge_theta_minus"],
        16,
    ),
    _variant(
        "the 3.60M DCA-SE-MobileNetV2 with two FCs: row t1_dca_se_mbv2",
        "mobilenet_v2",
        {"name": "se", "reduction": 8},
        forms.CONNECTED_MOBILENET["se"],
        8,
    ),
    _variant(
        "the 4.42M CBAM-MnasNet with r = 16: row t1_cbam_mnas",
        "mnasnet1_0",
        {"name": "cbam", "reduction": 16},
        forms.MNASNET["cbam"],
    ),
    _variant(
        "a DCA-SE-ResNet18 with two FCs, r = 16: the released file has one FC",
        "resnet18",
        {"name": "se"},
        forms.RESNET["se"],
        16,
    ),
)
"""A checkpoint of one of these is named, and not imported."""
