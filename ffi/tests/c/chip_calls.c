/* What only a C program can say to the runtime, or says in another way than Rust does.
 *
 * Claims CHIP-005 (block counts of 0, -1 and 2^31; a Rust test makes the 60 000 calls), CHIP-031 (ids that were never issued, a null list of 3, an empty list),
 * CHIP-054 (scopes that are not open, and scopes left open), CHIP-113 (allocations with no output, an input, a scalar), CHIP-116 (a predicate without an operand, with
 * an index outside, over floats). */
#include "expect.h"

#define REFUSED PREWIRE_STATUS_INVALID_ARGUMENTS

struct state {
    prewire_tensor floats, integers;
    uint32_t kernel;
    int seen;
};

static int32_t count(prewire_kernel_call *call)
{
    struct state *state = call->context;
    __atomic_fetch_add(&state->seen, 1, __ATOMIC_RELAXED);
    return 0;
}

static prewire_task vector_task(const struct state *state)
{
    prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_VECTOR);
    task.kernels[0] = state->kernel;
    return task;
}

static uint32_t blocks(prewire_run *run, void *context)
{
    prewire_task task = vector_task(context);
    task.blocks = 0;
    EXPECT_TEXT(REFUSED, "0 blocks", prewire_run_submit(run, &task, NULL));
    task.blocks = -1;
    EXPECT_TEXT(REFUSED, "-1 blocks", prewire_run_submit(run, &task, NULL));
    task.blocks = (int64_t)1 << 31;
    EXPECT_TEXT(REFUSED, "2147483648 blocks", prewire_run_submit(run, &task, NULL));
    task.blocks = 5;
    OK(prewire_run_submit(run, &task, NULL));
    return 0;
}

static uint32_t dependencies(prewire_run *run, void *context)
{
    prewire_task task = vector_task(context);
    uint64_t first, second;
    OK(prewire_run_submit(run, &task, &first));
    const uint64_t never[] = {UINT64_MAX, first + 1, first + 1000};
    for (int i = 0; i < 3; i++) {
        const prewire_dependency dependency = {never[i], 0, 0};
        task.dependencies = &dependency;
        task.dependency_count = 1;
        EXPECT_TEXT(REFUSED, "code 5", prewire_run_submit(run, &task, NULL));
    }
    task.dependencies = NULL;
    task.dependency_count = 3;
    EXPECT_TEXT(REFUSED, "code 5", prewire_run_submit(run, &task, NULL));
    HOLDS(strstr(prewire_last_error(), "dependencies is NULL") != NULL);
    task.dependency_count = 0;
    OK(prewire_run_submit(run, &task, &second));
    const prewire_dependency named[] = {{first, 0, 0}, {second, PREWIRE_DEPENDENCY_WAIT_ONLY, 0}};
    task.dependencies = named;
    task.dependency_count = 2;
    OK(prewire_run_submit(run, &task, NULL));
    return 0;
}

static uint32_t scopes(prewire_run *run, void *context)
{
    (void)context;
    EXPECT_TEXT(REFUSED, "code 5", prewire_run_close_scope(run));
    OK(prewire_run_open_scope(run, PREWIRE_SCOPE_KIND_AUTOMATIC));
    OK(prewire_run_close_scope(run));
    EXPECT_TEXT(REFUSED, "no scope is open", prewire_run_close_scope(run));
    OK(prewire_run_open_scope(run, PREWIRE_SCOPE_KIND_MANUAL));
    OK(prewire_run_open_scope(run, PREWIRE_SCOPE_KIND_MANUAL));
    return 0;
}

static uint32_t left_open(prewire_run *run, void *context)
{
    (void)context;
    for (int i = 0; i < 3; i++) {
        OK(prewire_run_open_scope(run, PREWIRE_SCOPE_KIND_AUTOMATIC));
    }
    return 0;
}

static uint32_t allocations(prewire_run *run, void *context)
{
    struct state *state = context;
    const prewire_new_tensor shape = {{4}, 1, PREWIRE_DATA_TYPE_I32, 1, 7};
    prewire_tensor made[3];
    const prewire_argument outputs[] = {
        PREWIRE_ARGUMENT_OUTPUT(&shape, &made[0]),
        PREWIRE_ARGUMENT_OUTPUT(&shape, &made[1]),
        PREWIRE_ARGUMENT_OUTPUT(&shape, &made[2]),
    };
    prewire_task task = PREWIRE_TASK_INIT(PREWIRE_TASK_KIND_ALLOCATION);
    EXPECT_TEXT(REFUSED, "code 5", prewire_run_submit(run, &task, NULL));
    const prewire_argument mixed[] = {outputs[0], PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INPUT, &state->floats)};
    task.arguments = mixed;
    task.argument_count = 2;
    EXPECT_TEXT(REFUSED, "no output", prewire_run_submit(run, &task, NULL));
    const uint64_t scalar = 1;
    task.arguments = outputs;
    task.argument_count = 3;
    task.scalars = &scalar;
    task.scalar_count = 1;
    EXPECT_TEXT(REFUSED, "a scalar", prewire_run_submit(run, &task, NULL));
    task.scalar_count = 0;
    OK(prewire_run_submit(run, &task, NULL));
    for (int i = 0; i < 3; i++) {
        const uint32_t index = 3;
        int32_t value = 0;
        OK(prewire_run_get(run, &made[i], &index, 1, PREWIRE_DATA_TYPE_I32, &value));
        HOLDS(value == 7);
    }
    const prewire_argument use = PREWIRE_ARGUMENT(PREWIRE_ARGUMENT_KIND_INOUT, &made[1]);
    task = vector_task(state);
    task.arguments = &use;
    task.argument_count = 1;
    OK(prewire_run_submit(run, &task, NULL));
    return 0;
}

static uint32_t predicates(prewire_run *run, void *context)
{
    struct state *state = context;
    prewire_task task = vector_task(state);
    const uint32_t inside = 1, outside = 4;
    prewire_predicate predicate = {NULL, &inside, 1, PREWIRE_COMPARISON_EQUAL, 0, 0};
    task.predicate = &predicate;
    EXPECT_TEXT(REFUSED, "operand", prewire_run_submit(run, &task, NULL));
    predicate.operand = &state->integers;
    predicate.indices = &outside;
    EXPECT_TEXT(REFUSED, "4", prewire_run_submit(run, &task, NULL));
    predicate.operand = &state->floats;
    predicate.indices = &inside;
    EXPECT_TEXT(REFUSED, "f32", prewire_run_submit(run, &task, NULL));
    predicate.operand = &state->integers;
    predicate.comparison = 0;
    EXPECT_TEXT(REFUSED, "comparison", prewire_run_submit(run, &task, NULL));
    /* The element is 0: the first runs, the second does not. */
    predicate.comparison = PREWIRE_COMPARISON_EQUAL;
    OK(prewire_run_submit(run, &task, NULL));
    predicate.comparison = PREWIRE_COMPARISON_GREATER;
    OK(prewire_run_submit(run, &task, NULL));
    return 0;
}

/* Runs an orchestration that is refused something, and says how many kernels it ran. */
static int refused_run(prewire_runtime *runtime, prewire_orchestration orchestration, struct state *state)
{
    state->seen = 0;
    EXPECT(REFUSED, prewire_runtime_run(runtime, orchestration, state, NULL));
    return state->seen;
}

int main(void)
{
    struct state state;
    prewire_runtime *runtime;
    prewire_buffer *buffer;
    prewire_config config;
    const uint32_t four = 4;
    OK(prewire_config_init(&config));
    config.clusters = 2;
    OK(prewire_runtime_create(&config, &runtime));
    OK(prewire_buffer_create(runtime, 32, &buffer));
    OK(prewire_buffer_tensor(buffer, 0, PREWIRE_DATA_TYPE_F32, &four, 1, &state.floats));
    OK(prewire_buffer_tensor(buffer, 16, PREWIRE_DATA_TYPE_I32, &four, 1, &state.integers));
    prewire_kernel kernel = PREWIRE_KERNEL_INIT("count", PREWIRE_CORE_KIND_VECTOR, count);
    kernel.context = &state;
    OK(prewire_runtime_register(runtime, &kernel, &state.kernel));

    HOLDS(refused_run(runtime, blocks, &state) == 5);
    HOLDS(refused_run(runtime, dependencies, &state) == 3);
    HOLDS(refused_run(runtime, scopes, &state) == 0);
    HOLDS(refused_run(runtime, allocations, &state) == 1);
    HOLDS(refused_run(runtime, predicates, &state) == 1);

    /* Scopes that nobody closed are closed, and the report says how many. */
    prewire_report *report;
    prewire_report_counts counts = {.size = sizeof counts};
    OK(prewire_runtime_run(runtime, left_open, &state, &report));
    OK(prewire_report_get_counts(report, &counts));
    HOLDS(counts.scopes_left_open == 3 && counts.notes >= 1);
    HOLDS(strstr(prewire_report_note(report, 0), "3 scopes") != NULL);
    OK(prewire_report_destroy(report));
    OK(prewire_buffer_destroy(buffer));
    OK(prewire_runtime_destroy(runtime));
    return 0;
}
