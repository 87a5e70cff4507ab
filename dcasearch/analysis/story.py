"""What a study has found, in six sentences that need no legend: every view that tells a study's result uses these.

The result is told from the final trainings where they are there, since their images chose nothing; else from the last
fidelity that has a leader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dcasearch.analysis.answers import Against, Story, duration
from dcasearch.analysis.asked import asked_of, short
from dcasearch.analysis.costs import cost_of, stored_cost
from dcasearch.analysis.measured import FINAL
from dcasearch.analysis.next_step import hidden_by_images, next_step
from dcasearch.analysis.plainly import difference_plainly, plainly
from dcasearch.analysis.power import NEEDS_SEEDS, NEEDS_SPLITS, Difference, Power
from dcasearch.analysis.standing import Compared, OverSplits, Standing
from dcasearch.analysis.story_of_list import story_of_list
from dcasearch.analysis.trust import Trust
from dcasearch.analysis.words import counts, further_splits, in_numbers
from dcasearch.architecture import Network
from dcasearch.architecture.kinds.declaration import NO_ATTENTION
from dcasearch.architecture.words import difference_of
from dcasearch.evaluation import Cost
from dcasearch.store import Store
from dcasearch.trial import State

__all__ = ["Against", "Story", "duration", "reference_of", "story_of"]


@dataclass(frozen=True)
class _Evidence:
    """What the story is told from."""

    chosen: Compared
    baselines: tuple[Compared, ...]
    power: Power | None
    fidelity: str
    """The fidelity's name, or `final`."""

    @property
    def where(self) -> str:
        """Which images the values are of."""
        if self.fidelity == FINAL:
            return "on the test images"
        return f"on the held-out images, at fidelity {self.fidelity}"


def story_of(store: Store, standing: Standing, trust: Sequence[Trust] = (), *, count: bool = False) -> Story:
    """Return what a study has found.

    Args:
        store: Its database.
        standing: Where it stands, as `standing_of` finds it.
        trust: What `trust_of` finds, where it was asked: a proxy that predicts nothing changes the next step.
        count: Count the cost of baselines where the database does not hold it; this imports torch.
    """
    if standing.table is not None:
        return story_of_list(store, standing, standing.table)
    evidence = _evidence_of(standing)
    if evidence is None:
        return _begun(store, standing)
    chosen, reference = evidence.chosen, reference_of(store, evidence.chosen, evidence.baselines)
    rest = [baseline for baseline in evidence.baselines if baseline is not reference]
    network = store.get_architecture(chosen.architecture_id).network
    ordered = [*([reference] if reference is not None else []), *rest]
    behind = None if reference is None else reference.behind
    return Story(
        asked=asked_of(standing.study),
        found=_found(network, evidence, standing),
        differs=_differs(store, network, evidence, reference),
        better=_better(evidence, reference),
        sure=_sure(evidence, reference),
        cost=_cost(store, standing, evidence, reference, count),
        next=next_step(store, standing, behind, evidence.power, trust),
        verdict="" if reference is None else _verdict(reference),
        reference="" if reference is None else reference.shown,
        chosen=chosen,
        against=tuple(_against(store, network, baseline) for baseline in ordered),
    )


def _evidence_of(standing: Standing) -> _Evidence | None:
    """Return the final trainings of the network that is chosen now, else the last fidelity with a trained leader."""
    finals = [final for final in standing.finals if final.trained]
    winner = standing.winner
    if finals and winner is not None and finals[0].architecture_id == winner.architecture.id:
        return _Evidence(finals[0], tuple(finals[1:]), standing.final_power, FINAL)
    for fidelity in reversed(standing.fidelities):
        if fidelity.leader is not None and fidelity.leader.compared:
            others = tuple(baseline for baseline in fidelity.baselines if baseline.compared)
            return _Evidence(fidelity.leader, others, fidelity.power, fidelity.name)
    return None


def reference_of(store: Store, chosen: Compared, baselines: Sequence[Compared]) -> Compared | None:
    """Return the baseline that a network is first compared with; None where none is trained.

    It has the same attention and no connections, so that the connections alone make the difference. Where no baseline
    has, it is the one with the highest mean. A baseline that is the network itself says nothing.
    """
    others = [baseline for baseline in baselines if baseline.architecture_id != chosen.architecture_id]
    if not others:
        return None
    kinds = _kinds(store.get_architecture(chosen.architecture_id).network)
    for baseline in others:
        network = store.get_architecture(baseline.architecture_id).network
        if not network.edges and _kinds(network) == kinds:
            return baseline
    return max(others, key=lambda baseline: baseline.headline.sign * baseline.mean)


def _kinds(network: Network) -> tuple[object, set[str]]:
    """Return the backbone and the kinds of attention; a block without attention counts as none of them."""
    return network.backbone, {node.kind for node in network.nodes} - {NO_ATTENTION}


def _against(store: Store, network: Network, baseline: Compared) -> Against:
    other = store.get_architecture(baseline.architecture_id).network
    return Against(
        name=baseline.shown,
        architecture_id=baseline.architecture_id,
        differs=difference_of(network, other) or "nothing: it is the same network",
        lead=in_numbers(baseline.behind),
        counts=counts(baseline.behind),
    )


# The six answers


def _found(network: Network, evidence: _Evidence, standing: Standing) -> str:
    chosen = evidence.chosen
    name = "" if chosen.label is None else f"{chosen.label}: "
    seeds = _seeds(len(chosen.seeds))
    value = f"{chosen.headline.shown(chosen.mean)} {evidence.where} ({seeds})"
    if chosen.over_splits is not None:
        value = _over_splits(chosen, chosen.over_splits)
    lead = "" if evidence.fidelity in (FINAL, standing.fidelities[-1].name) else "Leading so far: "
    return f"{lead}{name}{plainly(network)} It reaches {value}."


def _over_splits(chosen: Compared, over: OverSplits) -> str:
    """Return the mean over splits with its interval, and the value on the search's own split."""
    metric = chosen.headline
    margin = "" if over.margin is None else f" ± {metric.amount(over.margin)}"
    own = "" if over.own is None else f"; on the search's own split {metric.shown(over.own)}"
    return (
        f"{metric.shown(chosen.mean)}{margin} on the test images, the mean over {_number(over.splits, 'split')} of the "
        f"data with its 95% interval{own}"
    )


def _differs(store: Store, network: Network, evidence: _Evidence, reference: Compared | None) -> str:
    same = [b.shown for b in evidence.baselines if b.architecture_id == evidence.chosen.architecture_id]
    if same:
        return f"It is the baseline {same[0]} itself: the search found no other network that is better."
    if reference is None:
        return "No baseline is trained, so there is nothing to compare it with."
    return difference_plainly(network, store.get_architecture(reference.architecture_id).network, reference.shown)


def _verdict(other: Compared) -> str:
    """Return whether the leader is better: `yes`, `no`, or why nobody can say."""
    if other.behind is None:
        return "not known"
    if other.behind.resolved:
        return "yes" if other.headline.sign * other.behind.value > 0 else "no"
    return counts(other.behind)


def _better(evidence: _Evidence, reference: Compared | None) -> str:
    if reference is None:
        return "Not known: no other network is trained to compare it with."
    said = _told(evidence.chosen, reference, evidence.power)
    others = [b for b in evidence.baselines if b.architecture_id not in (evidence.chosen.architecture_id,)]
    strongest = max(others, key=lambda baseline: baseline.headline.sign * baseline.mean)
    if strongest is not reference and strongest.headline.sign * (strongest.mean - reference.mean) > 0:
        beside = _told(evidence.chosen, strongest, evidence.power, why=False)
        said += f" Against the baseline with the highest mean: {beside[0].lower()}{beside[1:]}"
    return said


def _told(chosen: Compared, other: Compared, power: Power | None, *, why: bool = True) -> str:
    """Return in a sentence whether the leader is better than another one; it begins with the word.

    Args:
        chosen: the leader.
        other: the other one.
        power: of the trainings; None where it is not known.
        why: whether it says why a lead is not known.
    """
    word, lead, metric = _verdict(other), other.behind, other.headline
    value = chosen.ahead_of(other) if lead is None else lead.value
    ahead = metric.sign * value > 0
    amount = (
        f"{metric.amount(abs(value))} {'ahead of' if ahead else 'behind'} {other.shown}"
        if value
        else (f"equal to {other.shown}")
    )
    if lead is None:
        return f"Not known: it is {amount}."
    if word in (NEEDS_SEEDS, NEEDS_SPLITS):
        return f"Not known yet: it is {amount}{f', but {_too_few(chosen, other, power)}' if why else ''}."
    if word not in ("yes", "no"):
        return f"Not known ({word}): it is {amount}."
    margin = "" if lead.margin is None else f" ± {metric.amount(lead.margin)}"
    if word == "yes":
        return f"Yes: it is {amount}, more than the margin of{margin}."
    if lead.resolved:
        return f"No, it is worse: {amount}, more than the margin of{margin}."
    return f"No: it is {amount}, within the margin of{margin}."


def _too_few(chosen: Compared, other: Compared, power: Power | None) -> str:
    """Return why a lead with fewer than three seeds is not known: the images are named where they alone hide it."""
    seeds = _seeds(min(len(chosen.seeds), len(other.seeds)))
    if other.behind is not None and other.behind.splits is not None:
        return f"{_number(other.behind.splits, 'split')} cannot tell that from noise"
    if power is not None and other.behind is not None and hidden_by_images(other.behind, power):
        return (
            f"{power.images:,} images cannot show a lead this small, and {seeds} each says nothing of the seeds' noise"
        )
    return f"{seeds} each cannot tell that from noise"


def _sure(evidence: _Evidence, reference: Compared | None) -> str:
    said = []
    lead = None if reference is None else reference.behind
    if reference is not None and lead is not None and lead.margin is not None:
        low, high = lead.value - lead.margin, lead.value + lead.margin
        unit = reference.headline.unit_of_differences
        numbers = f"{low:+{lead.digits}} to {high:+{lead.digits}} {unit}".rstrip().replace("-", "−")
        said.append(f"{numbers}: the 95% interval of the lead{_lacking(lead)}.")
    told = _told_apart(evidence.power, lead, evidence.chosen)
    if not told and evidence.power is not None and evidence.power.images is not None:
        told = f"{evidence.power.images:,} images."
    if lead is None or lead.seeds_known or not told:  # else the answer before says that they are too few
        repeated = evidence.chosen.over_splits is not None  # then the splits are told, and a seed is one of them
        told = told if repeated else f"{_seeds(len(evidence.chosen.seeds)).capitalize()}. {told}".rstrip()
    said.append(told)
    if evidence.fidelity == FINAL and (further := further_splits(evidence.power)) is not None:
        said.append(further)
    return " ".join(said)


def _lacking(lead: Difference) -> str:
    """Return what an interval is made of, where it does not hold everything."""
    if lead.splits is not None:
        return f" over {_number(lead.splits, 'split')}, corrected for the images that splits share"
    if lead.seeds_alone and not lead.seeds_known:
        return " by the seeds of all networks; the noise of these two is not known and may make it wider"
    if not lead.seeds_known and not lead.images_known:
        return ", by neither seeds nor images, so the true one is wider"
    if not lead.seeds_known:
        return " by the images alone; the noise between seeds is not known and makes it wider"
    if not lead.images_known:
        return " by the seeds alone; the number of images is not known, and their noise makes it wider"
    return " by the seeds alone" if lead.seeds_alone else ""


def _told_apart(power: Power | None, lead: Difference | None, chosen: Compared) -> str:
    """Return on how many images, and from which lead on two networks can be told apart here."""
    images = "" if power is None or power.images is None else f"On {power.images:,} images "
    if power is not None and power.splits is not None and images:
        images = f"On {power.splits.number} splits with {power.images:,} test images each "
    if lead is not None and lead.seeds_known and lead.margin is not None:
        at_once = f", since {lead.comparisons:,} comparisons are made at once" if lead.comparisons > 1 else ""
        told = f"only a lead above {chosen.headline.amount(lead.margin)} counts{at_once}."
        return f"{images}{told}" if images else f"{told[0].upper()}{told[1:]}"
    if power is not None and power.headline.at_least is not None:
        least = chosen.headline.amount(power.headline.at_least)
        return f"{images or 'On so few images '}a lead below {least} cannot count."
    return ""


def _cost(store: Store, standing: Standing, evidence: _Evidence, reference: Compared | None, count: bool) -> str:
    return f"{_search_cost(standing)} {_network_cost(store, standing, evidence, reference, count)}"


def _search_cost(standing: Standing) -> str:
    trials = [trial for fidelity in standing.fidelities for trial in fidelity.trials]
    trained = sum(trial.epochs > 0 and trial.state is not State.DUPLICATE for trial in trials)
    told = f"{len(trials):,} trials of all fidelities, {trained:,} of them trained"
    return f"{duration(standing.seconds)} of one worker: {told}."


def _network_cost(
    store: Store, standing: Standing, evidence: _Evidence, reference: Compared | None, count: bool
) -> str:
    study = standing.study
    own = cost_of(study, store, store.get_architecture(evidence.chosen.architecture_id))
    other: Cost | None = None
    if reference is not None:
        other = stored_cost(study, store, reference.architecture_id)
        if other is None and count:
            other = cost_of(study, store, store.get_architecture(reference.architecture_id))
    than = "" if reference is None else f" than {reference.shown}"
    params, macs = ("", "") if other is None else (_more(own.params, other.params), _more(own.macs, other.macs))
    counted = f"{short(own.params)} parameters{params and f' ({params}{than})'}, "
    counted += f"{short(own.macs)} multiply-adds{macs and f' ({macs})'}"
    side = study.fidelities[-1].resolution
    return f"The network: {counted}, for images of {side} × {side} pixels."


def _more(ours: int, theirs: int) -> str:
    """Return e.g. `2.3% more`, `25% fewer`, `3.3 times as many`."""
    if ours == theirs or not theirs:
        return "no more" if ours == theirs else "none there, more"
    if ours > 2 * theirs:
        return f"{ours / theirs:.2g} times more"
    change = 100 * abs(ours - theirs) / theirs
    return f"{change:{'.0f' if change >= 10 else '.2g'}}% {'more' if ours > theirs else 'fewer'}"


def _seeds(number: int) -> str:
    return _number(number, "seed")


def _number(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def _begun(store: Store, standing: Standing) -> Story:
    """Return the story of a study in which no network was trained to the end yet."""
    nothing = "Not known yet."
    return Story(
        asked=asked_of(standing.study),
        found="No network yet: no trial is complete.",
        differs=nothing,
        better=nothing,
        sure=nothing,
        cost=_search_cost(standing),
        next=next_step(store, standing, None, None, ()),
    )
