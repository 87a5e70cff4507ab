from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.space import Point, Space, read_space
from dcasearch.trial import Value
from tests.space.strategies import spaces

RESNET = {"name": "resnet18"}
PER_STAGE: dict[str, Any] = {"granularity": "stage", "dimensions": {"channel": [True, False]}}


def make(attention: Any, connections: Any = None, backbone: Any = RESNET) -> Space:
    written = {"backbone": backbone, "attention": attention}
    return read_space(written if connections is None else {**written, "connections": connections})


class Answers:
    """Answers every question with what is given for it, else with the first choice; remembers the questions."""

    def __init__(self, **given: Value) -> None:
        self.given, self.asked = given, dict[str, tuple[Value, ...]]()

    def __call__(self, name: str, choices: tuple[Value, ...]) -> Value:
        assert name not in self.asked
        self.asked[name] = choices
        return self.given.get(name.replace(".", "_"), choices[0])


def asked(space: Space, **given: Value) -> list[str]:
    answers = Answers(**given)
    space.sample(answers)
    return list(answers.asked)


def test_a_scalar_is_fixed_and_a_list_is_a_choice() -> None:
    space = make({"name": "se", "reduction": [4, 8]})
    answers = Answers(attention_reduction=8)
    point = space.sample(answers)
    assert answers.asked == {"attention.reduction": (4, 8)}
    assert point.params == {"attention.reduction": 8}
    assert point.architecture.to_dict()["attention"] == {"name": "se", "reduction": 8}


def test_a_list_of_one_is_not_asked() -> None:
    assert asked(make({"name": ["se"], "reduction": [4]})) == []


def test_a_condition_chooses_or_is_its_else() -> None:
    condition = {"when": {"attention.name": ["se", "gc"]}, "choose": [4, 8], "else": 16}
    space = make({"name": ["se", "gc", "cbam"], "reduction": condition})
    assert asked(space, attention_name="gc") == ["attention.name", "attention.reduction"]
    assert asked(space, attention_name="cbam") == ["attention.name"]
    fixed = space.point({"attention.name": "cbam"}).architecture
    assert fixed.attention.reduction == 16


def test_a_condition_on_a_named_option_sees_its_name() -> None:
    function = ["direct", {"weighted": {"form": "literal"}}]
    alpha = {"shape": {"when": {"connections.function": "weighted"}, "choose": ["scalar", "channel"], "else": "scalar"}}
    space = make({"name": "se"}, {"function": function, "alpha": alpha})
    assert asked(space, connections_function="weighted(form=literal)") == [
        "connections.function",
        "connections.alpha.shape",
    ]
    assert asked(space, connections_function="direct") == ["connections.function"]


def test_options_of_a_choice_are_asked_with_it_alone() -> None:
    space = make({"name": "se"}, {"channel_matching": ["fc", {"fc2": {"reduction": [4, 8], "norm_act": True}}]})
    matching, nested = "connections.channel_matching", "connections.channel_matching.fc2(norm_act=true).reduction"
    assert asked(space) == [matching]
    answers = Answers(connections_channel_matching="fc2(norm_act=true)")
    point = space.sample(answers)
    assert answers.asked == {matching: ("fc", "fc2(norm_act=true)"), nested: (4, 8)}
    connections = point.architecture.connections
    assert connections is not None
    assert (connections.channel_matching.name, connections.channel_matching.reduction) == ("fc2", 4)


def test_two_choices_of_one_name_ask_under_two_names() -> None:
    """Optuna takes no parameter whose choices change from trial to trial."""
    several = [{"fc2": {"reduction": [4, 8], "bias": True}}, {"fc2": {"reduction": [8, 16]}}]
    space = make({"name": "se"}, {"channel_matching": several})
    names = [name for name in space.parameters() if name.endswith("reduction")]
    assert names == [
        "connections.channel_matching.fc2(bias=true).reduction",
        "connections.channel_matching.fc2.reduction",
    ]


def test_options_that_no_chosen_kind_has_are_not_asked() -> None:
    space = make({"name": ["ge_theta", "se"], "reduction": [4, 8], "extent": [2, 8]})
    assert asked(space, attention_name="se") == ["attention.name", "attention.reduction"]
    assert asked(space, attention_name="ge_theta") == ["attention.name", "attention.extent"]


def test_how_to_connect_is_not_asked_where_nothing_receives() -> None:
    space = make({"name": "se"}, {**PER_STAGE, "function": ["direct", "softmax"]})
    sites = [f"connections.channel.stage{n}" for n in range(1, 5)]
    assert asked(space) == [*sites, "connections.function"]
    nobody = {site.replace(".", "_"): False for site in sites}
    answers = Answers(**nobody)
    assert space.sample(answers).architecture.connections is None
    assert list(answers.asked) == sites


def test_a_site_without_a_sender_before_it_is_not_asked() -> None:
    space = make({"granularity": "stage", "name": ["none", "se"]}, PER_STAGE)
    one = Answers(attention_name_stage3="se")
    space.sample(one)
    assert [name for name in one.asked if "connections" in name] == ["connections.channel.stage3"]
    by_block = {"granularity": "block", "dimensions": {"channel": [True, False]}}
    assert asked(make({"name": "se"}, by_block)) == [f"connections.channel.block{n:02}" for n in range(2, 9)]


def test_the_matching_of_a_dimension_is_asked_where_something_receives_in_it() -> None:
    both = {"channel": [True, False], "spatial": [True, False]}
    how = {"dimensions": both, "channel_matching": ["fc", "fc2"], "spatial_matching": ["average", "max"]}
    space = make({"name": ["cbam", "se", "ge_theta"]}, how)
    channel, spatial = "connections.channel_matching", "connections.spatial_matching"

    def matchings(**given: Value) -> list[str]:
        return [name for name in asked(space, **given) if "matching" in name]

    assert matchings() == [channel, spatial]
    assert matchings(connections_channel=False) == [spatial]
    assert matchings(connections_spatial=False) == [channel]
    assert matchings(attention_name="se") == [channel]
    assert matchings(attention_name="ge_theta") == [channel, spatial]


def test_alpha_is_asked_where_the_function_has_one() -> None:
    space = make({"name": "se"}, {"function": ["direct", "learned"], "alpha": {"shape": ["scalar", "channel"]}})
    assert "connections.alpha.shape" in asked(space)
    assert "connections.alpha.shape" not in asked(space, connections_function="learned")


def test_coupling_is_asked_of_cbam_alone() -> None:
    space = make({"name": ["se", "cbam"]}, {"coupling": ["decoupled", "coupled"]})
    assert "connections.coupling" not in asked(space)
    assert "connections.coupling" in asked(space, attention_name="cbam")


def test_a_message_is_a_choice_like_any_other() -> None:
    space = make({"name": "se"}, {"dimensions": {"channel": [True, False]}, "message": ["sender", "own", "shuffled"]})
    assert "connections.message" in asked(space)
    assert "connections.message" not in asked(space, connections_channel=False)
    found = {point.params.get("connections.message"): point.architecture for point in space.walk()}
    assert set(found) == {"sender", "own", "shuffled", None}
    assert {point.network.edges[0].message for name, point in found.items() if name} == {"sender", "own", "shuffled"}


STARTS: dict[str, Any] = {
    "backbone": {"name": "resnet18"},
    "attention": {"name": ["se", "gc", "none"]},
    "attention_init": ["usual", "identity"],
    "connections": {},
}


def test_how_attention_starts_is_asked_where_a_kind_is_not_the_identity_by_itself() -> None:
    starts = [(point.params, point.architecture.network.attention_init) for point in read_space(STARTS).enumerate()]
    assert starts == [
        ({"attention.name": "se", "attention_init": "usual"}, "usual"),
        ({"attention.name": "se", "attention_init": "identity"}, "identity"),
        ({"attention.name": "gc"}, "usual"),
        ({"attention.name": "none"}, "usual"),
    ]
    assert set(read_space(STARTS).parameters()) == {"attention.name", "attention_init"}


def test_how_attention_starts_may_depend_on_its_kind() -> None:
    start = {"when": {"attention.name": "se"}, "choose": "identity", "else": "usual"}
    space = read_space({**STARTS, "attention": {"name": ["se", "cbam"]}, "attention_init": start})
    assert [point.architecture.attention_init for point in space.enumerate()] == ["identity", "usual"]


def test_baselines_start_as_the_first_choice_says() -> None:
    space = read_space({**STARTS, "attention_init": ["identity", "usual"]})
    starts = {baseline.name: baseline.architecture.network.attention_init for baseline in space.all_baselines()}
    assert starts == {
        **dict.fromkeys(("plain", "vanilla gc", "dca gc"), "usual"),
        **dict.fromkeys(("vanilla se", "dca se"), "identity"),
    }


def test_vanilla_parents_start_as_their_children() -> None:
    space = read_space({**STARTS, "attention": {"name": "se"}, "attention_init": "identity"})
    assert [vanilla.network.attention_init for vanilla in space.vanillas()] == ["identity"]


def test_an_answer_that_is_no_choice_is_refused() -> None:
    space = make({"name": ["se", "gc"], "reduction": [4, 8]})
    with pytest.raises(UserError, match=r"attention\.name: 'see' is not a choice; did you mean 'se'\?"):
        space.point({"attention.name": "see"})
    with pytest.raises(UserError, match=r"attention\.reduction: 8\.0 is not a choice"):
        space.point({"attention.reduction": 8.0})


def test_points_are_enumerated_in_a_fixed_order_each_once() -> None:
    space = make({"name": ["se", "cbam"], "reduction": [4, 8]}, {"dimensions": {"channel": [True, False]}})
    first, again = list(space.enumerate()), list(space.enumerate())
    assert [point.params for point in first] == [point.params for point in again]
    assert len({repr(point.params) for point in first}) == len(first) == 8
    assert first[0] == space.point({})


def test_a_space_of_any_size_is_enumerated_lazily() -> None:
    space = make({"granularity": "block", "name": ["none", "se", "cbam"]}, None, {"name": "resnet152"})
    assert next(space.enumerate()).params["attention.name.block01"] == "none"


def test_no_connections_is_the_vanilla_network() -> None:
    assert make({"name": "se"}, "none").sample(Answers()).architecture.connections is None
    assert make({"name": "se"}).sample(Answers()).architecture.connections is None


def test_baselines_are_plain_vanilla_and_the_all_blocks_chain() -> None:
    space = make(
        {"name": ["none", "cbam", "se"], "reduction": [4, 8]}, {**PER_STAGE, "function": ["softmax", "direct"]}
    )
    found = {b.name: b.architecture for b in space.baselines()}
    assert list(found) == ["plain", "vanilla cbam", "dca cbam", "vanilla se", "dca se"]
    assert found["plain"].id == Architecture.parse({"backbone": RESNET}).id
    assert found["vanilla se"].attention.reduction == 4
    assert len(found["dca se"].network.edges) == 7
    assert len(found["dca cbam"].network.edges) == 14
    assert {edge.function for edge in found["dca se"].network.edges} == {"softmax"}


def test_baselines_are_those_of_every_backbone() -> None:
    names = [b.name for b in make({"name": "se"}, None, {"name": ["resnet18", "resnet34"]}).baselines()]
    assert names == ["resnet18 plain", "resnet18 vanilla se", "resnet34 plain", "resnet34 vanilla se"]


def test_baselines_may_be_chosen_by_name() -> None:
    space = make({"name": "se"}, {})
    assert [b.name for b in space.baselines(["plain", "dca se"])] == ["plain", "dca se"]
    assert space.baselines(False) == ()


def test_the_all_blocks_chain_of_a_custom_space_is_a_chain() -> None:
    space = make({"name": "se"}, {"topology": "custom", "edges": {"channel": [[1, 8]]}})
    assert len(space.sample(Answers()).architecture.network.edges) == 1
    assert len(next(b for b in space.baselines() if b.name == "dca se").architecture.network.edges) == 7


def test_a_fingerprint_does_not_see_the_order_of_keys() -> None:
    one = read_space({"backbone": RESNET, "attention": {"name": "se", "reduction": [4, 8]}})
    other = read_space({"attention": {"reduction": [4, 8], "name": "se"}, "backbone": RESNET})
    changed = read_space({"backbone": RESNET, "attention": {"name": "se", "reduction": [4, 16]}})
    assert one.fingerprint == other.fingerprint != changed.fingerprint


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(written=spaces(), seed=st.integers(0, 2**16))
def test_every_point_of_every_space_is_an_architecture_that_comes_back(written: dict[str, Any], seed: int) -> None:
    space, rng = read_space(written), random.Random(seed)
    parameters = space.parameters()
    for _ in range(3):
        point: Point = space.random(rng)
        assert space.point(point.params).architecture == point.architecture
        assert Architecture.parse(point.architecture.to_dict()).id == point.architecture.id
        for name, value in point.params.items():
            assert value in [option.label for option in parameters[name]]
    assert space.baselines()
