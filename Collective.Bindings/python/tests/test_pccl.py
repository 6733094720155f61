"""The reference's names, with its values, and programs in its manner."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import threading

import pytest
from conftest import DEADLINE, PACKAGE, PROCESS_DEADLINE, together

import collective
import collective.pccl as pccl
from collective import _ffi


def running_master():
    """A master under the reference's name, and its address. PCCL's masters take no port 0, so one is found first; somebody else may take it meanwhile."""
    for _ in range(100):
        with collective.Master("127.0.0.1:0") as probe:
            address = probe.address
        master = pccl.MasterNode(address)
        try:
            master.run()
            return master, address
        except pccl.PCCLError as error:
            assert isinstance(error.error, collective.AddressInUse)
    raise AssertionError("no free port")


@pytest.fixture
def node():
    master, address = running_master()
    yield address
    master.interrupt()


def connected(address, count, body, **options):
    """body(communicator, number) on so many peers, which join one after the other as the reference's do."""
    everybody = threading.Barrier(count, timeout=DEADLINE)

    def peer(number):
        communicator = pccl.Communicator(address, 0, **options)
        communicator.connect(n_attempts=15)
        while communicator.get_attribute(pccl.Attribute.LOCAL_WORLD_SIZE) < count:
            communicator.update_topology()
        everybody.wait()
        return body(communicator, number)

    return together(count, peer)


@pytest.mark.parametrize(
    ("ours", "theirs", "renamed"),
    [
        (pccl.Result, _ffi.pcclResult_t, {}),
        (pccl.ReduceOp, _ffi.pcclRedOp_t, {}),
        (pccl.DataType, _ffi.pcclDataType_t, {}),
        (pccl.DeviceType, _ffi.pcclDeviceType_t, {"DEVICE": ""}),
        (pccl.DistributionHint, _ffi.pcclDistributionHint_t, {"DISTRIBUTION": ""}),
        (pccl.QuantizationAlgorithm, _ffi.pcclQuantizationAlgorithm_t, {"QUANT": ""}),
        (pccl.Attribute, _ffi.pcclAttribute_t, {"ATTRIBUTE": "", "PEERGROUPWORLDSIZE": "LOCALWORLDSIZE", "LARGESTLOCAL": "LARGESTPEERGROUP"}),
        (pccl.SharedStateSyncStrategy, _ffi.pcclSharedStateSyncStrategy_t, {"SHAREDSTATESYNCSTRATEGY": ""}),
    ],
)
def test_enumerations_are_those_of_the_header(ours, theirs, renamed):
    expected = {}
    for member in theirs:
        name = member.name.upper().replace("_", "").removeprefix("PCCL")
        for old, new in renamed.items():
            name = name.replace(old, new, 1)
        expected[name] = int(member)
    if ours is pccl.Attribute:
        expected["LARGESTPEERGROUPWORLDSIZE"] = expected.pop("LARGESTLOCALWORLDSIZE", 4)
    assert {member.name.replace("_", ""): int(member) for member in ours} == expected


def test_the_alias_is_one_line():
    import sys, collective.pccl; sys.modules["pccl"] = collective.pccl  # fmt: skip  # noqa: E401, E702

    try:
        import pccl as theirs
        import pccl.cuda
        import pccl.master
        from pccl import Communicator, ReduceOp  # noqa: F401
        from pccl.cuda import is_available

        assert theirs is collective.pccl and theirs.cuda.is_available() is False and is_available() is False and pccl.master.main
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "pccl"]:
            del sys.modules[name]


def test_types_of_torch_and_numpy():
    for package, back, name in (("torch", "to_torch_dtype", "from_torch_dtype"), ("numpy", "to_numpy_dtype", "from_numpy_dtype")):
        module, found = pytest.importorskip(package), 0
        for member in pccl.DataType:
            try:
                dtype = getattr(member, back)()
            except ValueError as error:
                assert package in str(error)  # torch 1.13 has no uint16, numpy no bfloat16
                continue
            assert getattr(pccl.DataType, name)(dtype) is member
            found += 1
        assert found >= 9
        assert getattr(pccl.DataType, name)(module.float32) is pccl.DataType.FLOAT
        with pytest.raises(ValueError, match="no type of PCCL's"):
            getattr(pccl.DataType, name)(module.complex64)
    torch = pytest.importorskip("torch")
    assert pccl.DeviceType.from_torch_device("cuda:1") is pccl.DeviceType.CUDA
    assert pccl.DeviceType.CPU.to_torch_device() == torch.device("cpu")
    with pytest.raises(ValueError, match="no device"):
        pccl.DeviceType.from_torch_device("meta")


def test_types_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "numpy", None)
    for convert in (lambda: pccl.DataType.from_torch_dtype("float32"), pccl.DataType.FLOAT.to_torch_dtype, pccl.DataType.FLOAT.to_numpy_dtype):
        with pytest.raises(RuntimeError, match="is not installed"):
            convert()


def test_checking_a_result():
    pccl.PCCLError.check(0, "pcclConnect")
    with pytest.raises(pccl.PCCLError, match="pcclConnect.*INVALID_USAGE"):
        pccl.PCCLError.check(4, "pcclConnect")


def test_basic_reduce(node):
    """The reference's first example: pending peers asked for in each step, then a sum out of place."""
    torch = pytest.importorskip("torch")

    def body(communicator, number):
        torch.manual_seed(number)
        for step in range(20):
            if communicator.are_peers_pending():
                communicator.update_topology()
            values, target = torch.full((1024,), float(number + step)), torch.zeros(1024)
            handle = communicator.all_reduce_async(
                values,
                target,
                op=pccl.ReduceOp.SUM,
                operand_descriptor=pccl.ReduceOperandDescriptor(datatype=pccl.DataType.FLOAT, distribution_hint=pccl.DistributionHint.NORMAL),
            )
            succeeded, status, info = handle.wait()
            assert succeeded and status == pccl.Result.SUCCESS and handle.wait()[2] is info
            assert (info.local_world_size, info.tx_bytes, info.rx_bytes) == (2, 4096, 4096)
            assert target.eq(2 * step + 1).all() and values.eq(number + step).all()
        return True

    assert connected(node, 2, body, p2p_connection_pool_size=4) == [True, True]


def test_many_with_retry_from_another_thread(node):
    """As the asynchronous examples do: the reduces run on a thread while the main one asks for pending peers."""
    numpy = pytest.importorskip("numpy")

    def body(communicator, number):
        tensors = [numpy.full(100, number + 1.0, numpy.float32) for _ in range(20)]
        operand, quantization = pccl.ReduceOperandDescriptor(pccl.DataType.FLOAT), pccl.QuantizationOptions(pccl.DataType.FLOAT, pccl.QuantizationAlgorithm.NONE)
        descriptors = [
            pccl.ReduceOpDescriptor.from_numpy(tensor, tensor, pccl.ReduceDescriptor(tensor.size, pccl.ReduceOp.AVG, tag, operand, quantization))
            for tag, tensor in enumerate(tensors)
        ]
        infos = []
        thread = threading.Thread(target=lambda: infos.append(communicator.all_reduce_multiple_with_retry(descriptors, max_in_flight=16)))
        thread.start()
        assert not communicator.are_peers_pending()
        thread.join(DEADLINE)
        assert infos[0].local_world_size == 2 and infos[0].tx_bytes == 20 * 400
        return [tensor.mean() for tensor in tensors]

    assert connected(node, 2, body) == [[1.5] * 20] * 2


def test_all_reduce_in_place(node):
    numpy = pytest.importorskip("numpy")

    def body(communicator, number):
        tensor = numpy.full(10, number + 1.0)
        info = communicator.all_reduce(tensor, tensor, op=pccl.ReduceOp.MAX, tag=7)
        return info.local_world_size, tensor.tolist()

    assert connected(node, 2, body) == [(2, [2.0] * 10)] * 2


def test_attributes(node):
    assert connected(node, 2, lambda communicator, number: [communicator.get_attribute(attribute) for attribute in pccl.Attribute]) == [[2, 2, 1, 2]] * 2


def test_errors_have_the_result_and_say_why(node):
    numpy = pytest.importorskip("numpy")
    communicator = pccl.Communicator(node)
    with pytest.raises(pccl.PCCLError, match="pcclUpdateTopology.*INVALID_USAGE") as caught:
        communicator.update_topology()
    assert caught.value.result == pccl.Result.INVALID_USAGE and isinstance(caught.value.error, collective.NotConnected)
    communicator.connect()
    with pytest.raises(pccl.PCCLError) as caught:
        communicator.all_reduce_async(numpy.ones(3), numpy.ones(3), op=pccl.ReduceOp.SUM)
    assert caught.value.result == pccl.Result.TOO_FEW_PEERS


def test_no_master_after_all_attempts(monkeypatch, nobody):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(Exception, match="after 3 attempts"):
        pccl.Communicator(nobody).connect(n_attempts=3)


@pytest.mark.parametrize("address", ["localhost:48148", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_addresses_are_numeric(address):
    with pytest.raises(ValueError, match="ip:port"):
        pccl.Communicator(address)


def test_an_ipv6_address():
    assert bytes(pccl._address("[::1]:5").inet.ipv6.data)[-1] == 1


def test_tensors_have_to_fit(node):
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    communicator = pccl.Communicator(node)
    with pytest.raises(ValueError):
        communicator.all_reduce(numpy.ones(3), torch.ones(3), op=pccl.ReduceOp.SUM)
    with pytest.raises(AssertionError):
        communicator.all_reduce(numpy.ones(3), numpy.ones(4), op=pccl.ReduceOp.SUM)
    with pytest.raises(AssertionError):
        communicator.all_reduce(numpy.ones(3, "f4"), numpy.ones(3), op=pccl.ReduceOp.SUM)
    with pytest.raises(AssertionError):
        communicator.all_reduce(numpy.ones((3, 3)).T, numpy.ones((3, 3)), op=pccl.ReduceOp.SUM)
    with pytest.raises(ValueError):
        pccl.TensorInfo("a", 0, numel=1, dtype=pccl.DataType.FLOAT, device_type=pccl.DeviceType.CPU, allow_content_inequality=False)


def test_shared_state(node):
    torch = pytest.importorskip("torch")

    def body(communicator, number):
        weights, step = torch.full((64,), float(number)), torch.tensor([number])
        state = pccl.SharedState(
            [pccl.TensorInfo.from_torch(weights, "weights"), pccl.TensorInfo.from_torch(step, "step", allow_content_inequality=True)]
        )
        received = []
        for _ in range(3):
            info = communicator.sync_shared_state(state)
            received.append((info.rx_bytes, info.tx_bytes))
            state.push_revision()
        assert state.revision == 3
        return weights.tolist(), received

    (one, first), (two, second) = connected(node, 2, body)
    assert one == two and len(set(one)) == 1
    assert sorted([first[0], second[0]]) == [(0, 256), (256, 0)]
    assert first[1:] == second[1:] == [(0, 0), (0, 0)]


def test_objects_go_out_of_scope(node):
    communicator = pccl.Communicator(node)
    communicator.connect()
    del communicator
    master = pccl.MasterNode("127.0.0.1:0")
    del master
    gc.collect()


def test_a_master_is_interrupted_while_a_peer_is_connected():
    master, address = running_master()
    communicator = pccl.Communicator(address)
    communicator.connect(n_attempts=15)
    master.interrupt()
    del master
    with pytest.raises(pccl.PCCLError):
        communicator.update_topology()
    assert math.isfinite(communicator.get_attribute(pccl.Attribute.GLOBAL_WORLD_SIZE))


PROGRAM_OF_A_MASTER = """
import atexit
import collective, collective.pccl as pccl
for _ in range(100):  # somebody else may take the port meanwhile
    with collective.Master("127.0.0.1:0") as probe:
        address = probe.address
    master = pccl.MasterNode(address)
    try:
        master.run()
        break
    except pccl.PCCLError:
        pass
atexit.register(print, address, flush=True)  # runs before the master's end is waited for
"""


def test_a_program_that_only_runs_a_master_stays_until_it_is_interrupted():
    """All examples of PCCL have their masters like that: nothing follows run()."""
    command, environment = [sys.executable, "-c", PROGRAM_OF_A_MASTER], {**os.environ, "PYTHONPATH": str(PACKAGE / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        address = program.stdout.readline().strip()
        # Peers come, and go, and the master is still there.
        for _ in range(3):
            communicator = pccl.Communicator(address)
            communicator.connect(n_attempts=15)
            assert communicator.get_attribute(pccl.Attribute.GLOBAL_WORLD_SIZE) == 1
            del communicator
        assert program.poll() is None
        program.send_signal(signal.SIGINT)
        assert program.wait(PROCESS_DEADLINE) == 0
        assert "Traceback" not in program.stderr.read()
