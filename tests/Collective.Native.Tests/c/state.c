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

int main(void) {
    OK(pcclInit());
    master = start_master();
    peers[0] = new_peer(master.address, 0);
    peers[1] = new_peer(master.address, 0);
    connect_two(peers[0], peers[1]);
    RUN(who_fetches_is_told_how_far_it_is);
    OK(pcclDestroyCommunicator(peers[0]));
    OK(pcclDestroyCommunicator(peers[1]));
    OK(pcclDestroyMaster(master.instance));
    return testing_failures != 0;
}
