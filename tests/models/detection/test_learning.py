"""A small detector learns drawn shapes: the whole way from pictures to average precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.config.detector import RetinaNetSettings
from dcasearch.config.recipe import Recipe, Schedule
from dcasearch.data.shapes_drawing import OBJECTS, draw_picture
from dcasearch.models import build_model
from dcasearch.models.detection import retinanet
from dcasearch.training.optimizer import make_optimizer, set_learning_rate
from dcasearch.training.schedule import learning_rate
from dcasearch.training.tasks.average_precision import DetectionMeter

SIDE, BATCH, EPOCHS = 128, 4, 24
NAMES = tuple(sorted(OBJECTS)[:3])
RECIPE = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-4, batch_size=BATCH, schedule=Schedule(name="cosine"))
SETTINGS = RetinaNetSettings(channels=64, convolutions=2, anchor=16, detections=100)
Pictures = list[tuple[Tensor, dict[str, Tensor]]]


def pictures(count: int, first_seed: int) -> Pictures:
    """Draw pictures of one to four of three shapes."""
    random, drawn = torch.Generator().manual_seed(first_seed), []
    for n in range(count):
        shown = torch.randint(3, (int(torch.randint(1, 5, (), generator=random)),), generator=random)
        drawing = draw_picture(first_seed + n, SIDE, tuple(NAMES[k] for k in shown.tolist()))
        labels = torch.tensor([NAMES.index(name) + 1 for name in drawing.classes])
        target = {"boxes": torch.from_numpy(drawing.boxes).float(), "labels": labels, "image_id": torch.tensor(n)}
        drawn.append((torch.from_numpy(drawing.pixels.transpose(2, 0, 1) / 255).float(), target))
    return drawn


@pytest.fixture(scope="module")
def drawn() -> tuple[Pictures, Pictures]:
    return pictures(300, 1000), pictures(60, 9000)


def measured(model: nn.Module, shown: Pictures) -> dict[str, float]:
    meter = DetectionMeter(NAMES)
    model.eval()
    with torch.no_grad():
        for image, target in shown:
            meter.update(model([image]), [target])
    return meter.compute()


def mirrored(picture: tuple[Tensor, dict[str, Tensor]], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """Return a picture, or its mirror image by a fair coin."""
    if torch.rand((), generator=generator) < 0.5:
        return picture
    image, target = picture
    x1, y1, x2, y2 = target["boxes"].unbind(1)
    return image.flip(2), {**target, "boxes": torch.stack([SIDE - x2, y1, SIDE - x1, y2], 1)}


def train(model: nn.Module, shown: Pictures) -> None:
    optimizer, steps = make_optimizer(model, RECIPE), len(shown) // BATCH
    generator = torch.Generator().manual_seed(0)
    model.train()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(shown), generator=generator).tolist()
        for step in range(steps):
            batch = [mirrored(shown[n], generator) for n in order[step * BATCH : (step + 1) * BATCH]]
            how: dict[str, Any] = {"steps_per_epoch": steps, "epochs": EPOCHS, "peak": RECIPE.lr}
            set_learning_rate(optimizer, learning_rate(epoch * steps + step, schedule=RECIPE.schedule, **how))
            optimizer.zero_grad()
            sum(model([image for image, _ in batch], [target for _, target in batch]).values()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 35)
            optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("connections", [None, {"function": "direct"}], ids=["vanilla", "connected"])
def test_retinanet_learns_drawn_shapes(connections: dict[str, Any] | None, drawn: tuple[Pictures, Pictures]) -> None:
    written = {"backbone": {"name": "resnet18", "width": 0.25}, "attention": {"name": "se"}, "connections": connections}
    torch.manual_seed(0)
    model = retinanet(build_model(written), len(NAMES), SETTINGS, SIDE)
    assert measured(model, drawn[1])["ap50"] < 10
    train(model, drawn[0])
    after = measured(model, drawn[1])
    print(f"AP {after['ap']:.1f}, AP50 {after['ap50']:.1f}")
    assert after["ap50"] > 50
