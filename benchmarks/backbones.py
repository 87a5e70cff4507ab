"""Tries the networks of timm and torchvision and writes the table of `dcasearch backbones`; goes on where it stopped.

    python benchmarks/backbones.py                 # those that are not in the table yet
    python benchmarks/backbones.py --list          # which networks count, and why others do not
    python benchmarks/backbones.py timm/resnet50   # one more, by name

Which networks count is decided by a rule that knows nothing of our tracer. Of timm: each file's registered model of
fewest parameters other than `test_*`, where it has at least five Conv2d with kernel > 1 and stride 1, and calls neither
scaled-dot-product attention nor a matrix product of two activations. Of torchvision: every classification network that
has at least one such Conv2d and no attention. A network has ten minutes and a process of its own.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dcasearch.architecture import Architecture, LibraryNetwork
from dcasearch.architecture.libraries import is_of_library, own_name
from dcasearch.architecture.measured import CHECKS, NO, YES, Measured, append, read
from dcasearch.errors import ArchitectureError
from dcasearch.models import DCANet, build_model
from dcasearch.models.traced import analysis_of, library_network
from dcasearch.models.traced.libraries import build, models_of, version_of
from dcasearch.models.traced.own_attention import is_own_attention

TABLE = Path(__file__).parents[1] / "dcasearch" / "architecture" / "measured.csv"
SECONDS = 600
SIZES = (96, 128)
"""Pixels; Inception takes none of fewer than 75."""
CLASSES = 10
LONGEST = 200
"""Letters of a note."""
LEAST_CONVOLUTIONS = {"timm": 5, "torchvision": 1}
ATTENTION = {F.scaled_dot_product_attention, F.multi_head_attention_forward}
PRODUCTS = {torch.matmul, torch.bmm, torch.einsum, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.Tensor.bmm,
            torch.baddbmm, torch.Tensor.__rmatmul__}  # fmt: skip


class Products(TorchFunctionMode):
    """Notes attention and products of two activations, which are the tensors that ask for a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flat = [part for value in args for part in (value if isinstance(value, list | tuple) else [value])]
        activations = [value for value in flat if isinstance(value, torch.Tensor) and value.requires_grad]
        self.found |= func in ATTENTION or (func in PRODUCTS and len(activations) > 1)
        return func(*args, **(kwargs or {}))


def on_meta(name: str) -> nn.Module:
    library, _, model = name.partition("/")
    with torch.device("meta"):
        return build(library, model, {}, 1000).eval()


def why_not(name: str) -> str:
    """Return why a network is none that counts; empty where it counts."""
    network = on_meta(name)
    plain = [c for c in network.modules() if isinstance(c, nn.Conv2d) and max(c.kernel_size) > 1 and max(c.stride) == 1]
    if len(plain) < LEAST_CONVOLUTIONS[name.partition("/")[0]]:
        return f"{len(plain)} convolutions of stride 1"
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    size = (getattr(network, "pretrained_cfg", None) or {}).get("input_size", (3, 224, 224))
    images = torch.empty((2, *size), device="meta", requires_grad=True)
    with Products() as products:
        network(images * 1)
    return "attention between positions" if products.found else ""


def smallest_of_each_file() -> Iterator[str]:
    """Yield timm's model of fewest parameters of each file."""
    for module in timm.list_modules():
        counted = {}
        for model in timm.list_models(module=module):
            if not model.startswith("test_"):
                counted[model] = sum(value.numel() for value in on_meta(f"timm/{model}").parameters())
        if counted:
            yield f"timm/{min(counted, key=lambda model: counted[model])}"


def counting() -> Iterator[tuple[str, str]]:
    """Yield each candidate with why it does not count, empty where it does."""
    names = [*smallest_of_each_file(), *(f"torchvision/{model}" for model in models_of("torchvision"))]
    for name in names:
        try:
            yield name, why_not(name)
        except Exception as error:  # it is no network that classifies images of this shape
            yield name, f"{type(error).__name__}: {str(error).partition(chr(10))[0][:100]}"


# One network


def check(name: str, *, quick: bool = False) -> Measured:
    """Try a network; whatever fails is written down with its reason.

    Args:
        name: with its library.
        quick: whether what compiles is left out.
    """
    network = LibraryNetwork(name)
    with torch.device("meta"):
        theirs = library_network(network, CLASSES)
    said: dict[str, Any] = {
        "name": name,
        "family": type(theirs).__module__.rpartition(".")[2],
        "version": version_of(network.library),
        "parameters": sum(value.numel() for value in theirs.parameters()),
        "own_attention": YES if any(map(is_own_attention, theirs.modules())) else NO,
    }
    begin = time.perf_counter()
    try:
        analysis = analysis_of(network)
    except ArchitectureError as error:
        return Measured(**said, seconds=round(time.perf_counter() - begin, 2), note=short(error))
    blocks = analysis.trace.blocks
    on_branch = sum(site.value is not site.block.output for site in analysis.sites)
    said |= {
        "rule": analysis.rule,
        "blocks": len(blocks),
        "stages": blocks[-1][1] + 1,
        "on_branch": on_branch,
        "convolution": YES if all(row[3] for row in blocks) else NO,
        "built": YES,
        "seconds": round(time.perf_counter() - begin, 2),
    }
    notes = [*partly(len(blocks), on_branch, analysis.trace.lanes is not None)]
    if not is_of_library(own_name(name)):
        notes.append("this package runs its own version of it, not the trace")
    for key, trial in TRIALS.items():
        if quick and key in ("export", "compile"):
            continue
        try:
            trial(name)
            said[key] = YES
        except Exception as error:  # the reason is what the table is for
            said[key] = NO
            notes.append(f"{CHECKS[key]}: {short(error)}")
    return Measured(**said, note="; ".join(notes))


def partly(blocks: int, on_branch: int, parallel: bool) -> Iterator[str]:
    if not on_branch:
        yield "attention stands at the blocks' output"
    elif on_branch < blocks:
        yield f"attention stands at the output in {blocks - on_branch} of {blocks} blocks"
    if parallel:
        yield "parallel branches: stages mean little, connections join blocks of one branch"


def short(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}"[:LONGEST] if not isinstance(error, ArchitectureError) else first


def built(name: str, attention: str, connections: Mapping[str, Any] | None) -> DCANet:
    said = {"backbone": {"name": name}, "attention": {"name": attention}, "connections": connections}
    return build_model(Architecture.parse(said), CLASSES)


def images(size: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


def same(name: str) -> None:
    """Hold logits and BatchNorm statistics against the library's, in training and then in evaluation mode."""
    model = built(name, "none", None)
    theirs = copy.deepcopy(model.backbone)
    for mode in (True, False):
        answers = []
        for network in (model, theirs):
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(0)
                answers.append(network.train(mode)(images(SIZES[0])))
        if not torch.equal(*answers):
            raise ValueError(f"logits differ in {'training' if mode else 'evaluation'} mode")
    ours = dict(model.backbone.named_buffers())
    if not all(torch.equal(value, ours[key]) for key, value in theirs.named_buffers()):
        raise ValueError("statistics differ")


def learns(attention: str, topology: str) -> Callable[[str], None]:
    def learn(name: str) -> None:
        model = built(name, attention, {"topology": topology}).train()
        for size in SIZES:
            model.zero_grad()
            logits = model(images(size))
            logits.square().mean().backward()
            idle = [key for key, value in inserted(model).items() if value.grad is None]
            if not logits.isfinite().all() or idle:
                raise ValueError(f"no gradient reaches {idle[0]}" if idle else "logits are not finite")

    return learn


def inserted(model: nn.Module) -> dict[str, nn.Parameter]:
    return {key: value for key, value in model.named_parameters() if not key.startswith("backbone.")}


def exports(name: str) -> None:
    model = built(name, "se", {"topology": "chain"}).eval()
    program = torch.export.export(
        model, (images(SIZES[0], 3),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    ).module()
    with torch.no_grad():
        torch.testing.assert_close(program(images(SIZES[0])), model(images(SIZES[0])), rtol=1e-3, atol=1e-4)


def compiles(name: str) -> None:
    torch.compiler.reset()
    model = built(name, "se", {"topology": "chain"}).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images(SIZES[0])), model(images(SIZES[0])), rtol=1e-3, atol=1e-4)


TRIALS: Mapping[str, Callable[[str], None]] = {
    "same": same,
    "chain": learns("se", "chain"),
    "dense": learns("cbam", "dense"),
    "export": exports,
    "compile": compiles,
}


# The table


def tried(name: str) -> Measured:
    """Try a network in a process of its own."""
    command = [sys.executable, __file__, "--here", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return failed(name, f"not tried to an end: took more than {SECONDS} s")
    if done.returncode != 0:
        return failed(name, f"its process ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def failed(name: str, note: str) -> Measured:
    network, library = on_meta(name), name.partition("/")[0]
    family = type(network).__module__.rpartition(".")[2]
    parameters = sum(value.numel() for value in network.parameters())
    return Measured(name=name, family=family, version=version_of(library), parameters=parameters, note=note)


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if arguments[:1] == ["--here"]:
        print(json.dumps(asdict(check(arguments[1]))))
        return
    if arguments == ["--list"]:
        for name, why in counting():
            print(f"{name:44} {why or 'counts'}")
        return
    have = {row.name for row in read(TABLE.read_text().splitlines())} if TABLE.exists() else set()
    wanted = arguments or [name for name, why in counting() if not why]
    for name in (name for name in wanted if name not in have):
        row = tried(name)
        append(TABLE, row)
        print(f"{name:44} {'works' if row.works else 'no'}  {row.note}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
