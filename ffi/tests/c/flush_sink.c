/* Claims FLUSH-158: a sink written in C gets the calls that a sink gets, what it does not offer is not asked of it, its code is in the error, and nothing is called once the
 * writer is destroyed. */
#include "expect.h"

enum { SHARDS = 4, SHARD_BYTES = 1024 };

struct file {
    struct store *store;
    unsigned char bytes[SHARD_BYTES];
    size_t length;
    int ended;
};

struct store {
    struct file files[SHARDS];
    int opened, writes, direct, fences, waits, finalized, abandoned, documents, pending, flushed, calls, fail_at;
    char keys[SHARDS][32];
};

static int32_t open_file(void *context, const char *key, void **file)
{
    struct store *store = context;
    store->calls++;
    HOLDS(store->opened < SHARDS && strlen(key) < 32);
    strcpy(store->keys[store->opened], key);
    store->files[store->opened].store = store;
    *file = &store->files[store->opened++];
    return 0;
}

static int32_t store_bytes(struct file *file, uint64_t offset, const void *data, size_t bytes)
{
    struct store *store = file->store;
    store->calls++;
    store->writes++;
    if (store->writes == store->fail_at) {
        return 28;
    }
    HOLDS(offset + bytes <= SHARD_BYTES && !file->ended);
    memcpy(&file->bytes[offset], data, bytes);
    file->length = offset + bytes > file->length ? offset + bytes : file->length;
    return 0;
}

static int32_t write_file(void *context, void *file, uint64_t offset, const void *data, size_t bytes)
{
    HOLDS(context == ((struct file *)file)->store);
    return store_bytes(file, offset, data, bytes);
}

static int32_t write_direct(void *context, void *file, uint64_t offset, const void *data, size_t bytes)
{
    ((struct store *)context)->direct++;
    return store_bytes(file, offset, data, bytes);
}

static int32_t finalize(void *context, void *file)
{
    struct store *store = context;
    store->calls++;
    store->finalized++;
    ((struct file *)file)->ended = 1;
    return 0;
}

static void abandon(void *context, void *file)
{
    struct store *store = context;
    store->calls++;
    store->abandoned++;
    HOLDS(!((struct file *)file)->ended);
}

static int32_t put(void *context, const char *key, const void *data, size_t bytes)
{
    struct store *store = context;
    store->calls++;
    store->documents += strcmp(key, "zarr.json") == 0 && bytes > 2 && ((const char *)data)[0] == '{';
    return 0;
}

static uint64_t record_fence(void *context)
{
    struct store *store = context;
    store->calls++;
    return (uint64_t)++store->fences;
}

static int32_t wait_fence(void *context, uint64_t fence)
{
    struct store *store = context;
    store->calls++;
    store->waits++;
    HOLDS(fence >= 1 && fence <= (uint64_t)store->fences);
    return 0;
}

static uint64_t pending(void *context)
{
    struct store *store = context;
    store->calls++;
    store->pending++;
    return 0;
}

static int32_t flush(void *context)
{
    struct store *store = context;
    store->calls++;
    store->flushed++;
    return 0;
}

static prewire_flush_writer *writer_to(const prewire_flush_sink *sink)
{
    static const prewire_flush_dimension dimensions[] = {
        {.name = "t", .size = 0, .chunk = 1, .chunks_per_shard = 1},
        {.name = "y", .size = 4, .chunk = 2},
        {.name = "x", .size = 6, .chunk = 3},
    };
    prewire_flush_array array;
    prewire_flush_settings settings;
    prewire_flush_writer *writer;
    OK(prewire_flush_array_init(&array));
    OK(prewire_flush_settings_init(&settings));
    array.dimensions = dimensions;
    array.dimension_count = 3;
    settings.epochs_per_batch = 1;
    settings.backpressure_bytes = 1 << 20;
    settings.metadata_update_interval_ms = 0;
    OK(prewire_flush_create(&array, 1, &settings, sink, &writer));
    return writer;
}

static void frames(unsigned char *bytes)
{
    for (int i = 0; i < 72; i++) {
        bytes[i] = (unsigned char)i;
    }
}

int main(int count, char **arguments)
{
    HOLDS(count == 2);
    unsigned char data[72];
    frames(data);

    /* Everything offered: three frames, a shard each. */
    static struct store store;
    prewire_flush_sink sink = {sizeof sink, &store, 0, open_file, write_file, write_direct, NULL, finalize, abandon, put, record_fence, wait_fence, pending, flush};
    prewire_flush_writer *writer = writer_to(&sink);
    OK(prewire_flush_append(writer, 0, data, sizeof data, NULL));
    OK(prewire_flush_close(writer));
    OK(prewire_flush_destroy(writer));
    const int calls = store.calls;
    HOLDS(store.opened == 3 && store.finalized == 3 && store.abandoned == 0);
    HOLDS(store.documents >= 2 && store.fences > 0 && store.waits > 0 && store.pending > 0 && store.flushed > 0 && store.writes >= 3);
    HOLDS(strcmp(store.keys[0], "c/0/0/0") == 0 && strcmp(store.keys[2], "c/2/0/0") == 0);

    /* The same bytes as in a folder. */
    prewire_flush_dimension dimensions[] = {
        {.name = "t", .size = 0, .chunk = 1, .chunks_per_shard = 1},
        {.name = "y", .size = 4, .chunk = 2},
        {.name = "x", .size = 6, .chunk = 3},
    };
    prewire_flush_array array;
    OK(prewire_flush_array_init(&array));
    array.dimensions = dimensions;
    array.dimension_count = 3;
    OK(prewire_flush_create_folder(&array, 1, NULL, arguments[1], &writer));
    OK(prewire_flush_append(writer, 0, data, sizeof data, NULL));
    OK(prewire_flush_close(writer));
    OK(prewire_flush_destroy(writer));
    for (int i = 0; i < 3; i++) {
        char path[4096];
        unsigned char bytes[SHARD_BYTES];
        HOLDS(snprintf(path, sizeof path, "%s/%s", arguments[1], store.keys[i]) < (int)sizeof path);
        FILE *file = fopen(path, "rb");
        HOLDS(file != NULL);
        HOLDS(fread(bytes, 1, sizeof bytes, file) == store.files[i].length);
        HOLDS(memcmp(bytes, store.files[i].bytes, store.files[i].length) == 0);
        HOLDS(fclose(file) == 0);
    }
    HOLDS(store.calls == calls);

    /* Only what a sink must have. */
    static struct store least;
    prewire_flush_sink bare = {.size = sizeof bare, .context = &least, .open = open_file, .write = write_file, .finalize = finalize};
    writer = writer_to(&bare);
    OK(prewire_flush_append(writer, 0, data, sizeof data, NULL));
    OK(prewire_flush_close(writer));
    OK(prewire_flush_destroy(writer));
    HOLDS(least.opened == 3 && least.finalized == 3 && least.direct == 0);
    HOLDS(least.calls == least.opened + least.writes + least.finalized);
    for (int i = 0; i < 3; i++) {
        HOLDS(least.files[i].length == store.files[i].length && memcmp(least.files[i].bytes, store.files[i].bytes, least.files[i].length) == 0);
    }
    bare.finalize = NULL;
    prewire_flush_writer *none;
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_INVALID_CONFIG, "sink.finalize", prewire_flush_create(&array, 1, NULL, &bare, &none));

    /* The third write fails with 28. */
    static struct store failing;
    failing.fail_at = 3;
    sink.context = &failing;
    writer = writer_to(&sink);
    prewire_status status = prewire_flush_append(writer, 0, data, sizeof data, NULL);
    if (status == PREWIRE_STATUS_OK) {
        status = prewire_flush_close(writer);
    }
    HOLDS(status == PREWIRE_STATUS_FLUSH_SINK_FAILED);
    HOLDS(strstr(prewire_last_error(), "28") != NULL);
    EXPECT_TEXT(PREWIRE_STATUS_FLUSH_BROKEN, "28", prewire_flush_append(writer, 0, data, 24, NULL));
    const int before = failing.finalized;
    (void)prewire_flush_destroy(writer);
    const int after = failing.calls;
    HOLDS(failing.finalized == before && failing.finalized + failing.abandoned == failing.opened);
    HOLDS(failing.calls == after);
    return 0;
}
