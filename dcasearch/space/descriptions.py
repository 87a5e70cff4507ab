"""What each key of a search space says, for editors: the words beside a key of the JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dcasearch.architecture import KINDS, ChannelMatching, dimensions
from dcasearch.config.descriptions import words_below
from dcasearch.space.list_reading import LIST

_GRAIN = "The grain of the choice: one for the network, one for each stage, or one for each block."
_FORM = "`safe` departs from the paper's formula where its denominator would pass 0; `literal` does not; default safe."
_FLAGS = {
    "stages": "One flag for each stage: whether its blocks listen.",
    "blocks": "One flag for each block: whether it listens.",
    "after_stages": "One flag for each stage: whether the attention after it listens.",
}
_WORDS: Mapping[str, str] = {
    LIST: "The rows of a list of networks, each written out.",
    "label": "The word for this network in tables and figures.",
    "against": "Label of the row that this row is compared with; else its vanilla or plain network.",
    "backbone": "The CNN that carries the attention.",
    "backbone.name": "The CNN: a prepared one, or `timm/<model>` or `torchvision/<model>` of a library.",
    "backbone.width": "Multiplier of all channels; default 1.",
    "backbone.stem": "First layers: `imagenet`, or `small` for images of about 32 pixels; default imagenet.",
    "backbone.own_attention": "What becomes of a library's own attention: kept, removed or replaced; default keep.",
    "backbone.arguments": "Arguments of a library's constructor, e.g. `{drop_path_rate: 0.1}`.",
    "backbone.trace": "Where a library's network was cut when it was stored; not written by hand.",
    "attention": "The attention on the residual branch of each block.",
    "attention.name": "The kind of attention, or `none`; `dcasearch kinds` lists the kinds.",
    "attention.granularity": _GRAIN,
    "attention.stages": "The attention of each stage, in order.",
    "attention.blocks": "The attention of each block, in order.",
    "stage_attention": "The attention after stages, beside the attention in blocks.",
    "stage_attention.name": "The kind of attention after a stage, or `none`.",
    "stage_attention.granularity": _GRAIN,
    "stage_attention.stages": "The attention after each stage, in order.",
    "attention_init": "`usual`, or `identity`: the network starts as the one without attention; default usual.",
    "init": "How parameters are drawn: `ours`, or `authors` as the released code does it; default ours.",
    "connections": "Which attention receives the attention of an earlier block, and how; `none` for vanilla attention.",
    "connections.granularity": _GRAIN,
    "connections.dimensions": "Which blocks listen, by dimension; in one that is not named every block does.",
    "connections.topology": "Who listens to whom: the block before (chain), all before (dense), a tree, or `edges`.",
    "connections.edges": "Edges of the topology `custom`, by dimension.",
    "connections.function": "How what is received and a block's own attention become one; default direct.",
    "connections.function.direct": "The sum (paper, equation 4).",
    "connections.function.weighted": "The sum weighted by its own parts (paper, equation 5).",
    **dict.fromkeys(("connections.function.weighted.form", "connections.function.form"), _FORM),
    "connections.function.softmax": "The sum with weights of a softmax over the two (paper, equation 6).",
    "connections.function.learned": "Learned mixing weights, as in the released code.",
    **dict.fromkeys(
        ("connections.function.learned.bias", "connections.function.bias"), "Whether the mixing has a bias."
    ),
    "connections.function.concat": "Both side by side through one layer.",
    "connections.function.name": "The function.",
    "connections.channel_matching": "How channels of a sender become those of a receiver; default fc.",
    "connections.channel_matching.fc": "One fully connected layer.",
    "connections.channel_matching.fc2": "Two fully connected layers with fewer channels between them.",
    "connections.channel_matching.name": "The matching.",
    "connections.spatial_matching": "How a sender's map becomes as small as a receiver's; default average.",
    "connections.coupling": "Whether a block's channel and spatial attention are sent apart, or as one map.",
    "connections.message": "What is sent: `sender` is the method; own, shuffled and constant are controls.",
    "connections.alpha": "The factor α of what is received; `learned` has none.",
    "connections.alpha.shape": "One α for each connection (scalar), or one for each channel; default scalar.",
    "connections.alpha.init": "The value that α starts at; default 1.",
    "connections.ge_message": "A form of GE-θ's message, for the paper's rows alone.",
}
_CONDITION = {
    "when": "Axes chosen before this one, each with the value or the values that make the condition true.",
    "choose": "The value, or the choices, where the condition is true.",
    "else": "The value where the condition is not true.",
}


def describe_keys(schema: dict[str, Any]) -> dict[str, Any]:
    """Put words beside every key of a search space's schema; change and return it.

    Raises:
        KeyError: a key has no words here.
    """
    words = {**_WORDS, **dict(_of_kinds()), **dict(_of_dimensions()), **dict(_of_matchings())}
    _describe(schema, "", words)
    return schema


def _describe(node: Any, path: str, words: Mapping[str, str]) -> None:
    if isinstance(node, list):
        for one in node:
            _describe(one, path, words)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key != "properties":
                _describe(value, path, words)
                continue
            for name, one in value.items():
                below = _dotted(path, name)
                said = _CONDITION[name] if name in _CONDITION else words[below]
                value[name] = {"description": said, **one}
                _describe(one, path if name in _CONDITION else below, words)


def _dotted(path: str, name: str) -> str:
    """Return a key's path without what stands around it: a row's list, the lists of stages and blocks."""
    inner = path.removesuffix(".stages").removesuffix(".blocks")
    return f"{inner}.{name}".removeprefix(".").removeprefix(f"{LIST}.")


def _of_kinds() -> Iterator[tuple[str, str]]:
    """Yield the options of all kinds; kinds whose options of one name say one thing share a sentence."""
    said: dict[str, dict[str, list[str]]] = {}
    for name, kind in KINDS.items():
        for option in kind.options:
            said.setdefault(option.name, {}).setdefault(f"{option.says}; {option.known}.", []).append(name)
    for option_name, sentences in said.items():
        words = " ".join(f"{', '.join(names)}: {sentence}" for sentence, names in sentences.items())
        yield f"attention.{option_name}", words
        yield f"stage_attention.{option_name}", words


def _of_matchings() -> Iterator[tuple[str, str]]:
    for option, words in words_below(ChannelMatching).items():
        yield from ((f"connections.channel_matching.{layers}{option}", words) for layers in ("", "fc.", "fc2."))


def _of_dimensions() -> Iterator[tuple[str, str]]:
    for dimension in dimensions():
        path = f"connections.dimensions.{dimension}"
        yield path, f"Whether blocks receive {dimension} attention; true where the attention has it."
        yield from ((f"{path}.{key}", words) for key, words in _FLAGS.items())
        yield f"connections.edges.{dimension}", "Pairs of blocks, sender and receiver, counted from 1."
