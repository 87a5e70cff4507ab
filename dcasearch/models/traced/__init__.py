"""Networks of timm and torchvision that nobody prepared: traced, their blocks found, attention inserted into the graph.

`libraries` builds a network, which `limited` stops where it is too large. `tracing` makes its graph, `shapes`,
`residuals` and `blocks` find the blocks in it, `placement` says where attention stands, `own_attention` takes out what
the library has there, `fingerprint` hashes the computation, and `analysis` joins all of these. `generated` inserts an
architecture's attention and runs the graph over the library's own module tree.
"""

from dcasearch.models.traced.analysis import Analysis, Sides, analysis_for, analysis_of, library_network, trace_of

__all__ = ["Analysis", "Sides", "analysis_for", "analysis_of", "library_network", "trace_of"]
