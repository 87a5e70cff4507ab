"""The attention blocks, one paper a file; registered under the names of `KINDS`, and so enrolled in the tests."""

from dcasearch.models.attention.base import (
    ATTENTIONS,
    Attention,
    Extraction,
    Message,
    Messages,
    Part,
    attention_of,
)
from dcasearch.registry import import_all

import_all(__name__, __path__)

__all__ = ["ATTENTIONS", "Attention", "Extraction", "Message", "Messages", "Part", "attention_of"]
