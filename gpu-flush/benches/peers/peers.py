"""One write by one of the peers, in a process of its own: prints seconds and the most bytes it had resident beyond its input.

peers.py WRITER CODEC LEVEL FRAMES SIDE CHUNK SHARD INPUT FOLDER, with CHUNK and SHARD as t,y,x. The input file is repeated until
FRAMES frames are in; a writer that takes no single frames gets them collected to shards, as its user would.
"""

import ctypes
import os
import sys
import time

import numpy as np


def resident(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


def slabs(frames, depth, frame):
    """Frames collected to as many as a shard is deep."""
    collected = np.empty((depth, *frame(0).shape), np.uint16)
    for first in range(0, frames, depth):
        count = min(depth, frames - first)
        for at in range(count):
            collected[at] = frame(first + at)
        yield first, collected[:count]


def acquire_zarr(path, codec, level, shape, chunk, shard, frame):
    import acquire_zarr as aqz

    def dimension(name, kind, size, axis):
        return aqz.Dimension(name=name, kind=kind, array_size_px=size, chunk_size_px=chunk[axis],
                             shard_size_chunks=shard[axis] // chunk[axis])

    kind = aqz.DimensionType
    compression = None
    if codec == "zstd":
        compression = aqz.CompressionSettings(compressor=aqz.Compressor.BLOSC1,
                                              codec=aqz.CompressionCodec.BLOSC_ZSTD, level=level, shuffle=0)
    array = aqz.ArraySettings(output_key="0", data_type=np.uint16, compression=compression,
                              dimensions=[dimension("t", kind.TIME, 0, 0), dimension("y", kind.SPACE, shape[1], 1),
                                          dimension("x", kind.SPACE, shape[2], 2)])
    stream = aqz.ZarrStream(aqz.StreamSettings(store_path=path, arrays=[array], overwrite=True))
    for number in range(shape[0]):
        stream.append(frame(number)[None])
    stream.close()


def tensorstore(path, codec, level, shape, chunk, shard, frame):
    import tensorstore as ts

    little = {"name": "bytes", "configuration": {"endian": "little"}}
    codecs = [little] + ([{"name": "zstd", "configuration": {"level": level}}] if codec == "zstd" else [])
    sharding = {"name": "sharding_indexed", "configuration": {
        "chunk_shape": chunk, "codecs": codecs, "index_codecs": [little, {"name": "crc32c"}]}}
    store = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path + "/"},
                     "metadata": {"shape": shape, "data_type": "uint16", "codecs": [sharding],
                                  "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}}}},
                    create=True, delete_existing=True).result()
    for first, slab in slabs(shape[0], shard[0], frame):
        store[first:first + len(slab)].write(slab).result()


def zarr_python(path, codec, level, shape, chunk, shard, frame):
    import zarr
    from zarr.codecs import ZstdCodec

    compressors = ZstdCodec(level=level) if codec == "zstd" else None
    array = zarr.create_array(path, shape=shape, dtype="uint16", chunks=chunk, shards=shard, compressors=compressors)
    for first, slab in slabs(shape[0], shard[0], frame):
        array[first:first + len(slab)] = slab


def main():
    writer, codec, level, frames, side, chunk, shard, source, folder = sys.argv[1:]
    side, frames = int(side), int(frames)
    chunk, shard = (tuple(map(int, text.split(","))) for text in (chunk, shard))
    data = np.fromfile(source, np.uint16).reshape(-1, side, side)
    write = {"acquire-zarr": acquire_zarr, "tensorstore": tensorstore, "zarr-python": zarr_python}[writer]
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    before = resident("VmRSS")
    start = time.perf_counter()
    write(f"{folder}/out.zarr", codec, int(level), (frames, side, side), chunk, shard, lambda n: data[n % len(data)])
    # The one file system, not all of them: other programs' writes are none of ours.
    if ctypes.CDLL(None).syncfs(os.open(folder, os.O_RDONLY)) != 0:
        raise RuntimeError("the store was not written out")
    print(time.perf_counter() - start, resident("VmHWM") - before)


main()
