"""The attention blocks, one paper a file; registered under the names of `KINDS`, and so enrolled in the tests."""

from dcasearch.models.attention.base import (
    ATTENTIONS,
    AttentionBlock,
    Branch,
    Extraction,
    JointAttention,
    Message,
    Messages,
    attention_of,
)
from dcasearch.registry import import_all

import_all(__name__, __path__)

__all__ = [
    "ATTENTIONS",
    "AttentionBlock",
    "Branch",
    "Extraction",
    "JointAttention",
    "Message",
    "Messages",
    "attention_of",
]
