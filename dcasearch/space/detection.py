"""Whether a study's detector can stand on the networks of its space."""

from __future__ import annotations

from dcasearch.architecture import Architecture
from dcasearch.config import Document
from dcasearch.config.detector import PyramidSettings
from dcasearch.config.study import Study
from dcasearch.space.parents import may_be_constant
from dcasearch.space.space import Space


def check_detector(study: Study, space: Space, document: Document) -> None:
    """Report networks of the space that the detector cannot stand on, once for each reason."""
    if study.detector is None:
        return
    if may_be_constant(space):
        document.report(("space",), "message: constant is for classifiers, not for task detection; leave it out")
    seen: set[str] = set()
    for architecture in space.vanillas():
        why = _unfit(architecture, study.detector)
        if why is not None and why not in seen:
            seen.add(why)
            document.report(("detector",), why)


def _unfit(architecture: Architecture, settings: PyramidSettings) -> str | None:
    """Return why a network cannot carry the detector; connections make no difference."""
    network = architecture.network
    name, _, stem = network.backbone
    has = [stage.scale for stage in network.pyramid]
    missing = [scale for scale in settings.scales if scale not in has]
    if missing:
        known = ", ".join(map(str, has))
        if network.library is not None:
            return f"needs maps of scale {missing[0]}, and {name} has {known}"
        return f"needs maps of scale {missing[0]}, and {name} with stem {stem} has {known}; write stem: imagenet"
    stages = len({node.layout.stage for node in network.nodes})
    if settings.frozen_stages is not None and settings.frozen_stages > stages:
        return f"frozen_stages {settings.frozen_stages}: {name} has {stages} stages"
    return None
