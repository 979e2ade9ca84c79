/* Calls every function of the library as it must not be called: NULL, handles of another kind, handles twice destroyed, the wrong thread, the wrong order. Each
 * such call gets a status and a text, and the library works behind it. */
#include "expect.h"
#include <pthread.h>

#define NULL_HANDLE PREWIRE_STATUS_BAD_HANDLE
#define REFUSED PREWIRE_STATUS_INVALID_ARGUMENTS

struct state {
    prewire_runtime *runtime;
    prewire_buffer *buffer;
    prewire_tensor tensor;
    uint32_t kernel;
    prewire_run *run;
    const prewire_kernel_call *call;
    int kernels;
};

/* A kernel that asks for what it has not, and that tries to use its own run. */
static int32_t prying(prewire_kernel_call *call)
{
    struct state *state = call->context;
    prewire_view view;
    uint64_t value;
    EXPECT(REFUSED, prewire_kernel_tensor(call, 7, PREWIRE_DATA_TYPE_F32, PREWIRE_ACCESS_READ, &view));
    EXPECT_TEXT(REFUSED, "f32", prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_I8, PREWIRE_ACCESS_READ, &view));
    EXPECT(REFUSED, prewire_kernel_tensor(call, 0, 99, PREWIRE_ACCESS_READ, &view));
    EXPECT(REFUSED, prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_F32, 99, &view));
    EXPECT(REFUSED, prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_F32, PREWIRE_ACCESS_READ, NULL));
    EXPECT_TEXT(REFUSED, "input", prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_F32, PREWIRE_ACCESS_WRITE, &view));
    EXPECT_TEXT(REFUSED, "scalar 0", prewire_kernel_scalar(call, 0, &value));
    EXPECT(REFUSED, prewire_kernel_receive(call, 9, &value));
    EXPECT(REFUSED, prewire_kernel_send(call, 9, 1));
    HOLDS(prewire_kernel_is_cancelled(call) == 0);
    OK(prewire_kernel_alive(call));
    OK(prewire_kernel_relax(call));
    prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_DUMMY);
    prewire_status status = prewire_run_submit(state->run, &task, NULL);
    HOLDS(status == PREWIRE_STATUS_WRONG_THREAD || status == PREWIRE_STATUS_BUSY || status == PREWIRE_STATUS_BAD_HANDLE);
    EXPECT(PREWIRE_STATUS_BUSY, prewire_buffer_write(state->runtime, state->buffer, "1234", 4));
    state->call = call;
    state->kernels++;
    HOLDS(prewire_kernel_fail(call, 0, NULL) == -1);
    HOLDS(prewire_kernel_fail(call, 7, "it pried") == 7);
    return 7;
}

static void kernels_outside(const prewire_kernel_call *call)
{
    prewire_view view;
    uint64_t value;
    EXPECT(NULL_HANDLE, prewire_kernel_tensor(call, 0, PREWIRE_DATA_TYPE_F32, PREWIRE_ACCESS_READ, &view));
    EXPECT(NULL_HANDLE, prewire_kernel_scalar(call, 0, &value));
    EXPECT(NULL_HANDLE, prewire_kernel_alive(call));
    EXPECT(NULL_HANDLE, prewire_kernel_relax(call));
    EXPECT(NULL_HANDLE, prewire_kernel_barrier(call));
    EXPECT(NULL_HANDLE, prewire_kernel_send(call, 1, 2));
    EXPECT(NULL_HANDLE, prewire_kernel_receive(call, 1, &value));
    EXPECT(NULL_HANDLE, prewire_kernel_complete_when(call, 8, 1));
    HOLDS(prewire_kernel_is_cancelled(call) == 1);
    HOLDS(prewire_kernel_fail((prewire_kernel_call *)call, 3, "nobody") == 3);
}

static void runs_outside(prewire_run *run, prewire_status status)
{
    prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_DUMMY);
    prewire_tensor tensor;
    uint64_t number;
    memset(&tensor, 0, sizeof tensor);
    EXPECT(status, prewire_run_submit(run, &task, &number));
    EXPECT(status, prewire_run_open_scope(run, PREWIRE_SCOPE_KIND_AUTOMATIC));
    EXPECT(status, prewire_run_close_scope(run));
    EXPECT(status, prewire_run_get(run, &tensor, NULL, 0, PREWIRE_DATA_TYPE_F32, &number));
    EXPECT(status, prewire_run_set(run, &tensor, NULL, 0, PREWIRE_DATA_TYPE_F32, &number));
    EXPECT(status, prewire_run_fail(run, "no run"));
    EXPECT(status, prewire_run_elapsed(run, &number));
}

static void *other_thread(void *context)
{
    struct state *state = context;
    runs_outside(state->run, PREWIRE_STATUS_WRONG_THREAD);
    EXPECT(PREWIRE_STATUS_BUSY, prewire_runtime_destroy(state->runtime));
    prewire_chip_info info;
    EXPECT(PREWIRE_STATUS_BUSY, prewire_runtime_chip(state->runtime, &info));
    return NULL;
}

static uint32_t nothing(prewire_run *run, void *context)
{
    (void)run;
    (void)context;
    return 0;
}

static uint32_t orchestrate(prewire_run *run, void *context)
{
    struct state *state = context;
    state->run = run;
    pthread_t thread;
    HOLDS(pthread_create(&thread, NULL, other_thread, state) == 0);
    HOLDS(pthread_join(thread, NULL) == 0);

    /* The runtime is busy with this run. */
    EXPECT(PREWIRE_STATUS_BUSY, prewire_runtime_run(state->runtime, nothing, NULL, NULL));
    EXPECT(PREWIRE_STATUS_BUSY, prewire_runtime_unregister(state->runtime, state->kernel));
    prewire_buffer *another;
    EXPECT(PREWIRE_STATUS_BUSY, prewire_buffer_create(state->runtime, 4, &another));

    EXPECT(REFUSED, prewire_run_submit(run, NULL, NULL));
    prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_VECTOR);
    task.size = 3;
    EXPECT_TEXT(REFUSED, "task.size is 3", prewire_run_submit(run, &task, NULL));
    task.size = sizeof task;
    EXPECT_TEXT(REFUSED, "no kernel", prewire_run_submit(run, &task, NULL));
    task.kernels[0] = 70000;
    EXPECT_TEXT(REFUSED, "70000", prewire_run_submit(run, &task, NULL));
    task.kernels[0] = 900;
    EXPECT_TEXT(REFUSED, "900", prewire_run_submit(run, &task, NULL));
    task.kernels[0] = state->kernel;
    task.kind = 0;
    EXPECT_TEXT(REFUSED, "kind of task", prewire_run_submit(run, &task, NULL));
    task.kind = PREWIRE_TASK_KIND_VECTOR;
    task.flags = 64;
    EXPECT_TEXT(REFUSED, "64", prewire_run_submit(run, &task, NULL));
    task.flags = 0;
    task.core = 100000;
    EXPECT_TEXT(REFUSED, "100000", prewire_run_submit(run, &task, NULL));
    task.core = 5000;
    EXPECT_TEXT(REFUSED, "5000", prewire_run_submit(run, &task, NULL));
    task.core = PREWIRE_ANY_CORE;
    task.scalar_count = 2;
    EXPECT_TEXT(REFUSED, "task.scalars is NULL", prewire_run_submit(run, &task, NULL));
    task.scalar_count = SIZE_MAX;
    EXPECT_TEXT(REFUSED, "may have 16", prewire_run_submit(run, &task, NULL));
    task.scalar_count = 0;
    task.argument_count = 1;
    EXPECT_TEXT(REFUSED, "task.arguments is NULL", prewire_run_submit(run, &task, NULL));
    task.argument_count = SIZE_MAX;
    EXPECT_TEXT(REFUSED, "may have 32", prewire_run_submit(run, &task, NULL));

    /* Arguments that are none. */
    prewire_tensor made_up;
    memset(&made_up, 0, sizeof made_up);
    prewire_argument argument = PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INPUT, NULL);
    task.arguments = &argument;
    task.argument_count = 1;
    EXPECT_TEXT(REFUSED, "argument 0: tensor is NULL", prewire_run_submit(run, &task, NULL));
    argument.tensor = &made_up;
    EXPECT_TEXT(REFUSED, "no tensor", prewire_run_submit(run, &task, NULL));
    memset(&made_up, 0xFF, sizeof made_up);
    EXPECT_TEXT(REFUSED, "no tensor", prewire_run_submit(run, &task, NULL));
    made_up = state->tensor;
    ((unsigned char *)&made_up)[3] ^= 1;
    EXPECT_TEXT(REFUSED, "no tensor", prewire_run_submit(run, &task, NULL));
    argument.tensor = (const prewire_tensor *)((const char *)&state->tensor + 1);
    EXPECT_TEXT(REFUSED, "misaligned", prewire_run_submit(run, &task, NULL));
    argument.tensor = &state->tensor;
    argument.kind = 17;
    EXPECT_TEXT(REFUSED, "17", prewire_run_submit(run, &task, NULL));
    argument.kind = PREWIRE_ARGUMENT_KIND_OUTPUT;
    EXPECT_TEXT(REFUSED, "allocation is NULL", prewire_run_submit(run, &task, NULL));
    prewire_new_tensor shape = {{1, 1, 1, 1, 1}, 9, PREWIRE_DATA_TYPE_F32, 0, 0};
    argument.allocation = &shape;
    EXPECT_TEXT(REFUSED, "9", prewire_run_submit(run, &task, NULL));
    shape.dimensions = 1;
    shape.data_type = 77;
    EXPECT_TEXT(REFUSED, "77", prewire_run_submit(run, &task, NULL));
    argument.kind = PREWIRE_ARGUMENT_KIND_INPUT;

    prewire_dependency dependency = {1, 8, 0};
    task.dependencies = &dependency;
    task.dependency_count = 1;
    EXPECT_TEXT(REFUSED, "8", prewire_run_submit(run, &task, NULL));
    task.dependency_count = 0;

    /* Scopes and elements. */
    EXPECT_TEXT(REFUSED, "9", prewire_run_open_scope(run, 9));
    EXPECT(REFUSED, prewire_run_close_scope(run));
    float value = 0;
    const uint32_t index = 0, beyond = 1;
    EXPECT(REFUSED, prewire_run_get(run, NULL, &index, 1, PREWIRE_DATA_TYPE_F32, &value));
    EXPECT(REFUSED, prewire_run_get(run, &state->tensor, NULL, 1, PREWIRE_DATA_TYPE_F32, &value));
    EXPECT(REFUSED, prewire_run_get(run, &state->tensor, &beyond, 1, PREWIRE_DATA_TYPE_F32, &value));
    EXPECT(REFUSED, prewire_run_get(run, &state->tensor, &index, 1, PREWIRE_DATA_TYPE_I64, &value));
    EXPECT(REFUSED, prewire_run_get(run, &state->tensor, &index, 1, PREWIRE_DATA_TYPE_F32, NULL));
    EXPECT(REFUSED, prewire_run_set(run, &state->tensor, &index, 1, PREWIRE_DATA_TYPE_F32, NULL));
    EXPECT(REFUSED, prewire_run_set(run, &state->tensor, &index, 2, PREWIRE_DATA_TYPE_F32, &value));
    EXPECT(REFUSED, prewire_run_fail(run, NULL));
    EXPECT(REFUSED, prewire_run_elapsed(run, NULL));

    /* And a task that is as it should be, so that the kernel runs. */
    OK(prewire_run_submit(run, &task, NULL));
    return 0;
}

static uint32_t give_up(prewire_run *run, void *context)
{
    (void)run;
    (void)context;
    return 42;
}

static void runtimes(void)
{
    prewire_config config;
    prewire_runtime *runtime = (prewire_runtime *)&config;
    EXPECT(REFUSED, prewire_config_init(NULL));
    OK(prewire_config_init(&config));
    EXPECT(REFUSED, prewire_runtime_create(&config, NULL));
    config.size = 0;
    EXPECT_TEXT(REFUSED, "config.size is 0", prewire_runtime_create(&config, &runtime));
    HOLDS(runtime == NULL);
    OK(prewire_config_init(&config));
    config.chip = 9;
    EXPECT_TEXT(REFUSED, "9", prewire_runtime_create(&config, &runtime));
    OK(prewire_config_init(&config));
    config.engine = 9;
    EXPECT_TEXT(REFUSED, "9", prewire_runtime_create(&config, &runtime));
    OK(prewire_config_init(&config));
    config.hazards = 9;
    EXPECT_TEXT(REFUSED, "9", prewire_runtime_create(&config, &runtime));
    OK(prewire_config_init(&config));
    config.flags = 1U << 30;
    EXPECT(REFUSED, prewire_runtime_create(&config, &runtime));
    OK(prewire_config_init(&config));
    config.clusters = 100000;
    EXPECT(PREWIRE_STATUS_INVALID_SETTING, prewire_runtime_create(&config, &runtime));
    OK(prewire_config_init(&config));
    config.threads = 1000;
    EXPECT_TEXT(REFUSED, "1000", prewire_runtime_create(&config, &runtime));
    OK(prewire_config_init(&config));
    config.ring_task_window[0] = 5;
    EXPECT_TEXT(PREWIRE_STATUS_INVALID_SETTING, "ring_task_window", prewire_runtime_create(&config, &runtime));
    HOLDS(runtime == NULL);

    prewire_chip_info info;
    EXPECT_TEXT(NULL_HANDLE, "NULL", prewire_runtime_destroy(NULL));
    EXPECT_TEXT(NULL_HANDLE, "no handle", prewire_runtime_destroy((prewire_runtime *)&config));
    EXPECT(NULL_HANDLE, prewire_runtime_chip(NULL, &info));
    EXPECT(NULL_HANDLE, prewire_runtime_run(NULL, nothing, NULL, NULL));
    prewire_submission *submission;
    EXPECT(NULL_HANDLE, prewire_runtime_submit(NULL, nothing, NULL, &submission));
    HOLDS(submission == NULL);
    EXPECT(NULL_HANDLE, prewire_runtime_unregister(NULL, 0));
}

static void tensors(const prewire_tensor *good)
{
    prewire_tensor view, bad;
    prewire_tensor_info info;
    const uint32_t one = 1;
    memset(&bad, 0, sizeof bad);
    EXPECT(REFUSED, prewire_tensor_describe(NULL, &info));
    EXPECT(REFUSED, prewire_tensor_describe(&bad, &info));
    EXPECT(REFUSED, prewire_tensor_describe(good, NULL));
    EXPECT(REFUSED, prewire_tensor_slice(NULL, 0, 0, 1, 1, &view));
    EXPECT(REFUSED, prewire_tensor_slice(good, 0, 0, 1, 1, NULL));
    EXPECT(REFUSED, prewire_tensor_slice(good, 9, 0, 1, 1, &view));
    EXPECT(REFUSED, prewire_tensor_slice(good, 0, 0, 9, 1, &view));
    EXPECT(REFUSED, prewire_tensor_slice(good, 0, 0, 1, 0, &view));
    EXPECT(REFUSED, prewire_tensor_view(good, NULL, &one, 1, &view));
    EXPECT(REFUSED, prewire_tensor_view(good, &one, NULL, 1, &view));
    EXPECT(REFUSED, prewire_tensor_view(good, &one, &one, 1, &view));
    EXPECT(REFUSED, prewire_tensor_view(good, &one, &one, SIZE_MAX, &view));
    EXPECT(REFUSED, prewire_tensor_transpose(good, 0, 5, &view));
    EXPECT(REFUSED, prewire_tensor_transpose(&bad, 0, 0, &view));
    EXPECT(REFUSED, prewire_tensor_reshape(good, NULL, 2, &view));
    EXPECT(REFUSED, prewire_tensor_reshape(good, &one, 0, NULL));
}

static void buffers(prewire_runtime *runtime, prewire_runtime *another)
{
    prewire_buffer *buffer;
    prewire_tensor tensor;
    uint64_t bytes;
    const uint32_t shape[] = {1, 1, 1, 1, 1, 1};
    char data[8] = {0};
    EXPECT(REFUSED, prewire_buffer_create(runtime, 8, NULL));
    EXPECT(NULL_HANDLE, prewire_buffer_create(NULL, 8, &buffer));
    HOLDS(buffer == NULL);
    EXPECT(PREWIRE_STATUS_OUT_OF_MEMORY, prewire_buffer_create(runtime, UINT64_MAX, &buffer));
    OK(prewire_buffer_create(runtime, 8, &buffer));
    EXPECT(REFUSED, prewire_buffer_bytes(buffer, NULL));
    EXPECT(NULL_HANDLE, prewire_buffer_bytes(NULL, &bytes));
    EXPECT(REFUSED, prewire_buffer_write(runtime, buffer, NULL, 8));
    EXPECT(REFUSED, prewire_buffer_write(runtime, buffer, data, 7));
    EXPECT(REFUSED, prewire_buffer_read(runtime, buffer, data, 7));
    EXPECT(REFUSED, prewire_buffer_read(runtime, buffer, NULL, 8));
    EXPECT_TEXT(REFUSED, "another runtime", prewire_buffer_read(another, buffer, data, 8));
    EXPECT_TEXT(NULL_HANDLE, "of a buffer was given for a runtime", prewire_buffer_read((prewire_runtime *)buffer, buffer, data, 8));
    EXPECT(REFUSED, prewire_buffer_tensor(buffer, 0, 99, shape, 1, &tensor));
    EXPECT(REFUSED, prewire_buffer_tensor(buffer, 0, PREWIRE_DATA_TYPE_F32, NULL, 1, &tensor));
    EXPECT(REFUSED, prewire_buffer_tensor(buffer, 0, PREWIRE_DATA_TYPE_F32, shape, 6, &tensor));
    EXPECT(REFUSED, prewire_buffer_tensor(buffer, 1, PREWIRE_DATA_TYPE_F32, shape, 1, &tensor));
    EXPECT(REFUSED, prewire_buffer_tensor(buffer, UINT64_MAX, PREWIRE_DATA_TYPE_F32, shape, 1, &tensor));
    EXPECT(REFUSED, prewire_buffer_tensor(buffer, 0, PREWIRE_DATA_TYPE_F32, shape, 1, NULL));
    OK(prewire_buffer_destroy(buffer));
    EXPECT_TEXT(NULL_HANDLE, "destroyed", prewire_buffer_destroy(buffer));
    EXPECT(NULL_HANDLE, prewire_buffer_tensor(buffer, 0, PREWIRE_DATA_TYPE_F32, shape, 1, &tensor));
    EXPECT(NULL_HANDLE, prewire_buffer_destroy(NULL));
}

static void registrations(prewire_runtime *runtime)
{
    prewire_kernel kernel = PREWIRE_KERNEL_INIT("pry", PREWIRE_CORE_KIND_VECTOR, prying);
    uint32_t id;
    EXPECT(REFUSED, prewire_runtime_register(runtime, NULL, &id));
    EXPECT(REFUSED, prewire_runtime_register(runtime, &kernel, NULL));
    EXPECT(NULL_HANDLE, prewire_runtime_register(NULL, &kernel, &id));
    kernel.size = 1;
    EXPECT_TEXT(REFUSED, "kernel.size is 1", prewire_runtime_register(runtime, &kernel, &id));
    kernel.size = sizeof kernel;
    kernel.name = NULL;
    EXPECT(REFUSED, prewire_runtime_register(runtime, &kernel, &id));
    kernel.name = "\xFF\xFE";
    EXPECT_TEXT(REFUSED, "UTF-8", prewire_runtime_register(runtime, &kernel, &id));
    kernel.name = "pry";
    kernel.core_kind = 9;
    EXPECT(REFUSED, prewire_runtime_register(runtime, &kernel, &id));
    kernel.core_kind = PREWIRE_CORE_KIND_VECTOR;
    kernel.flags = 2;
    EXPECT(REFUSED, prewire_runtime_register(runtime, &kernel, &id));
    kernel.flags = 0;
    kernel.id = 5000;
    EXPECT_TEXT(PREWIRE_STATUS_REGISTRATION_FAILED, "5000", prewire_runtime_register(runtime, &kernel, &id));
    EXPECT(REFUSED, prewire_runtime_register_symbol(runtime, &kernel, "libm.so.6", "sin", &id));
    kernel.id = PREWIRE_NO_KERNEL;
    kernel.function = NULL;
    EXPECT(REFUSED, prewire_runtime_register(runtime, &kernel, &id));
    EXPECT(REFUSED, prewire_runtime_register_symbol(runtime, &kernel, NULL, "f", &id));
    EXPECT(REFUSED, prewire_runtime_register_symbol(runtime, &kernel, "libm.so.6", NULL, &id));
    EXPECT_TEXT(PREWIRE_STATUS_REGISTRATION_FAILED, "/no/library.so", prewire_runtime_register_symbol(runtime, &kernel, "/no/library.so", "f", &id));
    EXPECT_TEXT(PREWIRE_STATUS_REGISTRATION_FAILED, "no_kernel", prewire_runtime_register_symbol(runtime, &kernel, "libm.so.6", "no_kernel", &id));
    EXPECT(REFUSED, prewire_runtime_unregister(runtime, 1000));
    EXPECT(REFUSED, prewire_runtime_unregister(runtime, 1U << 20));
}

static void reports(prewire_report *report)
{
    prewire_report_counts counts = {.size = sizeof counts};
    prewire_kernel_failure failure;
    prewire_stall stall;
    EXPECT(NULL_HANDLE, prewire_report_destroy(NULL));
    EXPECT(NULL_HANDLE, prewire_report_get_counts(NULL, &counts));
    EXPECT(REFUSED, prewire_report_get_counts(report, NULL));
    counts.size = 8;
    EXPECT_TEXT(REFUSED, "counts.size is 8", prewire_report_get_counts(report, &counts));
    EXPECT(NULL_HANDLE, prewire_report_status(NULL));
    HOLDS(prewire_report_error(NULL) == NULL);
    HOLDS(prewire_report_note(NULL, 0) == NULL);
    HOLDS(prewire_report_note(report, 1000) == NULL);
    EXPECT(NULL_HANDLE, prewire_report_kernel_failure(NULL, &failure));
    EXPECT(PREWIRE_STATUS_NOT_AVAILABLE, prewire_report_stall(report, &stall));
    EXPECT(NULL_HANDLE, prewire_report_stall(NULL, &stall));
    EXPECT(REFUSED, prewire_report_write_trace(report, NULL));
    EXPECT(NULL_HANDLE, prewire_report_write_trace(NULL, "/tmp/none"));
    EXPECT_TEXT(PREWIRE_STATUS_NOT_AVAILABLE, "PREWIRE_RECORD_TRACE", prewire_report_write_trace(report, "/no/folder/trace.json"));
    EXPECT(NULL_HANDLE, prewire_runtime_destroy((prewire_runtime *)report));
    OK(prewire_report_destroy(report));
    EXPECT_TEXT(NULL_HANDLE, "destroyed", prewire_report_destroy(report));
    HOLDS(prewire_report_error(report) == NULL);
    EXPECT(NULL_HANDLE, prewire_report_status(report));
}

static void writers(void)
{
    prewire_flush_array array;
    prewire_flush_settings settings;
    prewire_flush_estimate estimate;
    prewire_flush_writer *writer = (prewire_flush_writer *)&array;
    prewire_flush_metrics metrics = {.size = sizeof metrics};
    prewire_flush_stage_metrics stage;
    size_t consumed;
    uint64_t elements;
    EXPECT(REFUSED, prewire_flush_array_init(NULL));
    EXPECT(REFUSED, prewire_flush_settings_init(NULL));
    OK(prewire_flush_array_init(&array));
    OK(prewire_flush_settings_init(&settings));
    EXPECT(REFUSED, prewire_flush_memory(NULL, &settings, 0, &estimate));
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "dimensions", prewire_flush_memory(&array, &settings, 0, &estimate));
    EXPECT(REFUSED, prewire_flush_create_folder(NULL, 1, &settings, "/tmp", &writer));
    HOLDS(writer == NULL);
    EXPECT(REFUSED, prewire_flush_create_folder(&array, 1, &settings, NULL, &writer));
    EXPECT(REFUSED, prewire_flush_create_folder(&array, 1, &settings, "/tmp", NULL));
    EXPECT(REFUSED, prewire_flush_create(&array, 1, &settings, NULL, &writer));
    EXPECT(NULL_HANDLE, prewire_flush_append(NULL, 0, "", 1, &consumed));
    EXPECT(NULL_HANDLE, prewire_flush_flush(NULL));
    EXPECT(NULL_HANDLE, prewire_flush_close(NULL));
    EXPECT(NULL_HANDLE, prewire_flush_destroy(NULL));
    EXPECT(NULL_HANDLE, prewire_flush_cursor(NULL, 0, &elements));
    EXPECT(NULL_HANDLE, prewire_flush_set_attribute(NULL, "", "a", "1"));
    EXPECT(NULL_HANDLE, prewire_flush_get_metrics(NULL, 0, &metrics));
    EXPECT(NULL_HANDLE, prewire_flush_get_stage(NULL, 0, PREWIRE_FLUSH_STAGE_SINK, &stage));
}

int main(void)
{
    HOLDS(prewire_abi_version() == PREWIRE_ABI_VERSION);
    HOLDS(strcmp(prewire_version(), PREWIRE_VERSION) == 0);
    HOLDS(strcmp(prewire_status_name(77777), "unknown status") == 0);
    HOLDS(prewire_last_error()[0] == 0);
    runtimes();
    writers();

    struct state state;
    memset(&state, 0, sizeof state);
    prewire_config config;
    prewire_runtime *another;
    OK(prewire_config_init(&config));
    config.clusters = 2;
    OK(prewire_runtime_create(&config, &state.runtime));
    OK(prewire_runtime_create(&config, &another));
    EXPECT(REFUSED, prewire_runtime_chip(state.runtime, NULL));
    EXPECT(REFUSED, prewire_runtime_run(state.runtime, NULL, NULL, NULL));
    prewire_submission *submission;
    uint32_t is_over = 0;
    EXPECT(REFUSED, prewire_runtime_submit(state.runtime, NULL, NULL, &submission));
    EXPECT(REFUSED, prewire_runtime_submit(state.runtime, nothing, NULL, NULL));
    OK(prewire_runtime_submit(state.runtime, nothing, NULL, &submission));
    EXPECT(REFUSED, prewire_submission_cancel(submission, NULL));
    EXPECT_TEXT(NULL_HANDLE, "submission", prewire_submission_wait((prewire_submission *)state.runtime, 0, NULL, NULL));
    OK(prewire_submission_wait(submission, PREWIRE_WAIT_FOREVER, NULL, NULL));
    OK(prewire_submission_destroy(submission));
    EXPECT_TEXT(NULL_HANDLE, "destroyed", prewire_submission_destroy(submission));
    EXPECT(NULL_HANDLE, prewire_submission_wait(submission, 0, &is_over, NULL));
    EXPECT(NULL_HANDLE, prewire_submission_wait(NULL, 0, &is_over, NULL));
    EXPECT(NULL_HANDLE, prewire_submission_cancel(NULL, "no reason"));
    EXPECT(NULL_HANDLE, prewire_submission_destroy(NULL));
    EXPECT(REFUSED, prewire_runtime_replay(state.runtime, NULL, 0, NULL));
    EXPECT_TEXT(PREWIRE_STATUS_FILE_FAILED, "/no/graph", prewire_runtime_replay(state.runtime, "/no/graph", 0, NULL));
    EXPECT(PREWIRE_STATUS_FILE_FAILED, prewire_runtime_replay(state.runtime, "/dev/null", 0, NULL));
    buffers(state.runtime, another);
    registrations(state.runtime);

    const uint32_t shape = 1;
    OK(prewire_buffer_create(state.runtime, 4, &state.buffer));
    OK(prewire_buffer_tensor(state.buffer, 0, PREWIRE_DATA_TYPE_F32, &shape, 1, &state.tensor));
    tensors(&state.tensor);
    prewire_kernel kernel = PREWIRE_KERNEL_INIT("pry", PREWIRE_CORE_KIND_VECTOR, prying);
    kernel.context = &state;
    OK(prewire_runtime_register(state.runtime, &kernel, &state.kernel));

    /* The first refused call is the run's error, although a kernel failed too. */
    prewire_report *report;
    EXPECT_TEXT(REFUSED, "task is NULL", prewire_runtime_run(state.runtime, orchestrate, &state, &report));
    HOLDS(state.kernels == 1);
    HOLDS(prewire_report_status(report) == REFUSED);
    reports(report);
    kernels_outside(NULL);
    kernels_outside(state.call);
    runs_outside(state.run, NULL_HANDLE);
    runs_outside(NULL, NULL_HANDLE);
    runs_outside((prewire_run *)state.runtime, NULL_HANDLE);
    EXPECT_TEXT(REFUSED, "returned 42", prewire_runtime_run(state.runtime, give_up, NULL, NULL));

    /* A tensor of a buffer that is gone, and the runtime behind all that. */
    OK(prewire_runtime_run(state.runtime, nothing, NULL, NULL));
    OK(prewire_runtime_unregister(state.runtime, state.kernel));
    OK(prewire_runtime_destroy(state.runtime));
    EXPECT_TEXT(NULL_HANDLE, "destroyed", prewire_runtime_destroy(state.runtime));
    EXPECT(NULL_HANDLE, prewire_runtime_run(state.runtime, nothing, NULL, NULL));
    OK(prewire_buffer_destroy(state.buffer));
    OK(prewire_runtime_destroy(another));
    puts("every misuse has a status");
    return 0;
}
