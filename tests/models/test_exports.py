"""What a user does to a network beyond training it: every kind and every function bears it, pairwise over the axes."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.utils.checkpoint import checkpoint

from tests.models.samples import FUNCTIONS, KINDS, built, images, pairwise, perturb, ready, spec

pytestmark = pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")


def exported(model: nn.Module, batch: Tensor) -> Tensor:
    return torch.export.export(model, (batch,)).module()(batch)


def compiled(model: nn.Module, batch: Tensor) -> Tensor:
    torch.compiler.reset()
    return torch.compile(model, backend="aot_eager", fullgraph=True)(batch)


def inductor(model: nn.Module, batch: Tensor) -> Tensor:
    torch.compiler.reset()
    return torch.compile(model, fullgraph=True)(batch)


def traced(model: nn.Module, batch: Tensor) -> Tensor:
    return fx.symbolic_trace(model)(batch)


def copied(model: nn.Module, batch: Tensor) -> Tensor:
    return copy.deepcopy(model)(batch)


def pickled(model: nn.Module, batch: Tensor) -> Tensor:
    return pickle.loads(pickle.dumps(model))(batch)


def saved(model: nn.Module, batch: Tensor) -> Tensor:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)(batch)


def checkpointed(model: nn.Module, batch: Tensor) -> Tensor:
    return checkpoint(model, batch, use_reentrant=False)


def channels_last(model: nn.Module, batch: Tensor) -> Tensor:
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    return last(batch.to(memory_format=torch.channels_last))


def in_bf16(model: nn.Module, batch: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return model(batch).float()


EXACT: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "export": exported,
    "compile": compiled,
    "fx": traced,
    "deepcopy": copied,
    "pickle": pickled,
    "save": saved,
    "checkpoint": checkpointed,
}
"""They give the logits of the network to the last bits."""
CLOSE = {"channels_last": (channels_last, 1e-3), "bf16": (in_bf16, 0.3)}
"""They round otherwise; by how much of the largest logit."""
ROWS = pairwise(
    {
        "tool": [*EXACT, *CLOSE],
        "kind": list(KINDS),
        "function": list(FUNCTIONS),
        "topology": ["chain", "dense", "tree"],
        "message": ["sender", "own", "shuffled", "constant"],
        "mode": ["train", "eval"],
    }
)


def network(row: dict[str, Any]) -> nn.Module:
    how = {"function": FUNCTIONS[row["function"]], "topology": row["topology"]}
    model = ready(spec(row["kind"], **how, message=row.get("message", "sender")))
    perturb(model)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model.train(row["mode"] == "train")


def params() -> list[Any]:
    return [
        pytest.param(
            row,
            id="-".join(row[axis] for axis in ("tool", "kind", "function", "topology", "message", "mode")),
            marks=[] if number % 12 == 0 and row["tool"] != "compile" else [pytest.mark.slow],
        )
        for number, row in enumerate(ROWS)
    ]


@pytest.mark.parametrize("row", params())
def test_every_tool_gives_the_logits_of_the_network(row: dict[str, Any]) -> None:
    model, batch = network(row), images(2)
    wanted = copy.deepcopy(model)(batch)
    if row["tool"] in EXACT:
        found = EXACT[row["tool"]](model, batch)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    else:
        tool, share = CLOSE[row["tool"]]
        found = tool(model, batch)
        assert torch.isfinite(found).all()
        # In training, BatchNorm over two images and maps of few pixels magnifies every rounding.
        assert row["mode"] == "train" or (found - wanted).abs().max() <= share * wanted.abs().max()


@pytest.mark.parametrize(
    "tool", [tool if tool != "compile" else pytest.param(tool, marks=pytest.mark.slow) for tool in EXACT]
)
def test_every_tool_gives_the_logits_of_a_network_that_started_as_the_identity(tool: str) -> None:
    """CBAM's parts have an s each, BAM's have one together."""
    written = spec("cbam", topology="chain") | {"attention_init": "identity", "stage_attention": KINDS["bam"]}
    model, batch = ready(written).eval(), images(2)
    perturb(model)
    torch.testing.assert_close(EXACT[tool](model, batch), copy.deepcopy(model)(batch), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_gradient_checkpointing_gives_the_same_gradients(kind: str) -> None:
    row = {"kind": kind, "function": "learned", "topology": "dense", "mode": "train"}
    model, batch = network(row), images(2)
    other = copy.deepcopy(model)
    model(batch).square().sum().backward()
    checkpointed(other, batch).square().sum().backward()
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert one.grad is not None, name
        assert two.grad is not None, name
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS)[:6])
def test_inductor_compiles_the_network_as_one_graph(kind: str) -> None:
    row = {"kind": kind, "function": "softmax", "topology": "tree", "mode": "eval"}
    model, batch = network(row), images(2)
    with torch.no_grad():
        torch.testing.assert_close(inductor(model, batch), model(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_on_the_meta_device_a_network_has_shapes_alone(function: str) -> None:
    with torch.device("meta"):
        model = built(spec("cbam", function=FUNCTIONS[function]))
        assert model(torch.empty(2, 3, 24, 24)).shape == (2, 5)
