"""The authors' released checkpoints: which keys they have, and how one becomes a spec with weights of this package."""
