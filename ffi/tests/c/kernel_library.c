/* A library of kernels, for the programs that register its symbols. */
#include <prewire.h>

extern int32_t triple(prewire_kernel_call *call);

int32_t triple(prewire_kernel_call *call)
{
    prewire_view values;
    if (prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_I32, PREWIRE_ACCESS_WRITE, &values) != PREWIRE_STATUS_OK) {
        return prewire_kernel_fail(call, 1, prewire_last_error());
    }
    for (uint64_t i = 0; i < values.elements; i++) {
        ((int32_t *)values.data)[i] *= 3;
    }
    return 0;
}
