/* Address types (ccoip_socket_address_t, ...), under the name by which programs written for PCCL include them. */
#include "collective.h"
