/* Sizes, offsets, values: the binary interface, as a compiler sees it. */
#include <ccoip.h>

#include "testing.h"

#define SIZE(type, bytes) CHECK(sizeof(type) == (bytes))
#define AT(type, field, offset, bytes) CHECK(offsetof(type, field) == (offset) && sizeof(((type *) 0)->field) == (bytes))

struct align_probe_address { char c; ccoip_socket_address_t value; };
struct align_probe_params { char c; pcclCommCreateParams_t value; };
struct align_probe_build { char c; pcclBuildInfo_t value; };

static void structures_of_pccl(void) {
    SIZE(ccoip_ipv4_address_t, 4);
    SIZE(ccoip_ipv6_address_t, 16);
    SIZE(ccoip_inet_address_t, 24);
    AT(ccoip_inet_address_t, protocol, 0, 4);
    AT(ccoip_inet_address_t, ipv4, 4, 4);
    AT(ccoip_inet_address_t, ipv6, 8, 16);
    SIZE(ccoip_socket_address_t, 28);
    AT(ccoip_socket_address_t, inet, 0, 24);
    AT(ccoip_socket_address_t, port, 24, 2);
    CHECK(offsetof(struct align_probe_address, value) == 4);
    SIZE(pcclCommCreateParams_t, 36);
    AT(pcclCommCreateParams_t, master_address, 0, 28);
    AT(pcclCommCreateParams_t, peer_group, 28, 4);
    AT(pcclCommCreateParams_t, p2p_connection_pool_size, 32, 4);
    CHECK(offsetof(struct align_probe_params, value) == 4);
    SIZE(pcclReduceInfo_t, 24);
    AT(pcclReduceInfo_t, local_world_size, 0, 4);
    AT(pcclReduceInfo_t, tx_bytes, 8, 8);
    AT(pcclReduceInfo_t, rx_bytes, 16, 8);
    SIZE(pcclReduceOperandDescriptor_t, 8);
    AT(pcclReduceOperandDescriptor_t, datatype, 0, 4);
    AT(pcclReduceOperandDescriptor_t, distribution_hint, 4, 4);
    SIZE(pcclQuantizationOptions_t, 8);
    AT(pcclQuantizationOptions_t, quantized_datatype, 0, 4);
    AT(pcclQuantizationOptions_t, algorithm, 4, 4);
    SIZE(pcclReduceDescriptor_t, 40);
    AT(pcclReduceDescriptor_t, count, 0, 8);
    AT(pcclReduceDescriptor_t, op, 8, 4);
    AT(pcclReduceDescriptor_t, tag, 16, 8);
    AT(pcclReduceDescriptor_t, src_descriptor, 24, 8);
    AT(pcclReduceDescriptor_t, quantization_options, 32, 8);
    SIZE(pcclReduceOpDescriptor_t, 56);
    SIZE(struct pcclReduceSingleDescriptor_t, 56);
    AT(pcclReduceOpDescriptor_t, sendbuf, 0, 8);
    AT(pcclReduceOpDescriptor_t, recvbuf, 8, 8);
    AT(pcclReduceOpDescriptor_t, descriptor, 16, 40);
    SIZE(pcclAsyncReduceOp_t, 16);
    AT(pcclAsyncReduceOp_t, comm, 0, 8);
    AT(pcclAsyncReduceOp_t, tag, 8, 8);
    SIZE(pcclRankUuid_t, 16);
    SIZE(pcclTensorInfo_t, 40);
    AT(pcclTensorInfo_t, name, 0, 8);
    AT(pcclTensorInfo_t, data, 8, 8);
    AT(pcclTensorInfo_t, count, 16, 8);
    AT(pcclTensorInfo_t, datatype, 24, 4);
    AT(pcclTensorInfo_t, device_type, 28, 4);
    AT(pcclTensorInfo_t, allow_content_inequality, 32, 1);
    SIZE(pcclSharedState_t, 24);
    AT(pcclSharedState_t, revision, 0, 8);
    AT(pcclSharedState_t, count, 8, 8);
    AT(pcclSharedState_t, infos, 16, 8);
    SIZE(pcclSharedStateSyncInfo_t, 16);
    AT(pcclSharedStateSyncInfo_t, tx_bytes, 0, 8);
    AT(pcclSharedStateSyncInfo_t, rx_bytes, 8, 8);
    SIZE(pcclBuildInfo_t, 1);
    CHECK(offsetof(struct align_probe_build, value) == 1);
}

static void structures_of_our_own(void) {
    SIZE(pcclxCommOptions_t, 80);
    AT(pcclxCommOptions_t, fingerprint, 56, 8);
    AT(pcclxCommOptions_t, keep_min_world_size, 64, 4);
    AT(pcclxCommOptions_t, master, 8, 8);
    AT(pcclxCommOptions_t, peer_group, 16, 4);
    AT(pcclxCommOptions_t, stripe_count, 20, 4);
    AT(pcclxCommOptions_t, min_world_size, 24, 4);
    AT(pcclxCommOptions_t, listen_port, 28, 4);
    AT(pcclxCommOptions_t, connect_timeout_ms, 32, 8);
    AT(pcclxCommOptions_t, call_timeout_ms, 40, 8);
    AT(pcclxCommOptions_t, link_stall_timeout_ms, 48, 8);
    SIZE(pcclxCallOptions_t, 24);
    AT(pcclxCallOptions_t, timeout_ms, 8, 8);
    AT(pcclxCallOptions_t, label, 16, 8);
    SIZE(pcclxWorld_t, 64);
    AT(pcclxWorld_t, epoch, 8, 8);
    AT(pcclxWorld_t, rank, 16, 4);
    AT(pcclxWorld_t, world_size, 20, 4);
    AT(pcclxWorld_t, global_world_size, 24, 4);
    AT(pcclxWorld_t, group_count, 28, 4);
    AT(pcclxWorld_t, largest_group_world_size, 32, 4);
    AT(pcclxWorld_t, connected, 36, 4);
    AT(pcclxWorld_t, self, 40, 16);
    AT(pcclxWorld_t, has_newcomers, 56, 4);
    SIZE(pcclxStatistics_t, 96);
    AT(pcclxStatistics_t, reduces_committed, 8, 8);
    AT(pcclxStatistics_t, calls_timed_out, 88, 8);
    SIZE(pcclxReduceInfo_t, 64);
    AT(pcclxReduceInfo_t, epoch, 8, 8);
    AT(pcclxReduceInfo_t, world_size, 32, 4);
    AT(pcclxReduceInfo_t, retries, 40, 8);
    AT(pcclxReduceInfo_t, contributors, 48, 8);
    AT(pcclxReduceInfo_t, contributor_capacity, 56, 8);
    SIZE(pcclxSyncProgress_t, 40);
    AT(pcclxSyncProgress_t, bytes_done, 8, 8);
    AT(pcclxSyncProgress_t, bytes_total, 16, 8);
    AT(pcclxSyncProgress_t, donors, 24, 8);
    AT(pcclxSyncProgress_t, donor_count, 32, 8);
    SIZE(pcclxLeftOut_t, 536);
    AT(pcclxLeftOut_t, peer, 0, 16);
    AT(pcclxLeftOut_t, error, 16, 4);
    AT(pcclxLeftOut_t, reason, 20, 516);
    SIZE(pcclxSyncResult_t, 48);
    AT(pcclxSyncResult_t, left_out, 8, 8);
    AT(pcclxSyncResult_t, left_out_capacity, 16, 8);
    AT(pcclxSyncResult_t, left_out_count, 24, 8);
    AT(pcclxSyncResult_t, wire_tx_bytes, 32, 8);
    AT(pcclxSyncResult_t, wire_rx_bytes, 40, 8);
    SIZE(pcclxSyncOptions_t, 48);
    AT(pcclxSyncOptions_t, timeout_ms, 8, 8);
    AT(pcclxSyncOptions_t, progress, 16, 8);
    AT(pcclxSyncOptions_t, context, 24, 8);
    AT(pcclxSyncOptions_t, result, 32, 8);
    AT(pcclxSyncOptions_t, revisions, 40, 4);
    AT(pcclxSyncOptions_t, reserved, 44, 4);
    SIZE(pcclxMasterOptions_t, 40);
    AT(pcclxMasterOptions_t, listen, 8, 8);
    AT(pcclxMasterOptions_t, heartbeat_timeout_ms, 16, 8);
    AT(pcclxMasterOptions_t, crossed_calls_timeout_ms, 24, 8);
    AT(pcclxMasterOptions_t, segment_bytes, 32, 4);
}

static void enumerations(void) {
    SIZE(pcclResult_t, 4);
    SIZE(pcclxError_t, 4);
    CHECK(pcclSuccess == 0 && pcclNotInitialized == 1 && pcclInternalError == 2 && pcclInvalidArgument == 3 && pcclInvalidUsage == 4);
    CHECK(pcclTooFewPeers == 5 && pcclMasterConnectionFailed == 6 && pcclRankConnectionFailed == 7 && pcclRankConnectionLost == 8);
    CHECK(pcclNoSharedStateAvailable == 9 && pcclPendingAsyncOps == 10 && pcclUpdateTopologyFailed == 11 && pcclTopologyOptimizationFailed == 12);
    CHECK(pcclUint8 == 0 && pcclInt8 == 1 && pcclInt16 == 2 && pcclUint16 == 3 && pcclUint32 == 4 && pcclInt32 == 5 && pcclUint64 == 6);
    CHECK(pcclInt64 == 7 && pcclFloat16 == 8 && pcclBFloat16 == 9 && pcclFloat == 10 && pcclDouble == 11);
    CHECK(pcclDeviceCpu == 0 && pcclDeviceCuda == 1);
    CHECK(pcclSum == 0 && pcclAvg == 1 && pcclProd == 2 && pcclMax == 3 && pcclMin == 4);
    CHECK(PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE == 1 && PCCL_ATTRIBUTE_PEER_GROUP_WORLD_SIZE == 2);
    CHECK(PCCL_ATTRIBUTE_NUM_DISTINCT_PEER_GROUPS == 3 && PCCL_ATTRIBUTE_LARGEST_PEER_GROUP_WORLD_SIZE == 4);
    CHECK(PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR == 0 && PCCL_SHARED_STATE_SYNC_STRATEGY_RECEIVE_ONLY == 1);
    CHECK(PCCL_SHARED_STATE_SYNC_STRATEGY_SEND_ONLY == 2);
    CHECK(pcclDistributionNone == 0 && pcclDistributionNormal == 1 && pcclDistributionUniform == 2);
    CHECK(pcclQuantNone == 0 && pcclQuantMinMax == 1 && pcclQuantZeroPointScale == 2);
    CHECK(inetIPv4 == 0 && inetIPv6 == 1);
    CHECK(CCOIP_PROTOCOL_PORT_MASTER == 48148 && CCOIP_PROTOCOL_PORT_SHARED_STATE == 48149);
    CHECK(CCOIP_PROTOCOL_PORT_P2P == 48150 && CCOIP_PROTOCOL_PORT_BANDWIDTH_BENCHMARK == 48151);
}

static void names(void) {
    CHECK(strcmp(pcclxGetVersion(), COLLECTIVE_VERSION) == 0);
    CHECK(pcclxGetAbiVersion() == COLLECTIVE_ABI_VERSION);
    CHECK(strcmp(pcclxGetResultName(pcclPendingAsyncOps), "pcclPendingAsyncOps") == 0);
    CHECK(strcmp(pcclxGetResultName((pcclResult_t) 77), "unknown") == 0);
    CHECK(strcmp(pcclxGetErrorName(pcclxErrorTimedOut), "pcclxErrorTimedOut") == 0);
    CHECK(strcmp(pcclxGetErrorName(pcclxErrorRevisionMismatch), "pcclxErrorRevisionMismatch") == 0);
    CHECK(strcmp(pcclxGetErrorName((pcclxError_t) 77), "unknown") == 0);
    CHECK(pcclxGetLastErrorCode() == pcclxErrorNone && pcclxGetLastError()[0] == 0);
}

int main(void) {
    RUN(structures_of_pccl);
    RUN(structures_of_our_own);
    RUN(enumerations);
    RUN(names);
    return testing_failures != 0;
}
