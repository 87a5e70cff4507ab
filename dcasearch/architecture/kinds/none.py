"""No attention."""

from __future__ import annotations

from dcasearch.architecture.kinds.declaration import KINDS, Kind

KINDS.register("none")(Kind(title="no attention", label="–", colour="#ffffff", starts_as_identity=True))
