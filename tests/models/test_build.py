"""From an architecture to a network, and what may be done to it from outside."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from dcasearch.architecture import Architecture
from dcasearch.errors import ArchitectureError
from dcasearch.models import DCANet, build_model
from dcasearch.models.attention import AttentionBlock
from tests.models.samples import FUNCTIONS, KINDS, built, images, loss_of, pairwise, perturb, spec


def connected() -> DCANet:
    return built(spec("cbam", topology="dense", function="learned"))


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_builds_from_a_dict_an_architecture_and_a_file(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text("backbone: {name: mobilenet_v2, width: 0.25, stem: small}\nattention: {name: se, reduction: 2}\n")
    expected = [(name, p.shape) for name, p in built(spec("se")).named_parameters()]
    for source in (spec("se"), Architecture.parse(spec("se")), path, str(path)):
        assert [(name, p.shape) for name, p in build_model(source, 5).named_parameters()] == expected


def test_an_impossible_architecture_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="did you mean 'se'"):
        build_model({"backbone": {"name": "resnet18"}, "attention": {"name": "sse"}})


def test_classifies_into_a_thousand_classes_unless_said_otherwise() -> None:
    with torch.device("meta"):
        assert build_model(spec("none"))(torch.empty(1, 3, 32, 32)).shape == (1, 1000)


def test_building_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    connected()
    assert torch.equal(torch.get_rng_state(), before)


def test_names_do_not_depend_on_the_other_connections() -> None:
    chain = {name for name, _ in built(spec("cbam", topology="chain")).named_parameters()}
    dense = {name for name, _ in built(spec("cbam", topology="dense")).named_parameters()}
    assert chain < dense


def test_parameter_names_are_the_documented_ones() -> None:
    names = {name for name, _ in built(spec("se", channel_matching={"fc2": {"norm_act": True}})).named_parameters()}
    assert {
        "backbone.features.0.0.weight",
        "attention.features_1.channel.fc1.weight",
        "connections.features_4.channel.branches.0.edges.features_3.alpha",
        "connections.features_7.channel.branches.0.edges.features_6.match.norm1.weight",
    } <= names


def test_a_forward_pass_writes_nothing_to_the_model() -> None:
    model = connected().eval()
    before = {name: dict(vars(module)) for name, module in model.named_modules()}
    model(images())
    assert {name: dict(vars(module)) for name, module in model.named_modules()} == before


def test_evaluation_is_repeatable_and_images_do_not_mix() -> None:
    model = connected().eval()
    together = model(images(4))
    torch.testing.assert_close(model(images(4)[1:2]), together[1:2], rtol=1e-4, atol=1e-5)
    assert torch.equal(model(images(4)), together)


def test_copies_and_pickles_are_independent_and_equal(tmp_path: Path) -> None:
    model = connected().eval()
    expected = model(images())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(images()), expected)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
    assert torch.equal(model(images()), expected)


def test_weights_travel_as_safetensors(tmp_path: Path) -> None:
    model, other = connected().eval(), connected()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.eval()(images()), model(images()))


def test_gradient_checkpointing_of_the_whole_network_changes_nothing() -> None:
    model, other = connected().eval(), connected().eval()
    model(images()).square().mean().backward()
    checkpoint(other, images(), use_reentrant=False).square().mean().backward()
    torch.testing.assert_close(gradients(other), gradients(model))


def test_gradient_checkpointing_of_every_block_changes_nothing() -> None:
    model, other = connected().eval(), connected().eval()
    apply_activation_checkpointing(other, check_fn=lambda module: isinstance(module, AttentionBlock))
    model(images()).square().mean().backward()
    other(images()).square().mean().backward()
    expected = gradients(model)
    got = {name.replace("_checkpoint_wrapped_module.", ""): value for name, value in gradients(other).items()}
    torch.testing.assert_close(got, expected)


def test_distributed_data_parallel_finds_every_gradient(tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    try:
        model = connected()
        wrapped = DistributedDataParallel(model)
        for _ in range(2):  # the second pass fails if a parameter had no gradient in the first
            loss_of(wrapped, images()).backward()
        assert len(gradients(model)) == len(list(model.parameters()))
    finally:
        dist.destroy_process_group()


REPRESENTATIVES: list[dict[str, Any]] = [
    *(spec(kind, topology="tree") for kind in ("none", "se", "ge_theta_minus", "ge_theta_2", "gc", "sk", "cbam")),
    *(spec("cbam", function=name) for name in ("weighted", "softmax", "learned", "concat")),
    spec("cbam", coupling="coupled"),
    {**spec("se", topology="dense"), "stage_attention": KINDS["bam"]},
    spec("ge_theta_2", ge_message="upsampled"),
]


def name_of(written: dict[str, Any]) -> str:
    connections = written.get("connections", {})
    after = [written["stage_attention"]["name"]] if "stage_attention" in written else []
    return "-".join([written["attention"]["name"], *after, *(str(value) for value in connections.values())])


@pytest.mark.slow
@pytest.mark.parametrize("written", REPRESENTATIVES, ids=name_of)
def test_compiles_to_one_graph(written: dict[str, Any]) -> None:
    torch.compiler.reset()
    model, other = built(written), built(written)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    torch.manual_seed(0)
    loss_of(model, images()).backward()
    torch.manual_seed(0)
    loss_of(compiled, images()).backward()
    torch.testing.assert_close(gradients(other), gradients(model), rtol=1e-2, atol=1e-4)


@pytest.mark.slow
def test_compiles_with_inductor() -> None:
    torch.compiler.reset()
    model = built(spec("cbam", function="weighted")).eval()
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True)
        torch.testing.assert_close(compiled(images()), model(images()), rtol=1e-3, atol=1e-4)


def exported_equals(written: dict[str, Any]) -> None:
    model = built(written).eval()
    free = torch.export.Dim.AUTO
    program = torch.export.export(model, (images(4, 64),), dynamic_shapes=({0: free, 2: free, 3: free},))
    assert {name for name, _ in program.named_parameters()} == {name for name, _ in model.named_parameters()}
    for batch in (images(4, 64), images(2, 48), images(3, 40)):
        torch.testing.assert_close(program.module()(batch), model(batch))


@pytest.mark.slow
@pytest.mark.parametrize("written", REPRESENTATIVES, ids=name_of)
def test_an_exported_program_takes_any_number_and_size_of_images(written: dict[str, Any]) -> None:
    exported_equals(written)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_program_of_every_kind_takes_any_number_and_size_of_images(kind: str) -> None:
    exported_equals(spec(kind, {"name": "resnet18", "width": 0.125, "stem": "small"}, topology="tree"))


def test_an_exported_cbam_takes_any_number_and_size_of_images() -> None:
    exported_equals(spec("cbam", {"name": "resnet18", "width": 0.125, "stem": "small"}, topology="chain"))


TRACED = pairwise({"kind": list(KINDS), "function": list(FUNCTIONS), "topology": ["chain", "dense", "tree"]})
FEW = [row for n, row in enumerate(TRACED) if n % 16 == 0]


def traced_equals(row: dict[str, Any]) -> None:
    backbone = {"name": "resnet18", "width": 0.125, "stem": "small"}
    function = FUNCTIONS[row["function"]]
    model = built(spec(row["kind"], backbone, topology=row["topology"], function=function)).eval()
    perturb(model)
    traced = torch.fx.symbolic_trace(model)
    for batch in (images(2), images(3, 32)):
        assert torch.equal(traced(batch), model(batch))


@pytest.mark.filterwarnings("ignore:weighted. literal")
@pytest.mark.parametrize("row", FEW, ids=lambda row: "-".join(row.values()))
def test_is_traced_symbolically(row: dict[str, Any]) -> None:
    traced_equals(row)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:weighted. literal")
@pytest.mark.parametrize("row", TRACED, ids=lambda row: "-".join(row.values()))
def test_every_pair_of_kind_and_function_is_traced_symbolically(row: dict[str, Any]) -> None:
    traced_equals(row)


TINY = {"name": "resnet18", "width": 0.125, "stem": "small"}
NEVER_MOVE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "the bias of GC's mask": (
        spec("gc", TINY),
        {**spec("gc", TINY), "attention": {"name": "gc", "reduction": 2, "mask_bias": False}},
        "mask.bias",
    ),
    "the bias of learned": (
        spec("se", TINY, function="learned"),
        spec("se", TINY, function={"learned": {"bias": False}}),
        "function.bias",
    ),
    "the bias of a matching before a BatchNorm": (
        spec("se", TINY, channel_matching={"fc": {"bias": True, "norm": "bn"}}),
        spec("se", TINY, channel_matching={"fc": {"norm": "bn"}}),
        "match.fc.bias",
    ),
}


@pytest.mark.parametrize(("written", "without", "name"), NEVER_MOVE.values(), ids=NEVER_MOVE)
def test_a_parameter_that_never_moves_can_be_left_out_and_changes_no_output(
    written: dict[str, Any], without: dict[str, Any], name: str
) -> None:
    model, lean = built(written).double(), built(without).double()
    perturb(model)
    lean.load_state_dict({key: v for key, v in model.state_dict().items() if not key.endswith(name)})
    batch = images(8, 32).double()
    torch.testing.assert_close(lean.train()(batch), model.train()(batch), rtol=1e-9, atol=1e-9)
    model(batch).square().sum().backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() < 1e-12}
    still = {n for n, p in model.named_parameters() if n.endswith(name)}
    assert still
    assert still <= gradients.keys()
    assert not [n for n in lean.state_dict() if n.endswith(name)]
