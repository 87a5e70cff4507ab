from __future__ import annotations

from dcasearch.architecture import Architecture
from dcasearch.search.leaders import Leaders

PLAIN = Architecture.parse({"backbone": {"name": "resnet18"}})


def test_an_event_comes_whenever_the_lead_changes_in_an_objective() -> None:
    leaders = Leaders({"top1": "maximize", "macs": "minimize"})
    told = [
        [(event.label, event.fields["metric"]) for event in leaders.take(label, PLAIN, {"top1": top1, "macs": macs})]
        for label, top1, macs in (("a", 70.0, 9.0), ("b", 80.0, 9.0), ("c", 80.0, 5.0), ("d", 60.0, 6.0))
    ]
    assert told == [[("a", "top1"), ("a", "macs")], [("b", "top1")], [("c", "macs")], []]


def test_a_leader_is_named_in_words() -> None:
    (event,) = Leaders({"top1": "maximize"}).take("proxy trial 0", PLAIN, {"top1": 70.0, "epochs": 4})
    assert event.fields == {
        "metric": "top1",
        "value": 70.0,
        "direction": "maximize",
        "architecture": PLAIN.id,
        "network": "resnet18: no attention",
    }
