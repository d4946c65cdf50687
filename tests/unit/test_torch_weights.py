"""Checkpoints in PyTorch's old format, written here by hand: a few pickles and the raw storages."""

import io
import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.classifier.torch_weights import read_checkpoint
from shared.errors import Code, ResourceError


class _Storage:
    def __init__(self, key: str, values: np.ndarray) -> None:
        self.key = key
        self.values = values


class _Tensor:
    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Storage):
            return None
        return ("storage", sys.modules["torch"].FloatStorage, obj.key, "cpu", obj.values.size, None)


@pytest.fixture(autouse=True)
def _fake_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Just enough of the module names for a pickle to mention them."""
    torch, names = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})  # type: ignore[attr-defined]
    rebuild = types.FunctionType((lambda *_: None).__code__, {}, "_rebuild_tensor_v2")
    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    names._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", names)


def _write(path: Path, content: Any, storages: list[_Storage]) -> Path:
    stream = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(value, stream, protocol=2)
    _Pickler(stream, protocol=2).dump(content)
    pickle.dump([storage.key for storage in storages], stream, protocol=2)
    for storage in storages:
        stream.write(storage.values.size.to_bytes(8, "little") + storage.values.tobytes())
    path.write_bytes(stream.getvalue())
    return path


def _code(path: Path) -> Code:
    with pytest.raises(ResourceError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    return caught.value.code


def test_strides_and_offsets_are_respected(tmp_path: Path) -> None:
    storage = _Storage("7", np.arange(10, dtype="<f4"))
    permuted = _Tensor(storage, 2, (2, 3), (1, 2), False, OrderedDict())
    path = _write(tmp_path / "w.pth", OrderedDict(weight=permuted), [storage])
    assert read_checkpoint(path)["weight"].tolist() == [[2, 4, 6], [3, 5, 7]]


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'owned'}",)

    assert _code(_write(tmp_path / "w.pth", OrderedDict(weight=Attack()), [])) is Code.WEIGHTS_UNREADABLE
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (11,), (1,)), (8, (3,), (1,)), (0, (2, 2), (9, 9)), (3, (2,), (-1,))]
)
def test_a_tensor_cannot_reach_outside_its_storage(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], tmp_path: Path
) -> None:
    storage = _Storage("7", np.arange(10, dtype="<f4"))
    tensor = _Tensor(storage, offset, shape, strides, False, OrderedDict())
    path = _write(tmp_path / "w.pth", OrderedDict(weight=tensor), [storage])
    assert _code(path) is Code.WEIGHTS_UNREADABLE


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    storage = _Storage("7", np.arange(10, dtype="<f4"))
    tensor = _Tensor(storage, 0, (10,), (1,), False, OrderedDict())
    whole = _write(tmp_path / "w.pth", OrderedDict(weight=tensor), [storage]).read_bytes()
    for content in (b"", b"PK\x03\x04zip", whole[:50], whole[:-4]):
        (tmp_path / "cut.pth").write_bytes(content)
        assert _code(tmp_path / "cut.pth") is Code.WEIGHTS_UNREADABLE
    assert _code(tmp_path / "missing.pth") is Code.WEIGHTS_UNREADABLE
