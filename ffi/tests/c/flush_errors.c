/* Claims FLUSH-157: what a writer says to calls that it cannot take. That each of its errors has a number of its own is a unit test of the library. */
#include "expect.h"
#include <pthread.h>

struct shared {
    prewire_flush_writer *writer;
    pthread_barrier_t in_open, tried;
};

/* Holds an append inside the sink while another thread tries the same writer. */
static int32_t open_slowly(void *context, const char *key, void **file)
{
    struct shared *shared = context;
    (void)key;
    *file = shared;
    pthread_barrier_wait(&shared->in_open);
    pthread_barrier_wait(&shared->tried);
    return 0;
}

static int32_t drop_bytes(void *context, void *file, uint64_t offset, const void *data, size_t bytes)
{
    (void)context;
    (void)file;
    (void)offset;
    (void)data;
    (void)bytes;
    return 0;
}

static int32_t end(void *context, void *file)
{
    (void)context;
    (void)file;
    return 0;
}

static void *close_it(void *context)
{
    struct shared *shared = context;
    OK(prewire_flush_close(shared->writer));
    return NULL;
}

int main(int count, char **arguments)
{
    HOLDS(count == 2);
    prewire_flush_dimension dimension = {.name = "t", .size = 8, .chunk = 4, .chunks_per_shard = 2};
    prewire_flush_array array;
    prewire_flush_settings settings;
    prewire_flush_writer *writer;
    size_t consumed = 99;
    const char data[16] = {0};
    OK(prewire_flush_array_init(&array));
    OK(prewire_flush_settings_init(&settings));
    array.dimensions = &dimension;
    array.dimension_count = 1;

    /* Structures of another version, and values that no field has. */
    array.size = 12;
    EXPECT_TEXT(PREWIRE_STATUS_INVALID_ARGUMENTS, "array[0].size is 12", prewire_flush_create_folder(&array, 1, NULL, arguments[1], &writer));
    HOLDS(writer == NULL);
    array.size = sizeof array;
    settings.size = 4096;
    EXPECT_TEXT(PREWIRE_STATUS_INVALID_ARGUMENTS, "settings.size is 4096", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    settings.size = sizeof settings;
    array.data_type = 50;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "data_type", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    array.data_type = PREWIRE_FLUSH_TYPE_U8;
    array.codec = 9;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "codec", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    array.codec = PREWIRE_FLUSH_CODEC_ZSTD;
    array.level = 99;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "99", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    array.codec = PREWIRE_FLUSH_CODEC_NONE;
    array.level = 0;
    dimension.chunk = 0;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "dimensions[0].chunk", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    dimension.chunk = 4;
    settings.device = 7;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "device", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    /* No CUDA device is built in; the process goes on with the host's cores. */
    settings.device = PREWIRE_FLUSH_DEVICE_CUDA;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_DEVICE_UNAVAILABLE, "cuda", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    HOLDS(writer == NULL);
    settings.device = PREWIRE_FLUSH_DEVICE_CPU;
    settings.memory_budget_bytes = 16;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_OUT_OF_MEMORY, "largest", prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    settings.memory_budget_bytes = 0;
    EXPECT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, prewire_flush_create_folder(NULL, 0, &settings, arguments[1], &writer));

    /* What a good writer does not take. */
    prewire_flush_estimate estimate;
    OK(prewire_flush_memory(&array, &settings, 0, &estimate));
    HOLDS(estimate.total_bytes >= estimate.largest_bytes && estimate.largest_bytes > 0 && estimate.epochs_per_batch > 0);
    OK(prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    EXPECT_TEXT(PREWIRE_STATUS_INVALID_ARGUMENTS, "data is NULL", prewire_flush_append(writer, 0, NULL, 4, &consumed));
    HOLDS(consumed == 0);
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_INPUT, "array 1", prewire_flush_append(writer, 1, data, 4, &consumed));
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_INPUT, "JSON", prewire_flush_set_attribute(writer, "", "key", "no json"));
    EXPECT(PREWIRE_STATUS_INVALID_ARGUMENTS, prewire_flush_set_attribute(writer, NULL, "key", "1"));
    OK(prewire_flush_set_attribute(writer, "", "key", "[1, 2]"));
    OK(prewire_flush_append(writer, 0, NULL, 0, &consumed));
    OK(prewire_flush_append(writer, 0, data, 3, &consumed));
    EXPECT(PREWIRE_STATUS_FLUSH_FINISHED, prewire_flush_append(writer, 0, data, 16, &consumed));
    HOLDS(consumed == 5);
    OK(prewire_flush_close(writer));
    OK(prewire_flush_close(writer));
    OK(prewire_flush_flush(writer));
    EXPECT(PREWIRE_STATUS_FLUSH_FINISHED, prewire_flush_append(writer, 0, data, 1, &consumed));
    HOLDS(consumed == 0);
    prewire_flush_metrics metrics = {.size = sizeof metrics};
    prewire_flush_stage_metrics stage;
    OK(prewire_flush_get_metrics(writer, 0, &metrics));
    HOLDS(metrics.appends >= 3 && metrics.batches >= 1);
    OK(prewire_flush_get_stage(writer, 0, PREWIRE_FLUSH_STAGE_SINK, &stage));
    HOLDS(stage.count > 0 && stage.bytes > 0);
    EXPECT(PREWIRE_STATUS_INVALID_ARGUMENTS, prewire_flush_get_stage(writer, 0, 99, &stage));
    EXPECT(PREWIRE_STATUS_FLUSH_INVALID_INPUT, prewire_flush_get_metrics(writer, 3, &metrics));
    OK(prewire_flush_destroy(writer));
    EXPECT_TEXT(PREWIRE_STATUS_BAD_HANDLE, "destroyed", prewire_flush_destroy(writer));
    EXPECT(PREWIRE_STATUS_BAD_HANDLE, prewire_flush_append(writer, 0, data, 1, &consumed));
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_ALREADY_EXISTS, arguments[1], prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    settings.overwrite = 1;
    OK(prewire_flush_create_folder(&array, 1, &settings, arguments[1], &writer));
    OK(prewire_flush_destroy(writer));

    /* Two arrays of one writer: one is not left in the middle of an epoch. */
    prewire_flush_array both[] = {array, array};
    const char *const places[] = {"one", "two"};
    char folder[4096];
    HOLDS(snprintf(folder, sizeof folder, "%s-both", arguments[1]) < (int)sizeof folder);
    settings.overwrite = 0;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "name", prewire_flush_create_folder(both, 2, &settings, folder, &writer));
    for (int i = 0; i < 2; i++) {
        both[i].name = places[i];
    }
    OK(prewire_flush_create_folder(both, 2, &settings, folder, &writer));
    OK(prewire_flush_append(writer, 0, data, 3, &consumed));
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_NOT_FLUSHABLE, "short of an epoch", prewire_flush_append(writer, 1, data, 4, &consumed));
    HOLDS(consumed == 0);
    OK(prewire_flush_append(writer, 0, data, 1, &consumed));
    OK(prewire_flush_append(writer, 1, data, 4, &consumed));
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_INPUT, "one array", prewire_flush_set_attribute(writer, "", "key", "1"));
    OK(prewire_flush_flush(writer));
    OK(prewire_flush_close(writer));
    uint64_t elements = 0;
    OK(prewire_flush_cursor(writer, 1, &elements));
    HOLDS(elements == 4);
    OK(prewire_flush_destroy(writer));

    /* Two threads at once: the second is told, and nothing is lost. */
    struct shared shared;
    HOLDS(pthread_barrier_init(&shared.in_open, NULL, 2) == 0 && pthread_barrier_init(&shared.tried, NULL, 2) == 0);
    const prewire_flush_sink sink = {.size = sizeof sink, .context = &shared, .open = open_slowly, .write = drop_bytes, .finalize = end};
    OK(prewire_flush_create(&array, 1, NULL, &sink, &shared.writer));
    OK(prewire_flush_append(shared.writer, 0, data, 5, &consumed));
    pthread_t thread;
    HOLDS(pthread_create(&thread, NULL, close_it, &shared) == 0);
    pthread_barrier_wait(&shared.in_open);
    EXPECT_TEXT(PREWIRE_STATUS_BUSY, "writer", prewire_flush_append(shared.writer, 0, data, 1, &consumed));
    EXPECT(PREWIRE_STATUS_BUSY, prewire_flush_destroy(shared.writer));
    pthread_barrier_wait(&shared.tried);
    HOLDS(pthread_join(thread, NULL) == 0);
    OK(prewire_flush_destroy(shared.writer));
    pthread_barrier_destroy(&shared.in_open);
    pthread_barrier_destroy(&shared.tried);
    return 0;
}
