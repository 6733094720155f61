/* What the host process notices of the library: nothing. Runs itself as other processes, told by its arguments. */
#define _GNU_SOURCE
#include "testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *self;

static void reduce_once(void) {
    master_t master = start_master();
    pcclComm_t *first = new_peer(master.address, 0), *second = new_peer(master.address, 0);
    static float buffers[2][1000];
    pcclAsyncReduceOp_t handles[2];
    pcclReduceDescriptor_t descriptor = describe(1000, pcclFloat, pcclSum, 0);
    connect_two(first, second);
    OK(pcclAllReduceAsync(buffers[0], buffers[0], &descriptor, first, &handles[0]));
    OK(pcclAllReduceAsync(buffers[1], buffers[1], &descriptor, second, &handles[1]));
    OK(pcclAwaitAsyncReduce(&handles[0], NULL));
    OK(pcclAwaitAsyncReduce(&handles[1], NULL));
    OK(pcclDestroyCommunicator(second));
    OK(pcclDestroyCommunicator(first));
    OK(pcclDestroyMaster(master.instance));
}

static int open_files(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count - 3; /* ".", "..", and the directory itself */
}

/* Runs this program with one argument; gives its wait status. */
static int run_self(const char *argument) {
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl(self, self, argument, (char *) NULL);
        _exit(126);
    }
    waitpid(child, &status, 0);
    return status;
}

/* In a process of its own, where the library has not been used yet. */
static void in_fresh_process(const char *argument) {
    int status = run_self(argument);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        printf("  %s ended with wait status %d\n", argument, status);
    }
}

static void on_child(int number) { (void) number; }

static int signals_and_output(void) {
    struct sigaction before[65], after;
    sigset_t mask_before, mask_after;
    struct stat printed;
    char path[] = "/tmp/collective-host-XXXXXX";
    int file = mkstemp(path), out = dup(1), err = dup(2);
    mode_t mode = umask(027);
    struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
    sigaction(SIGCHLD, &child, NULL);
    for (int s = 1; s <= 64; s++) {
        sigaction(s, NULL, &before[s]);
    }
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    fflush(stdout);
    dup2(file, 1), dup2(file, 2);
    OK(pcclInit());
    reduce_once();
    RETURNS(pcclInvalidArgument, pcclConnect(NULL));
    fflush(stdout);
    dup2(out, 1), dup2(err, 2);
    fstat(file, &printed);
    CHECK(printed.st_size == 0);
    unlink(path);
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    CHECK(memcmp(&mask_before, &mask_after, sizeof(unsigned long)) == 0);
    for (int s = 1; s <= 64; s++) {
        /* The three that docs/c-api.md names: they pass on what is not the library's. */
        if (s == SIGSEGV || s == SIGFPE || s == SIGRTMIN || sigaction(s, NULL, &after) != 0) {
            continue;
        }
        if (!CHECK(before[s].sa_handler == after.sa_handler && before[s].sa_flags == after.sa_flags)) {
            printf("  signal %d (%s) was changed\n", s, strsignal(s));
        }
    }
    CHECK(umask(mode) == 027);
    CHECK(strcmp(setlocale(LC_ALL, NULL), "C") == 0);
    return testing_failures != 0;
}

static sigjmp_buf back;
static volatile int faults;

static void on_fault(int number, siginfo_t *info, void *context) {
    (void) number, (void) info, (void) context;
    faults++;
    siglongjmp(back, 1);
}

static void fault(void) {
    if (sigsetjmp(back, 1) == 0) {
        *(volatile int *) 8 = 1;
    }
}

/* The host's own handlers, set before the library started or after, get the host's own faults. */
static int faults_of_the_host(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    OK(pcclInit());
    reduce_once();
    fault();
    CHECK(faults == 1);
    sigaction(SIGSEGV, &action, NULL);
    fault();
    CHECK(faults == 2);
    reduce_once();
    return testing_failures != 0;
}

/* Without a handler a fault of the host ends it by that signal, as ever. */
static int default_fault(void) {
    pcclInit();
    *(volatile int *) 8 = 1;
    return 0;
}

static void *write_much(void *address) {
    pcclComm_t *peer = new_peer(address, 0);
    static float buffer[1 << 22];
    pcclReduceDescriptor_t descriptor = describe(1 << 22, pcclFloat, pcclSum, 0);
    OK(pcclConnect(peer));
    for (;;) {
        pcclAllReduce(buffer, buffer, &descriptor, peer, NULL);
    }
    return NULL;
}

/* A peer in another process: writes much until it is killed. */
static int victim(char *address) {
    pcclInit();
    write_much(address);
    return 0;
}

/* The host lets SIGPIPE end it: writing to a peer that is gone must not raise it. */
static int broken_pipes(void) {
    master_t master;
    static float buffer[1 << 22];
    pcclReduceDescriptor_t descriptor = describe(1 << 22, pcclFloat, pcclSum, 0);
    OK(pcclInit());
    signal(SIGPIPE, SIG_DFL);
    master = start_master();
    pcclComm_t *peer = new_peer(master.address, 0);
    OK(pcclConnect(peer));
    for (int i = 0; i < 5; i++) {
        char argument[64];
        bool pending = false;
        pcclResult_t result = pcclSuccess;
        snprintf(argument, sizeof argument, "victim=%s", master.address);
        pid_t child = fork();
        if (child == 0) {
            execl(self, self, argument, (char *) NULL);
            _exit(126);
        }
        while (!pending) {
            OK(pcclArePeersPending(peer, &pending));
        }
        OK(pcclUpdateTopology(peer));
        OK(pcclAllReduce(buffer, buffer, &descriptor, peer, NULL));
        kill(child, SIGKILL);
        while (result == pcclSuccess) {
            result = pcclAllReduce(buffer, buffer, &descriptor, peer, NULL);
        }
        CHECK(result == pcclRankConnectionLost || result == pcclTooFewPeers);
        waitpid(child, NULL, 0);
    }
    OK(pcclDestroyCommunicator(peer));
    OK(pcclDestroyMaster(master.instance));
    return testing_failures != 0;
}

static int forks(void) {
    int status, files = open_files();
    pid_t child = fork(); /* before the library started: the child may use it */
    if (child == 0) {
        OK(pcclInit());
        reduce_once();
        exit(testing_failures != 0);
    }
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(pcclInit());
    master_t master = start_master();
    pcclComm_t *peer = new_peer(master.address, 0);
    OK(pcclConnect(peer));
    fflush(stdout);
    child = fork(); /* afterwards: every call is refused, and the child ends in peace */
    if (child == 0) {
        pcclMasterInstance_t *other;
        ccoip_socket_address_t any;
        memset(&any, 0, sizeof any);
        RETURNS(pcclInvalidUsage, pcclInit());
        RETURNS(pcclInvalidUsage, pcclUpdateTopology(peer));
        RETURNS(pcclInvalidUsage, pcclDestroyCommunicator(peer));
        RETURNS(pcclInvalidUsage, pcclCreateMaster(any, &other));
        CHECK(pcclxGetLastErrorCode() == pcclxErrorForked && strstr(pcclxGetLastError(), "fork") != NULL);
        CHECK(strcmp(pcclxGetVersion(), COLLECTIVE_VERSION) == 0);
        exit(testing_failures != 0);
    }
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(WEXITSTATUS(run_self("count-files")) == files); /* nothing is left open in a program that is started */
    OK(pcclUpdateTopology(peer));
    OK(pcclDestroyCommunicator(peer));
    OK(pcclDestroyMaster(master.instance));
    return testing_failures != 0;
}

static void *busy(void *peer) {
    static float buffers[2][1 << 20];
    static int next;
    int mine = __sync_fetch_and_add(&next, 1);
    pcclReduceDescriptor_t descriptor = describe(1 << 20, pcclFloat, pcclSum, 0);
    while (pcclAllReduce(buffers[mine], buffers[mine], &descriptor, peer, NULL) == pcclSuccess) {
    }
    return NULL;
}

/* The host exits while its peers reduce. */
static int exit_while_busy(void) {
    OK(pcclInit());
    master_t master = start_master();
    pcclComm_t *first = new_peer(master.address, 0), *second = new_peer(master.address, 0);
    pcclxStatistics_t statistics = PCCLX_STATISTICS_INIT;
    pthread_t thread;
    connect_two(first, second);
    pthread_create(&thread, NULL, busy, first);
    pthread_create(&thread, NULL, busy, second);
    while (statistics.reduces_committed < 3) {
        OK(pcclxGetStatistics(first, &statistics));
    }
    exit(testing_failures != 0);
}

static void signals_and_output_are_the_hosts(void) { in_fresh_process("signals-and-output"); }
static void faults_of_the_host_are_its_own(void) {
    in_fresh_process("faults-of-the-host");
    int status = run_self("default-fault");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
static void broken_connections_raise_no_sigpipe(void) { in_fresh_process("broken-pipes"); }
static void forking_is_safe(void) { in_fresh_process("forks"); }
static void exit_works_at_any_time(void) {
    for (int i = 0; i < 10; i++) {
        in_fresh_process("exit-while-busy");
    }
}

int main(int argc, char **argv) {
    self = argv[0];
    if (argc == 2) {
        return strcmp(argv[1], "signals-and-output") == 0 ? signals_and_output()
            : strcmp(argv[1], "faults-of-the-host") == 0 ? faults_of_the_host()
            : strcmp(argv[1], "default-fault") == 0 ? default_fault()
            : strcmp(argv[1], "broken-pipes") == 0 ? broken_pipes()
            : strncmp(argv[1], "victim=", 7) == 0 ? victim(argv[1] + 7)
            : strcmp(argv[1], "forks") == 0 ? forks()
            : strcmp(argv[1], "count-files") == 0 ? open_files()
            : strcmp(argv[1], "exit-while-busy") == 0 ? exit_while_busy()
            : 99;
    }
    RUN(signals_and_output_are_the_hosts);
    RUN(faults_of_the_host_are_its_own);
    RUN(broken_connections_raise_no_sigpipe);
    RUN(forking_is_safe);
    RUN(exit_works_at_any_time);
    return testing_failures != 0;
}
