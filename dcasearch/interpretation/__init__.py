"""What a trained network looks at, stage by stage.

`gradcam` computes the maps, `energy` measures how much of a map lies inside boxes, `pictures` reads images, and
`contact_sheet` draws maps over them.

`finding` shows validation images to a detector, and `boxes` draws what it found.

`observing` sees what attention blocks compute. `contributions` says what connections carry, `drift` how much the focus
moves from stage to stage; both end in a `dcasearch.report.readings.Reading`.
"""

from dcasearch.interpretation.gradcam import Empty, enlarge, grad_cam, min_max, top_classes

__all__ = ["Empty", "enlarge", "grad_cam", "min_max", "top_classes"]
