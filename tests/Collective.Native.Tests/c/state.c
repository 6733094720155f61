/* Shared state between two peers of this process: what comes, what is counted, and what a program is told meanwhile. */
#include "testing.h"

#define BYTES 3000000

static master_t master;
static pcclComm_t *peers[2];
static uint8_t contents[2][BYTES];

typedef struct told_t {
    int calls;
    int out_of_order;
    pcclxSyncProgress_t last;
    pcclRankUuid_t donor;
    pthread_t thread;
} told_t;

static void progress(const pcclxSyncProgress_t *now, void *context) {
    told_t *told = context;
    told->calls++;
    told->out_of_order += now->struct_size < sizeof *now || now->bytes_done < told->last.bytes_done || now->bytes_done > now->bytes_total;
    told->last = *now;
    told->thread = pthread_self();
    if (now->donor_count > 0) {
        told->donor = now->donors[0];
    }
}

static pcclResult_t synchronize(int peer, told_t *told, pcclSharedStateSyncInfo_t *info) {
    pcclTensorInfo_t tensor = {"weights", contents[peer], BYTES, pcclUint8, pcclDeviceCpu, false};
    pcclSharedState_t state = {0, 1, &tensor};
    pcclxSyncOptions_t options = PCCLX_SYNC_OPTIONS_INIT;
    options.progress = progress;
    options.context = told;
    return pcclxSynchronizeSharedState(peers[peer], &state,
                                       peer == 0 ? PCCL_SHARED_STATE_SYNC_STRATEGY_SEND_ONLY : PCCL_SHARED_STATE_SYNC_STRATEGY_RECEIVE_ONLY, info, &options);
}

static void *give(void *told) { return (void *) (intptr_t) synchronize(0, told, NULL); }

static void who_fetches_is_told_how_far_it_is(void) {
    told_t giver, taker;
    pcclSharedStateSyncInfo_t info;
    pcclxStatistics_t statistics = PCCLX_STATISTICS_INIT;
    pcclxWorld_t world = PCCLX_WORLD_INIT;
    pthread_t thread;
    void *result;
    memset(&giver, 0, sizeof giver);
    memset(&taker, 0, sizeof taker);
    memset(contents[0], 1, BYTES);
    pthread_create(&thread, NULL, give, &giver);
    OK(synchronize(1, &taker, &info));
    pthread_join(thread, &result);
    CHECK((intptr_t) result == pcclSuccess);
    CHECK(memcmp(contents[0], contents[1], BYTES) == 0 && info.rx_bytes == BYTES);

    CHECK(taker.calls > 0 && taker.out_of_order == 0);
    CHECK(taker.last.bytes_done == BYTES && taker.last.bytes_total == BYTES && taker.last.donor_count == 1);
    CHECK(!pthread_equal(taker.thread, pthread_self()));
    CHECK(giver.last.bytes_total == 0);
    OK(pcclxGetWorld(peers[0], &world));
    CHECK(memcmp(&taker.donor, &world.self, sizeof taker.donor) == 0);

    OK(pcclxGetStatistics(peers[1], &statistics));
    CHECK(statistics.state_syncs == 1 && statistics.state_tx_bytes == 0 && statistics.state_rx_bytes == BYTES);
    OK(pcclxGetStatistics(peers[0], &statistics));
    CHECK(statistics.state_syncs == 1 && statistics.state_tx_bytes == BYTES && statistics.state_rx_bytes == 0);
}

typedef struct call_t {
    pcclComm_t *peer;
    uint64_t revision;
    int32_t revisions;
    size_t bytes;
    pcclResult_t result;
    pcclxError_t error;
    pcclxLeftOut_t left_out[2];
    pcclxSyncResult_t report;
} call_t;

static void *synchronize_one(void *argument) {
    call_t *call = argument;
    static uint8_t equal[16];
    pcclTensorInfo_t tensor = {"weights", equal, call->bytes, pcclUint8, pcclDeviceCpu, false};
    pcclSharedState_t state = {call->revision, 1, &tensor};
    pcclxSyncOptions_t options = PCCLX_SYNC_OPTIONS_INIT;
    pcclxSyncResult_t report = PCCLX_SYNC_RESULT_INIT;
    report.left_out = call->left_out;
    report.left_out_capacity = 2;
    call->report = report;
    options.result = &call->report;
    options.revisions = call->revisions;
    call->result = call->revisions == PCCLX_REVISIONS_BY_ONE
        ? pcclSynchronizeSharedState(call->peer, &state, PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR, NULL)
        : pcclxSynchronizeSharedState(call->peer, &state, PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR, NULL, &options);
    call->error = call->result == pcclSuccess ? pcclxErrorNone : pcclxGetLastErrorCode();
    call->revision = state.revision;
    return NULL;
}

static void both(call_t *one, call_t *other) {
    pthread_t thread;
    pthread_create(&thread, NULL, synchronize_one, one);
    synchronize_one(other);
    pthread_join(thread, NULL);
}

/* A newcomer of another size goes, and the peer that has synchronized before succeeds in the same call. */
static void who_does_not_fit_is_left_out(void) {
    call_t one = {0}, other = {0};
    pcclxWorld_t world = PCCLX_WORLD_INIT;
    one.peer = new_peer(master.address, 1);
    other.peer = new_peer(master.address, 1);
    one.bytes = 16;
    other.bytes = 15;
    one.revisions = other.revisions = PCCLX_REVISIONS_COUNTED;
    OK(pcclConnect(one.peer));
    synchronize_one(&one);
    OK(one.result);
    CHECK(one.revision == 0 && one.report.left_out_count == 0);
    connect_another(one.peer, other.peer);
    OK(pcclxGetWorld(other.peer, &world));
    both(&one, &other);
    OK(one.result);
    CHECK(one.revision == 1 && one.report.left_out_count == 1 && one.left_out[0].error == pcclxErrorMismatch);
    CHECK(memcmp(&one.left_out[0].peer, &world.self, sizeof world.self) == 0);
    CHECK(strstr(one.left_out[0].reason, "\"weights\" has 15 elements") != NULL);
    CHECK(other.result == pcclInvalidUsage && other.error == pcclxErrorMismatch);
    OK(pcclDestroyCommunicator(one.peer));
    OK(pcclDestroyCommunicator(other.peer));
}

/* pcclSynchronizeSharedState demands one more than last time; the other function, that it grows. */
static void revisions_have_a_rule(void) {
    call_t one = {0}, other = {0};
    one.peer = new_peer(master.address, 2);
    other.peer = new_peer(master.address, 2);
    one.bytes = other.bytes = 16;
    connect_two(one.peer, other.peer);
    both(&one, &other);
    one.revision = other.revision = 40;
    both(&one, &other);
    CHECK(one.result == pcclSuccess && other.result == pcclSuccess && one.revision == 40);
    one.revisions = other.revisions = PCCLX_REVISIONS_BY_ONE;
    both(&one, &other);
    CHECK(one.result == pcclInvalidUsage && other.error == pcclxErrorRevisionMismatch);
    one.revision = 42;
    other.revision = 41;
    both(&one, &other);
    CHECK(one.result == pcclInvalidUsage && one.error == pcclxErrorRevisionMismatch);
    OK(other.result);
    OK(pcclDestroyCommunicator(one.peer));
    OK(pcclDestroyCommunicator(other.peer));
}

int main(void) {
    OK(pcclInit());
    master = start_master();
    peers[0] = new_peer(master.address, 0);
    peers[1] = new_peer(master.address, 0);
    connect_two(peers[0], peers[1]);
    RUN(who_fetches_is_told_how_far_it_is);
    OK(pcclDestroyCommunicator(peers[0]));
    OK(pcclDestroyCommunicator(peers[1]));
    RUN(who_does_not_fit_is_left_out);
    RUN(revisions_have_a_rule);
    OK(pcclDestroyMaster(master.instance));
    return testing_failures != 0;
}
