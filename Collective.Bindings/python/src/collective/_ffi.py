"""Generated from collective.h by tools/generate_ffi.py. Do not edit: change the header and generate again."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure
from ctypes import c_bool, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint16, c_uint32, c_uint64, c_uint8, c_void_p
from typing import Any

COLLECTIVE_VERSION = "0.1.0"
COLLECTIVE_ABI_VERSION = 1
CCOIP_PROTOCOL_PORT_MASTER = 48148
CCOIP_PROTOCOL_PORT_SHARED_STATE = 48149
CCOIP_PROTOCOL_PORT_P2P = 48150
CCOIP_PROTOCOL_PORT_BANDWIDTH_BENCHMARK = 48151
PCCLX_NO_TIMEOUT = -1


class pcclResult_t(enum.IntEnum):
    pcclSuccess = 0
    pcclNotInitialized = 1
    pcclInternalError = 2
    pcclInvalidArgument = 3
    pcclInvalidUsage = 4
    pcclTooFewPeers = 5
    pcclMasterConnectionFailed = 6
    pcclRankConnectionFailed = 7
    pcclRankConnectionLost = 8
    pcclNoSharedStateAvailable = 9
    pcclPendingAsyncOps = 10
    pcclUpdateTopologyFailed = 11
    pcclTopologyOptimizationFailed = 12


class pcclDataType_t(enum.IntEnum):
    pcclUint8 = 0
    pcclInt8 = 1
    pcclInt16 = 2
    pcclUint16 = 3
    pcclUint32 = 4
    pcclInt32 = 5
    pcclUint64 = 6
    pcclInt64 = 7
    pcclFloat16 = 8
    pcclBFloat16 = 9
    pcclFloat = 10
    pcclDouble = 11


class pcclDeviceType_t(enum.IntEnum):
    pcclDeviceCpu = 0
    pcclDeviceCuda = 1


class pcclRedOp_t(enum.IntEnum):
    pcclSum = 0
    pcclAvg = 1
    pcclProd = 2
    pcclMax = 3
    pcclMin = 4


class pcclAttribute_t(enum.IntEnum):
    PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE = 1
    PCCL_ATTRIBUTE_PEER_GROUP_WORLD_SIZE = 2
    PCCL_ATTRIBUTE_NUM_DISTINCT_PEER_GROUPS = 3
    PCCL_ATTRIBUTE_LARGEST_PEER_GROUP_WORLD_SIZE = 4


class pcclSharedStateSyncStrategy_t(enum.IntEnum):
    PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR = 0
    PCCL_SHARED_STATE_SYNC_STRATEGY_RECEIVE_ONLY = 1
    PCCL_SHARED_STATE_SYNC_STRATEGY_SEND_ONLY = 2


class pcclDistributionHint_t(enum.IntEnum):
    pcclDistributionNone = 0
    pcclDistributionNormal = 1
    pcclDistributionUniform = 2


class pcclQuantizationAlgorithm_t(enum.IntEnum):
    pcclQuantNone = 0
    pcclQuantMinMax = 1
    pcclQuantZeroPointScale = 2


class ccoip_inet_protocol_t(enum.IntEnum):
    inetIPv4 = 0
    inetIPv6 = 1


class pcclxError_t(enum.IntEnum):
    pcclxErrorNone = 0
    pcclxErrorInvalidArgument = 1
    pcclxErrorInvalidUsage = 2
    pcclxErrorNotConnected = 3
    pcclxErrorPendingOperations = 4
    pcclxErrorTooFewPeers = 5
    pcclxErrorMasterUnreachable = 6
    pcclxErrorMasterRefused = 7
    pcclxErrorMasterLost = 8
    pcclxErrorEvicted = 9
    pcclxErrorOperationAborted = 10
    pcclxErrorMismatch = 11
    pcclxErrorCrossedCalls = 12
    pcclxErrorLimitExceeded = 13
    pcclxErrorAddressInUse = 14
    pcclxErrorInternalError = 15
    pcclxErrorTimedOut = 16
    pcclxErrorSyncFailed = 17
    pcclxErrorRevisionMismatch = 18
    pcclxErrorNotInitialized = 100
    pcclxErrorCancelled = 101
    pcclxErrorDestroyed = 102
    pcclxErrorForked = 103
    pcclxErrorNotSupported = 104


class pcclxLogLevel_t(enum.IntEnum):
    pcclxLogTrace = 0
    pcclxLogDebug = 1
    pcclxLogInformation = 2
    pcclxLogWarning = 3
    pcclxLogError = 4
    pcclxLogCritical = 5
    pcclxLogNone = 6


class pcclxRevisions_t(enum.IntEnum):
    PCCLX_REVISIONS_GROW = 0
    PCCLX_REVISIONS_COUNTED = 1
    PCCLX_REVISIONS_BY_ONE = 2


class ccoip_ipv4_address_t(Structure):
    _fields_ = [
        ("data", c_uint8 * 4),
    ]


class ccoip_ipv6_address_t(Structure):
    _fields_ = [
        ("data", c_uint8 * 16),
    ]


class ccoip_inet_address_t(Structure):
    _fields_ = [
        ("protocol", c_int32),
        ("ipv4", ccoip_ipv4_address_t),
        ("ipv6", ccoip_ipv6_address_t),
    ]


class ccoip_socket_address_t(Structure):
    _fields_ = [
        ("inet", ccoip_inet_address_t),
        ("port", c_uint16),
    ]


class pcclRankUuid_t(Structure):
    _fields_ = [
        ("data", c_uint8 * 16),
    ]


class pcclBuildInfo_t(Structure):
    _fields_ = [
        ("has_cuda_support", c_bool),
    ]


class pcclCommCreateParams_t(Structure):
    _fields_ = [
        ("master_address", ccoip_socket_address_t),
        ("peer_group", c_uint32),
        ("p2p_connection_pool_size", c_uint32),
    ]


class pcclReduceInfo_t(Structure):
    _fields_ = [
        ("local_world_size", c_uint32),
        ("tx_bytes", c_uint64),
        ("rx_bytes", c_uint64),
    ]


class pcclReduceOperandDescriptor_t(Structure):
    _fields_ = [
        ("datatype", c_int32),
        ("distribution_hint", c_int32),
    ]


class pcclQuantizationOptions_t(Structure):
    _fields_ = [
        ("quantized_datatype", c_int32),
        ("algorithm", c_int32),
    ]


class pcclReduceDescriptor_t(Structure):
    _fields_ = [
        ("count", c_size_t),
        ("op", c_int32),
        ("tag", c_uint64),
        ("src_descriptor", pcclReduceOperandDescriptor_t),
        ("quantization_options", pcclQuantizationOptions_t),
    ]


class pcclReduceOpDescriptor_t(Structure):
    _fields_ = [
        ("sendbuf", c_void_p),
        ("recvbuf", c_void_p),
        ("descriptor", pcclReduceDescriptor_t),
    ]


class pcclAsyncReduceOp_t(Structure):
    _fields_ = [
        ("comm", c_void_p),
        ("tag", c_uint64),
    ]


class pcclTensorInfo_t(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("data", c_void_p),
        ("count", c_size_t),
        ("datatype", c_int32),
        ("device_type", c_int32),
        ("allow_content_inequality", c_bool),
    ]


class pcclSharedState_t(Structure):
    _fields_ = [
        ("revision", c_uint64),
        ("count", c_size_t),
        ("infos", POINTER(pcclTensorInfo_t)),
    ]


class pcclSharedStateSyncInfo_t(Structure):
    _fields_ = [
        ("tx_bytes", c_uint64),
        ("rx_bytes", c_uint64),
    ]


pcclxLogCallback_t = CFUNCTYPE(None, c_int32, c_char_p, c_char_p, c_void_p)


class pcclxCommOptions_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("master", c_char_p),
        ("peer_group", c_uint32),
        ("stripe_count", c_uint32),
        ("min_world_size", c_uint32),
        ("listen_port", c_int32),
        ("connect_timeout_ms", c_int64),
        ("call_timeout_ms", c_int64),
        ("link_stall_timeout_ms", c_int64),
        ("fingerprint", c_char_p),
        ("keep_min_world_size", c_uint32),
        ("reserved", c_uint32),
        ("advertise_address", c_char_p),
    ]


class pcclxCallOptions_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("timeout_ms", c_int64),
        ("label", c_char_p),
    ]


class pcclxWorld_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("epoch", c_uint64),
        ("rank", c_uint32),
        ("world_size", c_uint32),
        ("global_world_size", c_uint32),
        ("group_count", c_uint32),
        ("largest_group_world_size", c_uint32),
        ("connected", c_uint32),
        ("self", pcclRankUuid_t),
        ("has_newcomers", c_uint32),
        ("reserved", c_uint32),
    ]


class pcclxStatistics_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("reduces_committed", c_uint64),
        ("reduces_failed", c_uint64),
        ("reduces_in_flight", c_uint64),
        ("tx_bytes", c_uint64),
        ("rx_bytes", c_uint64),
        ("connects", c_uint64),
        ("topology_updates", c_uint64),
        ("state_syncs", c_uint64),
        ("state_tx_bytes", c_uint64),
        ("state_rx_bytes", c_uint64),
        ("calls_timed_out", c_uint64),
    ]


class pcclxReduceInfo_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("epoch", c_uint64),
        ("tx_bytes", c_uint64),
        ("rx_bytes", c_uint64),
        ("world_size", c_uint32),
        ("rank", c_uint32),
        ("retries", c_uint64),
        ("contributors", POINTER(pcclRankUuid_t)),
        ("contributor_capacity", c_size_t),
    ]


pcclxDoneCallback_t = CFUNCTYPE(None, c_void_p)


class pcclxSyncProgress_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("bytes_done", c_uint64),
        ("bytes_total", c_uint64),
        ("donors", POINTER(pcclRankUuid_t)),
        ("donor_count", c_size_t),
    ]


pcclxSyncProgressCallback_t = CFUNCTYPE(None, POINTER(pcclxSyncProgress_t), c_void_p)


class pcclxLeftOut_t(Structure):
    _fields_ = [
        ("peer", pcclRankUuid_t),
        ("error", c_int32),
        ("reason", c_char * 516),
    ]


class pcclxSyncResult_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("left_out", POINTER(pcclxLeftOut_t)),
        ("left_out_capacity", c_size_t),
        ("left_out_count", c_size_t),
        ("wire_tx_bytes", c_uint64),
        ("wire_rx_bytes", c_uint64),
    ]


class pcclxSyncOptions_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("timeout_ms", c_int64),
        ("progress", pcclxSyncProgressCallback_t),
        ("context", c_void_p),
        ("result", POINTER(pcclxSyncResult_t)),
        ("revisions", c_int32),
        ("reserved", c_uint32),
    ]


class pcclxMasterOptions_t(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("listen", c_char_p),
        ("heartbeat_timeout_ms", c_int64),
        ("crossed_calls_timeout_ms", c_int64),
        ("segment_bytes", c_uint32),
        ("reserved", c_uint32),
    ]


# Name: what it returns, what it takes.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "pcclInit": (c_int32, []),
    "pcclGetBuildInfo": (c_int32, [POINTER(pcclBuildInfo_t)]),
    "pcclCreateCommunicator": (c_int32, [POINTER(pcclCommCreateParams_t), POINTER(c_void_p)]),
    "pcclGetAttribute": (c_int32, [c_void_p, c_int32, POINTER(c_int)]),
    "pcclDestroyCommunicator": (c_int32, [c_void_p]),
    "pcclConnect": (c_int32, [c_void_p]),
    "pcclUpdateTopology": (c_int32, [c_void_p]),
    "pcclArePeersPending": (c_int32, [c_void_p, POINTER(c_bool)]),
    "pcclOptimizeTopology": (c_int32, [c_void_p]),
    "pcclAllReduce": (c_int32, [c_void_p, c_void_p, POINTER(pcclReduceDescriptor_t), c_void_p, POINTER(pcclReduceInfo_t)]),
    "pcclAllReduceAsync": (c_int32, [c_void_p, c_void_p, POINTER(pcclReduceDescriptor_t), c_void_p, POINTER(pcclAsyncReduceOp_t)]),
    "pcclAwaitAsyncReduce": (c_int32, [POINTER(pcclAsyncReduceOp_t), POINTER(pcclReduceInfo_t)]),
    "pcclAllReduceMultipleWithRetry": (c_int32, [POINTER(pcclReduceOpDescriptor_t), c_size_t, c_void_p, POINTER(pcclReduceInfo_t), c_int]),
    "pcclSynchronizeSharedState": (c_int32, [c_void_p, POINTER(pcclSharedState_t), c_int32, POINTER(pcclSharedStateSyncInfo_t)]),
    "pcclCreateMaster": (c_int32, [ccoip_socket_address_t, POINTER(c_void_p)]),
    "pcclRunMaster": (c_int32, [c_void_p]),
    "pcclInterruptMaster": (c_int32, [c_void_p]),
    "pcclMasterAwaitTermination": (c_int32, [c_void_p]),
    "pcclDestroyMaster": (c_int32, [c_void_p]),
    "pcclxGetVersion": (c_char_p, []),
    "pcclxGetAbiVersion": (c_uint32, []),
    "pcclxGetLastError": (c_char_p, []),
    "pcclxGetLastErrorCode": (c_int32, []),
    "pcclxGetResultName": (c_char_p, [c_int32]),
    "pcclxGetErrorName": (c_char_p, [c_int32]),
    "pcclxSetLogCallback": (c_int32, [pcclxLogCallback_t, c_int32, c_void_p]),
    "pcclxCreateCommunicator": (c_int32, [POINTER(pcclxCommOptions_t), POINTER(c_void_p)]),
    "pcclxSetCallTimeout": (c_int32, [c_void_p, c_int64]),
    "pcclxAnnounce": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "pcclxConnect": (c_int32, [c_void_p, POINTER(pcclxCallOptions_t)]),
    "pcclxUpdateTopology": (c_int32, [c_void_p, POINTER(pcclxCallOptions_t)]),
    "pcclxArePeersPending": (c_int32, [c_void_p, POINTER(c_bool), POINTER(pcclxCallOptions_t)]),
    "pcclxOptimizeTopology": (c_int32, [c_void_p, POINTER(pcclxCallOptions_t)]),
    "pcclxStep": (c_int32, [c_void_p, POINTER(pcclxWorld_t), POINTER(pcclxCallOptions_t)]),
    "pcclxGetWorld": (c_int32, [c_void_p, POINTER(pcclxWorld_t)]),
    "pcclxGetPeers": (c_int32, [c_void_p, POINTER(pcclRankUuid_t), c_size_t, POINTER(c_size_t)]),
    "pcclxGetLiveWorld": (c_int32, [c_void_p, POINTER(pcclxWorld_t)]),
    "pcclxGetLivePeers": (c_int32, [c_void_p, POINTER(pcclRankUuid_t), c_size_t, POINTER(c_size_t)]),
    "pcclxGetStatistics": (c_int32, [c_void_p, POINTER(pcclxStatistics_t)]),
    "pcclxCancel": (c_int32, [c_void_p]),
    "pcclxAllReduce": (c_int32, [c_void_p, c_void_p, POINTER(pcclReduceDescriptor_t), c_void_p, POINTER(pcclxReduceInfo_t), POINTER(pcclxCallOptions_t)]),
    "pcclxAllReduceAsync": (c_int32, [c_void_p, c_void_p, POINTER(pcclReduceDescriptor_t), c_void_p, POINTER(pcclAsyncReduceOp_t), POINTER(pcclxCallOptions_t)]),
    "pcclxAllReduceMultipleWithRetry": (c_int32, [POINTER(pcclReduceOpDescriptor_t), c_size_t, c_void_p, POINTER(pcclxReduceInfo_t), c_int, POINTER(pcclxCallOptions_t)]),
    "pcclxAllReduceMany": (c_int32, [POINTER(pcclReduceOpDescriptor_t), c_size_t, c_void_p, POINTER(pcclxReduceInfo_t), POINTER(pcclxCallOptions_t)]),
    "pcclxBeginAllReduceMany": (c_int32, [c_void_p, c_uint64, c_size_t, POINTER(pcclAsyncReduceOp_t), POINTER(pcclxCallOptions_t)]),
    "pcclxLaunchInSet": (c_int32, [POINTER(pcclAsyncReduceOp_t), c_size_t, c_void_p, c_void_p, POINTER(pcclReduceDescriptor_t), POINTER(pcclxCallOptions_t)]),
    "pcclxAwaitAsyncReduce": (c_int32, [POINTER(pcclAsyncReduceOp_t), POINTER(pcclxReduceInfo_t)]),
    "pcclxWaitAsyncReduce": (c_int32, [POINTER(pcclAsyncReduceOp_t), c_int64, POINTER(c_bool)]),
    "pcclxNotifyAsyncReduce": (c_int32, [POINTER(pcclAsyncReduceOp_t), pcclxDoneCallback_t, c_void_p]),
    "pcclxCancelAsyncReduce": (c_int32, [POINTER(pcclAsyncReduceOp_t)]),
    "pcclxSynchronizeSharedState": (c_int32, [c_void_p, POINTER(pcclSharedState_t), c_int32, POINTER(pcclSharedStateSyncInfo_t), POINTER(pcclxSyncOptions_t)]),
    "pcclxCreateMaster": (c_int32, [POINTER(pcclxMasterOptions_t), POINTER(c_void_p)]),
    "pcclxGetMasterPort": (c_int32, [c_void_p, POINTER(c_uint16)]),
}


class Functions:
    """The functions of one loaded library."""

    pcclInit: Callable[..., int]
    pcclGetBuildInfo: Callable[..., int]
    pcclCreateCommunicator: Callable[..., int]
    pcclGetAttribute: Callable[..., int]
    pcclDestroyCommunicator: Callable[..., int]
    pcclConnect: Callable[..., int]
    pcclUpdateTopology: Callable[..., int]
    pcclArePeersPending: Callable[..., int]
    pcclOptimizeTopology: Callable[..., int]
    pcclAllReduce: Callable[..., int]
    pcclAllReduceAsync: Callable[..., int]
    pcclAwaitAsyncReduce: Callable[..., int]
    pcclAllReduceMultipleWithRetry: Callable[..., int]
    pcclSynchronizeSharedState: Callable[..., int]
    pcclCreateMaster: Callable[..., int]
    pcclRunMaster: Callable[..., int]
    pcclInterruptMaster: Callable[..., int]
    pcclMasterAwaitTermination: Callable[..., int]
    pcclDestroyMaster: Callable[..., int]
    pcclxGetVersion: Callable[..., bytes]
    pcclxGetAbiVersion: Callable[..., int]
    pcclxGetLastError: Callable[..., bytes]
    pcclxGetLastErrorCode: Callable[..., int]
    pcclxGetResultName: Callable[..., bytes]
    pcclxGetErrorName: Callable[..., bytes]
    pcclxSetLogCallback: Callable[..., int]
    pcclxCreateCommunicator: Callable[..., int]
    pcclxSetCallTimeout: Callable[..., int]
    pcclxAnnounce: Callable[..., int]
    pcclxConnect: Callable[..., int]
    pcclxUpdateTopology: Callable[..., int]
    pcclxArePeersPending: Callable[..., int]
    pcclxOptimizeTopology: Callable[..., int]
    pcclxStep: Callable[..., int]
    pcclxGetWorld: Callable[..., int]
    pcclxGetPeers: Callable[..., int]
    pcclxGetLiveWorld: Callable[..., int]
    pcclxGetLivePeers: Callable[..., int]
    pcclxGetStatistics: Callable[..., int]
    pcclxCancel: Callable[..., int]
    pcclxAllReduce: Callable[..., int]
    pcclxAllReduceAsync: Callable[..., int]
    pcclxAllReduceMultipleWithRetry: Callable[..., int]
    pcclxAllReduceMany: Callable[..., int]
    pcclxBeginAllReduceMany: Callable[..., int]
    pcclxLaunchInSet: Callable[..., int]
    pcclxAwaitAsyncReduce: Callable[..., int]
    pcclxWaitAsyncReduce: Callable[..., int]
    pcclxNotifyAsyncReduce: Callable[..., int]
    pcclxCancelAsyncReduce: Callable[..., int]
    pcclxSynchronizeSharedState: Callable[..., int]
    pcclxCreateMaster: Callable[..., int]
    pcclxGetMasterPort: Callable[..., int]

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, (result, parameters) in FUNCTIONS.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = parameters
            setattr(self, name, function)
