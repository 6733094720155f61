/*
 * Reduces arbitrary bits of every type with every operation, and numbers quantised in every way, and prints a digest of the results:
 * the same on every processor.
 */
#include "testing.h"

enum { BYTES = 40008 }; /* no whole number of registers */

static unsigned char buffers[2][BYTES];
static const size_t element_bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};

static pcclComm_t *peers[2];
static uint64_t digest = 14695981039346656037u;
static uint32_t random_state = 42;

static unsigned char random_byte(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return (unsigned char) (random_state >> 24);
}

/* Reduces both buffers in place. */
static void reduce(const pcclReduceDescriptor_t *descriptor) {
    pcclAsyncReduceOp_t handles[2];
    for (int p = 0; p < 2; p++) {
        OK(pcclAllReduceAsync(buffers[p], buffers[p], descriptor, peers[p], &handles[p]));
    }
    OK(pcclAwaitAsyncReduce(&handles[0], NULL));
    OK(pcclAwaitAsyncReduce(&handles[1], NULL));
    CHECK(memcmp(buffers[0], buffers[1], BYTES) == 0);
    for (int i = 0; i < BYTES; i++) {
        digest = (digest ^ buffers[0][i]) * 1099511628211u;
    }
}

static void arbitrary_bits(void) {
    for (int type = 0; type < 12; type++) {
        for (int operation = 0; operation < 5; operation++) {
            pcclReduceDescriptor_t descriptor = describe(BYTES / element_bytes[type], (pcclDataType_t) type, (pcclRedOp_t) operation, 0);
            for (int i = 0; i < 2 * BYTES; i++) {
                buffers[i / BYTES][i % BYTES] = random_byte();
            }
            reduce(&descriptor);
        }
    }
}

/* A sum of four uniform bytes: near a normal distribution, of either sign, and exact. */
static double random_number(void) { return (random_byte() + random_byte() + random_byte() + random_byte() - 510) / 64.0; }

static void quantized_numbers(void) {
    for (int algorithm = pcclQuantMinMax; algorithm <= pcclQuantZeroPointScale; algorithm++) {
        for (int type = pcclFloat; type <= pcclDouble; type++) {
            for (int quantized = pcclUint8; quantized <= pcclInt64; quantized++) {
                pcclReduceDescriptor_t descriptor = describe(BYTES / element_bytes[type], (pcclDataType_t) type, pcclSum, 0);
                descriptor.quantization_options.algorithm = (pcclQuantizationAlgorithm_t) algorithm;
                descriptor.quantization_options.quantized_datatype = (pcclDataType_t) quantized;
                if (algorithm == pcclQuantMinMax && quantized != pcclUint8 && quantized != pcclUint16 && quantized != pcclUint32 && quantized != pcclUint64) {
                    continue; /* takes unsigned types only */
                }
                for (int p = 0; p < 2; p++) {
                    for (size_t i = 0; i < descriptor.count; i++) {
                        double value = random_number();
                        float narrow = (float) value;
                        memcpy(buffers[p] + i * element_bytes[type], type == pcclFloat ? (void *) &narrow : (void *) &value, element_bytes[type]);
                    }
                }
                reduce(&descriptor);
            }
        }
    }
}

int main(void) {
    pcclResult_t result = pcclInit();
    if (result != pcclSuccess) {
        printf("pcclInit: %s: %s\n", pcclxGetResultName(result), pcclxGetLastError());
        return 1;
    }
    master_t master = start_master();
    peers[0] = new_peer(master.address, 0);
    peers[1] = new_peer(master.address, 0);
    connect_two(peers[0], peers[1]);
    arbitrary_bits();
    quantized_numbers();
    OK(pcclDestroyCommunicator(peers[0]));
    OK(pcclDestroyCommunicator(peers[1]));
    OK(pcclDestroyMaster(master.instance));
    printf("%016llx\n", (unsigned long long) digest);
    return testing_failures != 0;
}
