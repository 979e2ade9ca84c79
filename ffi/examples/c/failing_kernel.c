/* A kernel that fails: what needs its data is not run, everything else is, and the report says which task it was, with the kernel's own code and words. */
#include <prewire.h>
#include <stdio.h>
#include <stdlib.h>

static void check(prewire_status status, const char *what)
{
    if (status != PREWIRE_STATUS_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, prewire_status_name(status), prewire_last_error());
        exit(1);
    }
}

/* Doubles each element, and takes no negative one. */
static int32_t positive(prewire_kernel_call *call)
{
    prewire_view values;
    if (prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_I32, PREWIRE_ACCESS_WRITE, &values) != PREWIRE_STATUS_OK) {
        return prewire_kernel_fail(call, 1, prewire_last_error());
    }
    int32_t *value = values.data;
    for (uint64_t i = 0; i < values.elements; i++) {
        if (value[i] < 0) {
            char text[64];
            snprintf(text, sizeof text, "element %d is %d", (int)i, (int)value[i]);
            return prewire_kernel_fail(call, 33, text);
        }
        value[i] *= 2;
    }
    return 0;
}

struct graph {
    uint32_t kernel;
    prewire_tensor parts[3];
    uint64_t tasks[3];
};

static uint32_t orchestrate(prewire_run *run, void *context)
{
    struct graph *graph = context;
    for (int round = 0; round < 2; round++) {
        for (int part = 0; part < 3; part++) {
            const prewire_argument argument = PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INOUT, &graph->parts[part]);
            prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_VECTOR);
            task.kernels[0] = graph->kernel;
            task.arguments = &argument;
            task.argument_count = 1;
            check(prewire_run_submit(run, &task, round == 0 ? &graph->tasks[part] : NULL), "submit");
        }
    }
    return 0;
}

int main(void)
{
    const int32_t given[6] = {1, 2, 3, -4, 5, 6};
    int32_t values[6];
    const uint32_t shape = 2;
    struct graph graph;
    prewire_config config;
    prewire_runtime *runtime;
    prewire_buffer *buffer;
    check(prewire_config_init(&config), "configuration");
    config.clusters = 2;
    check(prewire_runtime_create(&config, &runtime), "runtime");
    prewire_kernel kernel = PREWIRE_KERNEL_INIT("positive", PREWIRE_CORE_KIND_VECTOR, positive);
    check(prewire_runtime_register(runtime, &kernel, &graph.kernel), "kernel");
    check(prewire_buffer_create(runtime, sizeof given, &buffer), "buffer");
    check(prewire_buffer_write(runtime, buffer, given, sizeof given), "write");
    for (uint64_t part = 0; part < 3; part++) {
        check(prewire_buffer_tensor(buffer, part * 8, PREWIRE_DATA_TYPE_I32, &shape, 1, &graph.parts[part]), "tensor");
    }

    prewire_report *report;
    const prewire_status status = prewire_runtime_run(runtime, orchestrate, &graph, &report);
    printf("the run ended with %s\n  %s\n", prewire_status_name(status), prewire_last_error());
    prewire_kernel_failure failure;
    prewire_report_counts counts = {.size = sizeof counts};
    check(prewire_report_kernel_failure(report, &failure), "failure");
    check(prewire_report_get_counts(report, &counts), "counts");
    printf("the kernel said %d, \"%s\"; %llu of %llu tasks failed, %llu were not run for it\n", failure.code, failure.text,
           (unsigned long long)counts.failed, (unsigned long long)counts.tasks, (unsigned long long)counts.unrun);
    int good = status == PREWIRE_STATUS_KERNEL_FAILED && failure.code == 33 && failure.task == graph.tasks[1] && counts.failed == 1 && counts.unrun == 1;

    /* What does not depend on the failed task was done, twice. */
    check(prewire_buffer_read(runtime, buffer, values, sizeof values), "read");
    good = good && values[0] == 4 && values[1] == 8 && values[2] == 6 && values[3] == -4 && values[4] == 20 && values[5] == 24;
    puts(good ? "PASS" : "FAIL");

    check(prewire_report_destroy(report), "report");
    check(prewire_buffer_destroy(buffer), "buffer");
    check(prewire_runtime_destroy(runtime), "runtime");
    return good ? 0 : 1;
}
