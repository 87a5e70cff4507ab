"""dcasearch: a design-space explorer for deep connected attention.

`build_model(spec)` makes a network of an architecture, `load_model("best.yaml")` one of an exported spec with its
weights, `evaluate("best.yaml", "imagenet/")` measures one on images, `run(...)` runs a study, `load_results("name")`
shows what it has found; `Architecture` is one point of the design space, `load_spec` reads an exported model.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m dcasearch`: Python put the current folder first, where a stranger's `yaml.py` may lie. Before any
    # other import, that of `__future__` included.
    del sys.path[0]
    if (_root := __path__[0].removesuffix("dcasearch")[:-1]) not in sys.path:
        sys.path.append(_root)  # a checkout: found last

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcasearch.architecture import Architecture
    from dcasearch.export import evaluate, load_model, load_spec
    from dcasearch.models import build_model
    from dcasearch.results import load_results
    from dcasearch.study import run

__version__ = "0.1.0"
__all__ = ["Architecture", "build_model", "evaluate", "load_model", "load_results", "load_spec", "run"]

_ROOMS = {
    "Architecture": "dcasearch.architecture",
    "build_model": "dcasearch.models",
    "evaluate": "dcasearch.export",
    "load_model": "dcasearch.export",
    "load_results": "dcasearch.results",
    "load_spec": "dcasearch.export",
    "run": "dcasearch.study",
}


def __getattr__(name: str) -> Any:
    """Import a room when it is first asked for, so that `import dcasearch` does not wait for torch."""
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module 'dcasearch' has no attribute '{name}'")
