"""Controls: what takes the place of a sender's message, at equal parameters and multiply-adds (docs/method.md).

A control gets the sender's message and the receiver's raw G, and returns a tensor of the message's shape: a vector
(B, C'), or a map (B, C', H', W') of which H' or W' may be 1. The same matching and function follow.
`own` and `constant` read the sender's message for its shape alone, so no gradient reaches the sender through them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.kinds import Port
from dcasearch.architecture.network import Edge
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
    """The receiver's own raw G at the sender's shape: a second path from G, and nothing of the earlier block.

    Of several tensors (CBAM's average and maximum, SRM's mean and deviation) the first is taken, since that is the one
    a block sends from (`Branch.message`); it is fused with all of them, as the sender's message is. Each branch of SK
    gets its own G.
    """

    def __init__(self, sender: Port, receiver: Port) -> None:
        super().__init__()
        self._channels = None if sender.channels == receiver.channels else sender.channels
        self._sends_map, self._has_map = bool(sender.axes), bool(receiver.axes)
        self._alike = (sender.axes, sender.scale) == (receiver.axes, receiver.scale)

    def forward(self, message: Tensor, own: Tensor) -> Tensor:
        """Return the receiver's G, averaged adaptively over channels and positions; where it has fewer, repeated."""
        x = own if self._channels is None else self._averaged_channels(own, self._channels)
        if self._alike:
            return x
        if not self._sends_map:
            return x.mean((2, 3))
        if not self._has_map:
            return x[:, :, None, None].expand(-1, -1, message.shape[2], message.shape[3])
        return F.adaptive_avg_pool2d(x, (message.shape[2], message.shape[3]))

    def _averaged_channels(self, x: Tensor, channels: int) -> Tensor:
        if not self._has_map:
            return F.adaptive_avg_pool1d(x, channels)
        averaged = F.adaptive_avg_pool1d(x.flatten(2).transpose(1, 2), channels).transpose(1, 2)
        return averaged.reshape(x.shape[0], channels, x.shape[2], x.shape[3])


class Shuffled(Control):
    """The message of the next image in the batch; the last image gets that of the first. A batch of one keeps its own.

    Its distribution is the sender's, and it knows nothing of the image.

    The batch is what one call of the network sees: a rank's part, or one of its micro-batches.
    """

    def forward(self, message: Tensor, own: Tensor) -> Tensor:
        """Return the messages, rolled by one image."""
        return message.roll(-1, 0)


class Constant(Control):
    """One number per channel or plane, the same for every image and every position.

    The numbers are buffers, so they are saved with the network. Until `set_to` or a loaded state gives them, the
    network cannot be used.
    """

    values: Tensor
    measured: Tensor

    def __init__(self, channels: int, *, on_map: bool) -> None:
        super().__init__()
        self._shape = (1, channels, 1, 1) if on_map else (1, channels)
        self.register_buffer("values", torch.zeros(channels))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))
        self._usable = False
        """`measured` as a plain value: to look at a tensor would wait for the GPU, and break a compiled graph."""
        self.register_load_state_dict_post_hook(_loaded)  # type: ignore[no-untyped-call]  # torch has no types here

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
        return self.values.to(message.dtype).view(self._shape).expand_as(message)


def _loaded(control: nn.Module, incompatible: object) -> None:
    assert isinstance(control, Constant)
    control.take_note()


def control_of(edge: Edge, sender: Port, receiver: Port, map_channels: int) -> Control | None:
    """Return what takes the place of an edge's message; None where the sender's goes through.

    Args:
        edge: the connection.
        sender: the shape of the message, unless it is coupled.
        receiver: the shape of the receiver's G.
        map_channels: of a coupled message, which is a whole map.
    """
    if edge.message == "sender":
        return None
    if edge.message == "own":
        return Own(sender, receiver)
    if edge.message == "shuffled":
        return Shuffled()
    if edge.coupled:
        return Constant(map_channels, on_map=True)
    return Constant(sender.channels, on_map=bool(sender.axes))
