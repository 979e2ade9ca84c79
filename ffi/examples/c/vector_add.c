/* Adds two vectors on a simulated chip, in tiles, and checks the sum. */
#include <prewire.h>
#include <stdio.h>
#include <stdlib.h>

enum { ELEMENTS = 1 << 16, TILES = 16, TILE = ELEMENTS / TILES };

/* Every call that can fail goes through here. */
static void check(prewire_status status, const char *what)
{
    if (status != PREWIRE_STATUS_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, prewire_status_name(status), prewire_last_error());
        exit(1);
    }
}

/* The kernel: runs on a vector core, sees the tile that its task names. */
static int32_t add(prewire_kernel_call *call)
{
    prewire_view a, b, sum;
    if (prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_F32, PREWIRE_ACCESS_READ, &a) != PREWIRE_STATUS_OK
        || prewire_kernel_tensor(call, 1, PREWIRE_DATA_TYPE_F32, PREWIRE_ACCESS_READ, &b) != PREWIRE_STATUS_OK
        || prewire_kernel_tensor(call, 2, PREWIRE_DATA_TYPE_F32, PREWIRE_ACCESS_WRITE, &sum) != PREWIRE_STATUS_OK) {
        return prewire_kernel_fail(call, 1, prewire_last_error());
    }
    const float *from_a = a.data, *from_b = b.data;
    float *to = sum.data;
    for (uint64_t i = 0; i < sum.elements; i++) {
        to[i] = from_a[i] + from_b[i];
    }
    return 0;
}

struct graph {
    uint32_t kernel;
    prewire_tensor a, b, sum;
};

/* The orchestration: one task for each tile. No two tiles share bytes, so all of them may run at once. */
static uint32_t orchestrate(prewire_run *run, void *context)
{
    const struct graph *graph = context;
    for (uint32_t tile = 0; tile < TILES; tile++) {
        prewire_tensor a, b, sum;
        check(prewire_tensor_slice(&graph->a, 0, tile * TILE, (tile + 1) * TILE, 1, &a), "slice");
        check(prewire_tensor_slice(&graph->b, 0, tile * TILE, (tile + 1) * TILE, 1, &b), "slice");
        check(prewire_tensor_slice(&graph->sum, 0, tile * TILE, (tile + 1) * TILE, 1, &sum), "slice");
        const prewire_argument arguments[] = {
            PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INPUT, &a),
            PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INPUT, &b),
            PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_OUTPUT_EXISTING, &sum),
        };
        prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_VECTOR);
        task.kernels[0] = graph->kernel;
        task.arguments = arguments;
        task.argument_count = 3;
        check(prewire_run_submit(run, &task, NULL), "submit");
    }
    return 0;
}

static prewire_buffer *buffer_of(prewire_runtime *runtime, const float *values, prewire_tensor *tensor)
{
    const uint32_t shape[] = {ELEMENTS};
    prewire_buffer *buffer;
    check(prewire_buffer_create(runtime, ELEMENTS * sizeof *values, &buffer), "buffer");
    check(prewire_buffer_write(runtime, buffer, values, ELEMENTS * sizeof *values), "write");
    check(prewire_buffer_tensor(buffer, 0, PREWIRE_DATA_TYPE_F32, shape, 1, tensor), "tensor");
    return buffer;
}

int main(void)
{
    float *values = malloc(ELEMENTS * sizeof *values);
    if (values == NULL) {
        return 1;
    }
    prewire_runtime *runtime;
    prewire_config config;
    check(prewire_config_init(&config), "configuration");
    config.clusters = 8;
    check(prewire_runtime_create(&config, &runtime), "runtime");

    struct graph graph;
    prewire_kernel kernel = PREWIRE_KERNEL_INIT("add", PREWIRE_CORE_KIND_VECTOR, add);
    check(prewire_runtime_register(runtime, &kernel, &graph.kernel), "kernel");
    for (int i = 0; i < ELEMENTS; i++) {
        values[i] = (float)i;
    }
    prewire_buffer *a = buffer_of(runtime, values, &graph.a), *b = buffer_of(runtime, values, &graph.b);
    prewire_buffer *sum = buffer_of(runtime, values, &graph.sum);

    prewire_report *report;
    check(prewire_runtime_run(runtime, orchestrate, &graph, &report), "run");
    prewire_report_counts counts = {.size = sizeof counts};
    check(prewire_report_get_counts(report, &counts), "counts");

    check(prewire_buffer_read(runtime, sum, values, ELEMENTS * sizeof *values), "read");
    int wrong = 0;
    for (int i = 0; i < ELEMENTS; i++) {
        wrong += values[i] != 2.0F * (float)i;
    }
    printf("%s: %llu tasks, %d of %d sums are wrong\n", wrong == 0 ? "PASS" : "FAIL", (unsigned long long)counts.tasks, wrong, ELEMENTS);

    check(prewire_report_destroy(report), "report");
    check(prewire_buffer_destroy(a), "buffer");
    check(prewire_buffer_destroy(b), "buffer");
    check(prewire_buffer_destroy(sum), "buffer");
    check(prewire_runtime_destroy(runtime), "runtime");
    free(values);
    return wrong != 0;
}
