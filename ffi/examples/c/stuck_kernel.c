/* A kernel that does not come back: the watchdog ends the run and says which kernel, on which core, for how long. Then the runtime works again. */
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

/* Waits for something that never happens. It looks whether it is to give up, so that its core is free again when the run was ended. */
static int32_t stuck(prewire_kernel_call *call)
{
    while (!prewire_kernel_is_cancelled(call)) {
        prewire_kernel_relax(call);
    }
    return prewire_kernel_fail(call, 1, "gave up");
}

static int32_t quick(prewire_kernel_call *call)
{
    (void)call;
    return 0;
}

struct graph {
    uint32_t kernel;
    uint64_t task;
};

static uint32_t orchestrate(prewire_run *run, void *context)
{
    struct graph *graph = context;
    prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_VECTOR);
    task.kernels[0] = graph->kernel;
    check(prewire_run_submit(run, &task, &graph->task), "submit");
    return 0;
}

int main(void)
{
    struct graph hanging, working;
    prewire_config config;
    prewire_runtime *runtime;
    check(prewire_config_init(&config), "configuration");
    config.clusters = 2;
    config.watchdog_ms = 200;
    check(prewire_runtime_create(&config, &runtime), "runtime");
    prewire_kernel kernel = PREWIRE_KERNEL_INIT("stuck", PREWIRE_CORE_KIND_VECTOR, stuck);
    check(prewire_runtime_register(runtime, &kernel, &hanging.kernel), "kernel");
    prewire_kernel other = PREWIRE_KERNEL_INIT("quick", PREWIRE_CORE_KIND_VECTOR, quick);
    check(prewire_runtime_register(runtime, &other, &working.kernel), "kernel");

    prewire_report *report;
    prewire_stall stall;
    const prewire_status status = prewire_runtime_run(runtime, orchestrate, &hanging, &report);
    printf("the run ended with %s\n  %s\n", prewire_status_name(status), prewire_report_error(report));
    check(prewire_report_stall(report, &stall), "stall");
    printf("class %u, %llu running, the stuck task for %llu ms of %llu\n", stall.stall_class, (unsigned long long)stall.running,
           (unsigned long long)stall.stuck_ms, (unsigned long long)stall.budget_ms);
    int good = status == PREWIRE_STATUS_SCHEDULER_TIMEOUT && stall.stall_class == PREWIRE_STALL_CLASS_RUNNING_STALLED && stall.stuck_task == hanging.task;
    check(prewire_report_destroy(report), "report");

    check(prewire_runtime_run(runtime, orchestrate, &working, NULL), "the next run");
    puts(good ? "PASS" : "FAIL");
    check(prewire_runtime_destroy(runtime), "runtime");
    return good ? 0 : 1;
}
