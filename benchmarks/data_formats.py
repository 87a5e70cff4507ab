"""Images per second out of the formats that prepared images might be kept in; one process, the same images.

Each format holds the same decoded images of 144 x 144 pixels in files of about 32 MB and gives them back one by one as
bytes: in a random order of all images where it can (what a reproducible epoch needs), else in its own. They take turns;
what is printed is the median over the turns. `with crop` adds what training does with each image. Formats whose package
is not installed are left out: pip install litdata webdataset pyarrow

    python benchmarks/data_formats.py [--count 4000] [--turns 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from dcasearch.config.recipe import Augmentation
from dcasearch.data.shards import Shards, images_per_shard
from dcasearch.data.views import training_transform

SIZE = 144
Images = np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]
Reader = Callable[[list[int]], Iterator[Tensor]]
"""Takes an order; yields images of shape (144, 144, 3) or (3, 144, 144)."""


def parts(images: Images) -> Iterable[Images]:
    full = images_per_shard(SIZE)
    return (images[first : first + full] for first in range(0, len(images), full))


def numpy_shards(folder: Path, images: Images) -> Reader:
    shards = Shards(folder, "train", SIZE, len(images))
    for number, part in enumerate(parts(images)):
        np.save(shards.path(number), part)
    return lambda order: (shards.read(index) for index in order)


def safetensors_shards(folder: Path, images: Images) -> Reader:
    for number, part in enumerate(parts(images)):
        save_file({"pixels": torch.from_numpy(part)}, folder / f"{number}.safetensors")
    files = [safe_open(folder / f"{n}.safetensors", "pt") for n in range(len(list(folder.iterdir())))]
    slices = [file.get_slice("pixels") for file in files]
    full = images_per_shard(SIZE)
    return lambda order: (slices[index // full][index % full].permute(2, 0, 1) for index in order)


def arrow(folder: Path, images: Images) -> Reader:
    import pyarrow as pa

    kind = pa.binary(SIZE * SIZE * 3)
    chunks = []
    for number, part in enumerate(parts(images)):
        path = str(folder / f"{number}.arrow")
        column = pa.array([image.tobytes() for image in part], kind)
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, pa.schema([("pixels", kind)])) as writer:
            writer.write(pa.record_batch([column], ["pixels"]))
        chunks.append(pa.ipc.open_file(pa.memory_map(path)).get_batch(0).column(0))
    full = images_per_shard(SIZE)

    def read(index: int) -> Tensor:
        flat = np.frombuffer(chunks[index // full][index % full].as_buffer(), np.uint8)
        return torch.from_numpy(flat.copy()).view(SIZE, SIZE, 3).permute(2, 0, 1)

    return lambda order: (read(index) for index in order)


def litdata_chunks(folder: Path, images: Images) -> Reader:
    from litdata import StreamingDataset
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder), chunk_bytes=32 << 20)
    for index, image in enumerate(images):
        writer[index] = {"pixels": image}
    writer.done()
    writer.merge()
    # `dataset[index]` in a random order loads a chunk for nearly every image: below 100 images/s.
    dataset = StreamingDataset(str(folder), shuffle=True)
    return lambda order: (torch.from_numpy(sample["pixels"].copy()).permute(2, 0, 1) for sample in dataset)


def webdataset_tars(folder: Path, images: Images) -> Reader:
    import webdataset

    with webdataset.ShardWriter(str(folder / "%05d.tar"), maxcount=images_per_shard(SIZE), verbose=0) as sink:
        for index, image in enumerate(images):
            sink.write({"__key__": f"{index:08}", "bin": image.tobytes()})
    urls = sorted(map(str, folder.glob("*.tar")))

    def read(order: list[int]) -> Iterator[Tensor]:
        for sample in webdataset.WebDataset(urls, shardshuffle=len(urls), seed=0).shuffle(images_per_shard(SIZE)):
            flat = torch.frombuffer(bytearray(sample["bin"]), dtype=torch.uint8)
            yield flat.view(SIZE, SIZE, 3).permute(2, 0, 1)

    return read


FORMATS = {
    "NumPy shards (ours)": ("numpy", numpy_shards),
    "safetensors shards": ("safetensors", safetensors_shards),
    "Arrow IPC": ("pyarrow", arrow),
    "litdata (own order)": ("litdata", litdata_chunks),
    "webdataset (own order)": ("webdataset", webdataset_tars),
}


def speed(images: Iterator[Tensor], use: Callable[[Tensor], object]) -> float:
    began, count = time.perf_counter(), 0
    for image in images:
        use(image)
        count += 1
    return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images = np.random.default_rng(0).integers(0, 256, (asked.count, SIZE, SIZE, 3), np.uint8)
    look = training_transform(128, Augmentation(crop="random_resized")).look
    with tempfile.TemporaryDirectory() as folder:
        readers, speeds = {}, {}
        for name, (package, make) in FORMATS.items():
            if find_spec(package) is None:
                print(f"{name}: {package} is not installed")
                continue
            (Path(folder) / package).mkdir()
            readers[name], speeds[name] = make(Path(folder) / package, images), ([], [])
        for turn in range(asked.turns):
            order = np.random.default_rng(turn).permutation(asked.count).tolist()
            for name, reader in readers.items():
                speeds[name][0].append(speed(reader(order), lambda image: image[0, 0, 0]))
                speeds[name][1].append(speed(reader(order), lambda image: look(image)(image)))
    print(f"{asked.count} images, median of {asked.turns} turns{'images/s':>16}{'with crop':>14}")
    for name, (read, used) in speeds.items():
        print(f"{name:32}{statistics.median(read):20,.0f}{statistics.median(used):14,.0f}")


if __name__ == "__main__":
    main()
