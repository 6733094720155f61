/* Reductions between two peers of this process: results of every type and operation, in place and not, many at once, and how they end early. */
#include "testing.h"

static master_t master;
static pcclComm_t *peers[2];

typedef struct job_t {
    pcclComm_t *comm;
    const void *send;
    void *receive;
    pcclReduceDescriptor_t descriptor;
    pcclxReduceInfo_t info;
    pcclResult_t result;
    pcclxError_t error;
    char text[512];
} job_t;

static void *run_job(void *argument) {
    job_t *job = argument;
    job->result = pcclxAllReduce(job->send, job->receive, &job->descriptor, job->comm, &job->info, NULL);
    job->error = pcclxGetLastErrorCode();
    snprintf(job->text, sizeof job->text, "%s", pcclxGetLastError());
    return NULL;
}

static void run_two(job_t *first, job_t *second) {
    pthread_t thread;
    pthread_create(&thread, NULL, run_job, second);
    run_job(first);
    pthread_join(thread, NULL);
}

static const size_t element_bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};

/* Small integers, exact in every type: peer 0 has 1..4, peer 1 has 2. */
static void put(pcclDataType_t type, void *buffer, size_t index, int value) {
    /* The 16-bit floats of 0, 1, ..., 12; bfloat16 is the upper half of a float. */
    static const uint16_t halves[] = {0, 0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800, 0x4880, 0x4900, 0x4980, 0x4A00};
    float f = (float) value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    switch (type) {
        case pcclUint8: case pcclInt8: ((uint8_t *) buffer)[index] = (uint8_t) value; break;
        case pcclInt16: case pcclUint16: ((uint16_t *) buffer)[index] = (uint16_t) value; break;
        case pcclUint32: case pcclInt32: ((uint32_t *) buffer)[index] = (uint32_t) value; break;
        case pcclUint64: case pcclInt64: ((uint64_t *) buffer)[index] = (uint64_t) value; break;
        case pcclFloat16: ((uint16_t *) buffer)[index] = halves[value]; break;
        case pcclBFloat16: ((uint16_t *) buffer)[index] = (uint16_t) (bits >> 16); break;
        case pcclFloat: ((float *) buffer)[index] = f; break;
        case pcclDouble: ((double *) buffer)[index] = value; break;
    }
}

static int expected(pcclRedOp_t operation, int left, int right) {
    switch (operation) {
        case pcclSum: return left + right;
        case pcclAvg: return (left + right) / 2;
        case pcclProd: return left * right;
        case pcclMax: return left > right ? left : right;
        case pcclMin: return left < right ? left : right;
    }
    return -1;
}

static void every_type_and_operation(void) {
    enum { COUNT = 1001 };
    static uint64_t send[2][COUNT], receive[2][COUNT], wanted[COUNT];
    for (int type = 0; type < 12; type++) {
        for (int operation = 0; operation < 5; operation++) {
            for (size_t i = 0; i < COUNT; i++) {
                int value = operation == pcclAvg ? 2 * (int) (i % 2) + 2 : (int) (i % 4) + 1; /* averages are whole numbers */
                put((pcclDataType_t) type, send[0], i, value);
                put((pcclDataType_t) type, send[1], i, 2);
                put((pcclDataType_t) type, wanted, i, expected((pcclRedOp_t) operation, value, 2));
            }
            job_t jobs[2];
            for (int i = 0; i < 2; i++) {
                jobs[i] = (job_t) {.comm = peers[i], .send = send[i], .receive = i == 0 ? send[0] : receive[1]};
                jobs[i].descriptor = describe(COUNT, (pcclDataType_t) type, (pcclRedOp_t) operation, 7);
                jobs[i].info = (pcclxReduceInfo_t) PCCLX_REDUCE_INFO_INIT;
            }
            run_two(&jobs[0], &jobs[1]);
            CHECK(jobs[0].result == pcclSuccess && jobs[1].result == pcclSuccess);
            if (!CHECK(memcmp(send[0], wanted, COUNT * element_bytes[type]) == 0) ||
                !CHECK(memcmp(receive[1], wanted, COUNT * element_bytes[type]) == 0)) {
                printf("  data type %d, operation %d\n", type, operation);
            }
        }
    }
}

static void what_is_reported(void) {
    enum { COUNT = 1000 };
    static float buffers[2][COUNT];
    pcclRankUuid_t contributors[2][3], peers_of_world[3];
    pcclxWorld_t world = PCCLX_WORLD_INIT;
    pcclxStatistics_t before = PCCLX_STATISTICS_INIT, after = PCCLX_STATISTICS_INIT;
    size_t count = 0;
    job_t jobs[2];
    OK(pcclxGetStatistics(peers[0], &before));
    memset(contributors, 0x55, sizeof contributors);
    for (int i = 0; i < 2; i++) {
        jobs[i] = (job_t) {.comm = peers[i], .send = buffers[i], .receive = buffers[i], .descriptor = describe(COUNT, pcclFloat, pcclSum, 1)};
        jobs[i].info = (pcclxReduceInfo_t) PCCLX_REDUCE_INFO_INIT;
        jobs[i].info.contributors = contributors[i];
        jobs[i].info.contributor_capacity = 3;
    }
    run_two(&jobs[0], &jobs[1]);
    OK(pcclxGetWorld(peers[0], &world));
    OK(pcclxGetPeers(peers[0], peers_of_world, 3, &count));
    CHECK(count == 2 && jobs[0].info.world_size == 2 && jobs[0].info.epoch == world.epoch && jobs[0].info.rank == world.rank);
    CHECK(jobs[0].info.rank + jobs[1].info.rank == 1 && jobs[0].info.retries == 0 && jobs[0].info.struct_size == sizeof(pcclxReduceInfo_t));
    CHECK(jobs[0].info.tx_bytes == COUNT * 4 && jobs[0].info.rx_bytes == COUNT * 4); /* 2 (N - 1) / N of the tensor */
    CHECK(memcmp(contributors[0], peers_of_world, 2 * sizeof(pcclRankUuid_t)) == 0 && memcmp(contributors[0], contributors[1], 32) == 0);
    CHECK(contributors[0][2].data[0] == 0x55 && memcmp(&contributors[0][world.rank], &world.self, 16) == 0);
    OK(pcclxGetStatistics(peers[0], &after));
    CHECK(after.reduces_committed == before.reduces_committed + 1 && after.tx_bytes == before.tx_bytes + COUNT * 4 && after.reduces_in_flight == 0);
}

typedef struct many_t {
    pcclComm_t *comm;
    pcclReduceOpDescriptor_t *list;
    pcclReduceInfo_t info;
    pcclResult_t result;
} many_t;

static void *run_many(void *argument) {
    many_t *many = argument;
    many->result = pcclAllReduceMultipleWithRetry(many->list, 50, many->comm, &many->info, 8);
    return NULL;
}

static void many_at_once(void) {
    static int32_t buffers[2][50][100];
    pcclReduceOpDescriptor_t lists[2][50];
    many_t many[2];
    pthread_t thread;
    for (int p = 0; p < 2; p++) {
        for (int i = 0; i < 50; i++) {
            for (int j = 0; j < 100; j++) {
                buffers[p][i][j] = (p + 1) * (i + j);
            }
            lists[p][i] = (pcclReduceOpDescriptor_t) {buffers[p][i], buffers[p][i], describe(100, pcclInt32, pcclSum, (uint64_t) i)};
        }
        many[p] = (many_t) {.comm = peers[p], .list = lists[p]};
    }
    pthread_create(&thread, NULL, run_many, &many[1]);
    run_many(&many[0]);
    pthread_join(thread, NULL);
    CHECK(many[0].result == pcclSuccess && many[1].result == pcclSuccess && many[0].info.local_world_size == 2);
    CHECK(many[0].info.tx_bytes == 50 * 400);
    for (int i = 0; i < 50; i++) {
        CHECK(buffers[0][i][99] == 3 * (i + 99) && memcmp(buffers[0][i], buffers[1][i], sizeof buffers[0][i]) == 0);
    }
}

/* Launched here, in any order, and awaited on another thread. */
static void *await_all(void *argument) {
    pcclAsyncReduceOp_t *handles = argument;
    intptr_t failures = 0;
    for (int i = 0; i < 20; i++) {
        pcclReduceInfo_t info;
        failures += pcclAwaitAsyncReduce(&handles[i], &info) != pcclSuccess || info.local_world_size != 2;
    }
    return (void *) failures;
}

static void any_thread_awaits(void) {
    static double buffers[2][20][10];
    pcclAsyncReduceOp_t handles[2][20];
    pthread_t threads[2];
    void *failures;
    for (int p = 0; p < 2; p++) {
        for (int k = 0; k < 20; k++) {
            int i = p == 0 ? k : 19 - k;
            pcclReduceDescriptor_t descriptor = describe(10, pcclDouble, pcclSum, (uint64_t) i);
            buffers[p][i][9] = i;
            OK(pcclAllReduceAsync(buffers[p][i], buffers[p][i], &descriptor, peers[p], &handles[p][i]));
        }
    }
    for (int p = 0; p < 2; p++) {
        pthread_create(&threads[p], NULL, await_all, handles[p]);
    }
    for (int p = 0; p < 2; p++) {
        pthread_join(threads[p], &failures);
        CHECK(failures == NULL && buffers[p][7][9] == 14);
    }
}

static void a_mismatch_is_named_to_both(void) {
    static float buffers[2][100];
    job_t jobs[2];
    for (int i = 0; i < 2; i++) {
        buffers[i][0] = 3;
        jobs[i] = (job_t) {.comm = peers[i], .send = buffers[i], .receive = buffers[i]};
        jobs[i].descriptor = describe(100, pcclFloat, i == 0 ? pcclSum : pcclMax, 1);
        jobs[i].info = (pcclxReduceInfo_t) PCCLX_REDUCE_INFO_INIT;
    }
    run_two(&jobs[0], &jobs[1]);
    for (int i = 0; i < 2; i++) {
        CHECK(jobs[i].result == pcclInvalidArgument && jobs[i].error == pcclxErrorMismatch && buffers[i][0] == 3);
        CHECK(strstr(jobs[i].text, "operation") != NULL);
    }
}

static void its_time_is_over(void) {
    static float buffer[100];
    pcclReduceDescriptor_t descriptor = describe(100, pcclFloat, pcclSum, 1);
    pcclxCallOptions_t options = PCCLX_CALL_OPTIONS_INIT;
    pcclxStatistics_t statistics = PCCLX_STATISTICS_INIT;
    bool pending;
    options.timeout_ms = 30;
    buffer[99] = 5;
    RETURNS(pcclRankConnectionLost, pcclxAllReduce(buffer, buffer, &descriptor, peers[0], NULL, &options));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorTimedOut && buffer[99] == 5);
    RETURNS(pcclUpdateTopologyFailed, pcclxUpdateTopology(peers[0], &options));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorTimedOut);
    RETURNS(pcclInvalidUsage, pcclxArePeersPending(peers[0], &pending, &options));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorTimedOut);
    OK(pcclxSetCallTimeout(peers[0], 30));
    RETURNS(pcclUpdateTopologyFailed, pcclUpdateTopology(peers[0]));
    OK(pcclxSetCallTimeout(peers[0], 60000));
    OK(pcclxGetStatistics(peers[0], &statistics));
    CHECK(statistics.calls_timed_out == 4 && statistics.reduces_failed >= 1);
}

static void *update(void *comm) {
    pcclResult_t result;
    do {
        result = pcclUpdateTopology(comm);
    } while (result == pcclInvalidUsage); /* the main thread is in it */
    return (void *) (intptr_t) (result == pcclUpdateTopologyFailed && pcclxGetLastErrorCode() == pcclxErrorCancelled);
}

static void calls_are_cancelled_from_another_thread(void) {
    static float buffer[100];
    pcclReduceDescriptor_t descriptor = describe(100, pcclFloat, pcclSum, 1);
    pcclAsyncReduceOp_t handle;
    pthread_t thread;
    void *cancelled = NULL;
    pthread_create(&thread, NULL, update, peers[0]);
    struct timespec soon = {0, 1000000};
    pcclxCallOptions_t options = PCCLX_CALL_OPTIONS_INIT;
    options.timeout_ms = 1;
    while (pcclxUpdateTopology(peers[0], &options) != pcclInvalidUsage) { /* until the other thread is in it */
        nanosleep(&soon, NULL);
    }
    OK(pcclxCancel(peers[0]));
    pthread_join(thread, &cancelled);
    CHECK(cancelled != NULL);

    buffer[0] = 9;
    OK(pcclAllReduceAsync(buffer, buffer, &descriptor, peers[0], &handle));
    OK(pcclxCancelAsyncReduce(&handle));
    RETURNS(pcclRankConnectionLost, pcclAwaitAsyncReduce(&handle, NULL));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorCancelled && buffer[0] == 9);
    OK(pcclAllReduceAsync(buffer, buffer, &descriptor, peers[0], &handle));
    OK(pcclxCancel(peers[0]));
    RETURNS(pcclRankConnectionLost, pcclAwaitAsyncReduce(&handle, NULL));
    CHECK(pcclxGetLastErrorCode() == pcclxErrorCancelled && buffer[0] == 9);
}

static int told;
static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t was_told = PTHREAD_COND_INITIALIZER;

static void tell(void *context) {
    pthread_mutex_lock(&telling);
    told += *(int *) context;
    pthread_cond_signal(&was_told);
    pthread_mutex_unlock(&telling);
}

static void who_asked_is_told_of_the_end(void) {
    static float buffers[2][100];
    pcclReduceDescriptor_t descriptor = describe(100, pcclFloat, pcclSum, 1);
    pcclAsyncReduceOp_t handles[2];
    int one = 1, ten = 10;
    bool done = false;
    told = 0;
    OK(pcclAllReduceAsync(buffers[0], buffers[0], &descriptor, peers[0], &handles[0]));
    OK(pcclxNotifyAsyncReduce(&handles[0], tell, &one));
    CHECK(told == 0);
    OK(pcclAllReduceAsync(buffers[1], buffers[1], &descriptor, peers[1], &handles[1]));
    pthread_mutex_lock(&telling);
    while (told == 0) {
        pthread_cond_wait(&was_told, &telling);
    }
    pthread_mutex_unlock(&telling);
    OK(pcclxWaitAsyncReduce(&handles[0], 60000, &done));
    CHECK(done);
    OK(pcclxNotifyAsyncReduce(&handles[0], tell, &ten)); /* it has ended: at once */
    CHECK(told == 11);
    OK(pcclAwaitAsyncReduce(&handles[0], NULL));
    OK(pcclAwaitAsyncReduce(&handles[1], NULL));
}

/* The naive program: connect and reduce, without ever updating the topology. */
static void *naive(void *address) {
    pcclComm_t *peer = new_peer(address, 9);
    float value = 1;
    pcclReduceDescriptor_t descriptor = describe(1, pcclFloat, pcclSum, 0);
    pcclResult_t result;
    OK(pcclConnect(peer));
    do {
        result = pcclxAllReduce(&value, &value, &descriptor, peer, NULL, NULL);
    } while (result == pcclTooFewPeers);
    OK(pcclDestroyCommunicator(peer));
    return (void *) (intptr_t) (result == pcclSuccess && value == 2);
}

static void the_naive_program_is_right(void) {
    master_t own = start_master();
    pthread_t threads[2];
    void *right = NULL;
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, naive, own.address);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &right);
        CHECK(right != NULL);
    }
    OK(pcclDestroyMaster(own.instance));
}

/* A loop with one call at its top, the same for who was first and who comes later. */
static void *stepping(void *address) {
    pcclComm_t *peer = new_peer(address, 3);
    pcclResult_t result;
    int turns_together = 0;
    bool first = true;
    OK(pcclConnect(peer));
    while (turns_together < 20) {
        pcclxWorld_t world = PCCLX_WORLD_INIT;
        float value = 1;
        pcclReduceDescriptor_t descriptor = describe(1, pcclFloat, pcclSum, 0);
        pcclxReduceInfo_t info = PCCLX_REDUCE_INFO_INIT;
        if (!OK(pcclxStep(peer, &world, NULL)) || (first && !CHECK(world.has_newcomers == 1))) {
            break;
        }
        first = false;
        if (world.world_size < 2) {
            continue;
        }
        result = pcclxAllReduce(&value, &value, &descriptor, peer, &info, NULL);
        if (result == pcclRankConnectionLost || result == pcclTooFewPeers) {
            continue; /* one that has had its twenty turns has left */
        }
        if (!RETURNS(pcclSuccess, result) || !CHECK(value == (float) info.world_size)) {
            break;
        }
        turns_together++;
    }
    OK(pcclDestroyCommunicator(peer));
    return (void *) (intptr_t) turns_together;
}

static void a_step_at_the_top_is_all_a_loop_needs(void) {
    master_t own = start_master();
    pthread_t threads[2];
    void *turns;
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, stepping, own.address);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &turns);
        CHECK((intptr_t) turns == 20);
    }
    OK(pcclDestroyMaster(own.instance));
}

int main(void) {
    OK(pcclInit());
    master = start_master();
    peers[0] = new_peer(master.address, 0);
    peers[1] = new_peer(master.address, 0);
    connect_two(peers[0], peers[1]);
    RUN(every_type_and_operation);
    RUN(what_is_reported);
    RUN(many_at_once);
    RUN(any_thread_awaits);
    RUN(a_mismatch_is_named_to_both);
    RUN(its_time_is_over);
    RUN(calls_are_cancelled_from_another_thread);
    RUN(who_asked_is_told_of_the_end);
    RUN(the_naive_program_is_right);
    RUN(a_step_at_the_top_is_all_a_loop_needs);
    OK(pcclDestroyCommunicator(peers[0]));
    OK(pcclDestroyCommunicator(peers[1]));
    OK(pcclDestroyMaster(master.instance));
    return testing_failures != 0;
}
