"""Two processes that train one network together, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.modules.batchnorm import _BatchNorm

from dcasearch.architecture import Architecture
from dcasearch.config.recipe import Rates, Recipe
from dcasearch.data import Batch
from dcasearch.errors import Preempted, TrialFailure, UserError
from dcasearch.evaluation import Evaluation
from dcasearch.training import Assignment, Ranks, Session, evaluate_weights
from dcasearch.training.checkpoint import checkpoint_path, parse_checkpoint, read_checkpoint
from dcasearch.training.failures import as_trial_failures
from dcasearch.training.loop import train_epoch
from dcasearch.training.network import TrainedNetwork
from dcasearch.training.optimizer import make_optimizer
from dcasearch.training.ranks import ALONE
from tests.training.pair import Pair, pair
from tests.training.support import CONNECTED, curve, learning, make_assignment, network_of, run
from tests.training.test_session import constant_after, constants_of

CPU = torch.device("cpu")
PLAIN = Recipe.model_validate({"momentum": 0, "weight_decay": 0, "dropout": 0.0, "label_smoothing": 0.1})
EVERYTHING: dict[str, Any] = {
    "ema": 0.5,
    "clip_norm": 1.0,
    "dropout": 0.3,
    "batch_size": 15,
    "label_smoothing": 0.1,
    "accumulate": 2,
    "mixup": 0.2,
    "cutmix": 1.0,
    "sampling": "balanced",
}


@pytest.fixture(scope="module")
def two() -> Iterator[Pair]:
    with pair() as made:
        yield made


def make(ranks: Ranks = ALONE, *, frozen: bool = False) -> TrainedNetwork:
    made = network_of(Architecture.parse(CONNECTED), PLAIN, ranks=ranks)
    if frozen:
        for module in made.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
                module.train = lambda mode=True, kept=module: kept
    return made


def batch(images: int = 7) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(images, 3, 32, 32, generator=generator), torch.arange(images) % 10


def gradients_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def running_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def one_step(ranks: Ranks, frozen: bool) -> tuple[dict[str, Tensor], dict[str, Tensor], float]:
    """Gradients and running statistics after one step at learning rate 0 on this rank's share of the batch."""
    made, (images, labels) = make(ranks, frozen=frozen), batch()
    mine = ranks.share.of(len(labels))
    optimizer = make_optimizer(made.model, PLAIN)
    trained = train_epoch(
        made, optimizer, [(images[mine], labels[mine])], lambda step: 0.0, learning(PLAIN), ranks=ranks
    )
    ranks.share_buffers(made.model)
    return gradients_of(made.model), running_of(made.model), trained.loss


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Equal but for rounding, which is relative to the largest value: BatchNorm makes many gradients nearly zero."""
    assert one.keys() == other.keys()
    scale = max(float(value.abs().max()) for value in other.values())
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=2e-6 * scale)


def loss_of(made: TrainedNetwork, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(made.forward(images), labels, label_smoothing=PLAIN.label_smoothing)


def test_gradients_are_those_of_one_process_that_runs_the_shares_one_after_another(two: Pair) -> None:
    (gradients, running, loss), (again, same, _) = two.run(one_step, False)
    made, (images, labels) = make(), batch()
    made.model.train()
    losses = []
    for mine in (slice(0, 3), slice(3, 7)):
        share = loss_of(made, images[mine], labels[mine]) * len(labels[mine]) / len(labels)
        share.backward()
        losses.append(share.item())
    assert_close(gradients, gradients_of(made.model))
    assert all(torch.equal(gradients[name], again[name]) for name in gradients)
    assert loss == pytest.approx(sum(losses), rel=1e-6)
    first = make()
    first.model.train()
    first.forward(images[:3])
    assert_close(running, running_of(first.model))
    assert all(torch.equal(running[name], same[name]) for name in running)


def step_in_micro_batches(ranks: Ranks, accumulate: int) -> tuple[dict[str, Tensor], int]:
    """Gradients after one step in micro-batches with BatchNorm frozen, and how many tensors were exchanged for them."""
    made, (images, labels) = make(ranks, frozen=True), batch()
    recipe = PLAIN.model_copy(update={"accumulate": accumulate})
    mine = ranks.share.of(len(labels))
    exchanged = 0

    def count(state, bucket):  # DDP refuses annotations that are text, as all of this module's are
        nonlocal exchanged
        exchanged += 1
        return allreduce_hook(dist.group.WORLD, bucket)

    assert made.shared is not None
    made.shared.register_comm_hook(None, count)
    optimizer = make_optimizer(made.model, recipe)
    train_epoch(made, optimizer, [(images[mine], labels[mine])], lambda step: 0.0, learning(recipe), ranks=ranks)
    return gradients_of(made.model), exchanged


@pytest.mark.parametrize("accumulate", [2, 3, 99])
def test_micro_batches_of_ranks_make_the_gradients_of_the_whole_batch_and_exchange_them_once(
    two: Pair, accumulate: int
) -> None:
    (gradients, exchanged), (again, _) = two.run(step_in_micro_batches, accumulate)
    (whole, once), _ = two.run(step_in_micro_batches, 1)
    assert_close(gradients, whole)
    assert all(torch.equal(gradients[name], again[name]) for name in gradients)
    assert exchanged == once > 0


def test_micro_batches_make_the_gradients_of_the_whole_batch_where_batch_norm_is_frozen() -> None:
    found = []
    for accumulate in (1, 3):
        made, recipe = make(frozen=True), PLAIN.model_copy(update={"accumulate": accumulate})
        train_epoch(made, make_optimizer(made.model, recipe), [batch()], lambda step: 0.0, learning(recipe))
        found.append(gradients_of(made.model))
    assert_close(found[1], found[0])


def test_with_batch_norm_frozen_gradients_are_those_of_one_process_with_the_whole_batch(two: Pair) -> None:
    (gradients, _, loss), _ = two.run(one_step, True)
    made, (images, labels) = make(frozen=True), batch()
    made.model.train()
    whole = loss_of(made, images, labels)
    whole.backward()
    assert_close(gradients, gradients_of(made.model))
    assert loss == pytest.approx(whole.item(), rel=1e-5)


FINE_TUNED = PLAIN.model_copy(update={"batchnorm": "kept", "freeze": ("stem", 1), "rates": Rates(backbone=0.1)})
BEFORE_BLOCKS = ("backbone.features.0.", "backbone.features.1.")
"""The stem and the first stage."""


def fine_tuning_step(ranks: Ranks) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """State before and after a step at learning rate 0.1 that keeps statistics and freezes stages."""
    made, (images, labels) = network_of(Architecture.parse(CONNECTED), FINE_TUNED, ranks=ranks), batch()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    mine = ranks.share.of(len(labels))
    optimizer, task = make_optimizer(made.model, FINE_TUNED), learning(FINE_TUNED)
    train_epoch(made, optimizer, [(images[mine], labels[mine])], lambda step: 0.1, task, ranks=ranks)
    return before, dict(made.model.state_dict())


def test_ranks_fine_tune_alike_and_leave_what_is_frozen_and_kept(two: Pair) -> None:
    (before, after), (_, other) = two.run(fine_tuning_step)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert not any(name.startswith(BEFORE_BLOCKS) for name in changed)
    assert not any(name.startswith("backbone.") and "running" in name for name in changed)
    assert "backbone.features.2.conv.0.1.bias" in changed
    learned = {name for name in after if "running" not in name and "num_batches" not in name}
    assert all(torch.equal(after[name], other[name]) for name in learned)


def train(
    ranks: Ranks, assignment: Assignment, folders: tuple[str, str], interrupt_at: int | None = None
) -> Evaluation | str:
    """Train to the end, or until rank 1 alone is interrupted; each rank has its own artifact store."""
    calls = iter(range(1, 10_000))

    def interrupted() -> bool:
        return ranks.rank == 1 and next(calls) == interrupt_at

    try:
        training = Session(
            assignment,
            artifacts=Path(folders[ranks.rank]),
            threads=1,
            device="cpu",
            ranks=ranks,
            interrupted=interrupted,
        )
        for _ in range(assignment.fidelity.epochs):
            training.next()
    except (Preempted, TrialFailure) as error:
        return f"{type(error).__name__}: {error}"
    return training.evaluation()


def folders(root: Path) -> tuple[str, str]:
    return str(root / "first"), str(root / "second")


@pytest.fixture(scope="module")
def together(two: Pair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Evaluation, Path]:
    """What both ranks say of one training that measures 359 images, and where it lies."""
    root = tmp_path_factory.mktemp("together")
    first, second = two.run(train, assignment(), folders(root))
    return first, second, root


def assignment() -> Assignment:
    return make_assignment(protocol="paper", recipe=EVERYTHING, epochs=2)


def test_both_ranks_measure_the_same_and_the_first_one_writes(together: tuple[Evaluation, Evaluation, Path]) -> None:
    first, second, root = together
    assert curve(first) == curve(second)
    assert first.images == run(assignment(), root / "alone").images
    assert first.provenance["ranks"] == "2"
    assert (root / "first" / str(first.weights)).is_file()
    assert checkpoint_path(first.key, root / "first").is_file()
    assert not checkpoint_path(first.key, root / "second").exists()


def test_metrics_count_every_sample_once(together: tuple[Evaluation, Evaluation, Path]) -> None:
    evaluation, _, root = together
    made = assignment()
    weights = root / "first" / str(evaluation.weights)
    alone = evaluate_weights(made.architecture, weights, made.data, "paper", resolution=16, batch_size=359)
    assert (alone["top1"], alone["top5"]) == (evaluation.last.values["top1"], evaluation.last.values["top5"])
    assert alone["loss"] == pytest.approx(evaluation.last.values["loss"], rel=1e-5)


def test_equal_tasks_give_equal_values(
    two: Pair, together: tuple[Evaluation, Evaluation, Path], tmp_path: Path
) -> None:
    again, _ = two.run(train, assignment(), folders(tmp_path))
    assert curve(again) == curve(together[0])
    assert again.weights_sha256 == together[0].weights_sha256


@pytest.mark.parametrize("call", [1, 7])
def test_ranks_give_way_together_and_go_on_at_that_very_step(
    two: Pair, together: tuple[Evaluation, Evaluation, Path], tmp_path: Path, call: int
) -> None:
    said = two.run(train, assignment(), folders(tmp_path), call)
    assert said[0] == said[1]
    assert said[0].startswith("Preempted: epoch 1: interrupted after")
    first, _ = two.run(train, assignment(), folders(tmp_path))
    assert curve(first) == curve(together[0])
    assert (first.images, first.weights_sha256) == (together[0].images, together[0].weights_sha256)


def test_fewer_ranks_go_on_with_every_image_counted(
    two: Pair, together: tuple[Evaluation, Evaluation, Path], tmp_path: Path
) -> None:
    two.run(train, assignment(), folders(tmp_path), 2)
    content = read_checkpoint(checkpoint_path(assignment().key, tmp_path / "first"))
    assert content is not None
    middle = parse_checkpoint(content, CPU).middle
    assert middle is not None
    assert [state.images for state in middle.ranks] == [14, 16]
    alone = run(assignment(), tmp_path / "first")
    assert alone.images == together[0].images
    assert alone.history[0].train_loss == pytest.approx(together[0].history[0].train_loss, rel=0.1)


@pytest.mark.slow
def test_ranks_measure_constant_messages_on_all_images_together(two: Pair, tmp_path: Path) -> None:
    made = constant_after(tmp_path / "first", epochs=1)
    first, second = two.run(train, made, folders(tmp_path))
    assert curve(first) == curve(second)
    shared = constants_of(first, tmp_path / "first")
    alone = constants_of(run(constant_after(tmp_path / "alone", epochs=1), tmp_path / "alone"), tmp_path / "alone")
    torch.testing.assert_close(shared, alone, rtol=1e-4, atol=1e-6)


def diverge(ranks: Ranks) -> str:
    """Train on a batch of which one rank's share is not finite."""
    made, (images, labels) = make(ranks), batch(6)
    mine = ranks.share.of(6)
    images[5] = float("nan")
    try:
        train_epoch(
            made,
            make_optimizer(made.model, PLAIN),
            [(images[mine], labels[mine])],
            lambda step: 0.0,
            learning(PLAIN),
            ranks=ranks,
        )
    except TrialFailure as failure:
        return failure.kind
    return "went on"


def test_a_loss_that_is_not_finite_on_one_rank_fails_on_all(two: Pair) -> None:
    assert two.run(diverge) == ["nan", "nan"]


def unreadable(ranks: Ranks) -> int:
    """Train on two batches, in the first of which one rank can read no image."""
    made, (images, labels) = make(ranks), batch(6)
    mine = ranks.share.of(6)
    first = (images[:0], labels[:0]) if ranks.rank == 1 else (images[mine], labels[mine])
    optimizer = make_optimizer(made.model, PLAIN)
    return train_epoch(
        made, optimizer, [first, (images[mine], labels[mine])], lambda step: 0.0, learning(PLAIN), ranks=ranks
    ).images


def test_a_batch_of_which_one_rank_can_read_nothing_is_left_out(two: Pair) -> None:
    assert two.run(unreadable) == [6, 6]


def leave(ranks: Ranks) -> str:
    """Rank 1 leaves; rank 0 trains on."""
    if ranks.rank == 1:
        return "left"
    try:
        with as_trial_failures():
            while True:
                ranks.sizes(1)
    except TrialFailure as failure:
        return failure.kind


def test_a_rank_that_has_gone_is_a_lost_one_and_nobody_waits_for_it(two: Pair) -> None:
    assert two.run(leave) == ["lost", "left"]


@pytest.mark.parametrize(
    ("recipe", "fidelity", "message"),
    [({"batch_size": 1}, {}, "2 ranks cannot share batches of 1"), ({}, {"train_fraction": 1e-9}, "share 1 images")],
)
def test_more_ranks_than_images_are_refused(
    tmp_path: Path, recipe: dict[str, Any], fidelity: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Session(
            make_assignment(recipe=recipe, **fidelity), artifacts=tmp_path, threads=1, device="cpu", ranks=Ranks(0, 2)
        )


def test_synchronised_batch_norm_needs_a_gpu() -> None:
    recipe = Recipe(sync_batchnorm=True)
    with pytest.raises(UserError, match=r"recipe\.sync_batchnorm, .* needs GPUs"):
        network_of(Architecture.parse(CONNECTED), recipe)
