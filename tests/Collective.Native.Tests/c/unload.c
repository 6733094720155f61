/* Opened by name at run time, as Python does, under the name that is given; closed while it works, and opened again. Not linked to the library. */
#include <dlfcn.h>
#include <pccl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NEED(condition)                                                     \
    if (!(condition)) {                                                     \
        printf("  %s:%d: %s does not hold\nnot ok %s\n", __FILE__, __LINE__, #condition, argv[1]); \
        return 1;                                                           \
    }

typedef pcclResult_t (*init_t)(void);
typedef pcclResult_t (*create_master_t)(ccoip_socket_address_t, pcclMasterInstance_t **);
typedef pcclResult_t (*create_master_x_t)(const pcclxMasterOptions_t *, pcclMasterInstance_t **);
typedef pcclResult_t (*master_t)(pcclMasterInstance_t *);
typedef pcclResult_t (*port_t)(const pcclMasterInstance_t *, uint16_t *);
typedef pcclResult_t (*create_t)(const pcclCommCreateParams_t *, pcclComm_t **);
typedef pcclResult_t (*comm_t)(pcclComm_t *);

static void *find(void *library, const char *name) { return dlsym(library, name); }

int main(int argc, char **argv) {
    NEED(argc == 2);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    NEED(library != NULL);
    pcclMasterInstance_t *master;
    pcclComm_t *comm;
    uint16_t port;
    pcclxMasterOptions_t options = PCCLX_MASTER_OPTIONS_INIT;
    pcclCommCreateParams_t params;
    memset(&params, 0, sizeof params);
    options.listen = "127.0.0.1:0";
    NEED(((init_t) find(library, "pcclInit"))() == pcclSuccess);
    NEED(((create_master_x_t) find(library, "pcclxCreateMaster"))(&options, &master) == pcclSuccess);
    NEED(((master_t) find(library, "pcclRunMaster"))(master) == pcclSuccess);
    NEED(((port_t) find(library, "pcclxGetMasterPort"))(master, &port) == pcclSuccess);
    params.master_address.inet.ipv4.data[0] = 127;
    params.master_address.inet.ipv4.data[3] = 1;
    params.master_address.port = port;
    NEED(((create_t) find(library, "pcclCreateCommunicator"))(&params, &comm) == pcclSuccess);
    NEED(((comm_t) find(library, "pcclConnect"))(comm) == pcclSuccess);

    /* The structure of 28 bytes by value: the port of the running master is in use, another protocol is none. */
    pcclMasterInstance_t *second;
    NEED(((create_master_t) find(library, "pcclCreateMaster"))(params.master_address, &second) == pcclSuccess);
    NEED(((master_t) find(library, "pcclRunMaster"))(second) == pcclInvalidUsage);
    NEED(((master_t) find(library, "pcclDestroyMaster"))(second) == pcclSuccess);

    NEED(dlclose(library) == 0); /* its threads run on */
    usleep(1000);
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    NEED(library != NULL);
    NEED(((comm_t) find(library, "pcclUpdateTopology"))(comm) == pcclSuccess);
    NEED(((comm_t) find(library, "pcclDestroyCommunicator"))(comm) == pcclSuccess);
    NEED(((master_t) find(library, "pcclDestroyMaster"))(master) == pcclSuccess);
    NEED(dlclose(library) == 0);
    const char *name = strrchr(argv[1], '/');
    printf("ok opened_and_closed_as_%s\n", name == NULL ? argv[1] : name + 1);
    return 0;
}
