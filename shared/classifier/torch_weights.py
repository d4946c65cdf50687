"""Read the tensors of a PyTorch checkpoint in the old (pre-1.6) pickle format, without PyTorch.

The file is five pickles (magic number, protocol, system facts, the state dict, the storage keys) and
then each storage as a little-endian int64 count and its raw elements: see ``_legacy_load`` in
https://github.com/pytorch/pytorch/blob/v2.4.0/torch/serialization.py. A pickle can run any code, so
the unpickler here admits four names and refuses all others.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import Code, ResourceError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return name
        raise pickle.UnpicklingError(f"refused: {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        _kind, storage_type, key, *_ = pid
        return _Storage(key, _STORAGE_DTYPES[storage_type])


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a checkpoint by name, each in its own shape.

    Strides are respected: a saved tensor may be a permuted view of its storage.

    Raises ``ResourceError(weights_unreadable)`` if the file is missing, incomplete, not such a checkpoint, or
    names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except Exception as error:  # a pickle can fail in any way, and the difference does not matter
        raise ResourceError(Code.WEIGHTS_UNREADABLE, f"{path}: {error}") from error


def _read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    if _unpickle(file) != _MAGIC or _unpickle(file) != _PROTOCOL:
        raise ValueError("not a PyTorch checkpoint in the old format")
    _unpickle(file)  # byte order and sizes of the writing machine: always little-endian
    tensors: dict[str, _Tensor] = _unpickle(file)
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _read_storage(file, dtypes[key]) for key in _unpickle(file)}
    return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _unpickle(file: BinaryIO) -> Any:
    return _RestrictedUnpickler(file).load()


def _read_storage(file: BinaryIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    data = file.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, count)


def _view(tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    _check_bounds(tensor, storage.size)
    strides = tuple(stride * storage.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)


def _check_bounds(tensor: _Tensor, size: int) -> None:
    # as_strided does not check bounds, and the file is untrusted: stay inside the storage.
    last = tensor.offset + sum(
        (length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min(tensor.offset, *tensor.strides, *tensor.shape, 0) < 0 or last >= size:
        raise ValueError("a tensor reaches outside its storage")
