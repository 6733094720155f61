"""Every failure has a class, a code, a message and a hint."""

from __future__ import annotations

import pickle
import re

import pytest
from conftest import REPOSITORY

import collective
from collective import _ffi, errors
from collective.errors import ErrorCode


def kinds():
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, collective.CollectiveError) and kind is not collective.CollectiveError]


def test_every_code_has_one_class():
    assert sorted(kind.code for kind in kinds()) == sorted(code for code in ErrorCode if code != ErrorCode.UNKNOWN)
    assert all(kind.hint and kind.__doc__ for kind in kinds())


def test_every_error_of_the_header_has_its_code():
    assert {int(error) for error in _ffi.pcclxError_t} - {0} == {int(code) for code in ErrorCode} - {0}


def test_codes_and_names_are_those_of_the_manual():
    manual = dict(re.findall(r"^\| \[(\w+)\]\(#\w+\) \| (\d+) \|", (REPOSITORY / "docs" / "errors.md").read_text(), flags=re.MULTILINE))
    assert len(manual) >= 16
    ours = {code.name.replace("_", "").lower(): int(code) for code in ErrorCode}
    for name, number in manual.items():
        assert ours[{"operationaborted": "aborted"}.get(name.lower(), name.lower())] == int(number), name


@pytest.mark.parametrize("kind", kinds())
def test_can_be_pickled(kind):
    for error in (kind("what happened"), kind("what happened", hint="what to do")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.message, copy.hint, copy.code) == (kind, str(error), "what happened", error.hint, error.code)


def test_fits_pythons_own_exceptions():
    assert issubclass(collective.TimedOut, TimeoutError) and issubclass(collective.MasterUnreachable, ConnectionError)
    assert issubclass(collective.InvalidArgument, ValueError) and issubclass(collective.NotConnected, RuntimeError)


def test_a_failure_of_the_library_says_what_happened_and_what_to_do(nobody):
    with pytest.raises(collective.MasterUnreachable, match=nobody) as caught:
        collective.Communicator(nobody).connect()
    assert caught.value.code == ErrorCode.MASTER_UNREACHABLE
    assert "connect again" in caught.value.hint and str(caught.value).count("127.0.0.1") == 1


def test_an_option_out_of_range_is_named_with_its_range():
    with pytest.raises(collective.InvalidArgument, match="minimum_world_size is 2000.*1 to 1024"):
        collective.Communicator("127.0.0.1:1", minimum_world_size=2000)
    with pytest.raises(collective.InvalidArgument, match="stripe_count is 65.*1 to 64"):
        collective.Communicator("127.0.0.1:1", stripe_count=65)


@pytest.mark.parametrize(
    "options", [{"group": -1}, {"group": 2**32}, {"minimum_world_size": 0}, {"minimum_world_size": 2000}, {"stripe_count": 0}, {"stripe_count": 65}, {"listen_port": 65536},
                {"call_timeout": 0}, {"call_timeout": -1.0}, {"call_timeout": float("nan")}, {"connect_timeout": 0.001}, {"link_stall_timeout": 1e9}]
)  # fmt: skip
def test_options_out_of_range(options):
    with pytest.raises(collective.InvalidArgument):
        collective.Communicator("localhost", **options)


def test_an_address_that_is_none():
    with pytest.raises(collective.InvalidArgument, match="no address|not an address|address"):
        collective.Communicator("a:b:c")
