"""How a network is trained, as data. The shipped recipes are YAML files beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from dcasearch.architecture.specification import ClassifierInit, Frozen
from dcasearch.bounds import Longest, Within
from dcasearch.config.numbers import MAX_COST, MAX_STEPS, Epochs, PositiveRate, Rate, Size

Number = Rate
Sampling = Literal["uniform", "balanced"]
Exempt = Literal["bias", "norm", "depthwise", "connection"]
Part = Literal["backbone", "attention", "head"]
STEM = "stem"
"""What stands before the first stage."""
KEEPS = "freeze, batchnorm: kept and a backbone rate of 0 keep what is there, and random parameters know nothing"
"""Why such a recipe needs a start."""


class Schedule(Frozen):
    """The learning rate as a function of the step and of the fidelity's epochs alone."""

    name: Literal["cosine", "step"] = "cosine"
    """How the rate falls after the warm-up: along a cosine, or by `factor` every few epochs; default cosine."""
    warmup_epochs: Number = 0.0
    """Epochs in which the rate rises linearly from `warmup_start` to its peak."""
    warmup_steps: Annotated[NonNegativeInt, Within(high=10**12)] = 0
    """The same in optimiser steps; one of the two."""
    warmup_start: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.0
    """Share of the learning rate that the warm-up's first step has; 0: one increment, since a step at zero is lost."""
    every: Epochs = 30
    """step only: epochs between two drops."""
    drops: Annotated[tuple[Epochs, ...], Field(strict=False), Longest(MAX_STEPS)] = ()
    """step only: epochs after which the learning rate drops, e.g. [16, 22], in place of `every`."""
    factor: PositiveRate = 0.1
    """step only: what a drop multiplies by."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.warmup_epochs and self.warmup_steps:
            raise ValueError("warmup_epochs and warmup_steps say the same thing; leave out one of them")
        if self.warmup_start and not (self.warmup_epochs or self.warmup_steps):
            raise ValueError("warmup_start needs warmup_epochs or warmup_steps")
        if self.drops and self.name != "step":
            raise ValueError(f"drops belong to name: step, not to {self.name}")
        if list(self.drops) != sorted(set(self.drops)):
            raise ValueError(f"drops must rise: {', '.join(map(str, self.drops))}")
        return self


class Augmentation(Frozen):
    """What happens to a training image; evaluation images are only resized and cropped."""

    crop: Literal["none", "pad", "random_resized"] = "random_resized"
    """`pad`: zero-pad by an eighth and crop at random, as usual for small images."""
    area: tuple[PositiveRate, PositiveRate] = Field(default=(0.08, 1.0), strict=False)
    """random_resized only: share of the image's area."""
    aspect: tuple[PositiveRate, PositiveRate] = Field(default=(0.75, 1.3333333333333333), strict=False)
    """random_resized only: width / height."""
    flip: bool = True
    """Whether half of the training images are mirrored, left and right."""


class Rates(Frozen):
    """What the learning rate is multiplied by in each part of a network. 0 freezes the part."""

    backbone: Number = 1.0
    """The backbone's layers but the classifier. At 0 its weights stay; its statistics are `batchnorm`'s affair."""
    attention: Number = 1.0
    """Attention and connections."""
    head: Number = 1.0
    """The classifier's last layer; of a detector everything that stands on the network."""

    @property
    def by_part(self) -> Mapping[Part, float]:
        """The factors by part."""
        return {"backbone": self.backbone, "attention": self.attention, "head": self.head}

    @model_validator(mode="after")
    def _learns(self) -> Self:
        if not any(self.by_part.values()):
            raise ValueError("all rates are 0, so nothing would learn")
        return self


class Recipe(Frozen):
    """Optimiser, schedule, regularisation and augmentation of one training."""

    lr: PositiveRate = 0.1
    """Peak learning rate, not scaled by the batch."""
    batch_size: Size = 256
    """Global batch, whatever the number of devices."""
    accumulate: Size = 1
    """Micro-batches that each device makes of its part of a batch, one after another, before the one optimiser step;
    BatchNorm sees each by itself."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW; default sgd."""
    momentum: Number = 0.9
    """Of adamw: the decay of the mean gradient (β₁); β₂ is 0.999."""
    nesterov: bool = True
    """sgd only: whether the momentum is Nesterov's."""
    weight_decay: Number = 1e-4
    """Of all parameters that `decay_exempt` does not name."""
    decay_exempt: Annotated[tuple[Exempt, ...], Field(strict=False), Longest(MAX_STEPS)] = ()
    """Parameters without weight decay: biases, BatchNorm, depth-wise convolutions; `connection`: α, mixing weights and
    the s of attention that starts as the identity."""
    schedule: Schedule = Schedule()
    """How the learning rate changes over a training."""
    label_smoothing: Number = 0.0
    """Share of the target that all classes get alike; from 0 to below 1."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: an image's loss counts n / (k · n_c) times: n training images, n_c of them of the image's class, k
    classes. Measured losses are never weighted."""
    sampling: Sampling = "uniform"
    """balanced: an epoch draws as many images as it has, with replacement, and each class is equally likely."""
    mixup: Number = 0.0
    """Concentration of the Beta distribution that pairs of images are blended by; 0 blends none."""
    cutmix: Number = 0.0
    """The same for pasting a window of one image into another; where both are set, each batch gets one of them."""
    clip_norm: Annotated[float, Field(gt=0, strict=False), Within(high=MAX_COST)] | None = None
    """Largest L2 norm of the whole gradient."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per step of an exponential moving average of the weights, which is then what is evaluated."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 is autocast, where the device has it; parameters stay fp32."""
    channels_last: bool = True
    """Whether images and weights lie in memory channel by channel for each pixel, which GPUs read faster."""
    compile: bool = False
    """Whether the network is compiled (`torch.compile`): faster epochs after a slow first step."""
    cuda_graphs: bool = False
    """compile only: the kernels of a step are launched as one CUDA graph; on the CPU there are none."""
    gradient_checkpointing: bool = False
    """Each block's activations are computed again in the backward pass and not kept: less memory, about a third more
    time, equal numbers."""
    bn_momentum: Annotated[float, Field(gt=0, le=1)] | None = None
    """BatchNorm's momentum; unset keeps the backbone's (MnasNet's 3e-4 needs thousands of steps)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Before the classifier; unset keeps the backbone's."""
    classifier_init: ClassifierInit = "small"
    """How MnasNet's classifier starts below 1,000 classes: `small` so that the first loss is the logarithm of their
    number, `torchvision` as in torchvision, where it is 7 to 9 with ten classes. Other networks: torchvision's."""
    sync_batchnorm: bool = False
    """BatchNorm's statistics over the whole batch of a training that several GPUs share, not over each one's part."""
    augmentation: Augmentation = Augmentation()
    """How training images are changed at random."""
    rates: Rates = Rates()
    """Factors of the learning rate by part, e.g. {backbone: 0.1}."""
    freeze: Annotated[tuple[Literal["stem"] | Size, ...], Field(strict=False), Longest(MAX_STEPS)] = ()
    """Stages that learn nothing, with their attention and receivers, from the stem on: [stem], or [stem, 1, 2]. They
    stay in evaluation mode."""
    batchnorm: Literal["trained", "kept"] = "trained"
    """kept: the backbone's BatchNorms normalise by the statistics that they start with, in training too, and leave them
    as they are; weights and biases learn. Attention's BatchNorms are new and always train."""

    @property
    def needs_start(self) -> bool:
        """Whether it keeps something that random parameters do not have: trained layers, or statistics."""
        return bool(self.freeze) or self.batchnorm == "kept" or self.rates.backbone == 0

    def in_channels_last(self, device: str) -> bool:
        """Tell whether images and weights are laid out so on a kind of device (`cpu`, `cuda`).

        Not in bf16 on the CPU: there torch (2.9 to 2.14) leaves the gradient of a depth-wise convolution of stride 2
        undrawn where maps have one pixel: it is what was in memory.
        """
        return self.channels_last and not (device == "cpu" and self.precision == "bf16")

    @model_validator(mode="after")
    def _decays(self) -> Self:
        if self.optimizer == "adamw" and self.momentum >= 1:
            raise ValueError(f"momentum {self.momentum:g} is β₁ of adamw, which must be below 1")
        return self

    @model_validator(mode="after")
    def _freezes_from_the_stem_on(self) -> Self:
        if self.freeze and self.freeze != (STEM, *range(1, len(self.freeze))):
            written = ", ".join(map(str, self.freeze))
            raise ValueError(f"freeze: [{written}] must be the stem and the stages after it, as in [stem, 1, 2]")
        return self

    @model_validator(mode="after")
    def _balances_once(self) -> Self:
        if self.class_weights == self.sampling == "balanced":
            raise ValueError("class_weights and sampling both balance the classes; leave out one of them")
        return self

    @model_validator(mode="after")
    def _recomputes(self) -> Self:
        if self.gradient_checkpointing and self.compile:
            raise ValueError("compile decides by itself what is computed again; leave out gradient_checkpointing")
        return self

    @model_validator(mode="after")
    def _graphs(self) -> Self:
        if self.cuda_graphs and not self.compile:
            raise ValueError("cuda_graphs needs compile: true")
        if self.cuda_graphs and self.accumulate > 1:
            # A graph's outputs, the gradients among them, last until it runs again.
            raise ValueError("cuda_graphs cannot keep the gradients of several micro-batches; set accumulate: 1")
        return self
