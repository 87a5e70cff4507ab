"""The attention blocks, one paper a file; registered under the names of `KINDS`, and so enrolled in the tests."""

from dcasearch.models.attention import cbam, gc, ge, none, se, sk  # noqa: F401  # importing registers
from dcasearch.models.attention.base import ATTENTIONS, Attention, Extraction, Message, Messages, Part

__all__ = ["ATTENTIONS", "Attention", "Extraction", "Message", "Messages", "Part"]
