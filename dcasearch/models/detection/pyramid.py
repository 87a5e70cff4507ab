"""A feature pyramid (Lin et al., 2017, https://arxiv.org/abs/1612.03144) over the stages of a network."""

from __future__ import annotations

from typing import Literal, Self, cast

from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, FeaturePyramidNetwork, LastLevelP6P7

from dcasearch.config.detector import PyramidSettings
from dcasearch.models.backbones import Backbone
from dcasearch.models.build import DCANet
from dcasearch.models.layers import BatchNorm


class PyramidBackbone(nn.Module):
    """A network without its classifier, and a pyramid of its last maps of each scale. Images (B, 3, H, W) -> maps.

    The maps are (B, channels, H / s, W / s), finest first, by name; with `extra` there are coarser ones. It is what
    torchvision's detectors take as a backbone.
    """

    def __init__(
        self,
        network: DCANet,
        settings: PyramidSettings,
        extra: ExtraFPNBlock | None = None,
    ) -> None:
        """Take the network over; its classifier is dropped.

        Args:
            network: is changed.
            settings: of the pyramid; their scales say which maps it takes.
            extra: makes further maps.

        Raises:
            ValueError: the network has no map of one of the scales, or fewer stages than are to be frozen.
        """
        super().__init__()
        stages = {stage.scale: stage for stage in network.pyramid}
        scales = settings.scales
        missing = [scale for scale in scales if scale not in stages]
        if missing:
            has = ", ".join(map(str, stages))
            raise ValueError(f"the network has no map of scale {missing[0]}, only of {has}; use the imagenet stem")
        network.drop_head()
        self.network, self.out_channels = network, settings.channels
        self._names = [stages[scale].name for scale in scales]
        self.fpn = FeaturePyramidNetwork([stages[scale].channels for scale in scales], settings.channels, extra)
        frozen = [] if settings.frozen_stages is None else first_parts(network, settings.frozen_stages)
        for part in frozen:
            part.requires_grad_(False)
        norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
        self._held = (*frozen, *norms) if settings.bn == "eval" else tuple(frozen)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules; those that are frozen or have fixed statistics stay in evaluation mode."""
        super().train(mode)
        for module in self._held:
            module.eval()
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps by name, finest first."""
        maps = self.network.features(images)
        pyramid: dict[str, Tensor] = self.fpn({name: maps[name] for name in self._names})
        return pyramid


def first_parts(network: DCANet, stages: int) -> list[nn.Module]:
    """Return the modules that make up the stem and the first stages, with their attention and connections.

    Args:
        network: without its head.
        stages: how many, 0 for the stem alone.

    Raises:
        ValueError: the network has fewer stages, or is a library's.
    """
    if network.network.library is not None:
        raise ValueError("stages of a library's network cannot be frozen: its graph may share modules among them")
    numbers = sorted({node.layout.stage for node in network.network.nodes})
    if not 0 <= stages <= len(numbers):
        raise ValueError(f"{stages} stages cannot be frozen: the network has {len(numbers)}")
    first = set(numbers[:stages])
    blocks = [host for host in cast(Backbone, network.backbone).blocks() if isinstance(host, nn.Module)]
    within = {id(module) for block in blocks for module in block.modules()}
    # The stem: the layers that are in no block, since the network has no head any more.
    parts = [m for m in network.backbone.modules() if id(m) not in within and not list(m.children())]
    hosts = iter(blocks)
    for name, node in zip(network.names, network.network.nodes, strict=True):
        host = None if node.after_stage else next(hosts)
        if node.layout.stage in first:
            parts += [module for module in (host, network.attention[name], network.connections[name]) if module]
    return parts


def coarser(network: DCANet, channels: int, source: Literal["C5", "P5"]) -> LastLevelP6P7:
    """Return what makes P6 and P7 by convolutions of stride 2: P6 from the network's last map, or from the pyramid's.

    torchvision tells the two apart by their numbers of channels, which may be equal; here the source is said.
    """
    block = LastLevelP6P7(network.pyramid[-1].channels if source == "C5" else channels, channels)
    block.use_P5 = source == "P5"
    return block
