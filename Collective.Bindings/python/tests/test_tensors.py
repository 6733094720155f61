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
        assert (buffer.count, buffer.dtype, buffer.copied) == (3, DataType[dtype.upper()], False)
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


def test_numpy_arrays_that_overlap_themselves_are_read_and_not_written():
    numpy = pytest.importorskip("numpy")
    strided = numpy.lib.stride_tricks.as_strided
    for wrong in (strided(numpy.ones(5), (3, 3), (8, 8)), strided(numpy.ones(1), (4,), (0,)), strided(numpy.ones(5), (3,), (4,))):
        with pytest.raises(InvalidArgument, match="overlaps itself.*copy"):
            reducible(wrong)
        with pytest.raises(InvalidArgument, match="key overlaps itself"):
            shareable(wrong, name="key")
        assert content(reducible(wrong, writable=False)) == wrong.tobytes()
    with pytest.raises(InvalidArgument, match="read-only"):
        reducible(numpy.broadcast_to(numpy.ones(1), (4,)))
    interleaved = strided(numpy.ones(8), (2, 3), (24, 16))  # no two elements at one place
    assert reducible(interleaved).count == 6


def test_torch_tensors_that_overlap_themselves_are_read_and_not_written():
    torch = pytest.importorskip("torch")
    for wrong in (torch.zeros(1).expand(1000), torch.zeros(3, 1).expand(3, 2), torch.ones(5).as_strided((3, 3), (1, 1)), torch.arange(6.0).unfold(0, 3, 1)):
        with pytest.raises(InvalidArgument, match="overlaps itself.*clone"):
            reducible(wrong)
        with pytest.raises(InvalidArgument, match="key overlaps itself"):
            shareable(wrong, name="key")
        assert content(reducible(wrong, writable=False)) == wrong.numpy().tobytes()
    for fine in (torch.ones(4).expand(1, 4), torch.ones(0, 1).expand(0, 5), torch.ones(4, 4).diagonal(), torch.tensor(1.0).expand(1, 1)):
        reducible(fine)


def test_torch_tensors_without_memory_of_their_own():
    torch = pytest.importorskip("torch")

    class Wrapper(torch.Tensor):
        @staticmethod
        def __new__(cls, inner):
            return torch.Tensor._make_wrapper_subclass(cls, inner.size(), dtype=inner.dtype, device=inner.device)

        @classmethod
        def __torch_dispatch__(cls, function, types, arguments=(), options=None):
            raise AssertionError("it was used")

    for wrong in (Wrapper(torch.ones(3)), torch.nn.parameter.UninitializedParameter(), torch._efficientzerotensor(3)):
        with pytest.raises(InvalidArgument, match="without memory of its own"):
            reducible(wrong)


def test_torch_subclasses_with_memory_are_written_in_place():
    torch = pytest.importorskip("torch")

    class Mine(torch.Tensor):
        pass

    tensor = torch.ones(3).as_subclass(Mine)
    assert reducible(tensor).address == tensor.data_ptr()


def test_what_was_written_has_another_version():
    """As of a tensor that torch has written: autograd refuses what it has saved of it."""
    torch = pytest.importorskip("torch")
    leaf = torch.ones(4, requires_grad=True)
    whole = torch.ones(4, 4)
    for tensor in (leaf, leaf * 2, torch.nn.Parameter(torch.ones(2)), whole[1], whole.t(), whole[:, 1], leaf.view(2, 2), torch.tensor(1.0), torch.empty(0), torch.ones(2).bool()):
        before, requires_grad = tensor._version, tensor.requires_grad
        shareable(tensor, name="key").write_back()
        assert (tensor._version, tensor.requires_grad) == (before + 1, requires_grad)
        assert reducible(tensor.to(torch.float32), writable=False).write_back is None
    saved = leaf.exp()
    reducible(saved).write_back()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.sum().backward()


def test_inference_tensors_are_written():
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        whole = torch.zeros(2, 3)
    for tensor in (whole, whole.t()):
        buffer = reducible(tensor)
        ctypes.memmove(buffer.address, (ctypes.c_float * 6)(*range(6)), 24)
        buffer.write_back()
        assert tensor.reshape(-1).tolist() == list(range(6))
    normal = torch.zeros(2)
    with torch.inference_mode():
        reducible(normal).write_back()
    assert normal._version == 1
