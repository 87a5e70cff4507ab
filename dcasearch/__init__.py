"""dcasearch: a design-space explorer for deep connected attention."""

__version__ = "0.1.0"
