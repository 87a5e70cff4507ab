"""The paper's GFLOPs: a rule per operation, in the authors' counting convention, applied to the built network.

The authors' counter adds up, for one image, what each of their *modules* does; a functional call counts nothing.

| module | counts |
|---|---|
| convolution | its multiply-adds, and one more an output where it has a bias |
| fully connected layer | its multiply-adds alone |
| BatchNorm | 2 an element |
| ReLU, ReLU6 | 1 an element |
| pooling | 1 an *input* element |
| LayerNorm, dropout | nothing |
| sigmoid, softmax, sums, products | nothing: they are no modules, or the counter does not know them |

Our network computes some of these by functional calls, and has fully connected layers where theirs has 1x1
convolutions. `FORMS` says, for each kind of attention, what the authors' modules are. It was read from their released
code (SE, SK, GC, CBAM's gates) and is otherwise what meets the printed figures (GE, CBAM's connections).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor, nn

from dcasearch.architecture import Network
from dcasearch.architecture.kinds import cbam, gc, ge, se, sk
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.layouts import resnet
from dcasearch.errors import UserError
from dcasearch.models import DCANet
from dcasearch.models.functions import Function, LearnedChannel, LearnedPlanes

Rule: TypeAlias = Callable[[nn.Module, tuple[Any, ...], Tensor], int]
"""(module, its arguments, its output) -> operations."""


def nothing(module: nn.Module, arguments: tuple[Any, ...], y: Tensor) -> int:
    """Count nothing."""
    return 0


def each(operations: int) -> Rule:
    """Return the rule of so many operations an output element."""
    return lambda module, arguments, y: operations * y.numel()


def pooling(module: nn.Module, arguments: tuple[Any, ...], y: Tensor) -> int:
    """Count one operation an input element."""
    pooled: Tensor = arguments[0]
    return pooled.numel()


def layer(module: nn.Module, arguments: tuple[Any, ...], y: Tensor) -> int:
    """Count the multiply-adds of a convolution, or of a fully connected layer."""
    return y.numel() * module.get_parameter("weight")[0].numel()


def biased(module: nn.Module, arguments: tuple[Any, ...], y: Tensor) -> int:
    """Count a layer as a convolution: its multiply-adds, and the additions of its bias where it has one."""
    return layer(module, arguments, y) + (0 if getattr(module, "bias", None) is None else y.numel())


def mixture(module: nn.Module, arguments: tuple[Any, ...], y: Tensor) -> int:
    """Count a 1x1 convolution from G and its messages to one vector, with its bias, and the ReLU after its norm."""
    _, messages, _ = arguments
    return y.numel() * (1 + len(messages) + (getattr(module, "bias", None) is not None) + 1)


RULES: Mapping[type[nn.Module], Rule] = {
    nn.Conv2d: biased,
    nn.Linear: layer,
    nn.BatchNorm1d: each(2),
    nn.BatchNorm2d: each(2),
    nn.ReLU: each(1),
    nn.ReLU6: each(1),
    nn.MaxPool2d: pooling,
    nn.AvgPool2d: pooling,
    nn.AdaptiveAvgPool2d: pooling,
    nn.LayerNorm: nothing,
    nn.Dropout: nothing,
    nn.Identity: nothing,
    Function: nothing,
    LearnedChannel: mixture,
    LearnedPlanes: each(1),
}
"""By class, its subclasses included. `LearnedPlanes` has a ReLU; p₁ and p₂ are scalars, which count nothing."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """Where the authors' modules of one kind are not those that `RULES` takes ours for."""

    by_class: Mapping[type[nn.Module], Rule] = field(default_factory=dict)
    by_name: Mapping[str, Rule] = field(default_factory=dict)
    """By the end of a module's name: `channel.relu` or "" (all) of an attention block, `down` of an edge."""


def _squeeze_excite(network: Network) -> Form:
    """The average is a module, of as many elements as the block gives."""
    return Form(by_name={"": each(1)})


def _cbam(network: Network) -> Form:
    """Its average and its maximum over positions are modules; those over channels are not, nor are the matching's."""
    return Form(by_name={"": each(2), "down": nothing})


def _selective_kernel(network: Network) -> Form:
    """Both branches are pooled; in a connected ResNet every block pools both gated branches again for its message."""
    again = bool(network.edges) and network.backbone[0] in resnet.VARIANTS
    return Form(by_name={"branch": each(4 if again else 2), "channel.relu": nothing})


def _global_context(network: Network) -> Form:
    """Its layers, and those that match its channels, are 1x1 convolutions."""
    return Form(by_class={nn.Linear: biased})


def _as_it_is(network: Network) -> Form:
    """Every module is what `RULES` says."""
    return Form()


FORMS: Mapping[str, Callable[[Network], Form]] = {
    NO_ATTENTION: _as_it_is,
    se.NAME: _squeeze_excite,
    cbam.NAME: _cbam,
    sk.NAME: _selective_kernel,
    gc.NAME: _global_context,
    ge.THETA: _as_it_is,
}
"""The kinds that the paper's tables have."""


@contextmanager
def operations(model: DCANet) -> Iterator[list[int]]:
    """Collect what every call of the network's modules counts while the context is open; the paper prints the sum.

    The network is called with one image.

    Raises:
        UserError: it has a kind of attention that the paper's tables do not have.
    """
    counted: list[int] = []
    handles = [module.register_forward_hook(_collector(rule, counted)) for module, rule in _ruled(model)]
    try:
        yield counted
    finally:
        for handle in handles:
            handle.remove()


def _collector(rule: Rule, counted: list[int]) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        counted.append(rule(module, arguments, output if isinstance(output, Tensor) else output[0]))

    return hook


def _ruled(model: DCANet) -> Iterator[tuple[nn.Module, Rule]]:
    """Yield the modules that count, with their rules."""
    forms = {name: _form(node.kind, model.network) for name, node in zip(model.names, model.network.nodes, strict=True)}
    for name, module in model.named_modules():
        room, *path = name.split(".")
        form = forms[path[0]] if room in ("attention", "connections") and path else Form()
        rule = _rule(form, module, ".".join(path[1:]) if room == "attention" else path[-1] if len(path) > 1 else None)
        if rule is not None:
            yield module, rule


def _form(kind: str, network: Network) -> Form:
    if kind not in FORMS:
        raise UserError(f"the paper's counting convention is not known of {kind}; it is of {', '.join(sorted(FORMS))}")
    return FORMS[kind](network)


def _rule(form: Form, module: nn.Module, name: str | None) -> Rule | None:
    if name is not None and name in form.by_name:
        return form.by_name[name]
    known = {**RULES, **form.by_class}
    return next((known[one] for one in type(module).__mro__ if one in known), None)
