/*
 * A peer whose process gets no more descriptors, threads or address space: whatever the limit, each call succeeds or fails with a code, the communicator can be
 * closed, and when there is enough again, it connects again. Master and company are in the parent, which lacks nothing.
 */
#define _GNU_SOURCE
#include "testing.h"

#include <dirent.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PATIENCE 120

enum { ENDED_WELL, NEVER_STARTED, CAME_BACK, NO_CODE, NOT_AGAIN };

static volatile int companion_stops;

/* Reduces with whoever comes, until it is told to stop. */
static void *keep_company(void *address) {
    pcclComm_t *peer = new_peer(address, 0);
    OK(pcclConnect(peer));
    while (!companion_stops) {
        pcclxWorld_t world = {.struct_size = sizeof world};
        float value[4] = {1, 2, 3, 4};
        pcclReduceDescriptor_t descriptor = describe(4, pcclFloat, pcclSum, 0);
        if (pcclxStep(peer, &world, NULL) == pcclSuccess && world.world_size > 1) {
            pcclAllReduce(value, value, &descriptor, peer, NULL);
        } else {
            usleep(2000);
        }
    }
    OK(pcclDestroyCommunicator(peer));
    return NULL;
}

static int is_typed(pcclResult_t result, const char *call) {
    if (result == pcclSuccess || (pcclxGetLastErrorCode() == pcclxErrorLimitExceeded && strlen(pcclxGetLastError()) > 20)) {
        return 1;
    }
    printf("  %s returned %s: %s\n", call, pcclxGetResultName(result), pcclxGetLastError());
    return 0;
}
#define TYPED(call) do { if (!is_typed(result = (call), #call)) { return NO_CODE; } if (result != pcclSuccess) { goto failed; } } while (0)

/* The peer: comes, reduces and goes. */
static int take_part(const char *address, int resource, rlim_t limit) {
    struct rlimit before, little;
    getrlimit(resource, &before);
    little = before;
    little.rlim_cur = limit;
    setrlimit(resource, &little);

    pcclResult_t result;
    pcclComm_t *peer = NULL;
    float value[4] = {1, 2, 3, 4};
    pcclReduceDescriptor_t descriptor = describe(4, pcclFloat, pcclSum, 0);
    pcclxCommOptions_t options = PCCLX_COMM_OPTIONS_INIT;
    options.master = address;
    options.stripe_count = 2;
    options.min_world_size = 2;
    options.listen_port = -1;
    if ((result = pcclInit()) != pcclSuccess) {
        return is_typed(result, "pcclInit") ? NEVER_STARTED : NO_CODE;
    }
    TYPED(pcclxCreateCommunicator(&options, &peer));
    TYPED(pcclConnect(peer));
    TYPED(pcclxStep(peer, NULL, NULL));
    TYPED(pcclAllReduce(value, value, &descriptor, peer, NULL));
    TYPED(pcclDestroyCommunicator(peer));
    return ENDED_WELL;

failed:
    if (peer == NULL) {
        return CAME_BACK;
    }
    setrlimit(resource, &before);
    memcpy(value, (float[]){1, 2, 3, 4}, sizeof value);
    if (pcclConnect(peer) != pcclSuccess && pcclxGetLastErrorCode() != pcclxErrorInvalidUsage) {
        return NOT_AGAIN;
    }
    if (pcclxStep(peer, NULL, NULL) != pcclSuccess || pcclAllReduce(value, value, &descriptor, peer, NULL) != pcclSuccess || value[3] != 8) {
        return NOT_AGAIN;
    }
    return pcclDestroyCommunicator(peer) == pcclSuccess ? CAME_BACK : NOT_AGAIN;
}

static int open_files(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count - 3; /* ".", ".." and the directory's own */
}

static rlim_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1) {
        pages = 2000;
    }
    fclose(file);
    return (rlim_t) pages * (rlim_t) sysconf(_SC_PAGESIZE);
}

typedef struct kind_t {
    const char *name;
    int resource;
    rlim_t unit;
    int limits[24];
} kind_t;

static const kind_t kinds[] = {
    {"descriptors", RLIMIT_NOFILE, 1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 18, 24, 40, -1}},
    {"threads", RLIMIT_NPROC, 1, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20, -1}},
    {"memory", RLIMIT_AS, 1 << 20, {16, 48, 80, 88, 96, 104, 112, 120, 128, 144, 160, 192, 224, 256, 320, 512, -1}},
};

/* Each child has a library of its own: it is forked before the first call. */
static pid_t start_child(const kind_t *kind, int limit, int number, const int address[2]) {
    pid_t child = fork();
    if (child != 0) {
        return child;
    }
    char text[32] = "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(address[1]);
    if (read(address[0], text, sizeof text - 1) <= 0) {
        exit(NO_CODE);
    }
    close(address[0]);
    alarm(PATIENCE);
    rlim_t base = kind->resource == RLIMIT_NOFILE ? (rlim_t) open_files() : kind->resource == RLIMIT_AS ? address_space() : 0;
    if (kind->resource == RLIMIT_NPROC) {
        /* The limit counts the threads of a user, and does not bind root: a user of its own. */
        uid_t user = (uid_t) (600000 + getpid() % 100000 * 32 + number);
        if (setgroups(0, NULL) != 0 || setresuid(user, user, user) != 0) {
            exit(NO_CODE);
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* Another user has none. */
    }
    exit(take_part(text, kind->resource, base + (rlim_t) limit * kind->unit));
}

static void end_child(const kind_t *kind, int limit, pid_t child, int last) {
    int status = 0;
    static const char *const ends[] = {"ended well", "never started", "came back when there was enough", "failed without its code", "did not connect again"};
    waitpid(child, &status, 0);
    /* The largest limit is enough for all that a peer does. */
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) <= (last ? ENDED_WELL : CAME_BACK))) {
        if (WIFSIGNALED(status)) {
            printf("  %s + %d: ended by signal %d%s\n", kind->name, limit, WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ", for it hung" : "");
        } else {
            printf("  %s + %d: %s\n", kind->name, limit, WEXITSTATUS(status) < 5 ? ends[WEXITSTATUS(status)] : "ended by itself");
        }
    }
}

/* All limits of a kind, one after the other: they are peers of one run, and each wants the company for itself. */
int main(int count, char **names) {
    const kind_t *kind = NULL;
    int pipes[24][2], limits = 0;
    pid_t children[24];
    for (int i = 0; i < 3; i++) {
        kind = count == 2 && strcmp(names[1], kinds[i].name) == 0 ? &kinds[i] : kind;
    }
    if (kind == NULL) {
        return 2;
    }
    if (kind->resource == RLIMIT_NPROC && getuid() != 0) {
        printf("skipped a_peer_short_of_threads: needs root, to be another user\n");
        return 0;
    }
    for (; kind->limits[limits] >= 0; limits++) {
        if (pipe(pipes[limits]) != 0) {
            return 2;
        }
        fflush(stdout);
        children[limits] = start_child(kind, kind->limits[limits], limits, pipes[limits]);
        close(pipes[limits][0]);
    }
    OK(pcclInit());
    master_t master = start_master();
    pthread_t companion;
    pthread_create(&companion, NULL, keep_company, master.address);
    for (int i = 0; i < limits; i++) {
        if (write(pipes[i][1], master.address, strlen(master.address)) < 0) {
            return 2;
        }
        close(pipes[i][1]);
        end_child(kind, kind->limits[i], children[i], i + 1 == limits);
    }
    companion_stops = 1;
    pthread_join(companion, NULL);
    OK(pcclDestroyMaster(master.instance));
    printf("%s a_peer_short_of_%s\n", testing_failures == 0 ? "ok" : "not ok", kind->name);
    return 0;
}
