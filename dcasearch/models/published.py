"""Trained weights that timm and torchvision publish: where they lie, how their images were prepared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from dcasearch.architecture.libraries import require, split_name
from dcasearch.config.data_set import DataPreprocessing
from dcasearch.config.starts import Origin
from dcasearch.errors import UserError, nearest
from dcasearch.models.traced.libraries import build, check_model

_SAFE, _TORCH = "model.safetensors", "pytorch_model.bin"
"""What a model's files are called on timm's hub."""
_BYTES = 4
"""Of a number."""


def published(name: str) -> Origin:
    """Return what a library says of the weights that it publishes; nothing is fetched.

    Args:
        name: `timm/<model>.<tag>` or `torchvision/<model>.<TAG>`; without a tag the library's own choice.

    Raises:
        UserError: the library is not installed, or has no such network or weights.
    """
    library, model, tag = _parted(name)
    require(library)
    check_model(library, model)
    return _of_timm(name, model, tag) if library == "timm" else _of_torchvision(name, model, tag)


def fetch(name: str) -> Path:
    """Fetch a library's weights into the library's cache; return the file.

    Raises:
        UserError: it cannot be fetched, e.g. without a network.
    """
    known = published(name)
    if known.file is not None:
        return known.file
    library, model, tag = _parted(name)
    try:
        return _fetched_of_timm(model, tag) if library == "timm" else _fetched_of_torchvision(model, tag)
    except Exception as error:  # each library, and what it fetches with, has errors of its own
        raise UserError(
            f"{name} cannot be fetched ({type(error).__name__}: {str(error)[:200]}). Without a network, copy the file "
            "to this machine and name it: initialize: {weights: FILE, mean: …, std: …}"
        ) from error


def _parted(name: str) -> tuple[str, str, str]:
    plain, _, tag = name.partition(".")
    library, model = split_name(plain)
    return library, model, tag


def _origin(name: str, file: Path | None, size: Callable[[], str], preprocessing: DataPreprocessing) -> Origin:
    missing = "" if file is not None else f"{name} is not on this machine; `dcasearch run` fetches it, {size()}"
    return Origin(words=name, file=file, missing=missing, fetch=file is None, preprocessing=preprocessing)


# torchvision


def _weights_of_torchvision(model: str, tag: str) -> Any:
    models = import_module("torchvision.models")
    known = models.get_model_weights(model)
    if not len(known):
        raise UserError(f"torchvision has no weights for {model}")
    if not tag:
        return known.DEFAULT
    if tag not in known.__members__:
        raise UserError(f"torchvision has no weights '{tag}' for {model}; {nearest(tag, known.__members__)}")
    return known[tag]


def _of_torchvision(name: str, model: str, tag: str) -> Origin:
    weights = _weights_of_torchvision(model, tag)
    how = weights.transforms()
    preprocessing = DataPreprocessing(
        mean=tuple(how.mean),
        std=tuple(how.std),
        interpolation=_interpolation(name, how.interpolation.value),
        crop=min(1.0, how.crop_size[0] / how.resize_size[0]),
    )
    return _origin(name, _in_torch_hub(weights.url), lambda: f"{weights.meta['_file_size']:.0f} MB", preprocessing)


def _in_torch_hub(url: str) -> Path | None:
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    return file if file.is_file() else None


def _fetched_of_torchvision(model: str, tag: str) -> Path:
    return _into_torch_hub(_weights_of_torchvision(model, tag).url)


def _into_torch_hub(url: str) -> Path:
    name = url.rpartition("/")[2]
    target = Path(torch.hub.get_dir()) / "checkpoints" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name ends in the first digits of the file's SHA-256: `resnet18-f37072fd.pth`.
    digits = target.stem.rpartition("-")[2]
    known = digits if len(digits) >= 8 and all(digit in "0123456789abcdef" for digit in digits) else None
    torch.hub.download_url_to_file(url, str(target), hash_prefix=known, progress=False)
    return target


# timm


def _config_of_timm(model: str, tag: str) -> Any:
    timm = import_module("timm.models")
    configs: Mapping[str, Any] = timm.get_arch_pretrained_cfgs(model)
    known = {name.partition(".")[2]: config for name, config in configs.items() if config.has_weights}
    if not known:
        raise UserError(f"timm has no weights for {model}")
    if not tag:
        return timm.get_pretrained_cfg(model)
    if tag not in known:
        raise UserError(f"timm has no weights '{tag}' for {model}; {nearest(tag, known)}")
    return known[tag]


def _of_timm(name: str, model: str, tag: str) -> Origin:
    config = _config_of_timm(model, tag)
    preprocessing = DataPreprocessing(
        mean=tuple(config.mean),
        std=tuple(config.std),
        interpolation=_interpolation(name, config.interpolation),
        crop=config.crop_pct,
    )
    return _origin(name, _in_caches(config), lambda: _size_of_timm(model, config.num_classes), preprocessing)


def _size_of_timm(model: str, classes: int) -> str:
    """Return about how large a file is: timm does not say it, the network's parameters do."""
    with torch.device("meta"):
        network = build("timm", model, {}, classes)
    numbers = sum(math.prod(tensor.shape) for tensor in network.state_dict().values())
    return f"about {_BYTES * numbers / 1e6:.0f} MB"


def _in_caches(config: Any) -> Path | None:
    """Return the file in the hub's cache, or where timm's older versions put it."""
    if config.hf_hub_id:
        hub = import_module("huggingface_hub")
        for file in _files_of(config):
            found = hub.try_to_load_from_cache(config.hf_hub_id, file)
            if isinstance(found, str):
                return Path(found)
    return _in_torch_hub(config.url) if config.url else None


def _files_of(config: Any) -> tuple[str, ...]:
    return (config.hf_hub_filename,) if config.hf_hub_filename else (_SAFE, _TORCH)


def _fetched_of_timm(model: str, tag: str) -> Path:
    config = _config_of_timm(model, tag)
    if not config.hf_hub_id:
        return _into_torch_hub(config.url)
    hub = import_module("huggingface_hub")
    return Path(hub.hf_hub_download(config.hf_hub_id, _files_of(config)[0]))


def _interpolation(name: str, word: str) -> Any:
    """Return an interpolation that images can be resized by here."""
    if word not in ("bilinear", "bicubic"):
        raise UserError(
            f"the images of {name} were resized by '{word}', which this package does not have: name the file "
            "itself and write interpolation: bicubic to accept the difference"
        )
    return word
