"""Equal networks share an id, whatever was written; different networks never do."""

from __future__ import annotations

from typing import Any

import pytest

from dcasearch.architecture import KINDS, Architecture, vanilla_of
from dcasearch.errors import ArchitectureError
from tests.architecture.support import SE, make

USUAL, IDENTITY = {"attention_init": "usual"}, {"attention_init": "identity"}
NOBODY = {"dimensions": {"channel": False}}
CBAM = {"name": "cbam"}
THREES = {"dimensions": {"channel": {"stages": [True, True, True, True, False, True]}}}
"""All of MnasNet's stages of three blocks or fewer."""
EQUAL: dict[str, tuple[Architecture, Architecture]] = {
    "nothing said is vanilla": (make(SE), make(SE, NOBODY)),
    "nobody listens, whatever the function": (
        make(SE),
        make(SE, {**NOBODY, "function": "softmax", "topology": "tree"}),
    ),
    "nobody listens, by stage": (make(SE), make(SE, {"dimensions": {"channel": {"stages": [False] * 4}}})),
    "no attention": (make({"name": "none"}), make({"name": "none"}, {})),
    "the first block alone listens": (
        make(SE),
        make(SE, {"dimensions": {"channel": {"blocks": [True] + [False] * 7}}}),
    ),
    "tree is chain in stages of two": (make(SE, {"topology": "chain"}), make(SE, {"topology": "tree"})),
    "tree is chain in stages of three": (
        make(SE, THREES, "mnasnet1_0"),
        make(SE, {**THREES, "topology": "tree"}, "mnasnet1_0"),
    ),
    "dense is chain in stages of two": (make(SE, {}), make(SE, {"topology": "dense"})),
    "custom that spells a chain": (
        make(SE, {}),
        make(SE, {"topology": "custom", "edges": {"channel": [[n, n + 1] for n in range(1, 8)]}}),
    ),
    "one grain or another": (make(SE, {}), make(SE, {"dimensions": {"channel": {"blocks": [True] * 8}}})),
    "attention by stage": (make(SE), make({"stages": [SE] * 4})),
    "where alpha starts": (make(SE, {}), make(SE, {"alpha": {"init": 0.0}})),
    "learned owns no alpha": (
        make(SE, {"function": "learned"}),
        make(SE, {"function": "learned", "alpha": {"shape": "channel"}}),
    ),
    "the options of another matching": (
        make(SE, {"channel_matching": "fc"}),
        make(SE, {"channel_matching": {"name": "fc", "reduction": 4}}),
    ),
    "no matching between equal channels": (
        make(SE, {"dimensions": {"channel": {"stages": [True, False, False, False]}}}),
        make(SE, {"dimensions": {"channel": {"stages": [True, False, False, False]}}, "channel_matching": "fc2"}),
    ),
    "a spatial matching between vectors": (make(SE, {}), make(SE, {"spatial_matching": "max"})),
    "norm_act is short for its parts": (
        make(SE, {"channel_matching": {"fc": {"norm_act": True}}}),
        make(SE, {"channel_matching": {"fc": {"bias": True, "norm": "ln", "act": "relu"}}}),
    ),
    "reductions of one hidden width": (
        make({"name": "gc", "reduction": 128}),
        make({"name": "gc", "reduction": 256}),
    ),
    "an option at its default": (make({"name": "se"}), make({"name": "se", "reduction": 16})),
    "an option that came later, at its default": (make({"name": "gc"}), make({"name": "gc", "mask_bias": True})),
    "a message that nobody hears": (make(SE), make(SE, {**NOBODY, "message": "shuffled"})),
    "a message at its default": (make(SE, {}), make(SE, {"message": "sender"})),
    "a function at its default": (
        make(SE, {"function": "weighted"}),
        make(SE, {"function": {"weighted": {"form": "safe"}}}),
    ),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_networks_share_an_id(one: Architecture, other: Architecture) -> None:
    assert one.id == other.id
    assert one.network.canonical == other.network.canonical


DIFFERENT: dict[str, Architecture] = {
    "backbone": make(SE, {}, "resnet34"),
    "stem": make(SE, {}, {"name": "resnet18", "stem": "small"}),
    "width": make(SE, {}, {"name": "mobilenet_v2", "width": 0.5}),
    "width 1": make(SE, {}, "mobilenet_v2"),
    "vanilla": make(SE),
    "plain": make({"name": "none"}),
    "chain": make(SE, {}),
    "reduction": make({"name": "se", "reduction": 8}, {}),
    "kind": make({"name": "gc"}, {}),
    "vanilla GC": make({"name": "gc"}),
    "GC without the bias of its mask": make({"name": "gc", "mask_bias": False}),
    "extent 2": make({"name": "ge_theta", "extent": 2}),
    "extent 4": make({"name": "ge_theta", "extent": 4}),
    "a receiver less": make(SE, {"dimensions": {"channel": {"stages": [True, True, True, False]}}}),
    "another edge": make(SE, {"topology": "custom", "edges": {"channel": [[1, 3]]}}),
    **{f"function {f}": make(SE, {"function": f}) for f in ("weighted", "softmax", "learned", "concat")},
    "literal": make(SE, {"function": {"weighted": {"form": "literal"}}}),
    "bias of learned": make(SE, {"function": {"learned": {"bias": False}}}),
    "bias": make(SE, {"channel_matching": {"fc": {"bias": True}}}),
    "norm": make(SE, {"channel_matching": {"fc": {"norm": "bn"}}}),
    "fc2": make(SE, {"channel_matching": "fc2"}),
    "fc2, another reduction": make(SE, {"channel_matching": {"fc2": {"reduction": 4}}}),
    "inner norm": make(SE, {"channel_matching": {"fc2": {"norm": "ln", "norm_at": "inner"}}}),
    "norm everywhere": make(SE, {"channel_matching": {"fc2": {"norm": "ln", "norm_at": "all"}}}),
    "alpha per channel": make(SE, {"alpha": {"shape": "channel"}}),
    "cbam": make(CBAM, {}),
    "channel alone": make(CBAM, {"dimensions": {"spatial": False}}),
    "spatial alone": make(CBAM, {"dimensions": {"channel": False}}),
    "max pooling": make(CBAM, {"spatial_matching": "max"}),
    "coupled": make(CBAM, {"coupling": "coupled"}),
    **{f"message {m}": make(SE, {"message": m}) for m in ("own", "shuffled", "constant")},
}


def test_different_networks_never_share_an_id() -> None:
    ids = {name: architecture.id for name, architecture in DIFFERENT.items()}
    assert len(set(ids.values())) == len(ids)


@pytest.mark.parametrize("architecture", DIFFERENT.values(), ids=DIFFERENT)
def test_what_is_written_comes_back(architecture: Architecture) -> None:
    assert Architecture.parse(architecture.to_dict()) == architecture
    assert Architecture.parse(architecture.written_out()).id == architecture.id


def test_dense_is_not_chain_in_stages_of_three() -> None:
    assert make(SE, {}, "resnet34").id != make(SE, {"topology": "dense"}, "resnet34").id


def test_tree_is_not_chain_in_stages_of_four() -> None:
    assert make(SE, {}, "resnet34").id != make(SE, {"topology": "tree"}, "resnet34").id


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_stands_alone_and_connected(kind: str) -> None:
    vanilla, connected = make({"name": kind}), make({"name": kind}, {})
    assert (vanilla.id == connected.id) == (not KINDS[kind].dimensions)


def test_an_id_is_sixteen_hexadecimal_digits_and_the_same_in_every_process() -> None:
    """Written down once: a change of it orphans every stored result, and needs a new `CANONICAL_FORM`."""
    assert make(SE, {}).id == "70b9f1cf8e869317"


def test_ids_of_before_there_were_controls_stay() -> None:
    """Written down with the version that had none: one for each way to say how an edge is made."""
    pinned = {
        "74f624583e6c76cd": make(CBAM, {"coupling": "coupled"}),
        "48e5d8ea478ad242": make(
            CBAM, {"function": "learned", "topology": "dense", "channel_matching": "fc2"}, "mobilenet_v2"
        ),
        "87e5403f0f1d8824": make({"name": "gc"}),
        "1dd18d95c839af44": make({"name": "none"}),
    }
    assert [architecture.id for architecture in pinned.values()] == list(pinned)


def test_the_authors_way_to_start_is_another_architecture_and_ours_is_not() -> None:
    written = {"backbone": {"name": "resnet18"}, "attention": SE}
    plain, ours, authors = (Architecture.parse(written | more) for more in ({}, {"init": "ours"}, {"init": "authors"}))
    assert plain.id == ours.id != authors.id
    assert vanilla_of(Architecture.parse(written | {"init": "authors", "connections": {}})).id == authors.id
    assert Architecture.parse(authors.to_dict()) == authors
    assert Architecture.parse(authors.written_out()) == authors
    assert "init" not in ours.written_out()


def test_attention_that_starts_as_the_identity_is_another_architecture() -> None:
    """It has a learnable scalar more; where that starts and what becomes of it is in no id."""
    written = {"backbone": {"name": "resnet18"}, "attention": SE}
    plain, usual, identity = (Architecture.parse(written | more) for more in ({}, USUAL, IDENTITY))
    assert plain.id == usual.id != identity.id == "72d114ebb8ccef03"
    assert Architecture.parse(identity.to_dict()) == identity
    assert Architecture.parse(identity.written_out()) == identity
    assert "attention_init" not in usual.written_out()


def test_ids_of_attention_that_starts_as_the_identity_stay() -> None:
    dense = {"function": "learned", "topology": "dense", "channel_matching": "fc2"}
    connected = {"backbone": {"name": "mobilenet_v2"}, "attention": CBAM, "connections": dense}
    beside = {"backbone": {"name": "resnet18"}, "attention": {"name": "gc"}, "stage_attention": {"name": "bam"}}
    assert Architecture.parse(connected | IDENTITY).id == "11c0308697791a15"
    assert Architecture.parse(beside | IDENTITY).id == "e788fc4e3e328e27"


@pytest.mark.parametrize("attention", [{"name": "gc"}, {"name": "non_local"}, {"name": "none"}], ids=str)
def test_attention_that_is_the_identity_as_it_is_drawn_is_one_architecture(attention: dict[str, Any]) -> None:
    written = {"backbone": {"name": "resnet18"}, "attention": attention, "connections": {}}
    assert Architecture.parse(written | IDENTITY).id == Architecture.parse(written).id


def test_the_released_codes_start_is_no_identity() -> None:
    written = {"backbone": {"name": "resnet18"}, "attention": SE, "init": "authors"}
    with pytest.raises(ArchitectureError, match="identity is for init: ours"):
        Architecture.parse(written | IDENTITY)


def test_a_list_of_edges_is_read_from_yaml_and_from_json_alike() -> None:
    written: dict[str, Any] = {"topology": "custom", "edges": {"channel": [[1, 3]]}}
    assert make(SE, written).id == make(SE, {**written, "edges": {"channel": ((1, 3),)}}).id


def custom(edges: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"topology": "custom", "edges": edges, **more}


RECORDED: dict[str, tuple[Architecture, str]] = {
    "custom edges": (make(SE, custom({"channel": [[2, 8], [1, 3], [1, 8], [1, 3]]})), "0b4fa6278a13fa6c"),
    "custom edges where nobody listens": (
        make(CBAM, custom({"channel": [[1, 16]], "spatial": [[3, 4]]}, dimensions={"spatial": False}), "resnet50"),
        "6288f6f3cea4f03c",
    ),
    "groups": (make({"name": "sge", "groups": 48}, {"topology": "tree"}, "mobilenet_v2"), "a888b29b22affb8e"),
    "groups that leave channels": (make({"name": "lct", "groups": 12}), "5b4b882b4bafe4ca"),
}
"""With the ids of before a network's numbers had limits."""


@pytest.mark.parametrize(("architecture", "id"), RECORDED.values(), ids=RECORDED)
def test_ids_of_before_there_were_limits_stay(architecture: Architecture, id: str) -> None:
    assert architecture.id == id
