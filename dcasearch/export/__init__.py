"""An exported model: a YAML spec that says everything about it, and its weights (safetensors) beside it.

`export` writes the two files, `load_model` makes the network of them, `verify` rebuilds it in a new process and
holds it against every number of the spec. A spec from a stranger cannot run code: YAML is read by the safe
loader, weights are safetensors, nothing is pickled.
"""

from dcasearch.export.checks import Check
from dcasearch.export.evaluating import evaluate
from dcasearch.export.foreign import Foreign, export_foreign
from dcasearch.export.loading import load_model
from dcasearch.export.spec import Spec, load_spec
from dcasearch.export.verification import verify
from dcasearch.export.winner import export_referred, export_winner
from dcasearch.export.writing import Candidate, Exported, export

__all__ = [
    "Candidate",
    "Check",
    "Exported",
    "Foreign",
    "Spec",
    "evaluate",
    "export",
    "export_foreign",
    "export_referred",
    "export_winner",
    "load_model",
    "load_spec",
    "verify",
]
