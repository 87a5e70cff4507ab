"""What each part of a chosen network is worth: the network again without each part, or with another choice of it.

`variants` says which networks those are, `plan` makes a study of them, `verdict` reads what the study measured.
"""

from dcasearch.ablation.plan import Plan, Protocol, fitted, plan
from dcasearch.ablation.variants import TOGGLES, Toggle, Variant, variants_of
from dcasearch.ablation.verdict import Judged, Verdict, judge

__all__ = [
    "TOGGLES",
    "Judged",
    "Plan",
    "Protocol",
    "Toggle",
    "Variant",
    "Verdict",
    "fitted",
    "judge",
    "plan",
    "variants_of",
]
