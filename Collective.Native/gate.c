/*
 * Stands between the host process and the managed library. Everything else of Collective.Native is C#; this is what C# cannot do:
 *
 * 1. The door. A function of collective.h enters the managed runtime only where that can run: not in a child forked while it
 *    runs (its threads are not there, and it would wait for them), not on a processor older than it was compiled for, and not
 *    where it cannot start for want of memory or threads (it would end the process).
 * 2. The address space. Unasked, the runtime reserves twice the memory of the machine for its heap, or half of what the process
 *    may have. The library's own objects need little: it is told to reserve 4 GiB, or an eighth of the limit. Where there is a small
 *    limit, the C library is told not to reserve address space for each thread.
 * 3. SIGPIPE is the host's. The managed runtime sets it to be ignored, process-wide, and then writes to sockets without further
 *    care. Linked through --wrap, it leaves the signal alone and asks for none when it writes.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "include/collective.h"

enum { NOT_STARTED = -1 };

/* 0: open; NOT_STARTED: the first call starts the runtime; else the pcclxError_t that calls are refused with. Read by the doors below. */
__attribute__((visibility("hidden"))) int collective_door = NOT_STARTED;

/* Whether the managed runtime has begun to start. Before that a fork is harmless. */
static volatile int started;

/* Held by the thread that starts it. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int door(void) { return __atomic_load_n(&collective_door, __ATOMIC_ACQUIRE); }

static void set_door(int value) { __atomic_store_n(&collective_door, value, __ATOMIC_RELEASE); }

static void close_in_child(void) {
    if (started) {
        set_door(pcclxErrorForked);
    } else {
        pthread_mutex_init(&gate, NULL); /* Another thread may have been at it. */
    }
}

__attribute__((constructor)) static void install(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx")) {
        set_door(pcclxErrorNotSupported);
    }
#endif
    pthread_atfork(NULL, NULL, close_in_child);
}

/*
 * The runtime starts at the first call into it, by a function that it was given, and ends the process when that fails. Linked through
 * --wrap: the function is kept and called here, at the first door, and the runtime is given one that finds everything done.
 */
static int (*start_runtime)(void);
static const char *shortage;

static int already_started(void) { return 0; }

int __real_RhSetRuntimeInitializationCallback(int (*start)(void));

__attribute__((visibility("hidden"))) int __wrap_RhSetRuntimeInitializationCallback(int (*start)(void)) {
    start_runtime = start;
    return __real_RhSetRuntimeInitializationCallback(already_started);
}

/* How much address space the runtime reserves for its heap. */
static size_t heap_range(void) {
    const size_t most = (size_t)4 << 30, least = (size_t)48 << 20;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur / 8 > most) {
        return most;
    }
    return limit.rlim_cur / 8 > least ? limit.rlim_cur / 8 : least;
}

/* Each thread that allocates reserves 64 MiB more, up to 8 times for each processor: where address space is limited, the threads of the process share what there is. */
static void share_arenas(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < (rlim_t)4 << 30 && getenv("MALLOC_ARENA_MAX") == NULL) {
        mallopt(M_ARENA_MAX, 1);
    }
}

/* What is missing right after the start would end the process: then it had better not start. */
static int has_memory(void) {
    const size_t reserved = heap_range(), used = (size_t)32 << 20;
    char *range = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *memory = mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int enough = range != MAP_FAILED && memory != MAP_FAILED;
    if (range != MAP_FAILED) {
        munmap(range, reserved);
    }
    if (memory != MAP_FAILED) {
        munmap(memory, used);
    }
    return enough;
}

static void *nothing(void *unused) { return unused; }

static const char *what_is_short(int memory) {
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    if (memory && pthread_create(&thread, &small, nothing, NULL) != 0) {
        return "The library cannot start: the system gives this process no more threads. Allow it more (ulimit -u), and restart it.";
    }
    if (memory) {
        pthread_join(thread, NULL);
    }
    return "The library cannot start: the system gives this process too little memory. Allow it more (ulimit -v), and restart it.";
}

/* Gives 0 when calls may enter. */
__attribute__((visibility("hidden"), used)) int collective_open(void) {
    if (door() != NOT_STARTED) {
        return door();
    }
    pthread_mutex_lock(&gate);
    if (door() == NOT_STARTED) {
        share_arenas();
        int memory = has_memory();
        started = memory;
        if (memory && start_runtime() == 0) {
            set_door(pcclxErrorNone);
        } else {
            shortage = what_is_short(memory);
            set_door(pcclxErrorLimitExceeded);
        }
    }
    pthread_mutex_unlock(&gate);
    return door();
}

__attribute__((visibility("hidden"), used)) int collective_refuse(void) {
    return door() == pcclxErrorForked ? pcclInvalidUsage : pcclInternalError;
}

__attribute__((visibility("hidden"), used)) int collective_refuse_with_code(void) { return door(); }

__attribute__((visibility("hidden"), used)) const char *collective_refuse_with_text(void) {
    switch (door()) {
        case pcclxErrorForked:
            return "This process is the child of a fork, where the library does not work: use it in the parent, or in a program that the child execs.";
        case pcclxErrorLimitExceeded:
            return shortage;
    }
    return "This processor is older than the library supports: it needs AVX (x86-64 processors since 2011).";
}

/*
 * A door keeps all registers and the stack as they are, so that it needs not know the function's arguments. One that is not open saves those
 * that may hold arguments, and asks collective_open whether it is by now.
 */
#if defined(__x86_64__)
__asm__(".text\n.p2align 4\n.type collective_knock, @function\ncollective_knock:\n"
        "pushq %rdi\n pushq %rsi\n pushq %rdx\n pushq %rcx\n pushq %r8\n pushq %r9\n pushq %r10\n pushq %r11\n subq $8, %rsp\n"
        "call collective_open\n"
        "addq $8, %rsp\n popq %r11\n popq %r10\n popq %r9\n popq %r8\n popq %rcx\n popq %rdx\n popq %rsi\n popq %rdi\n"
        "testl %eax, %eax\n jne 1f\n jmp *%r11\n1: jmp *%r10\n"
        ".size collective_knock, .-collective_knock\n");
#define ENTER(name, refuse) \
    "cmpl $0, collective_door(%rip)\n je managed_" #name "\n leaq managed_" #name "(%rip), %r11\n leaq " #refuse "(%rip), %r10\n jmp collective_knock\n"
#elif defined(__aarch64__)
__asm__(".text\n.p2align 4\n.type collective_knock, %function\ncollective_knock:\n"
        "stp x29, x30, [sp, #-96]!\n stp x0, x1, [sp, #16]\n stp x2, x3, [sp, #32]\n stp x4, x5, [sp, #48]\n stp x6, x7, [sp, #64]\n stp x16, x17, [sp, #80]\n"
        "bl collective_open\n mov w9, w0\n"
        "ldp x0, x1, [sp, #16]\n ldp x2, x3, [sp, #32]\n ldp x4, x5, [sp, #48]\n ldp x6, x7, [sp, #64]\n ldp x16, x17, [sp, #80]\n ldp x29, x30, [sp], #96\n"
        "cbnz w9, 1f\n br x16\n1: br x17\n"
        ".size collective_knock, .-collective_knock\n");
#define ENTER(name, refuse) \
    "adrp x16, collective_door\n add x16, x16, :lo12:collective_door\n ldar w16, [x16]\n cbnz w16, 1f\n b managed_" #name "\n1: adrp x16, managed_" #name "\n" \
    "add x16, x16, :lo12:managed_" #name "\n adrp x17, " #refuse "\n add x17, x17, :lo12:" #refuse "\n b collective_knock\n"
#else
#error "Write the door for this processor."
#endif
#define DOOR_TO(name, refuse)                                                                                        \
    __asm__(".text\n.p2align 4\n.globl " #name "\n.type " #name ", @function\n" #name ":\n" ENTER(name, refuse)      \
            ".size " #name ", .-" #name "\n");
#define DOOR(name) DOOR_TO(name, collective_refuse)

DOOR(pcclInit)
DOOR(pcclGetBuildInfo)
DOOR(pcclCreateCommunicator)
DOOR(pcclGetAttribute)
DOOR(pcclDestroyCommunicator)
DOOR(pcclConnect)
DOOR(pcclUpdateTopology)
DOOR(pcclArePeersPending)
DOOR(pcclOptimizeTopology)
DOOR(pcclAllReduce)
DOOR(pcclAllReduceAsync)
DOOR(pcclAwaitAsyncReduce)
DOOR(pcclAllReduceMultipleWithRetry)
DOOR(pcclSynchronizeSharedState)
DOOR(pcclCreateMaster)
DOOR(pcclRunMaster)
DOOR(pcclInterruptMaster)
DOOR(pcclMasterAwaitTermination)
DOOR(pcclDestroyMaster)
DOOR(pcclxSetLogCallback)
DOOR(pcclxCreateCommunicator)
DOOR(pcclxSetCallTimeout)
DOOR(pcclxAnnounce)
DOOR(pcclxConnect)
DOOR(pcclxUpdateTopology)
DOOR(pcclxArePeersPending)
DOOR(pcclxOptimizeTopology)
DOOR(pcclxStep)
DOOR(pcclxGetWorld)
DOOR(pcclxGetPeers)
DOOR(pcclxGetLiveWorld)
DOOR(pcclxGetLivePeers)
DOOR(pcclxGetStatistics)
DOOR(pcclxCancel)
DOOR(pcclxAllReduce)
DOOR(pcclxAllReduceAsync)
DOOR(pcclxAllReduceMultipleWithRetry)
DOOR(pcclxAllReduceMany)
DOOR(pcclxBeginAllReduceMany)
DOOR(pcclxLaunchInSet)
DOOR(pcclxAwaitAsyncReduce)
DOOR(pcclxWaitAsyncReduce)
DOOR(pcclxNotifyAsyncReduce)
DOOR(pcclxCancelAsyncReduce)
DOOR(pcclxSynchronizeSharedState)
DOOR(pcclxCreateMaster)
DOOR(pcclxGetMasterPort)
DOOR_TO(pcclxGetLastError, collective_refuse_with_text)
DOOR_TO(pcclxGetLastErrorCode, collective_refuse_with_code)

const char *pcclxGetVersion(void) { return COLLECTIVE_VERSION; }

uint32_t pcclxGetAbiVersion(void) { return COLLECTIVE_ABI_VERSION; }

#define NAME(constant) case constant: return #constant;

const char *pcclxGetResultName(pcclResult_t result) {
    switch (result) {
        NAME(pcclSuccess)
        NAME(pcclNotInitialized)
        NAME(pcclInternalError)
        NAME(pcclInvalidArgument)
        NAME(pcclInvalidUsage)
        NAME(pcclTooFewPeers)
        NAME(pcclMasterConnectionFailed)
        NAME(pcclRankConnectionFailed)
        NAME(pcclRankConnectionLost)
        NAME(pcclNoSharedStateAvailable)
        NAME(pcclPendingAsyncOps)
        NAME(pcclUpdateTopologyFailed)
        NAME(pcclTopologyOptimizationFailed)
    }
    return "unknown";
}

const char *pcclxGetErrorName(pcclxError_t error) {
    switch (error) {
        NAME(pcclxErrorNone)
        NAME(pcclxErrorInvalidArgument)
        NAME(pcclxErrorInvalidUsage)
        NAME(pcclxErrorNotConnected)
        NAME(pcclxErrorPendingOperations)
        NAME(pcclxErrorTooFewPeers)
        NAME(pcclxErrorMasterUnreachable)
        NAME(pcclxErrorMasterRefused)
        NAME(pcclxErrorMasterLost)
        NAME(pcclxErrorEvicted)
        NAME(pcclxErrorOperationAborted)
        NAME(pcclxErrorMismatch)
        NAME(pcclxErrorCrossedCalls)
        NAME(pcclxErrorLimitExceeded)
        NAME(pcclxErrorAddressInUse)
        NAME(pcclxErrorInternalError)
        NAME(pcclxErrorTimedOut)
        NAME(pcclxErrorSyncFailed)
        NAME(pcclxErrorRevisionMismatch)
        NAME(pcclxErrorNotInitialized)
        NAME(pcclxErrorCancelled)
        NAME(pcclxErrorDestroyed)
        NAME(pcclxErrorForked)
        NAME(pcclxErrorNotSupported)
    }
    return "unknown";
}

char *__real_getenv(const char *name);

/*
 * The runtime asks its environment for how much to reserve; the user's own setting counts. A small heap is made of small regions, or the eight times as large ones for large objects
 * do not fit beside the others.
 */
__attribute__((visibility("hidden"))) char *__wrap_getenv(const char *name) {
    static __thread char range[24], region[] = "100000";
    char *value = __real_getenv(name);
    if (value == NULL && strcmp(name, "DOTNET_GCRegionRange") == 0) {
        snprintf(range, sizeof range, "%zx", heap_range());
        return range;
    }
    if (value == NULL && strcmp(name, "DOTNET_GCRegionSize") == 0 && heap_range() < (size_t)1 << 30) {
        return region;
    }
    return value;
}

int __real_sigaction(int number, const struct sigaction *action, struct sigaction *previous);
sighandler_t __real_signal(int number, sighandler_t handler);
ssize_t __real_send(int socket, const void *bytes, size_t length, int flags);
ssize_t __real_sendmsg(int socket, const struct msghdr *message, int flags);

__attribute__((visibility("hidden"))) int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *previous) {
    return __real_sigaction(number, number == SIGPIPE ? NULL : action, previous);
}

__attribute__((visibility("hidden"))) sighandler_t __wrap_signal(int number, sighandler_t handler) {
    return number == SIGPIPE ? SIG_DFL : __real_signal(number, handler);
}

__attribute__((visibility("hidden"))) ssize_t __wrap_send(int socket, const void *bytes, size_t length, int flags) {
    return __real_send(socket, bytes, length, flags | MSG_NOSIGNAL);
}

__attribute__((visibility("hidden"))) ssize_t __wrap_sendmsg(int socket, const struct msghdr *message, int flags) {
    return __real_sendmsg(socket, message, flags | MSG_NOSIGNAL);
}
