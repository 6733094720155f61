"""What calls can be given."""

from __future__ import annotations

import array
import ctypes

import pytest

from collective import DataType, InvalidArgument
from collective._tensors import is_tensor, reducible, shareable


def content(buffer):
    return ctypes.string_at(buffer.address, buffer.count * buffer.dtype.itemsize)


def test_element_types(kind):
    for dtype in kind.dtypes:
        tensor = kind.tensor([1, 2, 3], dtype)
        buffer = reducible(tensor)
        assert (buffer.count, buffer.dtype, buffer.write_back) == (3, DataType[dtype.upper()], None)
        ctypes.memset(buffer.address, 0, 3 * buffer.dtype.itemsize)
        assert kind.values(tensor) == [0, 0, 0]


def test_any_buffer_will_do():
    assert reducible(bytearray(b"abc")).dtype == DataType.UINT8
    assert reducible((ctypes.c_double * 4)()).dtype == DataType.FLOAT64
    assert content(reducible(b"abc", writable=False)) == b"abc"
    with pytest.raises(InvalidArgument, match="read-only"):
        reducible(b"abc")


@pytest.mark.parametrize("value", [[1.0, 2.0], "text", 3, None, {"a": 1}])
def test_what_is_no_tensor(value):
    assert not is_tensor(value)
    with pytest.raises(InvalidArgument, match="the weights is a"):
        reducible(value, name="the weights")


def test_numpy_strides_are_copied_and_brought_back():
    numpy = pytest.importorskip("numpy")
    original = numpy.arange(12, dtype=numpy.float32).reshape(3, 4)
    view = original[:, ::2]
    buffer = reducible(view)
    assert content(buffer) == view.tobytes()
    ctypes.memset(buffer.address, 0, 24)
    assert original.sum() == 66
    buffer.write_back()
    assert view.sum() == 0 and original.sum() == 36


def test_torch_strides_are_copied_and_brought_back():
    torch = pytest.importorskip("torch")
    original = torch.arange(12.0).reshape(3, 4)
    buffer = reducible(original.t())
    assert content(buffer) == original.t().contiguous().numpy().tobytes()
    ctypes.memset(buffer.address, 0, 48)
    assert original.sum() == 66
    buffer.write_back()
    assert original.sum() == 0


def test_torch_parameters_are_written_in_place():
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.ones(4))
    assert reducible(parameter).address == parameter.data_ptr()


def test_numpy_arrays_that_cannot_be_reduced():
    numpy = pytest.importorskip("numpy")
    frozen = numpy.ones(3)
    frozen.flags.writeable = False
    for wrong, message in (
        (frozen, "read-only"),
        (numpy.ones(3).astype(">f8"), "byte order"),
        (numpy.array(["a"]), "elements of type"),
        (numpy.array([object()]), "elements of type"),
        (numpy.ones(3, bool), "elements of type bool"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            reducible(wrong)


def test_torch_tensors_that_cannot_be_reduced():
    torch = pytest.importorskip("torch")
    for wrong, message in (
        (torch.ones(3, dtype=torch.bool), "torch.bool"),
        (torch.ones(3, dtype=torch.complex64), "torch.complex64"),
        (torch.ones(3).to_sparse(), "layout"),
        (torch.ones(3, device="meta"), "device meta"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            reducible(wrong)


def test_the_shared_state_takes_every_type_as_bytes():
    torch = pytest.importorskip("torch")
    assert (shareable(torch.ones(3, dtype=torch.bool), name="x").dtype, shareable(torch.ones(3, dtype=torch.complex64), name="x").count) == (DataType.UINT8, 24)


def test_the_buffer_keeps_the_memory():
    values = array.array("d", [1.0, 2.0])
    buffer = reducible(values)
    with pytest.raises(BufferError):
        values.append(3.0)  # would move it
    assert buffer.owner is not None
