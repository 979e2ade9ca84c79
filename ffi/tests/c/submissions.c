/* Runs that are submitted and waited for later: a run behind a held one, waits that are too short, several that wait for one run, a run that is cancelled, one that
 * gives up. */
#include "expect.h"
#include <pthread.h>

struct state {
    uint32_t hold, count;
    int released, counted;
};

struct waiter {
    prewire_submission *submission;
    uint64_t completed;
};

static int32_t hold(prewire_kernel_call *call)
{
    struct state *state = call->context;
    while (!__atomic_load_n(&state->released, __ATOMIC_ACQUIRE)) {
        if (prewire_kernel_is_cancelled(call)) {
            return 7;
        }
        OK(prewire_kernel_relax(call));
    }
    return 0;
}

static int32_t count(prewire_kernel_call *call)
{
    struct state *state = call->context;
    __atomic_fetch_add(&state->counted, 1, __ATOMIC_RELAXED);
    return 0;
}

static uint32_t submit(prewire_run *run, uint32_t kernel)
{
    prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_VECTOR);
    task.kernels[0] = kernel;
    OK(prewire_run_submit(run, &task, NULL));
    return 0;
}

static uint32_t holding(prewire_run *run, void *context)
{
    return submit(run, ((const struct state *)context)->hold);
}

static uint32_t counting(prewire_run *run, void *context)
{
    return submit(run, ((const struct state *)context)->count);
}

static uint32_t give_up(prewire_run *run, void *context)
{
    (void)counting(run, context);
    return 42;
}

static void *wait_for(void *context)
{
    struct waiter *waiter = context;
    prewire_report *report;
    prewire_report_counts counts = {.size = sizeof counts};
    uint32_t is_over;
    OK(prewire_submission_wait(waiter->submission, PREWIRE_WAIT_FOREVER, &is_over, &report));
    HOLDS(is_over == 1);
    OK(prewire_report_get_counts(report, &counts));
    waiter->completed = counts.completed;
    OK(prewire_report_destroy(report));
    return NULL;
}

static uint32_t registered(prewire_runtime *runtime, struct state *state, const char *name, int32_t (*function)(prewire_kernel_call *))
{
    prewire_kernel kernel = PREWIRE_KERNEL_INIT(name, PREWIRE_CORE_KIND_VECTOR, function);
    kernel.context = state;
    uint32_t id;
    OK(prewire_runtime_register(runtime, &kernel, &id));
    return id;
}

int main(void)
{
    struct state state;
    memset(&state, 0, sizeof state);
    prewire_config config;
    prewire_runtime *runtime;
    OK(prewire_config_init(&config));
    config.clusters = 2;
    OK(prewire_runtime_create(&config, &runtime));
    state.hold = registered(runtime, &state, "hold", hold);
    state.count = registered(runtime, &state, "count", count);

    /* The first run is held, so the second is built and does not start. */
    prewire_submission *first, *second, *third;
    prewire_report *report;
    uint32_t is_over;
    OK(prewire_runtime_submit(runtime, holding, &state, &first));
    OK(prewire_runtime_submit(runtime, counting, &state, &second));
    OK(prewire_submission_wait(first, 10, &is_over, &report));
    HOLDS(is_over == 0 && report == NULL);
    OK(prewire_submission_wait(second, 0, &is_over, NULL));
    HOLDS(is_over == 0 && __atomic_load_n(&state.counted, __ATOMIC_ACQUIRE) == 0);

    /* Several wait for one run, and nothing is lost by the wait that was too short. */
    pthread_t threads[3];
    struct waiter waiters[3] = {{first, 0}, {first, 0}, {second, 0}};
    for (int i = 0; i < 3; i++) {
        HOLDS(pthread_create(&threads[i], NULL, wait_for, &waiters[i]) == 0);
    }
    __atomic_store_n(&state.released, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++) {
        HOLDS(pthread_join(threads[i], NULL) == 0);
        HOLDS(waiters[i].completed == 1);
    }
    HOLDS(__atomic_load_n(&state.counted, __ATOMIC_ACQUIRE) == 1);
    OK(prewire_submission_wait(first, 0, &is_over, NULL));
    HOLDS(is_over == 1);
    OK(prewire_submission_destroy(first));
    OK(prewire_submission_destroy(second));

    /* A run that is cancelled says so with its reason, and the next one is as any other. */
    state.released = 0;
    OK(prewire_runtime_submit(runtime, holding, &state, &third));
    OK(prewire_submission_cancel(third, "enough was seen"));
    EXPECT_TEXT(PREWIRE_STATUS_EXPLICIT_FATAL, "enough was seen", prewire_submission_wait(third, PREWIRE_WAIT_FOREVER, &is_over, &report));
    HOLDS(is_over == 1 && report != NULL && prewire_report_status(report) == PREWIRE_STATUS_EXPLICIT_FATAL);
    OK(prewire_report_destroy(report));
    OK(prewire_submission_cancel(third, "too late to matter"));
    OK(prewire_submission_destroy(third));
    OK(prewire_runtime_run(runtime, counting, &state, NULL));

    /* A run that gives up is over at once and nobody's. */
    EXPECT_TEXT(PREWIRE_STATUS_INVALID_ARGUMENTS, "returned 42", prewire_runtime_submit(runtime, give_up, &state, &third));
    HOLDS(third == NULL);

    /* Ending the runtime waits for what is in flight; the submission still knows how it went. */
    const int before = __atomic_load_n(&state.counted, __ATOMIC_ACQUIRE);
    OK(prewire_runtime_submit(runtime, counting, &state, &third));
    OK(prewire_runtime_destroy(runtime));
    HOLDS(__atomic_load_n(&state.counted, __ATOMIC_ACQUIRE) == before + 1);
    OK(prewire_submission_wait(third, 0, &is_over, NULL));
    HOLDS(is_over == 1);
    OK(prewire_submission_destroy(third));
    return 0;
}
