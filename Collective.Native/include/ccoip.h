/* Port constants (CCOIP_PROTOCOL_PORT_...) and address types, under the name by which programs written for PCCL include them. */
#include "collective.h"
