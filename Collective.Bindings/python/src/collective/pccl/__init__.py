"""The Python names of PCCL 1.0, on top of this library. The wheel ``pypccl`` brings them as ``pccl``, so that programs run without an edit.

Without it, programs written for ``pccl`` run after changing one import

    import collective.pccl as pccl                                        # instead of: import pccl

or, for a whole program whose modules import ``pccl`` in many places, after one line before them:

    import sys, collective.pccl; sys.modules["pccl"] = collective.pccl

New programs use :class:`collective.Communicator`. What differs is listed in docs/python.md.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import importlib
import ipaddress
import time
import weakref
from typing import Any

# Absolute imports: the modules of this package may be loaded under PCCL's name.
from collective import _ffi
from collective._calls import Running, cancel_all, interruptible, to_the_end
from collective._library import library
from collective._tensors import Buffer, is_tensor, reducible, shareable
from collective.errors import CollectiveError, last_error
from collective.pccl import cuda

__version__ = _ffi.COLLECTIVE_VERSION

__all__ = [
    "AsyncReduceHandle",
    "Attribute",
    "Communicator",
    "DataType",
    "DeviceType",
    "DistributionHint",
    "MasterNode",
    "PCCLError",
    "QuantizationAlgorithm",
    "QuantizationOptions",
    "ReduceDescriptor",
    "ReduceInfo",
    "ReduceOp",
    "ReduceOpDescriptor",
    "ReduceOperandDescriptor",
    "Result",
    "SharedState",
    "SharedStateSyncInfo",
    "SharedStateSyncStrategy",
    "TensorInfo",
    "cuda",
]


class Result(enum.IntEnum):
    SUCCESS = 0
    NOT_INITIALIZED = 1
    INTERNAL_ERROR = 2
    INVALID_ARGUMENT = 3
    INVALID_USAGE = 4
    TOO_FEW_PEERS = 5
    MASTER_CONNECTION_FAILED = 6
    RANK_CONNECTION_FAILED = 7
    RANK_CONNECTION_LOST = 8
    NO_SHARED_STATE_AVAILABLE = 9
    PENDING_ASYNC_OPS = 10
    UPDATE_TOPOLOGY_FAILED = 11
    TOPOLOGY_OPTIMIZATION_FAILED = 12


class ReduceOp(enum.IntEnum):
    SUM = 0
    AVG = 1
    PROD = 2
    MAX = 3
    MIN = 4


class Attribute(enum.IntEnum):
    GLOBAL_WORLD_SIZE = 1
    LOCAL_WORLD_SIZE = 2
    NUM_DISTINCT_PEER_GROUPS = 3
    LARGEST_PEER_GROUP_WORLD_SIZE = 4


class SharedStateSyncStrategy(enum.IntEnum):
    ENFORCE_POPULAR = 0
    RECEIVE_ONLY = 1
    SEND_ONLY = 2


class DataType(enum.IntEnum):
    UINT8 = 0
    INT8 = 1
    INT16 = 2
    UINT16 = 3
    UINT32 = 4
    INT32 = 5
    UINT64 = 6
    INT64 = 7
    FLOAT16 = 8
    BFLOAT16 = 9
    FLOAT = 10
    DOUBLE = 11

    @classmethod
    def from_torch_dtype(cls, dtype: Any) -> DataType:
        """The type of such torch tensors. ValueError where there is none, RuntimeError without torch."""
        _installed("torch")
        return cls._named(str(dtype).removeprefix("torch."), dtype)

    @classmethod
    def from_numpy_dtype(cls, dtype: Any) -> DataType:
        """The type of such numpy arrays. ValueError where there is none, RuntimeError without numpy."""
        return cls._named(_installed("numpy").dtype(dtype).name, dtype)

    def to_torch_dtype(self) -> Any:
        """torch's name of this type. ValueError where torch has none, RuntimeError without torch."""
        return self._of(_installed("torch"))

    def to_numpy_dtype(self) -> Any:
        """numpy's name of this type. ValueError where numpy has none, RuntimeError without numpy."""
        numpy = _installed("numpy")
        return numpy.dtype(self._of(numpy))

    @classmethod
    def _named(cls, name: str, dtype: Any) -> DataType:
        for member in cls:
            if member._name == name:
                return member
        raise ValueError(f"{dtype} is no type of PCCL's")

    @property
    def _name(self) -> str:
        return {"FLOAT": "float32", "DOUBLE": "float64"}.get(self.name, self.name.lower())

    def _of(self, package: Any) -> Any:
        dtype = getattr(package, self._name, None)
        if dtype is None:
            raise ValueError(f"{package.__name__} {package.__version__} has no type {self._name}")
        return dtype


class DeviceType(enum.IntEnum):
    CPU = 0
    CUDA = 1

    @classmethod
    def from_torch_device(cls, device: Any) -> DeviceType:
        """Where such torch tensors are. ValueError for other devices, RuntimeError without torch."""
        kind = _installed("torch").device(device).type
        if kind.upper() not in cls.__members__:
            raise ValueError(f"{device} is no device of PCCL's")
        return cls[kind.upper()]

    def to_torch_device(self) -> Any:
        """torch's name of the device. RuntimeError without torch."""
        return _installed("torch").device(self.name.lower())


class DistributionHint(enum.IntEnum):
    NONE = 0
    NORMAL = 1
    UNIFORM = 2


class QuantizationAlgorithm(enum.IntEnum):
    NONE = 0
    MIN_MAX = 1
    ZERO_POINT_SCALE = 2


class PCCLError(Exception):
    """A function of the library returned another code than 0.

    Attributes:
        result: the code, a :class:`Result`.
        error: the same failure as a :class:`collective.CollectiveError`, with message and hint.
    """

    def __init__(self, function: str, result: int, error: CollectiveError) -> None:
        super().__init__(f"{function} failed with {Result(result).name} ({result}): {error}")
        self.result = Result(result)
        self.error = error

    @staticmethod
    def check(result: int, function: str = "the call") -> None:
        """Raises the calling thread's last failure unless ``result`` is 0."""
        if result != 0:
            raise PCCLError(function, result, last_error(result))


class ReduceOperandDescriptor:
    def __init__(self, datatype: DataType, distribution_hint: DistributionHint = DistributionHint.NONE) -> None:
        self.datatype = datatype
        self.distribution_hint = distribution_hint


class QuantizationOptions:
    def __init__(self, quantized_datatype: DataType = DataType.UINT8, algorithm: QuantizationAlgorithm = QuantizationAlgorithm.MIN_MAX) -> None:
        self.quantized_datatype = quantized_datatype
        self.algorithm = algorithm


class ReduceDescriptor:
    def __init__(self, count: int, op: ReduceOp, tag: int, operand_descriptor: ReduceOperandDescriptor, quantization_options: QuantizationOptions) -> None:
        self.count = count
        self.op = op
        self.tag = tag
        self.operand_descriptor = operand_descriptor
        self.quantization_options = quantization_options

    def _native(self) -> _ffi.pcclReduceDescriptor_t:
        operand, quantization = self.operand_descriptor, self.quantization_options
        return _ffi.pcclReduceDescriptor_t(
            self.count,
            self.op,
            self.tag,
            _ffi.pcclReduceOperandDescriptor_t(operand.datatype, operand.distribution_hint),
            _ffi.pcclQuantizationOptions_t(quantization.quantized_datatype, quantization.algorithm),
        )


class ReduceOpDescriptor:
    def __init__(self, sendbuf_ptr: int, recvbuf_ptr: int, reduce_descriptor: ReduceDescriptor) -> None:
        self.sendbuf_ptr = sendbuf_ptr
        self.recvbuf_ptr = recvbuf_ptr
        self.reduce_descriptor = reduce_descriptor
        self._owners: tuple[Buffer, ...] = ()

    @classmethod
    def from_torch(cls, send: Any, recv: Any, reduce_descriptor: ReduceDescriptor) -> ReduceOpDescriptor:
        return cls._of(send, recv, reduce_descriptor)

    @classmethod
    def from_numpy(cls, send: Any, recv: Any, reduce_descriptor: ReduceDescriptor) -> ReduceOpDescriptor:
        return cls._of(send, recv, reduce_descriptor)

    @classmethod
    def _of(cls, send: Any, recv: Any, reduce_descriptor: ReduceDescriptor) -> ReduceOpDescriptor:
        source, destination = _pair(send, recv)
        descriptor = cls(source.address, destination.address, reduce_descriptor)
        descriptor._owners = (source, destination)
        return descriptor


class TensorInfo:
    def __init__(self, name: str, data_ptr: int, *, numel: int, dtype: DataType, device_type: DeviceType, allow_content_inequality: bool) -> None:
        if not data_ptr:
            raise ValueError(f"the tensor {name!r} has a null pointer")
        self.name = name
        self.data_ptr = data_ptr
        self.numel = numel
        self.dtype = dtype
        self.device_type = device_type
        self.allow_content_inequality = allow_content_inequality
        self._owner: Buffer | None = None

    @classmethod
    def from_torch(cls, tensor: Any, name: str, *, allow_content_inequality: bool = False) -> TensorInfo:
        return cls._of(tensor, name, allow_content_inequality)

    @classmethod
    def from_numpy(cls, tensor: Any, name: str, *, allow_content_inequality: bool = False) -> TensorInfo:
        return cls._of(tensor, name, allow_content_inequality)

    @classmethod
    def _of(cls, tensor: Any, name: str, allow_content_inequality: bool) -> TensorInfo:
        buffer = _contiguous(shareable(tensor, name=name), name)
        info = cls(
            name,
            buffer.address,
            numel=buffer.count,
            dtype=DataType(buffer.dtype),
            device_type=DeviceType.CPU,
            allow_content_inequality=allow_content_inequality,
        )
        info._owner = buffer
        return info


class SharedState:
    def __init__(self, tensor_infos: list[TensorInfo]) -> None:
        if not tensor_infos:
            raise ValueError("a shared state has at least one tensor")
        self._tensor_infos = tensor_infos
        self._names = [info.name.encode() for info in tensor_infos]
        self._infos = (_ffi.pcclTensorInfo_t * len(tensor_infos))(
            *(
                _ffi.pcclTensorInfo_t(name, info.data_ptr, info.numel, info.dtype, info.device_type, info.allow_content_inequality)
                for name, info in zip(self._names, tensor_infos)
            )
        )
        self._native = _ffi.pcclSharedState_t(0, len(tensor_infos), self._infos)

    @property
    def revision(self) -> int:
        return int(self._native.revision)

    @revision.setter
    def revision(self, value: int) -> None:
        self._native.revision = value

    def push_revision(self) -> None:
        self._native.revision += 1


class SharedStateSyncInfo:
    def __init__(self, tx_bytes: int, rx_bytes: int) -> None:
        self.tx_bytes = tx_bytes
        self.rx_bytes = rx_bytes


class ReduceInfo:
    def __init__(self, local_world_size: int, tx_bytes: int, rx_bytes: int) -> None:
        self.local_world_size = local_world_size
        self.tx_bytes = tx_bytes
        self.rx_bytes = rx_bytes


class AsyncReduceHandle:
    """An all-reduce in flight. Unlike PCCL's it keeps the tensors alive."""

    def __init__(self, native: _ffi.pcclAsyncReduceOp_t, source: Buffer, destination: Buffer, communicator: Communicator) -> None:
        self._native = native
        self._source = source
        self._destination = destination
        self._communicator = communicator
        self._outcome: tuple[bool, int, ReduceInfo] | None = None

    def wait(self) -> tuple[bool, int, ReduceInfo]:
        """(succeeded, code, info). Never raises but for Ctrl+C; may be called again."""
        if self._outcome is None:
            info = _ffi.pcclReduceInfo_t()
            # Any thread may await: the main one stays open for Ctrl+C.
            result = interruptible(
                lambda: library().pcclAwaitAsyncReduce(ctypes.byref(self._native), ctypes.byref(info)), lambda: cancel_all(self._communicator._pointer)
            )
            self._outcome = (result == 0, Result(result), _reduce_info(info) if result == 0 else ReduceInfo(0, 0, 0))
            self._communicator._in_flight.pop(id(self._native), None)
            if result == 0:
                _written(self._destination)
        return self._outcome


class Communicator:
    def __init__(self, address: str, peer_group: int = 0, p2p_connection_pool_size: int = 0) -> None:
        parameters = _ffi.pcclCommCreateParams_t(_address(address), peer_group, p2p_connection_pool_size)
        pointer = ctypes.c_void_p()
        PCCLError.check(library().pcclCreateCommunicator(ctypes.byref(parameters), ctypes.byref(pointer)), "pcclCreateCommunicator")
        assert pointer.value is not None
        self._pointer: int = pointer.value
        self._in_flight: dict[int, object] = {}
        self._finalizer = weakref.finalize(self, _destroy_communicator, self._pointer, self._in_flight)

    def connect(self, n_attempts: int = 5) -> None:
        for attempt in range(n_attempts):
            try:
                self._blocking("pcclConnect", self._pointer)
                return
            except PCCLError as error:
                failure = error
                if attempt + 1 < n_attempts:
                    time.sleep(1)
        raise Exception(f"no connection to the master after {n_attempts} attempts: {failure}") from failure

    def get_attribute(self, attribute: Attribute) -> int:
        value = ctypes.c_int()
        PCCLError.check(library().pcclGetAttribute(self._pointer, attribute, ctypes.byref(value)), "pcclGetAttribute")
        return value.value

    def update_topology(self) -> None:
        self._blocking("pcclUpdateTopology", self._pointer)

    def optimize_topology(self) -> None:
        self._blocking("pcclOptimizeTopology", self._pointer)

    def are_peers_pending(self) -> bool:
        pending = ctypes.c_bool()
        self._blocking("pcclArePeersPending", self._pointer, ctypes.byref(pending))
        return pending.value

    def sync_shared_state(
        self, shared_state: SharedState, strategy: SharedStateSyncStrategy = SharedStateSyncStrategy.ENFORCE_POPULAR
    ) -> SharedStateSyncInfo:
        info = _ffi.pcclSharedStateSyncInfo_t()
        self._blocking("pcclSynchronizeSharedState", self._pointer, ctypes.byref(shared_state._native), strategy, ctypes.byref(info))
        if info.rx_bytes > 0:
            _written(*(each._owner for each in shared_state._tensor_infos if each._owner is not None))
        return SharedStateSyncInfo(info.tx_bytes, info.rx_bytes)

    def all_reduce(
        self,
        send: Any,
        recv: Any,
        *,
        op: ReduceOp,
        tag: int = 0,
        operand_descriptor: ReduceOperandDescriptor | None = None,
        quantization_options: QuantizationOptions | None = None,
    ) -> ReduceInfo:
        source, destination = _pair(send, recv)
        descriptor = _descriptor(source, op, tag, operand_descriptor, quantization_options)
        info = _ffi.pcclReduceInfo_t()
        self._blocking("pcclAllReduce", source.address, destination.address, ctypes.byref(descriptor), self._pointer, ctypes.byref(info))
        _written(destination)
        return _reduce_info(info)

    def all_reduce_async(
        self,
        send: Any,
        recv: Any,
        *,
        op: ReduceOp,
        tag: int = 0,
        operand_descriptor: ReduceOperandDescriptor | None = None,
        quantization_options: QuantizationOptions | None = None,
    ) -> AsyncReduceHandle:
        source, destination = _pair(send, recv)
        descriptor = _descriptor(source, op, tag, operand_descriptor, quantization_options)
        native = _ffi.pcclAsyncReduceOp_t()
        self._in_flight[id(native)] = (native, source, destination)
        result = library().pcclAllReduceAsync(source.address, destination.address, ctypes.byref(descriptor), self._pointer, ctypes.byref(native))
        if result != 0:
            del self._in_flight[id(native)]
        PCCLError.check(result, "pcclAllReduceAsync")
        return AsyncReduceHandle(native, source, destination, self)

    def all_reduce_multiple_with_retry(self, descriptors: list[ReduceOpDescriptor], *, max_in_flight: int = 4) -> ReduceInfo:
        natives = (_ffi.pcclReduceOpDescriptor_t * len(descriptors))(
            *(_ffi.pcclReduceOpDescriptor_t(each.sendbuf_ptr, each.recvbuf_ptr, each.reduce_descriptor._native()) for each in descriptors)
        )
        info = _ffi.pcclReduceInfo_t()
        self._blocking("pcclAllReduceMultipleWithRetry", natives, len(descriptors), self._pointer, ctypes.byref(info), max_in_flight)
        _written(*(owner for each in descriptors for owner in each._owners))
        return _reduce_info(info)

    def _blocking(self, function: str, *arguments: Any) -> None:
        """Unlike PCCL's calls, these are ended by Ctrl+C."""
        interruptible(lambda: PCCLError.check(getattr(library(), function)(*arguments), function), lambda: cancel_all(self._pointer))


class MasterNode:
    """A master in this process. As PCCL's, one that runs keeps the process when the program has come to its end, until it is interrupted.

    So the end of the object waits for the end of the master: :meth:`interrupt` from another thread, or Ctrl+C, which ends the master.
    """

    def __init__(self, listen_address: str) -> None:
        pointer = ctypes.c_void_p()
        PCCLError.check(library().pcclCreateMaster(_address(listen_address), ctypes.byref(pointer)), "pcclCreateMaster")
        assert pointer.value is not None
        self._pointer: int = pointer.value
        self._end = Running(functools.partial(library().pcclMasterAwaitTermination, self._pointer))
        self._finalizer = weakref.finalize(self, _destroy_master, self._pointer, self._end)

    def run(self) -> None:
        PCCLError.check(library().pcclRunMaster(self._pointer), "pcclRunMaster")
        # At once: when the interpreter ends there are no new threads.
        self._end.start()

    def interrupt(self) -> None:
        PCCLError.check(library().pcclInterruptMaster(self._pointer), "pcclInterruptMaster")


def _installed(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise RuntimeError(f"{package} is not installed") from None


def _address(text: str) -> _ffi.ccoip_socket_address_t:
    host, colon, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        # A socket address of PCCL holds no scope.
        if not colon or not 0 <= int(port) <= 65535 or getattr(address, "scope_id", None) is not None:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is no address: write 'ip:port', such as '127.0.0.1:48148'") from None
    native = _ffi.ccoip_socket_address_t(port=int(port))
    if address.version == 4:
        native.inet.protocol = _ffi.ccoip_inet_protocol_t.inetIPv4
        native.inet.ipv4.data[:] = list(address.packed)
    else:
        native.inet.protocol = _ffi.ccoip_inet_protocol_t.inetIPv6
        native.inet.ipv6.data[:] = list(address.packed)
    return native


def _pair(send: Any, recv: Any) -> tuple[Buffer, Buffer]:
    if type(send).__module__.partition(".")[0] != type(recv).__module__.partition(".")[0] or not (is_tensor(send) and is_tensor(recv)):
        raise ValueError("send and recv are both torch tensors or both numpy arrays")
    source = _contiguous(reducible(send, writable=False, name="send"), "send")
    destination = _contiguous(reducible(recv, name="recv"), "recv")
    assert source.dtype == destination.dtype, "send and recv have the same element type"
    assert source.count == destination.count, "send and recv have the same number of elements"
    return source, destination


def _contiguous(buffer: Buffer, name: str) -> Buffer:
    assert not buffer.copied, f"{name} is contiguous"
    return buffer


def _written(*buffers: Buffer) -> None:
    """Tells autograd that the tensors have changed."""
    for buffer in buffers:
        if buffer.write_back is not None:
            buffer.write_back()


def _descriptor(
    source: Buffer, op: ReduceOp, tag: int, operand: ReduceOperandDescriptor | None, quantization: QuantizationOptions | None
) -> _ffi.pcclReduceDescriptor_t:
    dtype = DataType(source.dtype)
    return ReduceDescriptor(
        source.count,
        op,
        tag,
        operand or ReduceOperandDescriptor(dtype),
        quantization or QuantizationOptions(dtype, QuantizationAlgorithm.NONE),
    )._native()


def _reduce_info(native: _ffi.pcclReduceInfo_t) -> ReduceInfo:
    return ReduceInfo(native.local_world_size, native.tx_bytes, native.rx_bytes)


def _destroy_communicator(pointer: int, in_flight: dict[int, object]) -> None:
    library().pcclDestroyCommunicator(pointer)
    in_flight.clear()


def _destroy_master(pointer: int, end: Running[int]) -> None:
    try:
        while end.started and not end.wait():
            pass
    except KeyboardInterrupt:
        pass  # as interrupted by the program
    to_the_end(functools.partial(library().pcclDestroyMaster, pointer))
