"""Controls: what takes the place of a sender's message, at equal parameters and multiply-adds (docs/method.md).

A control gets the sender's message and the receiver's raw G, and returns a tensor of the message's shape: a vector
(B, C'), or a map (B, C', H', W') of which H' or W' may be 1. The same matching and function follow. A connection's
sender is read for its shape alone by `own` and `constant`, so no gradient reaches it through them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.specification import MessageSource
from dcasearch.errors import UserError

UNMEASURED = (
    "message: constant is not measured yet: it is the mean message of the trained vanilla parent; "
    "dcasearch.models.set_constants measures it, and `dcasearch run` and `dcasearch train` do so by themselves"
)


class Control(nn.Module, ABC):
    """What a connection brings in place of its sender's message."""

    @abstractmethod
    def forward(self, message: Tensor, own: Tensor) -> Tensor:
        """Return a tensor of the message's shape.

        Args:
            message: what the sender sends, of one branch.
            own: the receiver's raw G of the branch that receives: the tensor that the receiver would itself send from.
        """


class Own(Control):
    """The receiver's own raw G at the sender's shape: does another input at all help, or a second path from G?

    Of several tensors (CBAM's average and maximum, SRM's mean and deviation) the first is taken, since that is the one
    a block sends from (`Branch.message`); it is fused with all of them, as the sender's message is. Each branch of SK
    gets its own G.
    """

    def forward(self, message: Tensor, own: Tensor) -> Tensor:
        """Return the receiver's G, averaged adaptively."""
        return adaptive_average(own, message)


class Shuffled(Control):
    """The message of the next image in the batch, of the last image that of the first: a message of equal distribution
    that knows nothing of the image. A batch of one keeps its own.

    The batch is what one call of the network sees: a rank's part, or one of its micro-batches.
    """

    def forward(self, message: Tensor, own: Tensor) -> Tensor:
        """Return the messages, rolled by one image."""
        return message.roll(-1, 0)


class Constant(Control):
    """One number per channel or plane, the same for every image and position: does the message carry anything at all?

    The numbers are buffers, so they are saved with the network. Until `set_to` or a loaded state gives them, the
    network cannot be used.
    """

    values: Tensor
    measured: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(channels))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))
        self._usable = False
        """`measured` as a plain value: to look at a tensor would wait for the GPU, and break a compiled graph."""
        self.register_load_state_dict_post_hook(_loaded)

    def draw(self, generator: torch.Generator) -> None:
        """Forget the numbers."""
        nn.init.zeros_(self.values)
        self.measured.fill_(False)
        self._usable = False

    @torch.no_grad()
    def set_to(self, values: Tensor) -> None:
        """Take one number per channel or plane, shape (C',)."""
        self.values.copy_(values)
        self.measured.fill_(True)
        self._usable = True

    def take_note(self) -> None:
        """Read from the buffers, which have just been loaded, whether the numbers are there."""
        self._usable = not self.measured.is_meta and bool(self.measured)

    def forward(self, message: Tensor, own: Tensor) -> Tensor:
        """Return the numbers in the message's shape.

        Raises:
            UserError: they were not measured. A network without memory (on `meta`) is only counted.
        """
        if not self._usable and not message.is_meta:
            raise UserError(UNMEASURED)
        shape = (1, -1) + (1,) * (message.dim() - 2)
        return self.values.to(message.dtype).view(shape).expand_as(message)


def _loaded(control: nn.Module, incompatible: object) -> None:
    assert isinstance(control, Constant)
    control.take_note()


def adaptive_average(x: Tensor, like: Tensor) -> Tensor:
    """Return a vector or a map in the shape of another, without parameters.

    Channels and positions are averaged in windows of equal size, as by torch's adaptive pooling; where the other has
    more of them they are repeated. A vector has one position.
    """
    if x.dim() == 2:
        x = x[:, :, None, None]
    height, width = like.shape[-2:] if like.dim() == 4 else (1, 1)
    if x.shape[-2:] != (height, width):
        x = F.adaptive_avg_pool2d(x, (height, width))
    if x.shape[1] != like.shape[1]:
        x = F.adaptive_avg_pool2d(x.flatten(2).unsqueeze(1), (like.shape[1], height * width)).squeeze(1)
        x = x.unflatten(2, (height, width))
    return x.flatten(1) if like.dim() == 2 else x


def control_of(message: MessageSource, channels: int) -> Control | None:
    """Return what takes the place of a message of so many channels or planes; None where the sender's goes through."""
    if message == "sender":
        return None
    if message == "constant":
        return Constant(channels)
    return Own() if message == "own" else Shuffled()
