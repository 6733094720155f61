/* A master: prints its port, and ends when its input does. */
#include <collective.h>

#include <stdio.h>
#include <unistd.h>

int main(void) {
    pcclxMasterOptions_t options = PCCLX_MASTER_OPTIONS_INIT;
    pcclMasterInstance_t *master;
    uint16_t port;
    char byte;
    options.listen = "127.0.0.1:0";
    if (pcclxCreateMaster(&options, &master) || pcclRunMaster(master) || pcclxGetMasterPort(master, &port)) {
        printf("%s\n", pcclxGetLastError());
        return 1;
    }
    printf("%d\n", port);
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    return pcclInterruptMaster(master) || pcclMasterAwaitTermination(master) || pcclDestroyMaster(master);
}
