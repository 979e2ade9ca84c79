/* What the other programs do not use: clusters whose parts talk, gangs, blocks, directed tasks, deferred completion, kernels from a library, logging, messages in traces. */
#include "expect.h"

struct state {
    prewire_tensor values, counter;
    uint32_t cube, vector, gang, defer, library, sum;
    int blocks, messages;
};

/* The cube core sends each vector core a number. */
static int32_t cube_part(prewire_kernel_call *call)
{
    for (uint32_t part = 1; part <= 2; part++) {
        if (prewire_kernel_send(call, part, 100 * part + call->block_index) != PREWIRE_STATUS_OK) {
            return prewire_kernel_fail(call, 1, prewire_last_error());
        }
    }
    return call->part == 0 ? 0 : prewire_kernel_fail(call, 2, "not the cube core");
}

static int32_t vector_part(prewire_kernel_call *call)
{
    prewire_view values;
    uint64_t received;
    if (prewire_kernel_receive(call, 0, &received) != PREWIRE_STATUS_OK || received != 100 * call->part + call->block_index
        || prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_I32, PREWIRE_ACCESS_WRITE, &values) != PREWIRE_STATUS_OK) {
        return prewire_kernel_fail(call, 1, prewire_last_error());
    }
    ((int32_t *)values.data)[2 * call->block_index + call->part - 1] = (int32_t)received;
    return 0;
}

/* All blocks meet twice. */
static int32_t gang(prewire_kernel_call *call)
{
    struct state *state = call->context;
    for (int round = 1; round <= 2; round++) {
        __atomic_fetch_add(&state->blocks, 1, __ATOMIC_RELAXED);
        if (prewire_kernel_barrier(call) != PREWIRE_STATUS_OK) {
            return prewire_kernel_fail(call, 1, prewire_last_error());
        }
        if (__atomic_load_n(&state->blocks, __ATOMIC_RELAXED) < round * (int)call->block_count) {
            return prewire_kernel_fail(call, 2, "a block was not there");
        }
        prewire_kernel_barrier(call);
    }
    return 0;
}

/* Completes when a counter has reached 5, which another task sees to. */
static int32_t defer(prewire_kernel_call *call)
{
    prewire_view counter;
    OK(prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_U32, PREWIRE_ACCESS_READ, &counter));
    OK(prewire_kernel_complete_when(call, (uint64_t)(uintptr_t)counter.data, 5));
    __atomic_store_n((uint32_t *)counter.data, 5, __ATOMIC_RELEASE);
    return 0;
}

/* Adds a scalar of each width to the first element. */
static int32_t sum(prewire_kernel_call *call)
{
    prewire_view values;
    uint64_t small, large;
    OK(prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_I32, PREWIRE_ACCESS_WRITE, &values));
    OK(prewire_kernel_scalar(call, 0, &small));
    OK(prewire_kernel_scalar(call, 1, &large));
    HOLDS(call->scalar_count == 2 && call->scalars[1] == large && call->tensor_count == 1);
    HOLDS(call->tensors[0].shape[0] == 4 && call->tensors[0].data_type == PREWIRE_DATA_TYPE_I32 && call->tensors[0].kind == PREWIRE_ARGUMENT_KIND_INOUT);
    ((int32_t *)values.data)[0] += (int32_t)(uint8_t)small + (int32_t)(large >> 40);
    return 0;
}

static prewire_task task_of(uint32_t kind, uint32_t kernel, const prewire_argument *argument)
{
    prewire_task task = PREWIRE_TASK_INIT(kind);
    task.kernels[0] = kernel;
    task.arguments = argument;
    task.argument_count = argument == NULL ? 0 : 1;
    return task;
}

static void expect_values(prewire_run *run, const prewire_tensor *tensor, const int32_t *expected)
{
    for (uint32_t i = 0; i < 4; i++) {
        int32_t value = 0;
        OK(prewire_run_get(run, tensor, &i, 1, PREWIRE_DATA_TYPE_I32, &value));
        HOLDS(value == expected[i]);
    }
}

static uint32_t orchestrate(prewire_run *run, void *context)
{
    struct state *state = context;
    const prewire_argument values = PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INOUT, &state->values);
    const prewire_argument counter = PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INPUT, &state->counter);

    /* Two blocks of a cluster, whose parts talk. */
    prewire_task cluster = task_of(PREWIRE_TASK_KIND_CLUSTER, state->cube, &values);
    cluster.kernels[1] = cluster.kernels[2] = state->vector;
    cluster.blocks = 2;
    OK(prewire_run_submit(run, &cluster, NULL));
    const int32_t sent[] = {100, 200, 101, 201};
    expect_values(run, &state->values, sent);

    /* A gang on all vector cores, a directed task, and one behind another. */
    prewire_task together = task_of(PREWIRE_TASK_KIND_VECTOR, state->gang, NULL);
    together.flags = PREWIRE_TASK_SYNC_START;
    together.blocks = 4;
    OK(prewire_run_submit(run, &together, NULL));
    prewire_task directed = task_of(PREWIRE_TASK_KIND_CUBE, state->library, &values);
    directed.core = 1;
    uint64_t id;
    OK(prewire_run_submit(run, &directed, &id));
    const int32_t tripled[] = {300, 600, 303, 603};
    expect_values(run, &state->values, tripled);
    const prewire_dependency behind = {id, PREWIRE_DEPENDENCY_WAIT_ONLY, 0};
    prewire_task dummy = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_DUMMY);
    dummy.dependencies = &behind;
    dummy.dependency_count = 1;
    OK(prewire_run_submit(run, &dummy, NULL));

    /* Deferred completion: the reader of the counter is done only then. */
    prewire_task deferred = task_of(PREWIRE_TASK_KIND_VECTOR, state->defer, &counter);
    deferred.budget_ns = 60000000000;
    OK(prewire_run_submit(run, &deferred, NULL));

    /* Scalars, in a scope whose memory is given back. */
    OK(prewire_run_open_scope(run, PREWIRE_SCOPE_KIND_AUTOMATIC));
    const uint64_t scalars[] = {200, (uint64_t)7 << 40};
    prewire_task summed = task_of(PREWIRE_TASK_KIND_VECTOR, state->sum, &values);
    summed.scalars = scalars;
    summed.scalar_count = 2;
    OK(prewire_run_submit(run, &summed, NULL));
    OK(prewire_run_close_scope(run));
    const int32_t added[] = {507, 600, 303, 603};
    expect_values(run, &state->values, added);
    const uint32_t first = 0;
    const int32_t fresh = -5;
    OK(prewire_run_set(run, &state->values, &first, 1, PREWIRE_DATA_TYPE_I32, &fresh));
    uint64_t elapsed_ns = 0;
    OK(prewire_run_elapsed(run, &elapsed_ns));
    HOLDS(elapsed_ns > 0);
    return 0;
}

static void say(uint32_t level, const char *target, const char *message, void *context)
{
    struct state *state = context;
    HOLDS(level == PREWIRE_LOG_LEVEL_INFO || level == PREWIRE_LOG_LEVEL_WARNING || level == PREWIRE_LOG_LEVEL_ERROR);
    HOLDS(strncmp(target, "prewire", 7) == 0);
    state->messages += strstr(message, "chose the device") != NULL;
}

/* What a writer says of its choice of a device comes to the callback, while the call is on. */
static void log_of_a_writer(struct state *state, const char *folder)
{
    const prewire_flush_dimension dimension = {.name = "t", .size = 8, .chunk = 4};
    prewire_flush_array array;
    prewire_flush_settings settings;
    prewire_flush_writer *writer;
    OK(prewire_flush_array_init(&array));
    OK(prewire_flush_settings_init(&settings));
    array.dimensions = &dimension;
    array.dimension_count = 1;
    settings.device = PREWIRE_FLUSH_DEVICE_AUTO;
    settings.log = say;
    settings.log_context = state;
    settings.log_level = PREWIRE_LOG_LEVEL_INFO;
    OK(prewire_flush_create_folder(&array, 1, &settings, folder, &writer));
    HOLDS(state->messages == 1);
    OK(prewire_flush_destroy(writer));
    settings.log_level = PREWIRE_LOG_LEVEL_ERROR;
    settings.overwrite = 1;
    OK(prewire_flush_create_folder(&array, 1, &settings, folder, &writer));
    OK(prewire_flush_destroy(writer));
    HOLDS(state->messages == 1);
    settings.log_level = 0;
    EXPECT(PREWIRE_STATUS_INVALID_ARGUMENTS, prewire_flush_create_folder(&array, 1, &settings, folder, &writer));
}

static uint32_t registered(prewire_runtime *runtime, struct state *state, const char *name, uint32_t kind, prewire_kernel_function function)
{
    prewire_kernel kernel = PREWIRE_KERNEL_INIT(name, kind, function);
    uint32_t id = PREWIRE_NO_KERNEL;
    kernel.context = state;
    OK(prewire_runtime_register(runtime, &kernel, &id));
    return id;
}

int main(int count, char **arguments)
{
    HOLDS(count == 3);
    struct state state;
    memset(&state, 0, sizeof state);
    const uint32_t four = 4, one = 1;
    prewire_config config;
    prewire_runtime *runtime;
    prewire_buffer *values, *counter;
    OK(prewire_config_init(&config));
    config.clusters = 2;
    config.flags = PREWIRE_RECORD_TRACE | PREWIRE_RECORD_GRAPH;
    OK(prewire_runtime_create(&config, &runtime));
    prewire_chip_info chip;
    OK(prewire_runtime_chip(runtime, &chip));
    HOLDS(chip.clusters == 2 && chip.cube_cores == 2 && chip.vector_cores == 4 && chip.is_virtual == 0);
    OK(prewire_buffer_create(runtime, 16, &values));
    OK(prewire_buffer_create(runtime, 4, &counter));
    OK(prewire_buffer_tensor(values, 0, PREWIRE_DATA_TYPE_I32, &four, 1, &state.values));
    OK(prewire_buffer_tensor(counter, 0, PREWIRE_DATA_TYPE_U32, &one, 1, &state.counter));
    state.cube = registered(runtime, &state, "cube", PREWIRE_CORE_KIND_CUBE, cube_part);
    state.vector = registered(runtime, &state, "vector", PREWIRE_CORE_KIND_VECTOR, vector_part);
    state.gang = registered(runtime, &state, "gang", PREWIRE_CORE_KIND_VECTOR, gang);
    state.defer = registered(runtime, &state, "defer", PREWIRE_CORE_KIND_VECTOR, defer);
    state.sum = registered(runtime, &state, "sum", PREWIRE_CORE_KIND_ANY, sum);
    prewire_kernel library = PREWIRE_KERNEL_INIT("triple", PREWIRE_CORE_KIND_CUBE, NULL);
    library.flags = PREWIRE_KERNEL_NEVER_WAITS;
    library.id = 700;
    OK(prewire_runtime_register_symbol(runtime, &library, arguments[2], "triple", &state.library));
    HOLDS(state.library == 700);

    prewire_report *report;
    prewire_report_counts counts = {.size = sizeof counts};
    OK(prewire_runtime_run(runtime, orchestrate, &state, &report));
    HOLDS(state.blocks == 8);
    OK(prewire_report_get_counts(report, &counts));
    HOLDS(counts.tasks == 6 && counts.completed == 6 && counts.failed == 0 && counts.run == 1 && counts.rings[0].window_peak > 0);
    char path[4096];
    HOLDS(snprintf(path, sizeof path, "%s.trace.json", arguments[1]) < (int)sizeof path);
    OK(prewire_report_write_trace(report, path));
    FILE *trace = fopen(path, "rb");
    static char text[1 << 16];
    HOLDS(trace != NULL);
    text[fread(text, 1, sizeof text - 1, trace)] = 0;
    HOLDS(fclose(trace) == 0);
    HOLDS(strstr(text, "triple") != NULL && strstr(text, "gang") != NULL && strstr(text, "AIC_1") != NULL);
    EXPECT(PREWIRE_STATUS_FILE_FAILED, prewire_report_write_trace(report, "/no/folder/trace.json"));
    OK(prewire_report_destroy(report));
    int32_t read[4];
    OK(prewire_buffer_read(runtime, values, read, sizeof read));
    HOLDS(read[0] == -5 && read[3] == 603);

    log_of_a_writer(&state, arguments[1]);
    OK(prewire_buffer_destroy(values));
    OK(prewire_buffer_destroy(counter));
    OK(prewire_runtime_destroy(runtime));
    return 0;
}
