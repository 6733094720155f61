/*
 * collective.h - fault-tolerant collective communications: the C interface of libcollective.
 *
 * NAME
 *     collective - all-reduce among peers that may come, leave or die at any time
 *
 * SYNOPSIS
 *     #include <collective.h>
 *     cc program.c -lcollective          (or: pkg-config --cflags --libs collective)
 *
 * DESCRIPTION
 *     A process is a peer of a run through a communicator. A master coordinates the run and touches no data. Peers of
 *     one peer group reduce tensors over a ring of TCP connections. When a peer is lost, what was in flight fails for
 *     all survivors alike, in-place buffers hold again what they held before, and the same call made again succeeds
 *     among those that are left. After a success all peers hold the same bits.
 *
 *     Functions, types and constants that begin with pccl, PCCL, ccoip, CCOIP or inet are, in name, value, layout and
 *     calling convention, those of PCCL 1.0: a program built against that library runs on this one. What begins with
 *     pcclx or PCCLX is an addition of this library. Manual: docs/c-api.md.
 *
 * THREADS
 *     Any thread may call any function. Calls on one communicator that exclude each other (two topology updates at
 *     once) fail with pcclInvalidUsage; calls on different communicators never meet. A handle that was destroyed, or
 *     never was one, is pcclInvalidArgument. Destroying a communicator ends the calls of other threads on it first.
 *
 * ERRORS
 *     Every function that returns pcclResult_t returns pcclSuccess or a code below; checks are made in the order that
 *     its manual gives. pcclxGetLastError() says what happened in words, and what to do. Nothing is printed, no signal
 *     is raised, the process is never ended.
 *
 * MEMORY
 *     All memory passed in stays the caller's, and is read only during the call, with one exception: send and receive
 *     buffers of an asynchronous reduction belong to the library from launch until it was awaited. The library gives
 *     out no memory to be freed.
 *
 * FORK
 *     The library does not survive fork(): in a child every function returns pcclInvalidUsage (or does nothing). A
 *     child that execs is unharmed, for all descriptors are close-on-exec.
 *
 * Distributed under the MIT licence, without warranty of any kind.
 */
#ifndef COLLECTIVE_H
#define COLLECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PCCL_EXPORT
#if defined(_WIN32)
#define PCCL_EXPORT __declspec(dllimport)
#else
#define PCCL_EXPORT
#endif
#endif

/* Marks what may be null in declarations of programs written for PCCL. */
#ifndef PCCL_NULLABLE
#define PCCL_NULLABLE
#endif

/* Version of this header. pcclxGetVersion() tells that of the library. */
#define COLLECTIVE_VERSION "0.1.0"

/* Grows when something is added to this header; what is there never changes. pcclxGetAbiVersion() tells the library's. */
#define COLLECTIVE_ABI_VERSION 1u

/* ---------------------------------------------------------------------------------------------------------------------
 * Ports
 */

#define CCOIP_PROTOCOL_PORT_MASTER 48148
#define CCOIP_PROTOCOL_PORT_SHARED_STATE 48149         /* not used by this library: everything goes over one port */
#define CCOIP_PROTOCOL_PORT_P2P 48150                  /* first port tried for data; the first free one is taken */
#define CCOIP_PROTOCOL_PORT_BANDWIDTH_BENCHMARK 48151  /* not used by this library */

/* ---------------------------------------------------------------------------------------------------------------------
 * Enumerations (32 bits each)
 */

typedef enum pcclResult_t {
    pcclSuccess = 0,
    pcclNotInitialized = 1,              /* pcclInit was not called */
    pcclInternalError = 2,               /* a defect of this library; please report pcclxGetLastError() */
    pcclInvalidArgument = 3,             /* an argument is outside what the call accepts; nothing was sent */
    pcclInvalidUsage = 4,                /* not now: not connected, or in conflict with another call */
    pcclTooFewPeers = 5,                 /* alone in the peer group: nobody to reduce with */
    pcclMasterConnectionFailed = 6,      /* connect failed */
    pcclRankConnectionFailed = 7,        /* never returned */
    pcclRankConnectionLost = 8,          /* the operation failed for all peers alike; buffers are restored, call again */
    pcclNoSharedStateAvailable = 9,      /* never returned */
    pcclPendingAsyncOps = 10,            /* await what was launched, then call again */
    pcclUpdateTopologyFailed = 11,       /* call again, unless the master is lost */
    pcclTopologyOptimizationFailed = 12  /* call again, unless the master is lost */
} pcclResult_t;

typedef enum pcclDataType_t {
    pcclUint8 = 0,
    pcclInt8 = 1,
    pcclInt16 = 2,
    pcclUint16 = 3,
    pcclUint32 = 4,
    pcclInt32 = 5,
    pcclUint64 = 6,
    pcclInt64 = 7,
    pcclFloat16 = 8,
    pcclBFloat16 = 9,
    pcclFloat = 10,
    pcclDouble = 11
} pcclDataType_t;

typedef enum pcclDeviceType_t {
    pcclDeviceCpu = 0,
    pcclDeviceCuda = 1
} pcclDeviceType_t;

typedef enum pcclRedOp_t {
    pcclSum = 0,
    pcclAvg = 1,  /* the sum divided by the number of peers: floats in their own type, integers truncating */
    pcclProd = 2,
    pcclMax = 3,
    pcclMin = 4
} pcclRedOp_t;

typedef enum pcclAttribute_t {
    PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE = 1,              /* admitted peers of all groups */
    PCCL_ATTRIBUTE_PEER_GROUP_WORLD_SIZE = 2,          /* admitted peers of this peer's group */
    PCCL_ATTRIBUTE_NUM_DISTINCT_PEER_GROUPS = 3,       /* groups with at least one admitted peer */
    PCCL_ATTRIBUTE_LARGEST_PEER_GROUP_WORLD_SIZE = 4   /* admitted peers of the largest group */
} pcclAttribute_t;

typedef enum pcclSharedStateSyncStrategy_t {
    PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR = 0,  /* the content most peers have wins; all peers say this, or none */
    PCCL_SHARED_STATE_SYNC_STRATEGY_RECEIVE_ONLY = 1,     /* mine is no candidate, and is never sent */
    PCCL_SHARED_STATE_SYNC_STRATEGY_SEND_ONLY = 2         /* mine must win, and is never overwritten */
} pcclSharedStateSyncStrategy_t;

typedef enum pcclDistributionHint_t {
    pcclDistributionNone = 0,
    pcclDistributionNormal = 1,
    pcclDistributionUniform = 2
} pcclDistributionHint_t;

typedef enum pcclQuantizationAlgorithm_t {
    pcclQuantNone = 0,
    pcclQuantMinMax = 1,
    pcclQuantZeroPointScale = 2
} pcclQuantizationAlgorithm_t;

typedef enum ccoip_inet_protocol_t {
    inetIPv4 = 0,
    inetIPv6 = 1
} ccoip_inet_protocol_t;

/* ---------------------------------------------------------------------------------------------------------------------
 * Structures. The offsets in comments are those of 64-bit systems, and are part of the interface.
 */

typedef struct ccoip_ipv4_address_t {
    uint8_t data[4];  /* as written: 127, 0, 0, 1 */
} ccoip_ipv4_address_t;

typedef struct ccoip_ipv6_address_t {
    uint8_t data[16];  /* as written, in network order */
} ccoip_ipv6_address_t;

typedef struct ccoip_inet_address_t {
    ccoip_inet_protocol_t protocol;  /* 0: which of the two is meant */
    ccoip_ipv4_address_t ipv4;       /* 4 */
    ccoip_ipv6_address_t ipv6;       /* 8 */
} ccoip_inet_address_t;              /* 24 bytes */

typedef struct ccoip_socket_address_t {
    ccoip_inet_address_t inet;  /* 0 */
    uint16_t port;              /* 24: in host byte order */
} ccoip_socket_address_t;       /* 28 bytes */

typedef struct pcclComm_t pcclComm_t;
typedef struct pcclMasterInstanceState_t pcclMasterInstance_t;
typedef struct pcclRankInfo_t pcclRankInfo_t;

typedef struct pcclRankUuid_t {
    uint8_t data[16];  /* a peer's id, in the order in which it is written */
} pcclRankUuid_t;

typedef struct pcclBuildInfo_t {
    bool has_cuda_support;
} pcclBuildInfo_t;

typedef struct pcclCommCreateParams_t {
    ccoip_socket_address_t master_address;  /* 0 */
    uint32_t peer_group;                    /* 28: peers of one group reduce together */
    uint32_t p2p_connection_pool_size;      /* 32: parallel connections to the next peer, all used by each operation;
                                                   0 means 1; more than 64 count as 64 */
} pcclCommCreateParams_t;                   /* 36 bytes */

typedef struct pcclReduceInfo_t {
    uint32_t local_world_size;  /* 0: peers whose contribution is in the result */
    uint64_t tx_bytes;          /* 8: payload sent by this peer, without headers */
    uint64_t rx_bytes;          /* 16: payload received by this peer, without headers */
} pcclReduceInfo_t;             /* 24 bytes */

typedef struct pcclReduceOperandDescriptor_t {
    pcclDataType_t datatype;                   /* 0 */
    pcclDistributionHint_t distribution_hint;  /* 4: not used */
} pcclReduceOperandDescriptor_t;               /* 8 bytes */

typedef struct pcclQuantizationOptions_t {
    pcclDataType_t quantized_datatype;      /* 0: not looked at when there is no algorithm */
    pcclQuantizationAlgorithm_t algorithm;  /* 4 */
} pcclQuantizationOptions_t;                /* 8 bytes */

typedef struct pcclReduceDescriptor_t {
    size_t count;                                    /* 0: number of elements, at least 1 */
    pcclRedOp_t op;                                  /* 8 */
    uint64_t tag;                                    /* 16: tells operations in flight apart; the same on all peers */
    pcclReduceOperandDescriptor_t src_descriptor;    /* 24 */
    pcclQuantizationOptions_t quantization_options;  /* 32 */
} pcclReduceDescriptor_t;                            /* 40 bytes */

typedef struct pcclReduceSingleDescriptor_t {
    void *sendbuf;                      /* 0 */
    void *recvbuf;                      /* 8: the same as sendbuf for an in-place operation */
    pcclReduceDescriptor_t descriptor;  /* 16 */
} pcclReduceOpDescriptor_t;             /* 56 bytes */

/* Names one launch, for ever: of a tag that was used again, an older handle is not the newer launch's. */
typedef struct pcclAsyncReduceOp_t {
    pcclComm_t *comm;   /* 0: stands for the communicator wherever one is asked for, and for the launch: not equal to it */
    uint64_t tag;       /* 8 */
} pcclAsyncReduceOp_t;  /* 16 bytes: a plain value that owns nothing */

typedef struct pcclTensorInfo_t {
    const char *name;               /* 0: the key, UTF-8 */
    void *data;                     /* 8 */
    size_t count;                   /* 16: number of elements */
    pcclDataType_t datatype;        /* 24 */
    pcclDeviceType_t device_type;   /* 28 */
    bool allow_content_inequality;  /* 32: may differ among peers; only newcomers receive it */
} pcclTensorInfo_t;                 /* 40 bytes */

typedef struct pcclSharedState_t {
    uint64_t revision;        /* 0: version of the content, counted by the caller (see the function's rule) */
    size_t count;             /* 8: number of infos, at least 1 */
    pcclTensorInfo_t *infos;  /* 16 */
} pcclSharedState_t;          /* 24 bytes */

typedef struct pcclSharedStateSyncInfo_t {
    uint64_t tx_bytes;         /* 0 */
    uint64_t rx_bytes;         /* 8: 0 when the peers already agreed */
} pcclSharedStateSyncInfo_t;   /* 16 bytes */

/* ---------------------------------------------------------------------------------------------------------------------
 * The functions of PCCL 1.0
 */

/*
 * pcclInit - make the library ready.
 * Any number of times, from any thread. Everything that takes a communicator returns pcclNotInitialized before it.
 * RETURNS pcclSuccess; pcclInvalidUsage in the child of a fork.
 */
PCCL_EXPORT pcclResult_t pcclInit(void);

/*
 * pcclGetBuildInfo - what this library was built with. Needs no pcclInit.
 * RETURNS pcclSuccess; pcclInvalidArgument: info is null.
 */
PCCL_EXPORT pcclResult_t pcclGetBuildInfo(pcclBuildInfo_t *info);

/*
 * pcclCreateCommunicator - make a communicator. Sends nothing; params are copied.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: comm_out or params is null, or params name no master
 * (unknown protocol, port 0); pcclSuccess. After a failure *comm_out is null (if there is one).
 */
PCCL_EXPORT pcclResult_t pcclCreateCommunicator(const pcclCommCreateParams_t *params, pcclComm_t **comm_out);

/*
 * pcclGetAttribute - a number of the world as of the last call that ended (see pcclxGetWorld). Does not block.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclInvalidArgument: attribute_out is null, or the attribute is unknown; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclGetAttribute(const pcclComm_t *comm, pcclAttribute_t attribute, int *attribute_out);

/*
 * pcclDestroyCommunicator - leave the run and free the communicator.
 * Calls of other threads on it end with pcclInvalidUsage, operations in flight are aborted and their buffers restored,
 * before this returns. It takes about 2 s at most, longer only while a large in-place buffer is restored.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclDestroyCommunicator(pcclComm_t *comm);

/*
 * pcclConnect - register with the master and wait until admitted.
 * The first peer of a run is admitted at once, others when all admitted peers are in pcclUpdateTopology. After it failed,
 * or the connection was lost, it may be called again, and makes this communicator a new peer with a new id.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: connected or
 * connecting already; pcclMasterConnectionFailed: unreachable, refused, not admitted in time, or cancelled; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclConnect(pcclComm_t *comm);

/*
 * pcclUpdateTopology - admit the peers that wait. Returns when all admitted peers of the run have called it.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclPendingAsyncOps: something was launched and not awaited; pcclInvalidUsage: another thread is in it, or in
 * pcclArePeersPending; pcclUpdateTopologyFailed: anything else, such as a lost master, a time that is over, or peers that
 * wait in another call; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclUpdateTopology(pcclComm_t *comm);

/*
 * pcclArePeersPending - does a peer wait to be admitted? Asked by all admitted peers of the run together; all get the same
 * answer. Allowed while operations are in flight.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator, or pending_out is null;
 * pcclInvalidUsage: never connected, or any failure; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclArePeersPending(const pcclComm_t *comm, bool *pending_out);

/*
 * pcclOptimizeTopology - measure what is not known of the network, and adopt the best ring. All admitted peers of the run
 * call it together.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclInvalidUsage: alone in the run; pcclPendingAsyncOps: something was launched and not awaited;
 * pcclTopologyOptimizationFailed: anything else; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclOptimizeTopology(const pcclComm_t *comm);

/*
 * pcclAllReduce - reduce over all peers of the group, and wait for it.
 * recvbuf gets the reduction of all peers' sendbuf. Both may be the same (in place); they must not overlap otherwise. All
 * peers pass equal descriptors, else all get pcclInvalidArgument and nothing is combined. After any failure sendbuf is what
 * it was. reduce_info_out may be null; it is written on success only.
 * RETURNS what pcclAllReduceAsync and then pcclAwaitAsyncReduce return.
 */
PCCL_EXPORT pcclResult_t pcclAllReduce(const void *sendbuf, void *recvbuf, const pcclReduceDescriptor_t *descriptor,
                                       const pcclComm_t *comm, pcclReduceInfo_t *reduce_info_out);

/*
 * pcclAllReduceAsync - launch an all-reduce. The descriptor is copied; the buffers belong to the library until
 * pcclAwaitAsyncReduce has returned. Any thread may await. At most 256 are in flight.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclInvalidArgument: reduce_handle_out, descriptor or a buffer is null, count is 0 or too large, or data type, quantised
 * data type, algorithm, operation or their combination is not one of those documented; pcclTooFewPeers: the group has less
 * than two peers; pcclInvalidArgument: 256 are in flight, the tag was launched and not awaited yet, or the buffers overlap;
 * pcclSuccess: launched.
 */
PCCL_EXPORT pcclResult_t pcclAllReduceAsync(const void *sendbuf, void *recvbuf, const pcclReduceDescriptor_t *descriptor,
                                            const pcclComm_t *comm, pcclAsyncReduceOp_t *reduce_handle_out);

/*
 * pcclAwaitAsyncReduce - wait for a launched all-reduce. Afterwards its tag is free and its buffers are the caller's.
 * When the operation failed because a peer was lost, the ring of the survivors stands when this returns: launch again.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: the handle or its communicator is null or none;
 * pcclInvalidUsage: never connected; pcclRankConnectionLost: the operation failed or was aborted, or the tag is not in
 * flight, or another thread awaits it; pcclInvalidArgument: the peers' descriptors differ; pcclInvalidUsage: the others wait
 * in calls that never meet this one, or this peer waited in pcclUpdateTopology when it was launched; pcclTooFewPeers: all others have gone before it began; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclAwaitAsyncReduce(const pcclAsyncReduceOp_t *reduce_handle, pcclReduceInfo_t *reduce_info_out);

/*
 * pcclAllReduceMultipleWithRetry - run many all-reduces, at most max_in_flight at once (more than 256 count as 256), and
 * repeat those that fail because peers are lost until every one has succeeded. All peers pass the same list of tags.
 * reduce_info_out: world size of the last operation, and the sum of the bytes of all; may be null.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: descriptors is null, count is 0, or no communicator;
 * pcclInvalidUsage: never connected; pcclInvalidArgument: max_in_flight is less than 1; pcclTooFewPeers: the group has, or in
 * the end has, less than two peers and not every operation has succeeded; what pcclAllReduceAsync and pcclAwaitAsyncReduce
 * return, but for a lost peer; pcclSuccess: every operation has succeeded.
 */
PCCL_EXPORT pcclResult_t pcclAllReduceMultipleWithRetry(const pcclReduceOpDescriptor_t *descriptors, size_t count,
                                                        const pcclComm_t *comm, pcclReduceInfo_t *reduce_info_out,
                                                        int max_in_flight);

/*
 * pcclSynchronizeSharedState - make named tensors equal on all peers of the group, who call it together.
 * Nothing moves when they are equal. On success shared_state->revision is that of the group. The tensors are read by other
 * peers while this blocks; they must not change meanwhile. sync_info_out may be null; it is written on success only.
 * The first synchronisation of a group accepts any revision, and the highest wins; after a success at revision r the next one
 * is r + 1: a peer with less is brought up to date, a peer with more does not fit. A peer that does not fit (its tensors,
 * strategy or revision) gets an error and has left the run; the others succeed in the same call. Only when nothing has a
 * majority does it fail for all, and nobody has to go.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclPendingAsyncOps: something was launched and not awaited; pcclInvalidArgument: shared_state, infos, a name or data is
 * null, a name is not UTF-8, count is 0, or strategy, data type or device is unknown, or the device is CUDA and this library has no CUDA support;
 * pcclInvalidUsage: any failure; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclSynchronizeSharedState(const pcclComm_t *comm, pcclSharedState_t *shared_state,
                                                    pcclSharedStateSyncStrategy_t strategy,
                                                    pcclSharedStateSyncInfo_t *sync_info_out);

/*
 * pcclCreateMaster - make a master, which coordinates a run and is no peer. Binds nothing yet. Masters need no pcclInit.
 * RETURNS pcclSuccess; pcclInvalidArgument: master_handle_out is null, or the protocol is unknown.
 */
PCCL_EXPORT pcclResult_t pcclCreateMaster(ccoip_socket_address_t listen_address, pcclMasterInstance_t **master_handle_out);

/*
 * pcclRunMaster - bind, and coordinate in the background. Returns at once.
 * RETURNS pcclSuccess; pcclInvalidArgument: no master; pcclInvalidUsage: launched before, or it cannot listen on that address
 * (in use, not of this host, or port 0 with pcclCreateMaster).
 */
PCCL_EXPORT pcclResult_t pcclRunMaster(pcclMasterInstance_t *master_instance);

/*
 * pcclInterruptMaster - tell a master to stop; does not wait for it. Every peer loses its master.
 * RETURNS pcclSuccess, also when repeated; pcclInvalidArgument: no master; pcclInvalidUsage: never launched.
 */
PCCL_EXPORT pcclResult_t pcclInterruptMaster(pcclMasterInstance_t *master_instance);

/*
 * pcclMasterAwaitTermination - wait until a master has stopped. Takes as long as nobody interrupts or destroys it.
 * RETURNS pcclSuccess; pcclInvalidArgument: no master; pcclInvalidUsage: never launched; pcclInternalError: it stopped
 * because of a defect.
 */
PCCL_EXPORT pcclResult_t pcclMasterAwaitTermination(pcclMasterInstance_t *master_instance);

/*
 * pcclDestroyMaster - stop a master if it runs, wait for it, and free it.
 * RETURNS pcclSuccess; pcclInvalidArgument: no master.
 */
PCCL_EXPORT pcclResult_t pcclDestroyMaster(pcclMasterInstance_t *master_instance);

/* ---------------------------------------------------------------------------------------------------------------------
 * Additions: version and errors. These need no pcclInit.
 */

/* What happened, in more detail than pcclResult_t tells. docs/errors.md says for each what it means and what to do. */
typedef enum pcclxError_t {
    pcclxErrorNone = 0,
    pcclxErrorInvalidArgument = 1,
    pcclxErrorInvalidUsage = 2,
    pcclxErrorNotConnected = 3,
    pcclxErrorPendingOperations = 4,
    pcclxErrorTooFewPeers = 5,
    pcclxErrorMasterUnreachable = 6,
    pcclxErrorMasterRefused = 7,
    pcclxErrorMasterLost = 8,
    pcclxErrorEvicted = 9,
    pcclxErrorOperationAborted = 10,  /* call again */
    pcclxErrorMismatch = 11,
    pcclxErrorCrossedCalls = 12,
    pcclxErrorLimitExceeded = 13,
    pcclxErrorAddressInUse = 14,
    pcclxErrorInternalError = 15,
    pcclxErrorTimedOut = 16,
    pcclxErrorSyncFailed = 17,        /* one could not finish, so nobody did: call again */
    pcclxErrorRevisionMismatch = 18,
    pcclxErrorNotInitialized = 100,
    pcclxErrorCancelled = 101,
    pcclxErrorDestroyed = 102,        /* the handle is none, or was destroyed */
    pcclxErrorForked = 103,           /* called in the child of a fork */
    pcclxErrorNotSupported = 104      /* this build of the library cannot do that */
} pcclxError_t;

/* pcclxGetVersion - version of the library, such as "0.1.0"; lives as long as the process. */
PCCL_EXPORT const char *pcclxGetVersion(void);

/* pcclxGetAbiVersion - COLLECTIVE_ABI_VERSION of the library. A program may use what its own number, or a lower, brought. */
PCCL_EXPORT uint32_t pcclxGetAbiVersion(void);

/*
 * pcclxGetLastError - the calling thread's last failure in words (UTF-8): what happened, to whom, and what to do.
 * Never null; "" when no call of this thread has failed yet. Successful calls leave it alone. The text stays where it is
 * until the next failing call of the same thread, or the thread ends.
 */
PCCL_EXPORT const char *pcclxGetLastError(void);

/* pcclxGetLastErrorCode - the same failure as a number. */
PCCL_EXPORT pcclxError_t pcclxGetLastErrorCode(void);

/* pcclxGetResultName, pcclxGetErrorName - the name of a constant, such as "pcclTooFewPeers"; "unknown" for other numbers. */
PCCL_EXPORT const char *pcclxGetResultName(pcclResult_t result);
PCCL_EXPORT const char *pcclxGetErrorName(pcclxError_t error);

/* ---------------------------------------------------------------------------------------------------------------------
 * Additions: log. Needs no pcclInit.
 */

typedef enum pcclxLogLevel_t {
    pcclxLogTrace = 0,
    pcclxLogDebug = 1,
    pcclxLogInformation = 2,
    pcclxLogWarning = 3,
    pcclxLogError = 4,
    pcclxLogCritical = 5,
    pcclxLogNone = 6
} pcclxLogLevel_t;

/*
 * One line of the log, in order. Called on a thread of the library that does nothing else, so that a callback that waits
 * holds up nobody; while it waits 10,000 lines are kept, and the log says how many more were lost. Closing a communicator
 * or master waits for its last lines, for 2 s at most. category is "Collective.Peer",
 * "Collective.Master" or "Collective.Native", message is UTF-8 without a line break at its end; both are valid during the
 * call only. Return soon, and do not call the library.
 */
typedef void (*pcclxLogCallback_t)(pcclxLogLevel_t level, const char *category, const char *message, void *context);

/*
 * pcclxSetLogCallback - hear the log of all communicators and masters of the process, from minimum_level on.
 * A null callback ends it. When this returns, the callback set before is not running and will not be called again (unless
 * it was called from within that callback). Without a callback the log goes nowhere, unless the environment names a file
 * (COLLECTIVE_LOG_FILE, with PCCL_LOG_LEVEL).
 * RETURNS pcclSuccess; pcclInvalidArgument: the level is none of the above.
 */
PCCL_EXPORT pcclResult_t pcclxSetLogCallback(pcclxLogCallback_t callback, pcclxLogLevel_t minimum_level, void *context);

/* ---------------------------------------------------------------------------------------------------------------------
 * Additions: communicators.
 *
 * Structures of this section begin with their own size, which the caller sets (the INIT macros do), so that they can grow:
 * a library that knows more fields than the caller takes their defaults, one that knows fewer refuses those that are not 0.
 * In all of them 0 means the default.
 */

/* A time that is not limited. */
#define PCCLX_NO_TIMEOUT ((int64_t) -1)

typedef struct pcclxCommOptions_t {
    size_t struct_size;             /* 0: sizeof(pcclxCommOptions_t) */
    const char *master;             /* 8: "host", "host:port", "192.0.2.1:48148", "[2001:db8::1]:48148"; names are resolved
                                          when connecting */
    uint32_t peer_group;            /* 16 */
    uint32_t stripe_count;          /* 20: parallel connections to the next peer, 1 to 64; default 4 */
    uint32_t min_world_size;        /* 24: admitted only together with so many that the group has this many; default 1 */
    int32_t listen_port;            /* 28: port for data, 1 to 65535; default: the first free one from 48150 on; -1: the
                                           system chooses */
    int64_t connect_timeout_ms;     /* 32: longest time to reach the master's port, 100 to 600000; default 10000 */
    int64_t call_timeout_ms;        /* 40: longest time of a call that is given none; default 1800000; PCCLX_NO_TIMEOUT */
    int64_t link_stall_timeout_ms;  /* 48: a connection that takes no bytes for so long is made again; default 10000 */
    const char *fingerprint;        /* 56: what this peer runs, see pcclxAnnounce; null: nothing is said */
    uint32_t keep_min_world_size;   /* 64: 1: the group must have min_world_size peers as long as this peer is a member; steps
                                           and all-reduces wait for company below it (docs/coordination.md) */
    uint32_t reserved;              /* 68 */
    const char *advertise_address;  /* 72: where other peers reach this one: "host", "host:port", "[2001:db8::1]:48150"; default:
                                           environment variable COLLECTIVE_ADVERTISE_ADDRESS, then what the master sees */
} pcclxCommOptions_t;               /* 80 bytes */

#define PCCLX_COMM_OPTIONS_INIT { sizeof(pcclxCommOptions_t), NULL, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, NULL }

/* What one call is given besides its arguments. A null pointer means all defaults. */
typedef struct pcclxCallOptions_t {
    size_t struct_size;        /* 0: sizeof(pcclxCallOptions_t) */
    int64_t timeout_ms;        /* 8: longest time of the call; default: the communicator's; PCCLX_NO_TIMEOUT */
    const char *label;         /* 16: of an all-reduce: what it is, in printable UTF-8 of at most 255 bytes; default "". Peers
                                      whose labels differ get pcclxErrorMismatch, which quotes both; nothing is combined */
} pcclxCallOptions_t;          /* 24 bytes */

#define PCCLX_CALL_OPTIONS_INIT { sizeof(pcclxCallOptions_t), 0, NULL }

/* The membership of this peer's group, and the sizes of the run. */
typedef struct pcclxWorld_t {
    size_t struct_size;                 /* 0: sizeof(pcclxWorld_t), set by the caller */
    uint64_t epoch;                     /* 8: number of this membership and ring order; another world has another */
    uint32_t rank;                      /* 16: position of this peer in the ring, valid in this epoch only */
    uint32_t world_size;                /* 20: admitted peers of the group */
    uint32_t global_world_size;         /* 24: of all groups */
    uint32_t group_count;               /* 28: groups with at least one admitted peer */
    uint32_t largest_group_world_size;  /* 32 */
    uint32_t connected;                 /* 36: 1; 0 when the connection is lost, and this is the last world known */
    pcclRankUuid_t self;                /* 40: this peer's id */
    uint32_t has_newcomers;             /* 56: from pcclxStep: 1 when it admitted peers, this one included; else 0 */
    uint32_t reserved;                  /* 60 */
} pcclxWorld_t;                         /* 64 bytes */

#define PCCLX_WORLD_INIT { sizeof(pcclxWorld_t), 0, 0, 0, 0, 0, 0, 0, { { 0 } }, 0, 0 }

/* Counted since the communicator was created. */
typedef struct pcclxStatistics_t {
    size_t struct_size;            /* 0: sizeof(pcclxStatistics_t), set by the caller */
    uint64_t reduces_committed;    /* 8: all-reduces that succeeded, repeated ones once */
    uint64_t reduces_failed;       /* 16: attempts that failed or were aborted, those of pcclAllReduceMultipleWithRetry too */
    uint64_t reduces_in_flight;    /* 24: launched and not awaited */
    uint64_t tx_bytes;             /* 32: payload sent by all-reduces that succeeded */
    uint64_t rx_bytes;             /* 40: payload received by them */
    uint64_t connects;             /* 48: times this communicator was admitted to a run */
    uint64_t topology_updates;     /* 56: topology updates and steps that succeeded */
    uint64_t state_syncs;          /* 64: synchronisations of shared state that succeeded */
    uint64_t state_tx_bytes;       /* 72: payload sent by them */
    uint64_t state_rx_bytes;       /* 80: payload received by them */
    uint64_t calls_timed_out;      /* 88: calls whose time was over */
} pcclxStatistics_t;               /* 96 bytes */

#define PCCLX_STATISTICS_INIT { sizeof(pcclxStatistics_t), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* What a successful all-reduce reports. */
typedef struct pcclxReduceInfo_t {
    size_t struct_size;            /* 0: sizeof(pcclxReduceInfo_t), set by the caller */
    uint64_t epoch;                /* 8: of the membership that contributed */
    uint64_t tx_bytes;             /* 16 */
    uint64_t rx_bytes;             /* 24 */
    uint32_t world_size;           /* 32: peers whose contribution is in the result */
    uint32_t rank;                 /* 36: of this peer among them */
    uint64_t retries;              /* 40: attempts that were aborted and made again (with retry only) */
    pcclRankUuid_t *contributors;  /* 48: set by the caller, or null: gets the first contributor_capacity of their ids, in
                                          ring order */
    size_t contributor_capacity;   /* 56 */
} pcclxReduceInfo_t;               /* 64 bytes */

#define PCCLX_REDUCE_INFO_INIT { sizeof(pcclxReduceInfo_t), 0, 0, 0, 0, 0, 0, NULL, 0 }

/*
 * pcclxCreateCommunicator - make a communicator from options. Sends nothing; options are copied.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: comm_out or options is null, or an option is out of range;
 * pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxCreateCommunicator(const pcclxCommOptions_t *options, pcclComm_t **comm_out);

/*
 * pcclxSetCallTimeout - longest time of every later call on this communicator that is given none of its own: 1 ms to 24
 * days, or PCCLX_NO_TIMEOUT. Multiple-with-retry and the calls that begin with pccl count as given none.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxSetCallTimeout(pcclComm_t *comm, int64_t timeout_ms);

/*
 * pcclxAnnounce - say what this peer runs. The master refuses a peer that waits to be admitted when its fingerprint is not
 * that of the admitted members of its group, naming both. Say it before connecting, so that this peer is refused in time; once
 * admitted, it counts for those who come later. Only fingerprints of one scope are compared, and only as long as all members
 * that have announced one agree; peers that have announced none are let in. scope may be null (""), fingerprint may be ""
 * (anything goes) or null (take back what was announced). Both have at most 100 bytes of UTF-8; at most 4 scopes. Does not block.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator, a text is too long or not UTF-8, or too
 * many scopes; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxAnnounce(pcclComm_t *comm, const char *scope, const char *fingerprint);

/*
 * pcclxConnect, pcclxUpdateTopology, pcclxArePeersPending, pcclxOptimizeTopology - as their namesakes without x, with
 * options. RETURNS as those; pcclInvalidArgument also for options out of range, after the communicator was checked.
 */
PCCL_EXPORT pcclResult_t pcclxConnect(pcclComm_t *comm, const pcclxCallOptions_t *options);
PCCL_EXPORT pcclResult_t pcclxUpdateTopology(pcclComm_t *comm, const pcclxCallOptions_t *options);
PCCL_EXPORT pcclResult_t pcclxArePeersPending(const pcclComm_t *comm, bool *pending_out, const pcclxCallOptions_t *options);
PCCL_EXPORT pcclResult_t pcclxOptimizeTopology(const pcclComm_t *comm, const pcclxCallOptions_t *options);

/*
 * pcclxStep - what a training loop needs at its top, in one call: admits the peers that wait, and gives the world that now
 * stands. All admitted peers of the run call it once a turn; one round trip to the master when nobody waits. A peer that has
 * just been admitted comes from the others' step: its first call returns at once, so newcomers need no code of their own. A
 * loop that calls it needs neither pcclArePeersPending nor pcclUpdateTopology. world_out may be null. Synchronise the shared
 * state when its has_newcomers says so: all peers are told the same. (The epoch does not tell: it also ends when a peer is lost.)
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator, or world_out or options of a wrong size;
 * pcclInvalidUsage: never connected; pcclPendingAsyncOps: something was launched and not awaited; pcclInvalidUsage: another
 * thread is in it; pcclUpdateTopologyFailed: anything else; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxStep(pcclComm_t *comm, pcclxWorld_t *world_out, const pcclxCallOptions_t *options);

/*
 * pcclxGetWorld - the world as of the last call on this communicator that ended. It does not change between calls, so that
 * peers that decide by it decide alike: after a successful all-reduce it is the membership that contributed, after an aborted
 * one that in which the others hear of the abort too, after connect, step, update, optimise and sync that of the answer. An
 * asynchronous all-reduce counts where it is awaited. Does not block. Only connected tells of this moment.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclInvalidArgument: world_out is null or of a wrong size; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxGetWorld(const pcclComm_t *comm, pcclxWorld_t *world_out);

/*
 * pcclxGetPeers - the ids of the group's peers in ring order: peer r has rank r. Writes at most capacity of them, and to
 * count_out how many there are. peers may be null when capacity is 0.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclInvalidArgument: count_out is null, or peers is while capacity is not 0; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxGetPeers(const pcclComm_t *comm, pcclRankUuid_t *peers, size_t capacity, size_t *count_out);

/*
 * pcclxGetLiveWorld, pcclxGetLivePeers - as pcclxGetWorld and pcclxGetPeers, but the latest membership that stands: it
 * changes whenever a peer is lost, at another moment at each peer. Show it; decide nothing by it that all peers must decide
 * alike. After the connection was lost, the world of the last call.
 * RETURNS as those.
 */
PCCL_EXPORT pcclResult_t pcclxGetLiveWorld(const pcclComm_t *comm, pcclxWorld_t *world_out);
PCCL_EXPORT pcclResult_t pcclxGetLivePeers(const pcclComm_t *comm, pcclRankUuid_t *peers, size_t capacity, size_t *count_out);

/*
 * pcclxGetStatistics - counters of this communicator. Does not block.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator, or statistics_out is null or of a wrong
 * size; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxGetStatistics(const pcclComm_t *comm, pcclxStatistics_t *statistics_out);

/*
 * pcclxCancel - end every call that is blocked on this communicator in other threads, and every operation in flight.
 * Returns at once; each of them ends as when its time is over (its last error is pcclxErrorCancelled), unless it was just
 * decided. All-reduces in flight are aborted for all peers, who may call again. Calls made afterwards are not affected.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxCancel(const pcclComm_t *comm);

/* ---------------------------------------------------------------------------------------------------------------------
 * Additions: all-reduce.
 */

/*
 * pcclxAllReduce, pcclxAllReduceAsync, pcclxAllReduceMultipleWithRetry - as their namesakes without x, with options and more
 * information, and differences: at the start of a program that never updates its topology, a peer that is alone admits
 * who waits in its group instead of returning pcclTooFewPeers at once. Infos and options may be null. The count may be 0, and
 * the buffers are not looked at then: nothing is sent, but the call is one like any other, entered by all and compared.
 * The timeout counts from launch; of pcclxAllReduceMultipleWithRetry it is that of the whole call.
 * RETURNS as those; pcclInvalidArgument also for infos and options of a wrong size or out of range, when the arguments are
 * checked.
 */
PCCL_EXPORT pcclResult_t pcclxAllReduce(const void *sendbuf, void *recvbuf, const pcclReduceDescriptor_t *descriptor,
                                        const pcclComm_t *comm, pcclxReduceInfo_t *reduce_info_out,
                                        const pcclxCallOptions_t *options);
PCCL_EXPORT pcclResult_t pcclxAllReduceAsync(const void *sendbuf, void *recvbuf, const pcclReduceDescriptor_t *descriptor,
                                             const pcclComm_t *comm, pcclAsyncReduceOp_t *reduce_handle_out,
                                             const pcclxCallOptions_t *options);
PCCL_EXPORT pcclResult_t pcclxAllReduceMultipleWithRetry(const pcclReduceOpDescriptor_t *descriptors, size_t count,
                                                         const pcclComm_t *comm, pcclxReduceInfo_t *reduce_info_out,
                                                         int max_in_flight, const pcclxCallOptions_t *options);

/*
 * pcclxAllReduceMany - reduce many tensors with one verdict: all of them, over the same peers, or none, and then every buffer
 * holds what it held. What a training step reduces belongs together: of tensors that are reduced one by one some may have
 * committed when a peer is lost, and who then repeats all sums these twice. After an abort make the same call again.
 * count is at most 8192. The set has one tag, that of the first descriptor; the others' are not used. The label of the options
 * is that of every tensor. reduce_info_out gets the bytes of all.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: descriptors is null, count is 0 or more than 8192, or no
 * communicator; pcclInvalidUsage: never connected; what pcclxAllReduceAsync and pcclxAwaitAsyncReduce return.
 */
PCCL_EXPORT pcclResult_t pcclxAllReduceMany(const pcclReduceOpDescriptor_t *descriptors, size_t count, const pcclComm_t *comm,
                                            pcclxReduceInfo_t *reduce_info_out, const pcclxCallOptions_t *options);

/*
 * pcclxBeginAllReduceMany, pcclxLaunchInSet - the same, with tensors that become ready one after the other: each travels from
 * its launch on. All peers begin the set with the same tag and count, and launch each position from 0 to count - 1 once, with
 * equal descriptors, each in whatever order it likes and from any thread. Nothing is sent before the first launch; the timeout
 * counts from the beginning. Of the options of a launch only the label is used, of the descriptor everything but the tag.
 * The set is awaited, cancelled and so on by its handle, as if it were one all-reduce, and must be awaited: buffers are the
 * caller's only then. One that will not be launched completely must be cancelled first.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: no communicator; pcclInvalidUsage: never connected;
 * pcclInvalidArgument: set_out is null, count is 0 or more than 8192, options are wrong, 256 all-reduces are in flight, or the
 * tag was launched and not awaited yet; pcclSuccess: begun.
 * pcclxLaunchInSet RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: the handle is none; pcclInvalidUsage: never
 * connected; pcclInvalidArgument: as pcclxAllReduceAsync; pcclRankConnectionLost: the set is not in flight;
 * pcclInvalidArgument: it is no set, the position does not exist or was launched, or buffers overlap; what has ended the set,
 * as pcclAwaitAsyncReduce says it; pcclSuccess: launched.
 */
PCCL_EXPORT pcclResult_t pcclxBeginAllReduceMany(const pcclComm_t *comm, uint64_t tag, size_t count,
                                                 pcclAsyncReduceOp_t *set_out, const pcclxCallOptions_t *options);
PCCL_EXPORT pcclResult_t pcclxLaunchInSet(const pcclAsyncReduceOp_t *set, size_t position, const void *sendbuf, void *recvbuf,
                                          const pcclReduceDescriptor_t *descriptor, const pcclxCallOptions_t *options);

/* pcclxAwaitAsyncReduce - as pcclAwaitAsyncReduce, with more information. For operations launched either way. */
PCCL_EXPORT pcclResult_t pcclxAwaitAsyncReduce(const pcclAsyncReduceOp_t *reduce_handle, pcclxReduceInfo_t *reduce_info_out);

/*
 * pcclxWaitAsyncReduce - wait for at most timeout_ms (0: do not wait; PCCLX_NO_TIMEOUT) until an operation has ended, whether
 * it succeeded or not. The operation goes on when the time is over, and must be awaited in any case.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: the handle is none, timeout_ms is less than -1, or done_out
 * is null; pcclInvalidUsage: never connected; pcclRankConnectionLost: the tag is not in flight; pcclSuccess: *done_out says
 * whether pcclAwaitAsyncReduce would return at once.
 */
PCCL_EXPORT pcclResult_t pcclxWaitAsyncReduce(const pcclAsyncReduceOp_t *reduce_handle, int64_t timeout_ms, bool *done_out);

/* Called once, on any thread. Return soon; the only functions of the library that may be called are those that never block. */
typedef void (*pcclxDoneCallback_t)(void *context);

/*
 * pcclxNotifyAsyncReduce - have a function called when an operation has ended, whether it succeeded or not: once, at once if
 * it has ended already. It is called even if the operation is awaited, or the communicator destroyed, meanwhile. The operation
 * must be awaited in any case.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: the handle is none or callback is null; pcclInvalidUsage:
 * never connected; pcclRankConnectionLost: the tag is not in flight; pcclSuccess: it will be called.
 */
PCCL_EXPORT pcclResult_t pcclxNotifyAsyncReduce(const pcclAsyncReduceOp_t *reduce_handle, pcclxDoneCallback_t callback,
                                                void *context);

/*
 * pcclxCancelAsyncReduce - abort one operation for all peers, unless all had finished it. Returns at once; the operation must
 * be awaited in any case.
 * RETURNS in this order: pcclNotInitialized; pcclInvalidArgument: the handle is none; pcclInvalidUsage: never connected;
 * pcclRankConnectionLost: the tag is not in flight; pcclSuccess.
 */
PCCL_EXPORT pcclResult_t pcclxCancelAsyncReduce(const pcclAsyncReduceOp_t *reduce_handle);

/* ---------------------------------------------------------------------------------------------------------------------
 * Additions: shared state.
 */

/* How far this peer is with fetching shared state. */
typedef struct pcclxSyncProgress_t {
    size_t struct_size;           /* 0: sizeof(pcclxSyncProgress_t) of the library: what a program knows beyond it is not there */
    uint64_t bytes_done;          /* 8: bytes of tensors that have come and are verified */
    uint64_t bytes_total;         /* 16: to fetch, as far as known: a tensor counts whole until it is known what differs in it */
    const pcclRankUuid_t *donors; /* 24: the peers that have given some; null when there are none */
    size_t donor_count;           /* 32 */
} pcclxSyncProgress_t;            /* 40 bytes */

/*
 * Told how far a synchronisation is: about ten times a second while this peer fetches, and once more, with bytes_done equal to
 * bytes_total, when it has succeeded and the tensors hold the new content. A peer that fetches nothing may hear nothing. What is
 * known of bytes_total falls while it is found out; bytes_done falls only where a peer turns out to have given wrong bytes.
 *
 * Called on a thread of the library, one call after the other, and only until pcclxSynchronizeSharedState returns: context and
 * whatever else it uses may end then. progress and donors are valid during the call only. Return soon, for the function returns
 * no sooner, but bytes move meanwhile. It must not touch the tensors, must not leave by longjmp or a C++ exception, and may call
 * only those functions of the library that never block; pcclxCancel ends the synchronisation.
 */
typedef void (*pcclxSyncProgressCallback_t)(const pcclxSyncProgress_t *progress, void *context);

/* What the revision of a shared state is. */
typedef enum pcclxRevisions_t {
    PCCLX_REVISIONS_GROW = 0,    /* the caller's, for example the training step: higher than the last when the content has changed */
    PCCLX_REVISIONS_COUNTED = 1, /* counted by the library: the caller's is ignored, and set on success */
    PCCLX_REVISIONS_BY_ONE = 2   /* PCCL's rule: one more than the last; less is outdated, more does not fit */
} pcclxRevisions_t;

/* A peer that did not fit what was elected in a synchronisation, and so has left the run. */
typedef struct pcclxLeftOut_t {
    pcclRankUuid_t peer;   /* 0 */
    pcclxError_t error;    /* 16: what its own call ended with: pcclxErrorMismatch or pcclxErrorRevisionMismatch */
    char reason[516];      /* 20: what did not fit, in UTF-8 */
} pcclxLeftOut_t;          /* 536 bytes */

/* What a synchronisation reports when it has succeeded; nothing is written when it fails. */
typedef struct pcclxSyncResult_t {
    size_t struct_size;         /* 0: sizeof(pcclxSyncResult_t) */
    pcclxLeftOut_t *left_out;   /* 8: the caller's memory for as many as fit; may be null */
    size_t left_out_capacity;   /* 16: how many fit; the library names 64 at most */
    size_t left_out_count;      /* 24: written: how many peers it names, whether they fit or not */
    uint64_t wire_tx_bytes;     /* 32: written: what giving tensors cost on the network */
    uint64_t wire_rx_bytes;     /* 40: written: what fetching them cost */
} pcclxSyncResult_t;            /* 48 bytes */

#define PCCLX_SYNC_RESULT_INIT { sizeof(pcclxSyncResult_t), NULL, 0, 0, 0, 0 }

/* What a synchronisation is given besides its arguments. A null pointer means all defaults. */
typedef struct pcclxSyncOptions_t {
    size_t struct_size;                    /* 0: sizeof(pcclxSyncOptions_t) */
    int64_t timeout_ms;                    /* 8: longest time of the call; default: the communicator's; PCCLX_NO_TIMEOUT */
    pcclxSyncProgressCallback_t progress;  /* 16: null: nobody is told */
    void *context;                         /* 24: passed to progress as it is */
    pcclxSyncResult_t *result;             /* 32: null: not wanted */
    int32_t revisions;                     /* 40: one of pcclxRevisions_t */
    uint32_t reserved;                     /* 44: 0 */
} pcclxSyncOptions_t;                      /* 48 bytes */

#define PCCLX_SYNC_OPTIONS_INIT { sizeof(pcclxSyncOptions_t), 0, NULL, NULL, NULL, PCCLX_REVISIONS_GROW, 0 }

/*
 * pcclxSynchronizeSharedState - as pcclSynchronizeSharedState, with options, which may be null, and another rule for revisions:
 * one that is given only has to grow, and may stay the same while the content does.
 * RETURNS as that; pcclInvalidArgument also for options of a wrong size or out of range, when the arguments are checked.
 */
PCCL_EXPORT pcclResult_t pcclxSynchronizeSharedState(const pcclComm_t *comm, pcclSharedState_t *shared_state,
                                                     pcclSharedStateSyncStrategy_t strategy,
                                                     pcclSharedStateSyncInfo_t *sync_info_out,
                                                     const pcclxSyncOptions_t *options);

/* ---------------------------------------------------------------------------------------------------------------------
 * Additions: masters.
 */

typedef struct pcclxMasterOptions_t {
    size_t struct_size;                /* 0: sizeof(pcclxMasterOptions_t) */
    const char *listen;                /* 8: "0.0.0.0:48148", "[::]:48148"; null: the former; port 0: the system chooses */
    int64_t heartbeat_timeout_ms;      /* 16: a peer that is silent for so long is removed, 200 to 600000; default 5000 */
    int64_t crossed_calls_timeout_ms;  /* 24: after so long, peers that all wait for each other are told; default 60000 */
    uint32_t segment_bytes;            /* 32: piece of a tensor in flight at once, 64 to 4194304, a multiple of 8; default
                                              524288 */
    uint32_t reserved;                 /* 36: 0 */
} pcclxMasterOptions_t;                /* 40 bytes */

#define PCCLX_MASTER_OPTIONS_INIT { sizeof(pcclxMasterOptions_t), NULL, 0, 0, 0, 0 }

/*
 * pcclxCreateMaster - make a master from options. Binds nothing yet; options are copied.
 * RETURNS pcclSuccess; pcclInvalidArgument: master_handle_out or options is null, or an option is out of range.
 */
PCCL_EXPORT pcclResult_t pcclxCreateMaster(const pcclxMasterOptions_t *options, pcclMasterInstance_t **master_handle_out);

/*
 * pcclxGetMasterPort - the port a master listens on, which the system chose if it was asked to.
 * RETURNS pcclSuccess; pcclInvalidArgument: no master, or port_out is null; pcclInvalidUsage: never launched.
 */
PCCL_EXPORT pcclResult_t pcclxGetMasterPort(const pcclMasterInstance_t *master_instance, uint16_t *port_out);

#ifdef __cplusplus
}
#endif

#endif
