"""Reads stores of the interop tests with readers that share no code with the writer.

Every command exits with 0 only when all it says holds; a failure is an exception with its trace.
"""
import pathlib
import sys
import time

import numpy as np


def tensorstore_open(path):
    import tensorstore as ts

    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}).result()


def same(left, right):
    """Equal bit for bit, NaN and the sign of zero included."""
    return left.shape == right.shape and left.dtype == right.dtype and left.tobytes() == right.tobytes()


def arrays(root):
    """Each store NAME.zarr against NAME.raw, whole and in part, with both readers."""
    import zarr

    stores = sorted(pathlib.Path(root).glob("*.zarr"))
    part = (slice(1, 6), slice(15, 33), slice(31, 65))
    for store in stores:
        by_zarr = zarr.open_array(store, mode="r")
        expected = np.frombuffer(store.with_suffix(".raw").read_bytes(), by_zarr.dtype).reshape(by_zarr.shape)
        assert by_zarr.chunks == (2, 16, 32) and by_zarr.shards == (4, 32, 96), store
        assert same(by_zarr[...], expected), f"zarr-python, {store}"
        assert same(by_zarr[part], expected[part]), f"zarr-python in part, {store}"
        by_tensorstore = tensorstore_open(store)
        layout = by_tensorstore.chunk_layout
        assert layout.read_chunk.shape == (2, 16, 32), (store, layout)
        assert layout.write_chunk.shape == (4, 32, 96), (store, layout)
        assert same(by_tensorstore.read().result(), expected), f"tensorstore, {store}"
        assert same(by_tensorstore[part].read().result(), expected[part]), f"tensorstore in part, {store}"
    print(len(stores))


def lz4(root):
    """A store with numcodecs.lz4, which zarr-python reads and tensorstore does not know."""
    import zarr

    store = pathlib.Path(root) / "lz4.zarr"
    array = zarr.open_array(store, mode="r")
    expected = np.frombuffer(store.with_suffix(".raw").read_bytes(), array.dtype).reshape(array.shape)
    assert same(array[...], expected)
    try:
        tensorstore_open(store).read().result()
    except ValueError:
        print("ok")
    else:
        raise AssertionError("tensorstore reads numcodecs.lz4 now: the warning can go")


def damaged(root):
    """good.zarr reads; every other store fails with a message about its checksum, in both readers."""
    import zarr

    def checksum_error(read):
        try:
            read()
        except Exception as error:
            text = str(error).lower()
            return "checksum" in text or "crc" in text or "digest" in text
        return False

    stores = sorted(pathlib.Path(root).glob("*.zarr"))
    for store in stores:
        readers = {
            "zarr-python": lambda: zarr.open_array(store, mode="r")[...],
            "tensorstore": lambda: tensorstore_open(store).read().result(),
        }
        for name, read in readers.items():
            if store.stem == "good":
                read()
            else:
                assert checksum_error(read), f"{name} accepts {store}"
    print(len(stores))


def follow(root):
    """Opens the store again and again while it grows, until the file `done` appears."""
    import zarr

    root = pathlib.Path(root)
    (root / "ready").touch()
    store = root / "live.zarr"
    while not (store / "zarr.json").exists():
        time.sleep(0.005)
    extents = []
    while True:
        last = (root / "done").exists()
        array = zarr.open_array(store, mode="r")
        extent = array.shape[0]
        assert not extents or extent >= extents[-1], (extents, extent)
        t, y, x = np.ogrid[:extent, : array.shape[1], : array.shape[2]]
        expected = ((t * 257 + y * 16 + x) % 65536).astype(np.uint16)
        assert same(array[...], expected), f"extent {extent}"
        extents.append(extent)
        if last:
            break
        time.sleep(0.02)
    print(*sorted(set(extents)))


def pyramid(root):
    """A multiscale group against the schema, a second validator and ome-zarr's reader."""
    import ngff_zarr
    import ome_zarr.io
    import ome_zarr.reader
    import zarr
    from ome_zarr_models.v05 import Image

    store = pathlib.Path(root) / "image.zarr"
    group = zarr.open_group(store, mode="r")
    attributes = dict(group.attrs)
    ngff_zarr.validate(attributes, version="0.5", model="image")
    broken = {"ome": {**attributes["ome"], "multiscales": [{"axes": []}]}}
    try:
        ngff_zarr.validate(broken, version="0.5", model="image")
    except Exception:
        pass
    else:
        raise AssertionError("the schema accepts anything")
    Image.from_zarr(group)
    node = next(iter(ome_zarr.reader.Reader(ome_zarr.io.parse_url(store, mode="r"))()))
    multiscale = attributes["ome"]["multiscales"][0]
    datasets = multiscale["datasets"]
    assert len(node.data) == len(datasets) > 2, len(node.data)
    axes = [axis["name"] for axis in multiscale["axes"]]
    base = zarr.open_array(store / "0", mode="r")
    for dataset, lazy in zip(datasets, node.data):
        array = zarr.open_array(store / dataset["path"], mode="r")
        assert list(array.metadata.dimension_names) == axes
        assert lazy.shape == array.shape
        assert same(np.asarray(lazy), array[...])
        scale = dataset["coordinateTransformations"][0]["scale"]
        for full, size, step, first in zip(base.shape, array.shape, scale, datasets[0]["coordinateTransformations"][0]["scale"]):
            assert abs(full - size * step / first) <= step / first, (dataset, full, size)
        assert tensorstore_open(store / dataset["path"]).shape == array.shape
    print(len(datasets))


if __name__ == "__main__":
    {"arrays": arrays, "lz4": lz4, "damaged": damaged, "follow": follow, "pyramid": pyramid}[sys.argv[1]](sys.argv[2])
