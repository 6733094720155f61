/* Just enough to test with: checks that tell where they failed, tests that are counted, a master and peers in this process. */
#ifndef TESTING_H
#define TESTING_H

#include <collective.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int testing_failures;

/* Tells where a check failed, and goes on. */
#define CHECK(condition) testing_check(condition, #condition, __FILE__, __LINE__)

static inline int testing_check(int holds, const char *condition, const char *file, int line) {
    if (!holds) {
        testing_failures++;
        printf("  %s:%d: %s does not hold (last error of this thread: %s)\n", file, line, condition, pcclxGetLastError());
    }
    return holds;
}

/* A call returns what is expected. */
#define RETURNS(expected, call) testing_returns(expected, call, #call, __FILE__, __LINE__)
#define OK(call) RETURNS(pcclSuccess, call)

static inline int testing_returns(pcclResult_t expected, pcclResult_t result, const char *call, const char *file, int line) {
    if (result == expected) {
        return 1;
    }
    testing_failures++;
    printf("  %s:%d: %s returned %s instead of %s: %s\n", file, line, call, pcclxGetResultName(result), pcclxGetResultName(expected),
           pcclxGetLastError());
    return 0;
}

/* A line "ok NAME" or "not ok NAME" for each test; run.sh counts them. */
static inline void testing_run(const char *name, void (*test)(void)) {
    int before = testing_failures;
    test();
    printf("%s %s\n", testing_failures == before ? "ok" : "not ok", name);
    fflush(stdout);
}
#define RUN(test) testing_run(#test, test)

/* A master in this process, on a port that the system chooses. */
typedef struct master_t {
    pcclMasterInstance_t *instance;
    uint16_t port;
    char address[32];
} master_t;

static inline master_t start_master(void) {
    master_t master = {NULL, 0, ""};
    pcclxMasterOptions_t options = PCCLX_MASTER_OPTIONS_INIT;
    options.listen = "127.0.0.1:0";
    if (!OK(pcclxCreateMaster(&options, &master.instance)) || !OK(pcclRunMaster(master.instance)) ||
        !OK(pcclxGetMasterPort(master.instance, &master.port))) {
        exit(1);
    }
    snprintf(master.address, sizeof master.address, "127.0.0.1:%d", master.port);
    return master;
}

static inline pcclComm_t *new_peer(const char *master, uint32_t group) {
    pcclxCommOptions_t options = PCCLX_COMM_OPTIONS_INIT;
    options.master = master;
    options.peer_group = group;
    options.stripe_count = 1;
    options.listen_port = -1;
    options.call_timeout_ms = 60000;
    pcclComm_t *peer = NULL;
    if (!OK(pcclxCreateCommunicator(&options, &peer))) {
        exit(1);
    }
    return peer;
}

static inline void *testing_connect(void *peer) { return (void *) (intptr_t) pcclConnect(peer); }

/* Connects a first peer, and a second that the first admits. */
/* The first one is connected, and alone in the run. */
static inline void connect_another(pcclComm_t *first, pcclComm_t *second) {
    pthread_t connecting;
    void *result;
    pthread_create(&connecting, NULL, testing_connect, second);
    bool pending = false;
    while (!pending) {
        if (!OK(pcclArePeersPending(first, &pending))) {
            exit(1);
        }
    }
    OK(pcclUpdateTopology(first));
    pthread_join(connecting, &result);
    if (!CHECK((intptr_t) result == pcclSuccess)) {
        exit(1);
    }
}

static inline void connect_two(pcclComm_t *first, pcclComm_t *second) {
    OK(pcclConnect(first));
    connect_another(first, second);
}

static inline pcclReduceDescriptor_t describe(size_t count, pcclDataType_t type, pcclRedOp_t operation, uint64_t tag) {
    pcclReduceDescriptor_t descriptor;
    memset(&descriptor, 0, sizeof descriptor);
    descriptor.count = count;
    descriptor.op = operation;
    descriptor.tag = tag;
    descriptor.src_descriptor.datatype = type;
    descriptor.quantization_options.quantized_datatype = type;
    return descriptor;
}

#endif
