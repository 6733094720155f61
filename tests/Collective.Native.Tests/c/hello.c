/*
 * A peer that waits for company, and reduces. As it is written for PCCL: with its header's name, and its functions alone.
 *
 *     hello PORT MINIMUM-WORLD-SIZE
 */
#include <pccl.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef PLAIN_PCCL
#define pcclxGetLastError() "(PCCL has no texts)"
#endif

static int check(pcclResult_t result, const char *call) {
    if (result != pcclSuccess) {
        fprintf(stderr, "%s: result %d: %s\n", call, result, pcclxGetLastError());
        exit(1);
    }
    return 1;
}
#define CHECK(call) check(call, #call)

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    pcclCommCreateParams_t params = {
        .master_address = {.inet = {.protocol = inetIPv4, .ipv4 = {{127, 0, 0, 1}}}, .port = (uint16_t) atoi(argv[1])},
        .peer_group = 0,
        .p2p_connection_pool_size = 2,
    };
    pcclComm_t *communicator;
    CHECK(pcclInit());
    CHECK(pcclCreateCommunicator(&params, &communicator));
    CHECK(pcclConnect(communicator));
    int world_size = 0;
    CHECK(pcclGetAttribute(communicator, PCCL_ATTRIBUTE_PEER_GROUP_WORLD_SIZE, &world_size));
    while (world_size < atoi(argv[2])) {
        CHECK(pcclUpdateTopology(communicator));
        CHECK(pcclGetAttribute(communicator, PCCL_ATTRIBUTE_PEER_GROUP_WORLD_SIZE, &world_size));
        usleep(10000);
    }
    float values[1000];
    for (int i = 0; i < 1000; i++) {
        values[i] = (float) i;
    }
    pcclReduceDescriptor_t descriptor = {
        .count = 1000,
        .op = pcclSum,
        .tag = 0,
        .src_descriptor = {.datatype = pcclFloat, .distribution_hint = pcclDistributionNone},
        .quantization_options = {.quantized_datatype = pcclFloat, .algorithm = pcclQuantNone},
    };
    pcclReduceInfo_t info;
    CHECK(pcclAllReduce(values, values, &descriptor, communicator, &info));
    printf("%u peers, value 999: %.0f\n", info.local_world_size, values[999]);
    CHECK(pcclDestroyCommunicator(communicator));
    return 0;
}
