/*
 * Stands between the host process and the managed library. Everything else of Collective.Native is C#; this is what C# cannot do:
 *
 * 1. The door. A function of collective.h enters the managed runtime only where that can run: not in a child forked while it
 *    runs (its threads are not there, and it would wait for them), and not on a processor older than it was compiled for (it
 *    would end the process).
 * 2. SIGPIPE is the host's. The managed runtime sets it to be ignored, process-wide, and then writes to sockets without further
 *    care. Linked through --wrap, it leaves the signal alone and asks for none when it writes.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "include/collective.h"

/* 0: open; else the pcclxError_t that calls are refused with. Read by the doors below. */
__attribute__((visibility("hidden"))) int collective_door = pcclxErrorNone;

/* Whether the managed runtime runs: the first thing it does is to install its signal handlers. Before that a fork is harmless. */
static volatile int started;

static void close_in_child(void) {
    if (started) {
        collective_door = pcclxErrorForked;
    }
}

__attribute__((constructor)) static void install(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx")) {
        collective_door = pcclxErrorNotSupported;
    }
#endif
    pthread_atfork(NULL, NULL, close_in_child);
}

__attribute__((visibility("hidden"), used)) int collective_refuse(void) {
    return collective_door == pcclxErrorForked ? pcclInvalidUsage : pcclInternalError;
}

__attribute__((visibility("hidden"), used)) int collective_refuse_with_code(void) { return collective_door; }

__attribute__((visibility("hidden"), used)) const char *collective_refuse_with_text(void) {
    return collective_door == pcclxErrorForked
        ? "This process is the child of a fork, where the library does not work: use it in the parent, or in a program that the child execs."
        : "This processor is older than the library supports: it needs AVX (x86-64 processors since 2011).";
}

/* A door keeps all registers and the stack as they are, so that it needs not know the function's arguments. */
#if defined(__x86_64__)
#define ENTER(name, refuse) "cmpl $0, collective_door(%rip)\n je managed_" #name "\n jmp " #refuse "\n"
#elif defined(__aarch64__)
#define ENTER(name, refuse) \
    "adrp x16, collective_door\n ldr w16, [x16, :lo12:collective_door]\n cbnz w16, 1f\n b managed_" #name "\n1: b " #refuse "\n"
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

int __real_sigaction(int number, const struct sigaction *action, struct sigaction *previous);
sighandler_t __real_signal(int number, sighandler_t handler);
ssize_t __real_send(int socket, const void *bytes, size_t length, int flags);
ssize_t __real_sendmsg(int socket, const struct msghdr *message, int flags);

__attribute__((visibility("hidden"))) int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *previous) {
    started = 1;
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
