/* Calls of many threads on one communicator, and its destruction in the middle: every one ends with a code, none crashes or hangs. */
#include "testing.h"

#include <signal.h>

static master_t master;
static pcclComm_t *volatile shared;
static volatile int stop;

/* Codes that a call may end with when others are in its way. */
static void expect(pcclResult_t result) {
    CHECK(result == pcclSuccess || result == pcclInvalidArgument || result == pcclInvalidUsage || result == pcclPendingAsyncOps ||
          result == pcclUpdateTopologyFailed || result == pcclRankConnectionLost || result == pcclTooFewPeers ||
          result == pcclMasterConnectionFailed || result == pcclTopologyOptimizationFailed);
}

static void *storm(void *seed) {
    unsigned random = (unsigned) (uintptr_t) seed;
    float buffer[64];
    pcclxCallOptions_t options = PCCLX_CALL_OPTIONS_INIT;
    options.timeout_ms = 20;
    while (!stop) {
        pcclReduceDescriptor_t descriptor = describe(64, pcclFloat, pcclSum, random % 3);
        pcclAsyncReduceOp_t handle;
        pcclxWorld_t world = PCCLX_WORLD_INIT;
        pcclxStatistics_t statistics = PCCLX_STATISTICS_INIT;
        pcclComm_t *comm = shared;
        bool flag;
        int size;
        random = random * 1664525u + 1013904223u;
        switch (random >> 28) {
            case 0: expect(pcclxConnect(comm, &options)); break;
            case 1: expect(pcclxUpdateTopology(comm, &options)); break;
            case 2: expect(pcclxArePeersPending(comm, &flag, &options)); break;
            case 3: expect(pcclxStep(comm, &world, &options)); break;
            case 4: expect(pcclGetAttribute(comm, PCCL_ATTRIBUTE_GLOBAL_WORLD_SIZE, &size)); break;
            case 5: expect(pcclxGetWorld(comm, &world)); break;
            case 6: expect(pcclxGetStatistics(comm, &statistics)); break;
            case 7: expect(pcclxCancel(comm)); break;
            case 8: expect(pcclOptimizeTopology(comm)); break;
            default:
                if (pcclxAllReduceAsync(buffer, buffer, &descriptor, comm, &handle, &options) == pcclSuccess) {
                    expect(pcclxWaitAsyncReduce(&handle, 1, &flag));
                    expect(pcclAwaitAsyncReduce(&handle, NULL));
                }
                break;
        }
    }
    return NULL;
}

static void destruction_under_fire(void) {
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    shared = new_peer(master.address, 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, storm, (void *) (i * 7919 + 1));
    }
    for (int i = 0; i < 40; i++) {
        pcclComm_t *before = shared;
        struct timespec moment = {0, 20000000}; /* for the storm to be under way; nothing depends on it */
        nanosleep(&moment, NULL);
        shared = new_peer(master.address, 0);
        OK(pcclDestroyCommunicator(before));
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    OK(pcclDestroyCommunicator(shared));
}

static void *connect_peer(void *comm) { return (void *) (intptr_t) pcclConnect(comm); }

static void destruction_ends_a_blocked_call(void) {
    pcclComm_t *first = new_peer(master.address, 1), *waiting = new_peer(master.address, 1);
    pthread_t thread;
    void *result;
    bool pending = false;
    OK(pcclConnect(first));
    pthread_create(&thread, NULL, connect_peer, waiting);
    while (!pending) {
        OK(pcclArePeersPending(first, &pending));
    }
    OK(pcclDestroyCommunicator(waiting));
    pthread_join(thread, &result);
    CHECK((intptr_t) result == pcclInvalidUsage || (intptr_t) result == pcclMasterConnectionFailed);
    OK(pcclDestroyCommunicator(first));
}

static void *fail_and_read(void *number) {
    char text[64];
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "%d is no log level", (int) (intptr_t) number);
        pcclxSetLogCallback(NULL, (pcclxLogLevel_t) (intptr_t) number, NULL);
        if (strncmp(pcclxGetLastError(), text, strlen(text)) != 0) {
            return NULL;
        }
    }
    return number;
}

static void errors_are_of_their_thread(void) {
    pthread_t threads[8];
    void *right;
    for (intptr_t i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, fail_and_read, (void *) (100 + i));
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &right);
        CHECK(right != NULL);
    }
}

int main(void) {
    OK(pcclInit());
    master = start_master();
    RUN(errors_are_of_their_thread);
    RUN(destruction_ends_a_blocked_call);
    RUN(destruction_under_fire);
    OK(pcclDestroyMaster(master.instance));
    return testing_failures != 0;
}
