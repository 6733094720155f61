"""All-reduce: blocking, launched, awaited, many at once, through deaths."""

from __future__ import annotations

import array
import asyncio
import gc
import math
import sys
import threading
import weakref

import pytest
from conftest import DEADLINE, together

import collective

VICTIM = """
import sys, array, collective
communicator = collective.Communicator(sys.argv[1], minimum_world_size=3)
communicator.connect()
print("connected")
communicator.all_reduce(array.array("f", [100.0] * 1000), tag=1)
sys.stdin.read() if len(sys.argv) > 2 else None
handle = communicator.all_reduce_async(array.array("f", [100.0] * 1000), tag=2)
print("launched")
handle.wait()
"""


@pytest.mark.parametrize("op", ["sum", "avg", "prod", "min", "max"])
def test_operations_and_types(kind, run_peers, op):
    inputs = [[6, 1, 8, 3, 2], [2, 5, 4, 1, 6]]
    expected = {"sum": [8, 6, 12, 4, 8], "avg": [4, 3, 6, 2, 4], "prod": [12, 5, 32, 3, 12], "min": [2, 1, 4, 1, 2], "max": [6, 5, 8, 3, 6]}[op]

    def body(communicator, number):
        results = {}
        for dtype in kind.dtypes:
            tensor = kind.tensor(inputs[number], dtype)
            result = communicator.all_reduce(tensor, op=op)
            assert result.world_size == 2
            results[dtype] = kind.values(tensor)
        return results

    assert run_peers(2, body) == [{dtype: expected for dtype in kind.dtypes}] * 2


def test_out_of_place(kind, run_peers):
    def body(communicator, number):
        tensor, out = kind.tensor([number + 1.0] * 3), kind.tensor([0.0] * 3)
        communicator.all_reduce(tensor, out)
        return kind.values(tensor), kind.values(out)

    assert run_peers(2, body) == [([1.0] * 3, [3.0] * 3), ([2.0] * 3, [3.0] * 3)]


def test_what_a_result_says(run_peers):
    def body(communicator, number):
        result = communicator.all_reduce(array.array("f", [1.0] * 1000))
        assert set(result.contributors) == set(communicator.peers) and communicator.peers[result.rank] == communicator.world.id
        statistics = communicator.statistics
        assert (statistics.reduces_committed, statistics.reduces_in_flight, statistics.tx_bytes) == (1, 0, result.tx_bytes)
        return result.world_size, result.epoch, result.tx_bytes, result.rx_bytes, result.retries

    one, two = run_peers(2, body)
    assert one == two and one[0] == 2 and one[2:] == (4000, 4000, 0)


def test_numpy_and_torch_of_any_strides(run_peers):
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")

    def body(communicator, number):
        columns = numpy.zeros((3, 4), numpy.float32)
        columns[:, ::2] = number + 1
        transposed = torch.full((2, 3), number + 1.0).t()
        empty_dimension = torch.tensor(number + 1.0)
        communicator.all_reduce(columns[:, ::2])
        communicator.all_reduce(transposed)
        communicator.all_reduce(empty_dimension)
        communicator.all_reduce_many([columns[:, 1::2], transposed])
        return columns.sum(), transposed.sum().item(), empty_dimension.item()

    assert run_peers(2, body) == [(18.0, 36.0, 3.0)] * 2


def test_an_empty_tensor_takes_its_place_among_the_calls(run_peers):
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")

    def body(communicator, number):
        for nothing in (numpy.zeros((0, 3), numpy.float32), torch.zeros(0), array.array("f"), numpy.zeros((4, 0))[:, ::2]):
            result = communicator.all_reduce(nothing, label="nothing")
            assert (result.world_size, result.tx_bytes) == (2, 0)
        # One peer leaves an empty tensor out: its next call meets the other's empty one, and neither is summed with anything.
        tensor = array.array("f", [1.0] if number == 0 else [])
        with pytest.raises(collective.Mismatch, match="count"):
            communicator.all_reduce(tensor)
        return list(tensor)

    assert run_peers(2, body) == [[1.0], []]


def test_labels_that_differ_are_quoted_and_nothing_is_combined(run_peers):
    def body(communicator, number):
        tensor = array.array("f", [1.0 + number])
        for call in (communicator.all_reduce, lambda *args, **options: communicator.all_reduce_async(*args, **options).wait()):
            with pytest.raises(collective.Mismatch, match='label "größe [01]" against "größe [01]"'):
                call(tensor, label=f"größe {number}")
        for label in ("x" * 256, "two\nlines", "zero\0", "\ud800", 7):
            with pytest.raises(collective.InvalidArgument, match="label"):
                communicator.all_reduce(tensor, label=label)
        before = tensor[0]
        communicator.all_reduce(tensor, label="größe")
        return before, tensor[0]

    assert run_peers(2, body) == [(1.0, 3.0), (2.0, 3.0)]


def test_sixteen_bit_floats_of_torch_have_equal_bits(run_peers):
    torch = pytest.importorskip("torch")

    def body(communicator, number):
        generator = torch.Generator().manual_seed(number)
        bits = []
        for dtype in (torch.float16, torch.bfloat16):
            tensor = torch.randn(1000, generator=generator).to(dtype)
            communicator.all_reduce(tensor, op="avg")
            bits.append(tensor.view(torch.int16).tolist())
        return bits

    one, two, three = run_peers(3, body)
    assert one == two == three


def test_quantized(run_peers):
    def body(communicator, number):
        tensor = array.array("f", [42.0 + number] * 1024)
        result = communicator.all_reduce(tensor, quantization=collective.Quantization("zero_point_scale", "uint8"))
        assert set(tensor) == {85.0} and result.tx_bytes < 2000
        spread = array.array("f", [(number + 1) * value / 100 for value in range(1000)])
        communicator.all_reduce(spread, op="avg", quantization="min_max")
        assert max(abs(value - 1.5 * at / 100) for at, value in enumerate(spread)) < 0.2
        return spread.tobytes()

    one, two = run_peers(2, body)
    assert one == two


def test_senseless_quantization(run_peers):
    def body(communicator, number):
        for dtype, quantization in (("i", "min_max"), ("f", collective.Quantization("min_max", "int8")), ("f", collective.Quantization("min_max", "float32"))):
            with pytest.raises(collective.InvalidArgument):
                communicator.all_reduce(array.array(dtype, [1] * 10), quantization=quantization)

    run_peers(2, body)


def test_many(kind, run_peers):
    def body(communicator, number):
        tensors = [kind.tensor([number + at] * (at + 1)) for at in range(40)]
        result = communicator.all_reduce_many(tensors, op="sum", label="forty")
        assert result.world_size == 2 and set(result.contributors) == set(communicator.peers)
        return [kind.values(tensor) for tensor in tensors]

    assert run_peers(2, body) == [[[2 * at + 1] * (at + 1) for at in range(40)]] * 2


def test_launched_in_any_order(run_peers):
    def body(communicator, number):
        tensors = {tag: array.array("q", [tag * (number + 1)] * 100) for tag in range(20)}
        handles = [communicator.all_reduce_async(tensors[tag], tag=tag) for tag in (range(20) if number else reversed(range(20)))]
        for handle in handles:
            assert handle.wait(DEADLINE).world_size == 2
            assert handle.done() and handle.wait() is handle.wait()
            assert set(tensors[handle.tag]) == {handle.tag * 3}

    run_peers(2, body)


def test_a_handle_that_is_not_done(run_peers):
    seen = threading.Event()

    def body(communicator, number):
        tensor = array.array("f", [1.0])
        if number == 1:
            assert seen.wait(DEADLINE)
            communicator.all_reduce(tensor)
            return
        handle = communicator.all_reduce_async(tensor)
        try:
            assert not handle.done()
            with pytest.raises(TimeoutError):
                handle.wait(0.05)
            with pytest.raises(collective.PendingOperations):
                communicator.step()
            with pytest.raises(collective.PendingOperations):
                communicator.sync({"a": bytearray(1)})
            with pytest.raises(collective.InvalidArgument, match="tag"):
                communicator.all_reduce(array.array("f", [1.0]))
        finally:
            seen.set()
        handle.wait()
        assert list(tensor) == [2.0]

    run_peers(2, body)


def test_a_cancelled_handle(run_peers):
    heard = threading.Event()

    def body(communicator, number):
        tensor = array.array("f", [number + 1.0])
        if number == 0:
            try:
                handle = communicator.all_reduce_async(tensor)
                handle.cancel()
                with pytest.raises(collective.Cancelled):
                    handle.wait(DEADLINE)
                with pytest.raises(collective.Cancelled):
                    handle.wait()
                assert list(tensor) == [1.0]
            finally:
                heard.set()
        assert heard.wait(DEADLINE)
        # Both make the call that counts.
        result = communicator.all_reduce(tensor, retry=True)
        return result.world_size, list(tensor)

    assert run_peers(2, body) == [(2, [3.0])] * 2


def test_a_done_callback(run_peers):
    def body(communicator, number):
        called = threading.Event()
        handle = communicator.all_reduce_async(array.array("f", [1.0]))
        handle.add_done_callback(called.set)
        assert called.wait(DEADLINE)
        assert handle.done()
        handle.wait()
        late = threading.Event()
        handle.add_done_callback(late.set)
        assert late.is_set()

    run_peers(2, body)


def test_await(run_peers):
    async def program(communicator, number):
        tensors = [array.array("f", [number + at]) for at in range(10)]
        handles = [communicator.all_reduce_async(tensor, tag=at) for at, tensor in enumerate(tensors)]
        results = await asyncio.wait_for(asyncio.gather(*handles), DEADLINE)
        return [result.world_size for result in results], [tensor[0] for tensor in tensors]

    assert run_peers(2, lambda communicator, number: asyncio.run(program(communicator, number))) == [([2] * 10, [2.0 * at + 1 for at in range(10)])] * 2


def test_an_await_that_is_cancelled_gives_the_tensor_back(run_peers):
    async def program(communicator, tensor):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(communicator.all_reduce_async(tensor), 0.05)
        tensor.append(9.0)  # not the library's any more

    given_back = threading.Event()

    def body(communicator, number):
        tensor = array.array("f", [1.0])
        if number == 0:
            try:
                asyncio.run(program(communicator, tensor))
            finally:
                given_back.set()
            tensor.pop()
        assert given_back.wait(DEADLINE)
        communicator.all_reduce(tensor, retry=True)
        return list(tensor)

    assert run_peers(2, body) == [[2.0]] * 2


def test_alone(master):
    with collective.Communicator(master.address) as communicator:
        communicator.step()
        tensor = array.array("f", [7.0])
        for call in (lambda: communicator.all_reduce(tensor, retry=True), lambda: communicator.all_reduce_many([tensor])):
            with pytest.raises(collective.TooFewPeers):
                call()
        assert list(tensor) == [7.0]


def test_arguments_that_differ_among_peers(run_peers):
    def body(communicator, number):
        tensor = array.array("f", [1.0] * (5 + number))
        with pytest.raises(collective.Mismatch, match="5.*6|6.*5"):
            communicator.all_reduce(tensor)
        assert set(tensor) == {1.0}

    run_peers(2, body)


def test_crossed_calls(run_peers):
    def body(communicator, number):
        with pytest.raises(collective.CrossedCalls):
            communicator.update_topology() if number else communicator.all_reduce(array.array("f", [1.0]))

    run_peers(2, body)


def test_wrong_arguments(run_peers):
    def body(communicator, number):
        for arguments, options in (
            (([1.0],), {}),
            ((array.array("f", [1.0]),), {"op": "median"}),
            ((array.array("f", [1.0]),), {"tag": -1}),
            ((array.array("f", [1.0]),), {"tag": 1 << 64}),
            ((array.array("f", [1.0]),), {"timeout": 0}),
            ((array.array("f", [1.0]),), {"quantization": "gzip"}),
            ((array.array("f", [1.0]), array.array("d", [1.0])), {}),
            ((array.array("f", [1.0]), array.array("f", [1.0, 2.0])), {}),
        ):
            with pytest.raises(collective.InvalidArgument):
                communicator.all_reduce(*arguments, **options)
        with pytest.raises(collective.InvalidArgument):
            communicator.all_reduce_many([])
        for count in (0, 8193):
            with pytest.raises(collective.InvalidArgument, match="8192"):
                communicator.reduction_set(count)
        with pytest.raises(collective.InvalidArgument):  # found before anything is sent
            communicator.all_reduce_many([array.array("f", [1.0]), "text"])
        communicator.wait_all()  # what was refused is told to the others
        assert communicator.statistics.reduces_in_flight == 0
        assert communicator.all_reduce(array.array("f", [1.0]), timeout=math.inf).world_size == 2

    run_peers(2, body)


@pytest.mark.parametrize("launched", [True, False], ids=["after it entered", "before it entered"])
def test_a_killed_peer(master, script, launched):
    """The survivors hear of it, their tensors are what they were, and the same call goes through."""
    victim = script(VICTIM, master.address, *([] if launched else ["stay"]))
    gone = threading.Event()

    def survivor(number):
        with collective.Communicator(master.address, minimum_world_size=3, call_timeout=DEADLINE) as communicator:
            tensor = array.array("f", [1.0] * 1000)
            communicator.all_reduce(tensor, tag=1)
            assert set(tensor) == {102.0}
            if number == 0:
                victim.expect("connected")
                if launched:
                    victim.expect("launched")
                victim.kill()
                victim.process.wait(DEADLINE)
                gone.set()
            assert gone.wait(DEADLINE)
            attempts = 0
            while True:
                attempts += 1
                try:
                    result = communicator.all_reduce(tensor, tag=2)
                    return result.world_size, set(tensor), attempts
                except collective.Aborted as error:
                    assert "again" in error.hint
                    assert set(tensor) == {102.0}

    for world_size, values, attempts in together(2, survivor):
        assert (world_size, values) == (2, {204.0})
        assert attempts <= 3


def test_retry_goes_on_without_a_killed_peer(master, script):
    victim = script(VICTIM, master.address)

    def survivor(number):
        with collective.Communicator(master.address, minimum_world_size=3, call_timeout=DEADLINE) as communicator:
            communicator.all_reduce(array.array("f", [1.0] * 1000), tag=1)
            if number == 0:
                victim.expect("connected")
                victim.expect("launched")
                victim.kill()
            tensor = array.array("f", [1.0] * 1000)
            result = communicator.all_reduce(tensor, tag=2, retry=True)
            # The victim may have been heard before it died: then all three contributions are in.
            assert (result.world_size, set(tensor)) in ((2, {2.0}), (3, {102.0}))
            tensors = [array.array("f", [1.0] * 10) for _ in range(20)]
            assert communicator.all_reduce_many(tensors, tag=10, retry=True).world_size == 2
            return result.world_size, {value for tensor in tensors for value in tensor}

    one, two = together(2, survivor)
    assert one == two and one[1] == {2.0}


@pytest.mark.parametrize("call", ["step", "update_topology", "optimize_topology", "sync", "all_reduce", "all_reduce_many"])
def test_a_dropped_handle(run_peers, call):
    """It is awaited in the background: its tensor lives until then, and what must not overlap with it waits for it."""
    launched, may_join = threading.Event(), threading.Event()

    class Tensor(array.array):
        pass

    def body(communicator, number):
        if number == 0:
            tensor = Tensor("f", [1.0] * 1000)
            life = weakref.ref(tensor)
            communicator.all_reduce_async(tensor, tag=9)
            del tensor
            gc.collect()
            assert life() is not None and [each.tag for each in communicator._dropped] == [9]
            launched.set()
        else:
            assert launched.wait(DEADLINE)
            communicator.all_reduce(array.array("f", [1.0] * 1000), tag=9)
        after = array.array("f", [number + 1.0])
        {
            "sync": lambda: communicator.sync({"a": array.array("f", [1.0])}),
            "all_reduce": lambda: communicator.all_reduce(after, tag=9),
            "all_reduce_many": lambda: communicator.all_reduce_many([after], tag=9),
        }.get(call, lambda: getattr(communicator, call)())()
        if number == 0:
            assert life() is None
        assert not communicator._in_flight and not communicator._dropped and communicator.statistics.reduces_in_flight == 0
        return after[0]

    assert run_peers(2, body) == ([3.0] * 2 if call.startswith("all_reduce") else [1.0, 2.0])


def test_a_dropped_handle_that_nobody_joins(run_peers):
    """A call waits for it no longer than its own time; a cancel ends it."""
    cancelled = threading.Event()

    def body(communicator, number):
        if number == 0:
            communicator.all_reduce_async(array.array("f", [1.0]), tag=9)
            gc.collect()
            with pytest.raises(collective.PendingOperations):
                communicator.step(timeout=0.001)
            communicator.cancel()
            cancelled.set()
        assert cancelled.wait(DEADLINE)
        communicator.step()
        assert not communicator._in_flight

    run_peers(2, body, leave_early=True)


@pytest.mark.parametrize("kept", [True, False])
def test_waiting_for_all(run_peers, kept):
    """As after an exception whose traceback is kept: nobody waits for the handles any more."""
    cancelled = threading.Event()

    def body(communicator, number):
        communicator.wait_all()
        if number == 0:
            handles = [communicator.all_reduce_async(array.array("f", [1.0]), tag=tag) for tag in range(3)]
            if not kept:
                handles.clear()
            with pytest.raises(TimeoutError, match="has not ended"):
                communicator.wait_all(timeout=0.001)
            communicator.cancel()
            communicator.wait_all(timeout=DEADLINE)
            assert not communicator._in_flight and communicator.statistics.reduces_in_flight == 0
            for handle in handles:
                with pytest.raises(collective.Cancelled):
                    handle.wait()
            cancelled.set()
        assert cancelled.wait(DEADLINE)
        communicator.step()

    run_peers(2, body, leave_early=True)


def test_a_dropped_handle_whose_tensor_was_copied(run_peers):
    """What is not contiguous gets its result, too."""
    numpy = pytest.importorskip("numpy")

    def body(communicator, number):
        whole = numpy.ones((4, 2), numpy.float32)
        communicator.all_reduce_async(whole[:, 0], tag=9)
        gc.collect()
        communicator.step()
        return whole.tolist()

    assert run_peers(2, body) == [[[2.0, 1.0]] * 4] * 2


def test_a_call_that_is_refused_fails_for_the_others_and_the_next_is_right(run_peers):
    """A tensor that overlaps itself: nothing of it is sent, nobody waits for the call, and the next calls of all meet each other."""
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    wrong = [torch.zeros(1).expand(1000), numpy.lib.stride_tricks.as_strided(numpy.zeros(1, numpy.float32), (1000,), (0,))]
    right = numpy.ones(1000, numpy.float32)

    def body(communicator, number):
        for tensor in wrong:
            mine = tensor if number == 1 else right.copy()
            for call in (
                lambda: communicator.all_reduce(mine),
                lambda: communicator.all_reduce(right, mine),
                lambda: communicator.all_reduce_async(mine).wait(),
                lambda: communicator.all_reduce_many([mine]),
                lambda: communicator.all_reduce_many([right.copy(), mine]),
            ):
                with pytest.raises(collective.InvalidArgument if number == 1 else collective.Mismatch, match="overlaps itself"):
                    call()
                out = numpy.zeros(5, numpy.float32)
                communicator.all_reduce(numpy.ones(5, numpy.float32), out)
                assert set(out.tolist()) == {2.0}
            if number == 1:
                with pytest.raises(collective.InvalidArgument, match="overlaps itself"):
                    communicator.sync({"key": tensor})
        # All peers make the same wrong call: nothing of it is left.
        with pytest.raises(collective.InvalidArgument, match="overlaps itself"):
            communicator.all_reduce(wrong[0])
        assert communicator.step().world_size == 2
        assert communicator.statistics.reduces_in_flight == 0 and not communicator._in_flight

    run_peers(2, body)


def test_a_refused_call_counts_like_any_other(run_peers):
    torch = pytest.importorskip("torch")

    def body(communicator, number):
        communicator.step()
        if number == 1:
            with pytest.raises(collective.InvalidArgument, match="overlaps itself"):
                communicator.all_reduce(torch.zeros(1).expand(1000))
            communicator.wait_all()
        else:
            with pytest.raises(collective.CrossedCalls):
                communicator.step()
        assert communicator.step().world_size == 2

    run_peers(2, body)


def test_tensor_and_out_that_share_some_memory(run_peers):
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")

    def body(communicator, number):
        array, tensor, memory = numpy.ones((4, 4), numpy.float32), torch.ones(4, 4), bytearray(8)
        for source, out in (
            (array[:3], array[1:]),
            (array, array.T),
            (array.reshape(-1)[::2], array.reshape(-1)[:8]),
            (tensor[:3], tensor[1:]),
            (tensor, tensor.t()),
            (memoryview(memory)[:6], memoryview(memory)[2:]),
        ):
            with pytest.raises(collective.InvalidArgument, match="share some"):
                communicator.all_reduce(source, out)
        same = array.T
        communicator.all_reduce(array[:, 0], array[:, 1])
        communicator.all_reduce(same, array.T)
        communicator.all_reduce(memory, memoryview(memory))
        return array.sum(), list(memory)

    assert run_peers(2, body) == [(2 * (16 + 4), [0] * 8)] * 2


def test_many_tensors_that_share_memory(run_peers):
    torch = pytest.importorskip("torch")

    def body(communicator, number):
        whole = torch.ones(4, 4)
        for tensors in ([whole, whole], [whole[0], whole[2], whole[:, 3]], [whole.t(), whole[3, 3:]]):
            with pytest.raises(collective.InvalidArgument, match="share memory"):
                communicator.all_reduce_many(tensors)
        communicator.all_reduce_many([whole[:, column] for column in range(4)])
        return whole.sum().item()

    assert run_peers(2, body) == [32.0] * 2


@pytest.mark.parametrize("call", ["wait", "await", "cancelled await", "wait_all", "dropped", "all_reduce", "all_reduce_many"])
def test_a_result_that_cannot_be_written(run_peers, call, monkeypatch):
    """Awaited is awaited: the operation is released, takes no other's result, and later tensors of a list are written."""
    numpy = pytest.importorskip("numpy")
    complaints, refusing = [], []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    def copy(array, source, copyto=numpy.copyto):
        if any(array.base is each for each in refusing):
            raise RuntimeError("it is refused")
        copyto(array, source)

    monkeypatch.setattr(numpy, "copyto", copy)

    async def program(handle, cancel):
        task = asyncio.ensure_future(handle._wait_in_loop())
        await asyncio.sleep(0)
        if cancel:
            task.cancel()
        await task

    def use(communicator, whole, last):
        first, refused = whole[:, 0], pytest.raises(RuntimeError, match="it is refused")
        if call in ("all_reduce", "all_reduce_many"):
            with refused:
                communicator.all_reduce(first, tag=3) if call == "all_reduce" else communicator.all_reduce_many([first, last[:, 0]], tag=3)
            return
        handle = communicator.all_reduce_async(first, tag=3)
        if call == "wait":
            with refused:
                handle.wait()
            with refused:
                handle.wait()
        elif call == "wait_all":
            communicator.wait_all()
            with refused:
                handle.wait()
        elif call == "dropped":
            del handle
            gc.collect()
            communicator.wait_all()
            assert len(complaints) == 1
        else:
            while not handle.done():
                pass
            with refused:
                asyncio.run(program(handle, call == "cancelled await"))

    def body(communicator, number):
        whole, last = numpy.ones((4, 2), numpy.float32), numpy.ones((4, 2), numpy.float32)
        if number == 0:
            refusing.append(whole)
            use(communicator, whole, last)
        elif call == "all_reduce_many":
            communicator.all_reduce_many([whole[:, 0], last[:, 0]], tag=3)
        else:
            communicator.all_reduce(whole[:, 0], tag=3)
        assert last[0, 0] == (2.0 if call == "all_reduce_many" else 1.0)
        assert not communicator._in_flight and not communicator._dropped and communicator.statistics.reduces_in_flight == 0
        after = numpy.full(5, number + 1.0, numpy.float32)
        communicator.all_reduce(after, tag=3)
        return after.tolist()

    assert run_peers(2, body) == [[3.0] * 5] * 2


def test_a_tensor_that_autograd_has_saved(run_peers):
    """Nothing is differentiated with values that it was not computed with."""
    torch = pytest.importorskip("torch")

    def body(communicator, number):
        for change in (
            lambda tensor: communicator.all_reduce(tensor),
            lambda tensor: communicator.all_reduce(torch.ones(3), tensor),
            lambda tensor: communicator.all_reduce_async(tensor).wait(),
            lambda tensor: communicator.all_reduce_many([tensor]),
            lambda tensor: communicator.sync({"key": tensor if number else torch.zeros(3)}, strategy="receive_only" if number else "send_only"),
        ):
            weights = torch.ones(3, requires_grad=True)
            saved = weights.exp()
            version = saved._version
            change(saved)
            if saved._version == version:
                assert saved.eq(weights.exp()).all()  # the peer that has sent
                continue
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                saved.sum().backward()
        assert number == 0 or saved.eq(0).all()
        weights = torch.ones(3, requires_grad=True)
        saved = weights.exp()
        communicator.all_reduce(saved, torch.zeros(3))
        with pytest.raises(collective.InvalidArgument):
            communicator.all_reduce(saved, torch.zeros(4))
        saved.sum().backward()

    run_peers(2, body)


def test_closing_with_a_dropped_handle(run_peers):
    def body(communicator, number):
        if number == 0:
            communicator.all_reduce_async(array.array("f", [1.0]), tag=9)
            communicator.close()
            assert not communicator._in_flight

    run_peers(2, body)


def test_closing_with_an_operation_in_flight(run_peers):
    def body(communicator, number):
        if number == 1:
            return
        tensor = array.array("f", [1.0])
        handle = communicator.all_reduce_async(tensor)
        communicator.close()
        with pytest.raises(collective.CollectiveError):
            handle.wait(DEADLINE)
        assert list(tensor) == [1.0]

    run_peers(2, body)
