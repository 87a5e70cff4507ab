"""A feature pyramid (Lin et al., 2017, https://arxiv.org/abs/1612.03144) over the stages of a network."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, FeaturePyramidNetwork, LastLevelP6P7

from dcasearch.config.detector import PyramidSettings
from dcasearch.models.build import DCANet
from dcasearch.models.first_stages import first_stages
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
        if settings.frozen_stages is not None:
            first_stages(network, settings.frozen_stages).freeze(network)
        if settings.bn == "eval":
            network.hold(name for name, module in network.named_modules() if isinstance(module, BatchNorm))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps by name, finest first."""
        maps = self.network.features(images)
        pyramid: dict[str, Tensor] = self.fpn({name: maps[name] for name in self._names})
        return pyramid


def coarser(network: DCANet, channels: int, source: Literal["C5", "P5"]) -> LastLevelP6P7:
    """Return what makes P6 and P7 by convolutions of stride 2: P6 from the network's last map, or from the pyramid's.

    torchvision tells the two apart by their numbers of channels, which may be equal; here the source is said.
    """
    block = LastLevelP6P7(network.pyramid[-1].channels if source == "C5" else channels, channels)
    block.use_P5 = source == "P5"
    return block
