"""Untrained networks of a trained network's architecture: what similarity there is without any training.

To add the previous block's attention makes attentions alike by construction. A network that was never trained shows
how much. Its BatchNorm layers take their statistics from the images first: without them the depth alone would decide
how large its features are.
"""

from __future__ import annotations

import torch

from dcasearch.data import Loader
from dcasearch.interpretation.subjects import Subject
from dcasearch.models import DCANet, build_model
from dcasearch.models.functions import Learned
from dcasearch.models.layers import BatchNorm
from dcasearch.models.sites import edges_of, fusions


def untrained(subject: Subject, images: Loader, *, seed: int, with_coefficients: bool) -> DCANet:
    """Return an untrained network in evaluation mode, on the device of the trained one.

    Args:
        subject: the trained network.
        images: what BatchNorm takes its statistics from.
        seed: of the parameters.
        with_coefficients: whether the connections' coefficients (α, or the learned weights) are the trained ones. As
            drawn, a learned function starts without its messages, and α at the architecture's `alpha.init`.
    """
    trained = subject.model
    model = build_model(subject.spec.build(), subject.spec.num_classes, seed=seed)
    model.to(next(trained.parameters()).device)
    # A control's message may be a buffer. Statistics of BatchNorm are buffers too, and are taken anew below.
    model.connections.load_state_dict(dict(trained.connections.named_buffers()), strict=False)
    if with_coefficients:
        _copy_coefficients(trained, model)
    _calibrate(model, images)
    return model


@torch.no_grad()
def _copy_coefficients(source: DCANet, target: DCANet) -> None:
    for (_, _, theirs), (_, _, ours) in zip(fusions(source), fusions(target), strict=True):
        if isinstance(theirs.function, Learned) and isinstance(ours.function, Learned):
            ours.function.weight.copy_(theirs.function.weight)
        for trained, drawn in zip(edges_of(theirs).values(), edges_of(ours).values(), strict=True):
            drawn.coefficient.copy_(trained.coefficient)


@torch.no_grad()
def _calibrate(model: DCANet, images: Loader) -> None:
    """Set the statistics of every BatchNorm to the mean over the batches; leave the model in evaluation mode."""
    layers = [module for module in model.modules() if isinstance(module, BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    model.eval()  # no dropout
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    for batch, _ in images.epoch(1):
        if len(batch) > 1:  # BatchNorm needs two
            model(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.eval()
