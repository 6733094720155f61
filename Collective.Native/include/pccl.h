/* The header under the name by which programs written for PCCL include it. */
#include "collective.h"
