/* Every return code of every function, in the order in which the checks are made. */
#include "testing.h"

static master_t master;
static pcclComm_t *const NOBODY = NULL;
static pcclComm_t *const NEVER_MADE = (pcclComm_t *) 0x1234560;

static float numbers[16];
static float others[16];

static pcclReduceDescriptor_t floats(uint64_t tag) { return describe(8, pcclFloat, pcclSum, tag); }

static void before_init(void) {
    pcclReduceDescriptor_t descriptor = floats(0);
    pcclReduceOpDescriptor_t many = {numbers, numbers, floats(0)};
    pcclAsyncReduceOp_t handle = {NEVER_MADE, 0};
    pcclSharedState_t state = {0, 0, NULL};
    pcclComm_t *comm = NEVER_MADE;
    pcclBuildInfo_t build = {true};
    bool flag;
    int number;
    RETURNS(pcclInvalidArgument, pcclGetBuildInfo(NULL));
    OK(pcclGetBuildInfo(&build));
    CHECK(!build.has_cuda_support);
    RETURNS(pcclNotInitialized, pcclCreateCommunicator(NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxCreateCommunicator(NULL, &comm));
    CHECK(comm == NULL && pcclxGetLastErrorCode() == pcclxErrorNotInitialized);
    RETURNS(pcclNotInitialized, pcclGetAttribute(NULL, PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE, &number));
    RETURNS(pcclNotInitialized, pcclDestroyCommunicator(NULL));
    RETURNS(pcclNotInitialized, pcclConnect(NULL));
    RETURNS(pcclNotInitialized, pcclUpdateTopology(NULL));
    RETURNS(pcclNotInitialized, pcclArePeersPending(NULL, &flag));
    RETURNS(pcclNotInitialized, pcclOptimizeTopology(NULL));
    RETURNS(pcclNotInitialized, pcclAllReduce(numbers, numbers, &descriptor, NULL, NULL));
    RETURNS(pcclNotInitialized, pcclAllReduceAsync(numbers, numbers, &descriptor, NULL, &handle));
    RETURNS(pcclNotInitialized, pcclAwaitAsyncReduce(&handle, NULL));
    RETURNS(pcclNotInitialized, pcclAllReduceMultipleWithRetry(&many, 1, NULL, NULL, 1));
    RETURNS(pcclNotInitialized, pcclSynchronizeSharedState(NULL, &state, PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR, NULL));
    RETURNS(pcclNotInitialized, pcclxConnect(NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxStep(NULL, NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxUpdateTopology(NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxArePeersPending(NULL, &flag, NULL));
    RETURNS(pcclNotInitialized, pcclxOptimizeTopology(NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxSetCallTimeout(NULL, 5));
    RETURNS(pcclNotInitialized, pcclxAnnounce(NULL, NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxGetWorld(NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxGetPeers(NULL, NULL, 0, NULL));
    RETURNS(pcclNotInitialized, pcclxGetLiveWorld(NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxGetLivePeers(NULL, NULL, 0, NULL));
    RETURNS(pcclNotInitialized, pcclxGetStatistics(NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxCancel(NULL));
    RETURNS(pcclNotInitialized, pcclxAllReduce(numbers, numbers, &descriptor, NULL, NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxAllReduceAsync(numbers, numbers, &descriptor, NULL, &handle, NULL));
    RETURNS(pcclNotInitialized, pcclxAwaitAsyncReduce(&handle, NULL));
    RETURNS(pcclNotInitialized, pcclxWaitAsyncReduce(&handle, 0, &flag));
    RETURNS(pcclNotInitialized, pcclxNotifyAsyncReduce(&handle, NULL, NULL));
    RETURNS(pcclNotInitialized, pcclxCancelAsyncReduce(&handle));
    RETURNS(pcclNotInitialized, pcclxAllReduceMultipleWithRetry(&many, 1, NULL, NULL, 1, NULL));
    RETURNS(pcclNotInitialized, pcclxSynchronizeSharedState(NULL, &state, PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR, NULL, NULL));
    OK(pcclInit());
    OK(pcclInit());
}

static void creation(void) {
    pcclCommCreateParams_t params;
    pcclComm_t *comm = NEVER_MADE;
    memset(&params, 0, sizeof params);
    RETURNS(pcclInvalidArgument, pcclCreateCommunicator(&params, NULL));
    RETURNS(pcclInvalidArgument, pcclCreateCommunicator(NULL, &comm));
    CHECK(comm == NULL);
    RETURNS(pcclInvalidArgument, pcclCreateCommunicator(&params, &comm)); /* port 0 */
    params.master_address.port = 1;
    params.master_address.inet.protocol = (ccoip_inet_protocol_t) 7;
    RETURNS(pcclInvalidArgument, pcclCreateCommunicator(&params, &comm));
    params.master_address.inet.protocol = inetIPv6;
    params.p2p_connection_pool_size = 100000;
    OK(pcclCreateCommunicator(&params, &comm));
    RETURNS(pcclInvalidArgument, pcclDestroyCommunicator(NULL));
    RETURNS(pcclInvalidArgument, pcclDestroyCommunicator(NEVER_MADE));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorDestroyed);
    OK(pcclDestroyCommunicator(comm));
    RETURNS(pcclInvalidArgument, pcclDestroyCommunicator(comm));
}

static void creation_with_options(void) {
    pcclComm_t *comm = NULL;
    struct { pcclxCommOptions_t options; uint64_t unknown; } longer = {PCCLX_COMM_OPTIONS_INIT, 0};
    pcclxCommOptions_t options = PCCLX_COMM_OPTIONS_INIT;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, NULL));
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(NULL, &comm));
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm)); /* no master */
    const char *bad[] = {"", "a b", "host:99999", "host:0", "[::1", "a..b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.master = bad[i];
        RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    }
    options.master = "localhost";
    options.struct_size = 8;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    options.struct_size = sizeof options;
    options.stripe_count = 65;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    CHECK(strstr(pcclxGetLastError(), "stripe count is 65") != NULL);
    options.stripe_count = 64;
    options.listen_port = 70000;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    options.listen_port = -1;
    options.min_world_size = 2000;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    CHECK(strstr(pcclxGetLastError(), "minimum world size is 2000") != NULL);
    options.min_world_size = 1024;
    options.connect_timeout_ms = 1;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    options.connect_timeout_ms = -1;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    options.connect_timeout_ms = 100;
    options.call_timeout_ms = -2;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    options.call_timeout_ms = INT64_MAX;
    OK(pcclxCreateCommunicator(&options, &comm));
    OK(pcclDestroyCommunicator(comm));
    options.call_timeout_ms = 366LL * 24 * 3600 * 1000;
    OK(pcclxCreateCommunicator(&options, &comm));
    OK(pcclDestroyCommunicator(comm));
    options.call_timeout_ms = PCCLX_NO_TIMEOUT;
    options.keep_min_world_size = 2;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    options.keep_min_world_size = 1;
    options.fingerprint = "\xff";
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    char text[102] = {0};
    options.fingerprint = memset(text, 'x', sizeof text - 1);
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&options, &comm));
    CHECK(strstr(pcclxGetLastError(), "101 bytes") != NULL);
    text[100] = 0;
    OK(pcclxCreateCommunicator(&options, &comm));
    RETURNS(pcclInvalidArgument, pcclxAnnounce(NOBODY, NULL, NULL));
    RETURNS(pcclInvalidArgument, pcclxAnnounce(comm, "\xff", ""));
    OK(pcclxAnnounce(comm, "b", ""));
    OK(pcclxAnnounce(comm, "c", "1"));
    OK(pcclxAnnounce(comm, "d", "2"));
    RETURNS(pcclInvalidArgument, pcclxAnnounce(comm, "e", "3"));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorLimitExceeded);
    OK(pcclxAnnounce(comm, NULL, NULL));
    OK(pcclxAnnounce(comm, "e", "3"));
    OK(pcclDestroyCommunicator(comm));
    longer.options.master = "localhost";
    longer.options.struct_size = sizeof longer;
    OK(pcclxCreateCommunicator(&longer.options, &comm));
    OK(pcclDestroyCommunicator(comm));
    longer.unknown = 1;
    RETURNS(pcclInvalidArgument, pcclxCreateCommunicator(&longer.options, &comm));
}

/* Communicator null, or none, or never connected, for every function that takes one. */
static void not_connected(void) {
    pcclReduceDescriptor_t descriptor = floats(0);
    pcclReduceOpDescriptor_t many = {numbers, numbers, floats(0)};
    pcclAsyncReduceOp_t handle;
    bool flag;
    int number;
    size_t count;
    pcclComm_t *fresh = new_peer(master.address, 0);
    pcclComm_t *comms[3] = {NOBODY, NEVER_MADE, fresh};
    for (int i = 0; i < 3; i++) {
        pcclComm_t *comm = comms[i];
        pcclResult_t expected = comm == fresh ? pcclInvalidUsage : pcclInvalidArgument;
        handle.comm = comm;
        handle.tag = 0;
        RETURNS(expected, pcclGetAttribute(comm, PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE, &number));
        RETURNS(expected, pcclGetAttribute(comm, PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE, NULL));
        RETURNS(expected, pcclUpdateTopology(comm));
        RETURNS(expected, pcclArePeersPending(comm, &flag));
        RETURNS(pcclInvalidArgument, pcclArePeersPending(comm, NULL));
        RETURNS(expected, pcclOptimizeTopology(comm));
        RETURNS(expected, pcclAllReduce(numbers, numbers, &descriptor, comm, NULL));
        RETURNS(expected, pcclAllReduceAsync(NULL, NULL, NULL, comm, NULL));
        RETURNS(expected, pcclAwaitAsyncReduce(&handle, NULL));
        RETURNS(expected, pcclAllReduceMultipleWithRetry(&many, 1, comm, NULL, 0));
        RETURNS(expected, pcclSynchronizeSharedState(comm, NULL, (pcclSharedStateSyncStrategy_t) 9, NULL));
        RETURNS(expected, pcclxStep(comm, NULL, NULL));
        RETURNS(expected, pcclxGetWorld(comm, NULL));
        RETURNS(expected, pcclxGetPeers(comm, NULL, 0, &count));
        RETURNS(expected, pcclxGetLiveWorld(comm, NULL));
        RETURNS(expected, pcclxGetLivePeers(comm, NULL, 0, &count));
        RETURNS(expected, pcclxWaitAsyncReduce(&handle, 0, &flag));
        RETURNS(expected, pcclxCancelAsyncReduce(&handle));
    }
    CHECK(pcclxGetLastErrorCode() == pcclxErrorNotConnected);
    RETURNS(pcclInvalidArgument, pcclConnect(NOBODY));
    RETURNS(pcclInvalidArgument, pcclConnect(NEVER_MADE));
    RETURNS(pcclInvalidArgument, pcclxCancel(NEVER_MADE));
    RETURNS(pcclInvalidArgument, pcclxGetStatistics(fresh, NULL));
    RETURNS(pcclInvalidArgument, pcclAwaitAsyncReduce(NULL, NULL));
    RETURNS(pcclInvalidArgument, pcclAllReduceMultipleWithRetry(NULL, 1, fresh, NULL, 1));
    RETURNS(pcclInvalidArgument, pcclAllReduceMultipleWithRetry(&many, 0, fresh, NULL, 1));
    OK(pcclxCancel(fresh));
    OK(pcclDestroyCommunicator(fresh));
}

static void connecting(void) {
    pcclxCallOptions_t options = PCCLX_CALL_OPTIONS_INIT;
    pcclComm_t *nowhere = new_peer("127.0.0.1:1", 0);
    RETURNS(pcclMasterConnectionFailed, pcclConnect(nowhere));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorMasterUnreachable);
    RETURNS(pcclMasterConnectionFailed, pcclConnect(nowhere)); /* may be tried again */
    options.timeout_ms = -5;
    RETURNS(pcclInvalidArgument, pcclxConnect(nowhere, &options));
    options.timeout_ms = 1000;
    options.struct_size = 3;
    RETURNS(pcclInvalidArgument, pcclxConnect(nowhere, &options));
    OK(pcclDestroyCommunicator(nowhere));

    pcclComm_t *first = new_peer(master.address, 0), *second = new_peer(master.address, 0);
    OK(pcclConnect(first));
    RETURNS(pcclInvalidUsage, pcclConnect(first));
    options.struct_size = sizeof options;
    options.timeout_ms = 50;
    RETURNS(pcclMasterConnectionFailed, pcclxConnect(second, &options)); /* nobody admits it */
    CHECK(pcclxGetLastErrorCode() == pcclxErrorTimedOut);
    OK(pcclDestroyCommunicator(second));
    OK(pcclDestroyCommunicator(first));
}

static void alone(void) {
    pcclReduceDescriptor_t descriptor = floats(0);
    pcclReduceOpDescriptor_t many = {numbers, numbers, floats(0)};
    pcclAsyncReduceOp_t handle;
    bool flag = true;
    int number = 0;
    size_t count = 0;
    pcclRankUuid_t id;
    pcclxWorld_t world = PCCLX_WORLD_INIT;
    pcclxStatistics_t statistics = PCCLX_STATISTICS_INIT;
    pcclComm_t *peer = new_peer(master.address, 0);
    OK(pcclConnect(peer));
    RETURNS(pcclInvalidArgument, pcclGetAttribute(peer, PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE, NULL));
    RETURNS(pcclInvalidArgument, pcclGetAttribute(peer, (pcclAttribute_t) 0, &number));
    RETURNS(pcclInvalidArgument, pcclGetAttribute(peer, (pcclAttribute_t) 5, &number));
    for (int attribute = 1; attribute <= 4; attribute++) {
        OK(pcclGetAttribute(peer, (pcclAttribute_t) attribute, &number));
        CHECK(number == 1);
    }
    OK(pcclUpdateTopology(peer));
    OK(pcclArePeersPending(peer, &flag));
    CHECK(!flag);
    RETURNS(pcclInvalidUsage, pcclOptimizeTopology(peer));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorTooFewPeers);
    RETURNS(pcclTooFewPeers, pcclAllReduce(numbers, numbers, &descriptor, peer, NULL));
    RETURNS(pcclTooFewPeers, pcclAllReduceAsync(numbers, numbers, &descriptor, peer, &handle));
    RETURNS(pcclTooFewPeers, pcclAllReduceMultipleWithRetry(&many, 1, peer, NULL, 1));
    RETURNS(pcclTooFewPeers, pcclxAllReduce(numbers, numbers, &descriptor, peer, NULL, NULL));
    RETURNS(pcclTooFewPeers, pcclxAllReduceMultipleWithRetry(&many, 1, peer, NULL, 1, NULL));

    OK(pcclxStep(peer, &world, NULL));
    CHECK(world.connected == 1 && world.world_size == 1 && world.rank == 0 && world.global_world_size == 1 && world.epoch != 0 && world.has_newcomers == 0);
    world.struct_size = 0;
    RETURNS(pcclInvalidArgument, pcclxStep(peer, &world, NULL));
    RETURNS(pcclInvalidArgument, pcclxGetWorld(peer, &world));
    RETURNS(pcclInvalidArgument, pcclxGetWorld(peer, NULL));
    RETURNS(pcclInvalidArgument, pcclxGetLiveWorld(peer, &world));
    RETURNS(pcclInvalidArgument, pcclxGetLiveWorld(peer, NULL));
    RETURNS(pcclInvalidArgument, pcclxGetLivePeers(peer, &id, 1, NULL));
    RETURNS(pcclInvalidArgument, pcclxGetLivePeers(peer, NULL, 1, &count));
    world.struct_size = sizeof world;
    OK(pcclxGetWorld(peer, &world));
    RETURNS(pcclInvalidArgument, pcclxGetPeers(peer, &id, 1, NULL));
    RETURNS(pcclInvalidArgument, pcclxGetPeers(peer, NULL, 1, &count));
    OK(pcclxGetPeers(peer, &id, 1, &count));
    CHECK(count == 1 && memcmp(&id, &world.self, sizeof id) == 0);
    OK(pcclxGetLiveWorld(peer, &world));
    OK(pcclxGetLivePeers(peer, &id, 1, &count));
    CHECK(count == 1 && world.world_size == 1 && memcmp(&id, &world.self, sizeof id) == 0);
    CHECK((id.data[6] & 0xF0) == 0x40 && (id.data[8] & 0xC0) == 0x80); /* a version 4 UUID, in the order in which it is written */
    RETURNS(pcclInvalidArgument, pcclxSetCallTimeout(peer, -2));
    OK(pcclxSetCallTimeout(peer, PCCLX_NO_TIMEOUT));
    OK(pcclxGetStatistics(peer, &statistics));
    CHECK(statistics.connects == 1 && statistics.topology_updates == 2 && statistics.reduces_committed == 0);
    statistics.struct_size = 1;
    RETURNS(pcclInvalidArgument, pcclxGetStatistics(peer, &statistics));
    OK(pcclDestroyCommunicator(peer));
}

static void arguments_of_reductions(void) {
    pcclComm_t *peer = new_peer(master.address, 0), *other = new_peer(master.address, 0);
    pcclAsyncReduceOp_t handle = {NULL, 0};
    pcclReduceDescriptor_t good = floats(1), bad;
    connect_two(peer, other);
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &good, peer, NULL));
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, NULL, peer, &handle));
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(NULL, numbers, &good, peer, &handle));
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, NULL, &good, peer, &handle));
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers + 1, &good, peer, &handle)); /* overlap */
    bad = good, bad.count = 0;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad = good, bad.count = SIZE_MAX / 2;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad = good, bad.src_descriptor.datatype = (pcclDataType_t) 12;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad = good, bad.op = (pcclRedOp_t) 5;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad = good, bad.quantization_options.algorithm = (pcclQuantizationAlgorithm_t) 3;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad = good, bad.quantization_options.algorithm = pcclQuantMinMax, bad.quantization_options.quantized_datatype = (pcclDataType_t) 99;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad.quantization_options.quantized_datatype = pcclInt8; /* min-max has unsigned codes */
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad.quantization_options.quantized_datatype = pcclFloat;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle));
    bad.quantization_options.algorithm = pcclQuantZeroPointScale, bad.quantization_options.quantized_datatype = pcclUint8, bad.op = pcclMax;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle)); /* sum and average only */
    bad.op = pcclSum, bad.src_descriptor.datatype = pcclInt32;
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(numbers, numbers, &bad, peer, &handle)); /* floats only */
    CHECK(handle.comm == NULL);

    pcclReduceOpDescriptor_t many[2] = {{numbers, numbers, floats(1)}, {others, others, floats(1)}};
    RETURNS(pcclInvalidArgument, pcclAllReduceMultipleWithRetry(many, 1, peer, NULL, 0));
    RETURNS(pcclInvalidArgument, pcclAllReduceMultipleWithRetry(many, 1, peer, NULL, -1));
    RETURNS(pcclInvalidArgument, pcclAllReduceMultipleWithRetry(many, 2, peer, NULL, 2)); /* one tag twice */
    many[1].sendbuf = NULL;
    RETURNS(pcclInvalidArgument, pcclAllReduceMultipleWithRetry(many, 2, peer, NULL, 2));

    pcclxReduceInfo_t info = PCCLX_REDUCE_INFO_INIT;
    pcclxCallOptions_t options = PCCLX_CALL_OPTIONS_INIT;
    info.struct_size = 8;
    RETURNS(pcclInvalidArgument, pcclxAllReduce(numbers, numbers, &good, peer, &info, NULL));
    options.timeout_ms = -2;
    RETURNS(pcclInvalidArgument, pcclxAllReduceAsync(numbers, numbers, &good, peer, &handle, &options));
    options.timeout_ms = 0, options.label = "two\nlines";
    RETURNS(pcclInvalidArgument, pcclxAllReduceAsync(numbers, numbers, &good, peer, &handle, &options));
    options.label = "not UTF-8: \xFF";
    RETURNS(pcclInvalidArgument, pcclxAllReduceAsync(numbers, numbers, &good, peer, &handle, &options));
    options.struct_size = 16; /* that of a header without labels */
    RETURNS(pcclInvalidArgument, pcclxAllReduceAsync(numbers, numbers, &good, peer, &handle, &options));
    OK(pcclDestroyCommunicator(other));
    OK(pcclDestroyCommunicator(peer));
}

static void *reduce_nothing(void *peer) {
    pcclReduceDescriptor_t descriptor = floats(1);
    pcclxCallOptions_t options = PCCLX_CALL_OPTIONS_INIT;
    options.label = "nothing";
    descriptor.count = 0;
    return (void *) (intptr_t) pcclxAllReduce(NULL, NULL, &descriptor, peer, NULL, &options);
}

static void labels_and_nothing(void) {
    pcclComm_t *peer = new_peer(master.address, 0), *other = new_peer(master.address, 0);
    pcclReduceDescriptor_t descriptor = floats(1);
    pcclxCallOptions_t options = PCCLX_CALL_OPTIONS_INIT;
    pcclxReduceInfo_t info = PCCLX_REDUCE_INFO_INIT;
    pcclReduceOpDescriptor_t many[1];
    pthread_t thread;
    void *result;
    connect_two(peer, other);
    descriptor.count = 0;
    many[0] = (pcclReduceOpDescriptor_t) {numbers, numbers, descriptor};
    RETURNS(pcclInvalidArgument, pcclAllReduce(numbers, numbers, &descriptor, peer, NULL)); /* PCCL has neither */
    RETURNS(pcclInvalidArgument, pcclAllReduceMultipleWithRetry(many, 1, peer, NULL, 1));
    options.label = "something";
    pthread_create(&thread, NULL, reduce_nothing, other);
    RETURNS(pcclInvalidArgument, pcclxAllReduce(NULL, NULL, &descriptor, peer, &info, &options));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorMismatch);
    CHECK(strstr(pcclxGetLastError(), "\"nothing\"") != NULL && strstr(pcclxGetLastError(), "\"something\"") != NULL);
    pthread_join(thread, &result);
    CHECK((pcclResult_t) (intptr_t) result == pcclInvalidArgument);
    options.label = "nothing";
    pthread_create(&thread, NULL, reduce_nothing, other);
    OK(pcclxAllReduce(NULL, NULL, &descriptor, peer, &info, &options));
    CHECK(info.world_size == 2 && info.tx_bytes == 0 && info.rx_bytes == 0);
    pthread_join(thread, &result);
    CHECK((pcclResult_t) (intptr_t) result == pcclSuccess);
    OK(pcclDestroyCommunicator(other));
    OK(pcclDestroyCommunicator(peer));
}

static void *reduce_with_tag_1(void *peer) {
    pcclReduceDescriptor_t descriptor = floats(1);
    return (void *) (intptr_t) pcclAllReduce(others, others, &descriptor, peer, NULL);
}

static void *reduce_pair(void *peer) {
    pcclReduceOpDescriptor_t pair[2] = {{others, others, floats(1)}, {others + 8, others + 8, floats(99)}};
    return (void *) (intptr_t) pcclxAllReduceMany(pair, 2, peer, NULL, NULL);
}

static void sets(void) {
    pcclComm_t *peer = new_peer(master.address, 0), *other = new_peer(master.address, 0);
    pcclReduceOpDescriptor_t pair[2] = {{numbers, numbers, floats(1)}, {numbers + 8, numbers + 8, floats(2)}};
    pcclReduceDescriptor_t descriptor = floats(1);
    pcclAsyncReduceOp_t set = {NULL, 0}, single;
    pcclxReduceInfo_t info = PCCLX_REDUCE_INFO_INIT;
    pthread_t thread;
    void *result;
    RETURNS(pcclInvalidUsage, pcclxBeginAllReduceMany(peer, 1, 2, &set, NULL)); /* never connected */
    connect_two(peer, other);
    RETURNS(pcclInvalidArgument, pcclxAllReduceMany(NULL, 2, peer, NULL, NULL));
    RETURNS(pcclInvalidArgument, pcclxAllReduceMany(pair, 0, peer, NULL, NULL));
    RETURNS(pcclInvalidArgument, pcclxAllReduceMany(pair, 8193, peer, NULL, NULL));
    RETURNS(pcclInvalidArgument, pcclxAllReduceMany(pair, 2, NULL, NULL, NULL));
    RETURNS(pcclInvalidArgument, pcclxBeginAllReduceMany(peer, 1, 2, NULL, NULL));
    RETURNS(pcclInvalidArgument, pcclxBeginAllReduceMany(peer, 1, 0, &set, NULL));
    RETURNS(pcclInvalidArgument, pcclxBeginAllReduceMany(peer, 1, 8193, &set, NULL));
    RETURNS(pcclInvalidArgument, pcclxLaunchInSet(NULL, 0, numbers, numbers, &descriptor, NULL));
    pair[1].recvbuf = NULL;
    RETURNS(pcclInvalidArgument, pcclxAllReduceMany(pair, 2, peer, NULL, NULL));
    pair[1].recvbuf = numbers + 8;

    pthread_create(&thread, NULL, reduce_pair, other);
    OK(pcclxAllReduceMany(pair, 2, peer, &info, NULL)); /* the tags of all but the first do not count */
    pthread_join(thread, &result);
    CHECK((pcclResult_t) (intptr_t) result == pcclSuccess && info.world_size == 2);

    OK(pcclxBeginAllReduceMany(peer, 1, 2, &set, NULL));
    RETURNS(pcclInvalidArgument, pcclxBeginAllReduceMany(peer, 1, 2, &single, NULL)); /* the tag is in use */
    RETURNS(pcclPendingAsyncOps, pcclUpdateTopology(peer));
    OK(pcclxLaunchInSet(&set, 1, numbers + 8, numbers + 8, &descriptor, NULL));
    RETURNS(pcclInvalidArgument, pcclxLaunchInSet(&set, 1, numbers, numbers, &descriptor, NULL));
    RETURNS(pcclInvalidArgument, pcclxLaunchInSet(&set, 2, numbers, numbers, &descriptor, NULL));
    RETURNS(pcclInvalidArgument, pcclxLaunchInSet(&set, 0, numbers, numbers, NULL, NULL));
    pthread_create(&thread, NULL, reduce_pair, other);
    OK(pcclxLaunchInSet(&set, 0, numbers, numbers, &descriptor, NULL));
    OK(pcclxAwaitAsyncReduce(&set, &info));
    pthread_join(thread, &result);
    CHECK((pcclResult_t) (intptr_t) result == pcclSuccess && info.world_size == 2);
    RETURNS(pcclRankConnectionLost, pcclxLaunchInSet(&set, 0, numbers, numbers, &descriptor, NULL)); /* awaited */

    descriptor.tag = 5;
    OK(pcclxAllReduceAsync(numbers, numbers, &descriptor, peer, &single, NULL));
    RETURNS(pcclInvalidArgument, pcclxLaunchInSet(&single, 0, numbers, numbers, &descriptor, NULL)); /* no set */
    OK(pcclxBeginAllReduceMany(peer, 1, 2, &set, NULL));
    OK(pcclxCancelAsyncReduce(&set));
    RETURNS(pcclRankConnectionLost, pcclxAwaitAsyncReduce(&set, NULL));
    OK(pcclDestroyCommunicator(other));
    OK(pcclDestroyCommunicator(peer));
}

/* An older handle of a tag is not the newer launch's. */
static void stale_handles(void) {
    pcclComm_t *peer = new_peer(master.address, 0), *other = new_peer(master.address, 0);
    pcclReduceDescriptor_t descriptor = floats(1);
    pcclAsyncReduceOp_t older, newer;
    bool flag;
    void *result;
    pthread_t thread;
    connect_two(peer, other);
    OK(pcclAllReduceAsync(numbers, numbers, &descriptor, peer, &older));
    pthread_create(&thread, NULL, reduce_with_tag_1, other);
    OK(pcclAwaitAsyncReduce(&older, NULL));
    pthread_join(thread, &result);
    OK(pcclAllReduceAsync(numbers, numbers, &descriptor, peer, &newer));
    RETURNS(pcclRankConnectionLost, pcclxWaitAsyncReduce(&older, 0, &flag));
    RETURNS(pcclRankConnectionLost, pcclxCancelAsyncReduce(&older));
    RETURNS(pcclRankConnectionLost, pcclAwaitAsyncReduce(&older, NULL));
    older.comm = peer; /* made up, not launched */
    RETURNS(pcclRankConnectionLost, pcclAwaitAsyncReduce(&older, NULL));
    pthread_create(&thread, NULL, reduce_with_tag_1, other);
    OK(pcclAwaitAsyncReduce(&newer, NULL));
    pthread_join(thread, &result);
    OK(pcclDestroyCommunicator(other));
    RETURNS(pcclInvalidArgument, pcclDestroyCommunicator((pcclComm_t *) ((uintptr_t) peer + ((uint64_t) 99 << 32)))); /* names no launch */
    OK(pcclDestroyCommunicator(peer));
    RETURNS(pcclInvalidArgument, pcclAwaitAsyncReduce(&newer, NULL)); /* its communicator is gone */
}

static void in_flight(void) {
    pcclxWorld_t world = PCCLX_WORLD_INIT;
    pcclComm_t *peer = new_peer(master.address, 0), *other = new_peer(master.address, 0);
    pcclReduceDescriptor_t descriptor = floats(1);
    pcclAsyncReduceOp_t handle, unknown;
    pcclSharedState_t state = {0, 0, NULL};
    bool flag = true;
    void *result;
    pthread_t thread;
    connect_two(peer, other);
    OK(pcclAllReduceAsync(numbers, numbers, &descriptor, peer, &handle));
    CHECK(handle.comm != NULL && handle.tag == 1);
    OK(pcclxGetWorld(handle.comm, &world)); /* it stands for the communicator, too */
    RETURNS(pcclInvalidArgument, pcclAllReduceAsync(others, others, &descriptor, peer, &unknown)); /* the tag is in use */
    RETURNS(pcclPendingAsyncOps, pcclUpdateTopology(peer));
    RETURNS(pcclPendingAsyncOps, pcclxStep(peer, NULL, NULL));
    RETURNS(pcclPendingAsyncOps, pcclOptimizeTopology(peer));
    RETURNS(pcclPendingAsyncOps, pcclSynchronizeSharedState(peer, &state, PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR, NULL));
    unknown = handle;
    unknown.tag = 99;
    RETURNS(pcclRankConnectionLost, pcclAwaitAsyncReduce(&unknown, NULL));
    RETURNS(pcclRankConnectionLost, pcclxWaitAsyncReduce(&unknown, 0, &flag));
    RETURNS(pcclRankConnectionLost, pcclxCancelAsyncReduce(&unknown));
    RETURNS(pcclInvalidArgument, pcclxWaitAsyncReduce(&handle, -2, &flag));
    RETURNS(pcclInvalidArgument, pcclxWaitAsyncReduce(&handle, 0, NULL));
    RETURNS(pcclInvalidArgument, pcclxNotifyAsyncReduce(&handle, NULL, NULL));
    OK(pcclxWaitAsyncReduce(&handle, 0, &flag));
    CHECK(!flag);
    pthread_create(&thread, NULL, reduce_with_tag_1, other);
    OK(pcclxWaitAsyncReduce(&handle, PCCLX_NO_TIMEOUT, &flag));
    CHECK(flag);
    RETURNS(pcclPendingAsyncOps, pcclUpdateTopology(peer)); /* until it was awaited */
    OK(pcclAwaitAsyncReduce(&handle, NULL));
    pthread_join(thread, &result);
    CHECK((intptr_t) result == pcclSuccess);
    RETURNS(pcclRankConnectionLost, pcclAwaitAsyncReduce(&handle, NULL)); /* awaited already */
    OK(pcclDestroyCommunicator(other));
    OK(pcclDestroyCommunicator(peer));
}

static void arguments_of_shared_state(void) {
    pcclComm_t *peer = new_peer(master.address, 0);
    pcclTensorInfo_t info = {"weights", numbers, 8, pcclFloat, pcclDeviceCpu, false};
    pcclSharedState_t state = {0, 1, &info};
    const pcclSharedStateSyncStrategy_t popular = PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR;
    OK(pcclConnect(peer));
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, (pcclSharedStateSyncStrategy_t) 3, NULL));
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, NULL, popular, NULL));
    state.count = 0;
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    state.count = 1, state.infos = NULL;
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    state.infos = &info, info.name = NULL;
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    info.name = "weights\xff";
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    CHECK(strstr(pcclxGetLastError(), "UTF-8") != NULL);
    info.name = "weights", info.data = NULL;
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    info.data = numbers, info.datatype = (pcclDataType_t) -1;
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    info.datatype = pcclFloat, info.device_type = (pcclDeviceType_t) 2;
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    info.device_type = pcclDeviceCuda;
    RETURNS(pcclInvalidArgument, pcclSynchronizeSharedState(peer, &state, popular, NULL));
    pcclxSyncOptions_t options = PCCLX_SYNC_OPTIONS_INIT;
    info.device_type = pcclDeviceCpu, options.timeout_ms = -2;
    RETURNS(pcclInvalidArgument, pcclxSynchronizeSharedState(peer, &state, popular, NULL, &options));
    options.timeout_ms = 0, options.struct_size = sizeof(pcclxCallOptions_t);
    RETURNS(pcclInvalidArgument, pcclxSynchronizeSharedState(peer, &state, popular, NULL, &options));
    options.struct_size = sizeof options, options.revisions = 3;
    RETURNS(pcclInvalidArgument, pcclxSynchronizeSharedState(peer, &state, popular, NULL, &options));
    pcclxSyncResult_t report = PCCLX_SYNC_RESULT_INIT;
    report.struct_size = 1, options.revisions = PCCLX_REVISIONS_GROW, options.result = &report;
    RETURNS(pcclInvalidArgument, pcclxSynchronizeSharedState(peer, &state, popular, NULL, &options));
    report.struct_size = sizeof report;
    OK(pcclxSynchronizeSharedState(peer, &state, popular, NULL, &options));
    OK(pcclDestroyCommunicator(peer));
}

/* After the master is gone, every call says so in its own way, and the last world stays known. */
static void master_lost(void) {
    master_t other = start_master();
    pcclComm_t *first = new_peer(other.address, 0), *second = new_peer(other.address, 0);
    pcclReduceDescriptor_t descriptor = floats(3);
    pcclReduceOpDescriptor_t many = {numbers, numbers, floats(3)};
    pcclAsyncReduceOp_t handle;
    pcclTensorInfo_t tensor = {"weights", numbers, 8, pcclFloat, pcclDeviceCpu, false};
    pcclSharedState_t state = {0, 1, &tensor};
    pcclxWorld_t world = PCCLX_WORLD_INIT;
    int size = 0;
    bool flag;
    connect_two(first, second);
    numbers[0] = 42;
    OK(pcclAllReduceAsync(numbers, numbers, &descriptor, first, &handle));
    OK(pcclInterruptMaster(other.instance));
    OK(pcclMasterAwaitTermination(other.instance));
    RETURNS(pcclRankConnectionLost, pcclAwaitAsyncReduce(&handle, NULL));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorMasterLost && numbers[0] == 42);
    RETURNS(pcclUpdateTopologyFailed, pcclUpdateTopology(first));
    RETURNS(pcclUpdateTopologyFailed, pcclxStep(first, NULL, NULL));
    RETURNS(pcclInvalidUsage, pcclArePeersPending(first, &flag));
    RETURNS(pcclTopologyOptimizationFailed, pcclOptimizeTopology(first));
    RETURNS(pcclInvalidUsage, pcclSynchronizeSharedState(first, &state, PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR, NULL));
    RETURNS(pcclRankConnectionLost, pcclAllReduce(numbers, numbers, &descriptor, first, NULL));
    RETURNS(pcclRankConnectionLost, pcclAllReduceMultipleWithRetry(&many, 1, first, NULL, 1));
    OK(pcclGetAttribute(first, PCCL_ATTRIBUTE_PEER_GROUP_WORLD_SIZE, &size));
    CHECK(size == 2);
    OK(pcclxGetWorld(first, &world));
    CHECK(world.world_size == 2 && world.connected == 0);
    RETURNS(pcclMasterConnectionFailed, pcclConnect(first));
    OK(pcclDestroyCommunicator(first));
    OK(pcclDestroyCommunicator(second));
    OK(pcclDestroyMaster(other.instance));
}

static void masters(void) {
    ccoip_socket_address_t address;
    pcclMasterInstance_t *instance = NULL, *second = NULL;
    uint16_t port;
    memset(&address, 0, sizeof address);
    address.inet.ipv4.data[0] = 127, address.inet.ipv4.data[3] = 1;
    address.port = master.port;
    RETURNS(pcclInvalidArgument, pcclCreateMaster(address, NULL));
    address.inet.protocol = (ccoip_inet_protocol_t) 2;
    RETURNS(pcclInvalidArgument, pcclCreateMaster(address, &instance));
    address.inet.protocol = inetIPv4;
    RETURNS(pcclInvalidArgument, pcclRunMaster(NULL));
    RETURNS(pcclInvalidArgument, pcclInterruptMaster(NULL));
    RETURNS(pcclInvalidArgument, pcclMasterAwaitTermination(NULL));
    RETURNS(pcclInvalidArgument, pcclDestroyMaster(NULL));
    RETURNS(pcclInvalidArgument, pcclxGetMasterPort(NULL, &port));
    OK(pcclCreateMaster(address, &instance));
    RETURNS(pcclInvalidUsage, pcclInterruptMaster(instance));
    RETURNS(pcclInvalidUsage, pcclMasterAwaitTermination(instance));
    RETURNS(pcclInvalidUsage, pcclxGetMasterPort(instance, &port));
    RETURNS(pcclInvalidUsage, pcclRunMaster(instance)); /* in use, by the master of this test */
    CHECK(pcclxGetLastErrorCode() == pcclxErrorAddressInUse);
    OK(pcclDestroyMaster(instance));
    RETURNS(pcclInvalidArgument, pcclDestroyMaster(instance));
    address.port = 0;
    OK(pcclCreateMaster(address, &instance));
    RETURNS(pcclInvalidUsage, pcclRunMaster(instance)); /* port 0 */
    OK(pcclDestroyMaster(instance));
    address.inet.ipv4.data[0] = 8, address.port = 1; /* no address of this host */
    OK(pcclCreateMaster(address, &instance));
    RETURNS(pcclInvalidUsage, pcclRunMaster(instance));
    OK(pcclDestroyMaster(instance));

    master_t running = start_master();
    RETURNS(pcclInvalidArgument, pcclxGetMasterPort(running.instance, NULL));
    RETURNS(pcclInvalidUsage, pcclRunMaster(running.instance));
    OK(pcclInterruptMaster(running.instance));
    OK(pcclInterruptMaster(running.instance));
    OK(pcclMasterAwaitTermination(running.instance));
    OK(pcclMasterAwaitTermination(running.instance));
    RETURNS(pcclInvalidUsage, pcclRunMaster(running.instance));
    OK(pcclDestroyMaster(running.instance));
    running = start_master();
    OK(pcclDestroyMaster(running.instance)); /* while it runs */

    pcclxMasterOptions_t options = PCCLX_MASTER_OPTIONS_INIT;
    RETURNS(pcclInvalidArgument, pcclxCreateMaster(NULL, &second));
    RETURNS(pcclInvalidArgument, pcclxCreateMaster(&options, NULL));
    options.heartbeat_timeout_ms = 1;
    RETURNS(pcclInvalidArgument, pcclxCreateMaster(&options, &second));
    options.heartbeat_timeout_ms = 0, options.segment_bytes = 63;
    RETURNS(pcclInvalidArgument, pcclxCreateMaster(&options, &second));
    options.segment_bytes = 0, options.crossed_calls_timeout_ms = 5;
    RETURNS(pcclInvalidArgument, pcclxCreateMaster(&options, &second));
    options.crossed_calls_timeout_ms = 0, options.struct_size = 4;
    RETURNS(pcclInvalidArgument, pcclxCreateMaster(&options, &second));
    CHECK(second == NULL);
    RETURNS(pcclInvalidArgument, pcclxSetLogCallback(NULL, (pcclxLogLevel_t) 7, NULL));
    OK(pcclxSetLogCallback(NULL, pcclxLogNone, NULL));
}

int main(void) {
    RUN(before_init);
    master = start_master();
    RUN(creation);
    RUN(creation_with_options);
    RUN(not_connected);
    RUN(connecting);
    RUN(alone);
    RUN(arguments_of_reductions);
    RUN(labels_and_nothing);
    RUN(in_flight);
    RUN(sets);
    RUN(stale_handles);
    RUN(arguments_of_shared_state);
    RUN(master_lost);
    RUN(masters);
    OK(pcclDestroyMaster(master.instance));
    return testing_failures != 0;
}
