/*
 * Reduces arbitrary bits of every type with every operation, and prints a digest of the results: the same on every processor.
 */
#include "testing.h"

enum { BYTES = 40008 }; /* no whole number of registers */

static unsigned char buffers[2][BYTES];
static const size_t element_bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};

int main(void) {
    uint64_t digest = 14695981039346656037u;
    uint32_t random = 42;
    pcclResult_t result = pcclInit();
    if (result != pcclSuccess) {
        printf("pcclInit: %s: %s\n", pcclxGetResultName(result), pcclxGetLastError());
        return 1;
    }
    master_t master = start_master();
    pcclComm_t *peers[2] = {new_peer(master.address, 0), new_peer(master.address, 0)};
    connect_two(peers[0], peers[1]);
    for (int type = 0; type < 12; type++) {
        for (int operation = 0; operation < 5; operation++) {
            pcclReduceDescriptor_t descriptor = describe(BYTES / element_bytes[type], (pcclDataType_t) type, (pcclRedOp_t) operation, 0);
            pcclAsyncReduceOp_t handles[2];
            for (int p = 0; p < 2; p++) {
                for (int i = 0; i < BYTES; i++) {
                    random = random * 1664525u + 1013904223u;
                    buffers[p][i] = (unsigned char) (random >> 24);
                }
                OK(pcclAllReduceAsync(buffers[p], buffers[p], &descriptor, peers[p], &handles[p]));
            }
            OK(pcclAwaitAsyncReduce(&handles[0], NULL));
            OK(pcclAwaitAsyncReduce(&handles[1], NULL));
            CHECK(memcmp(buffers[0], buffers[1], BYTES) == 0);
            for (int i = 0; i < BYTES; i++) {
                digest = (digest ^ buffers[0][i]) * 1099511628211u;
            }
        }
    }
    OK(pcclDestroyCommunicator(peers[0]));
    OK(pcclDestroyCommunicator(peers[1]));
    OK(pcclDestroyMaster(master.instance));
    printf("%016llx\n", (unsigned long long) digest);
    return testing_failures != 0;
}
