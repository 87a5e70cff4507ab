"""The families hold every layer of torch that derives from the private base class."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.dropout import _DropoutNd

from dcasearch.models.layers import BatchNorm, Convolution, Dropout


@pytest.mark.parametrize(("family", "base"), [(BatchNorm, _BatchNorm), (Convolution, _ConvNd), (Dropout, _DropoutNd)])
def test_a_family_holds_all_layers_of_its_kind(family: object, base: type) -> None:
    layers = {
        thing
        for name, thing in vars(nn).items()
        if inspect.isclass(thing) and issubclass(thing, base) and not name.startswith("Lazy")
    }
    assert {layer for layer in layers if not issubclass(layer, _ConvTransposeNd)} == set(get_args(family))
