"""Networks of timm and torchvision that nobody prepared: traced, their blocks found, attention inserted into the graph.

`libraries` builds a network, `tracing` makes its graph, `shapes`, `residuals` and `blocks` find the blocks in it, and
`generated` runs a graph over the library's own module tree.
"""
