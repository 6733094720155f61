/*
 * Three processes reduce, one is killed in the middle: the others hear of it, hold again what they held before, and reduce on without it.
 * Runs itself as the peers.
 */
#define _GNU_SOURCE
#include "testing.h"

#include <signal.h>
#include <sys/wait.h>

enum { COUNT = 1 << 20, STEPS_AFTER = 5 };

static float values[COUNT];

static void fill(int step) {
    for (int i = 0; i < COUNT; i++) {
        values[i] = (float) (step + i % 7);
    }
}

/* Loops until it has seen the loss of a peer and some steps after it; says how far it is on its output. */
static int peer(const char *master) {
    pcclxCommOptions_t options = PCCLX_COMM_OPTIONS_INIT;
    pcclComm_t *comm;
    options.master = master;
    options.min_world_size = 3;
    options.stripe_count = 2;
    options.listen_port = -1;
    if (!OK(pcclInit()) || !OK(pcclxCreateCommunicator(&options, &comm)) || !OK(pcclConnect(comm))) {
        return 1;
    }
    int size = 3, losses = 0, after = 0;
    for (int step = 0; after < STEPS_AFTER; step++) {
        pcclReduceInfo_t info;
        pcclReduceDescriptor_t descriptor = describe(COUNT, pcclFloat, pcclSum, (uint64_t) step % 4);
        pcclResult_t result;
        fill(step);
        while ((result = pcclAllReduce(values, values, &descriptor, comm, &info)) == pcclRankConnectionLost) {
            CHECK(pcclxGetLastErrorCode() == pcclxErrorOperationAborted);
            for (int i = 0; i < COUNT; i++) {
                if (!CHECK(values[i] == (float) (step + i % 7))) { /* restored */
                    return 1;
                }
            }
            OK(pcclGetAttribute(comm, PCCL_ATTRIBUTE_PEER_GROUP_WORLD_SIZE, &size));
            CHECK(size == 2);
            losses++;
        }
        if (!RETURNS(pcclSuccess, result)) {
            return 1;
        }
        size = (int) info.local_world_size;
        for (int i = 0; i < COUNT; i++) {
            if (!CHECK(values[i] == (float) (size * (step + i % 7)))) {
                return 1;
            }
        }
        after += size == 2;
        if (step == 2) {
            printf("running\n");
            fflush(stdout);
        }
    }
    CHECK(losses <= 1); /* none if it was killed between two steps */
    OK(pcclDestroyCommunicator(comm));
    return testing_failures != 0;
}

static char *self;

static pid_t start_peer(const char *master, int *output) {
    int ends[2];
    if (pipe(ends) != 0) {
        exit(1);
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]), close(ends[1]);
        execl(self, self, master, (char *) NULL);
        _exit(126);
    }
    close(ends[1]);
    *output = ends[0];
    return child;
}

static void a_killed_third_is_survived(void) {
    master_t master = start_master();
    pid_t peers[3];
    int outputs[3];
    for (int i = 0; i < 3; i++) {
        peers[i] = start_peer(master.address, &outputs[i]);
    }
    for (int i = 0; i < 3; i++) {
        char c = 0;
        while (c != '\n' && read(outputs[i], &c, 1) == 1) {
        }
        CHECK(c == '\n');
    }
    kill(peers[1], SIGKILL);
    for (int i = 0; i < 3; i++) {
        char rest[4096];
        int status = 0;
        ssize_t length;
        while ((length = read(outputs[i], rest, sizeof rest)) > 0) {
            fwrite(rest, 1, (size_t) length, stdout);
        }
        close(outputs[i]);
        waitpid(peers[i], &status, 0);
        CHECK(i == 1 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    OK(pcclDestroyMaster(master.instance));
}

int main(int argc, char **argv) {
    self = argv[0];
    if (argc == 2) {
        return peer(argv[1]);
    }
    OK(pcclInit());
    RUN(a_killed_third_is_survived);
    return testing_failures != 0;
}
