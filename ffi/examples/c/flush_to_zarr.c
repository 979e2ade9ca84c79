/* Streams frames of a camera into a sharded, compressed Zarr store: flush_to_zarr FOLDER. */
#include <prewire.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEIGHT = 128, WIDTH = 192, FRAMES = 20 };

static void check(prewire_status status, const char *what)
{
    if (status != PREWIRE_STATUS_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, prewire_status_name(status), prewire_last_error());
        exit(1);
    }
}

/* What the writer has to say besides its results. */
static void say(uint32_t level, const char *target, const char *message, void *context)
{
    (void)context;
    fprintf(stderr, "[%u] %s: %s\n", level, target, message);
}

int main(int count, char **arguments)
{
    const char *folder = count > 1 ? arguments[1] : "movie.zarr";
    const prewire_flush_dimension dimensions[] = {
        {.name = "t", .size = 0, .chunk = 1, .chunks_per_shard = 8},
        {.name = "y", .size = HEIGHT, .chunk = 64, .downsample = 1},
        {.name = "x", .size = WIDTH, .chunk = 64, .downsample = 1},
    };
    prewire_flush_array array;
    prewire_flush_settings settings;
    prewire_flush_writer *writer;
    check(prewire_flush_array_init(&array), "array");
    array.data_type = PREWIRE_FLUSH_TYPE_U16;
    array.codec = PREWIRE_FLUSH_CODEC_ZSTD;
    array.level = 1;
    array.dimensions = dimensions;
    array.dimension_count = 3;
    check(prewire_flush_settings_init(&settings), "settings");
    settings.target_batch_bytes = 4 << 20;
    settings.staging_bytes = 1 << 20;
    settings.overwrite = 1;
    settings.log = say;
    settings.log_level = PREWIRE_LOG_LEVEL_WARNING;

    prewire_flush_estimate estimate;
    check(prewire_flush_memory(&array, &settings, 0, &estimate), "estimate");
    printf("the writer takes %.1f MiB, whatever comes\n", (double)estimate.total_bytes / (1 << 20));
    check(prewire_flush_create_folder(&array, 1, &settings, folder, &writer), "writer");
    static uint16_t frame[HEIGHT][WIDTH];
    for (int number = 0; number < FRAMES; number++) {
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                frame[y][x] = (uint16_t)(number + y * x / 16);
            }
        }
        check(prewire_flush_append(writer, 0, frame, sizeof frame, NULL), "append");
    }
    check(prewire_flush_close(writer), "close");

    prewire_flush_metrics metrics = {.size = sizeof metrics};
    prewire_flush_stage_metrics compress;
    check(prewire_flush_get_metrics(writer, 0, &metrics), "metrics");
    check(prewire_flush_get_stage(writer, 0, PREWIRE_FLUSH_STAGE_COMPRESS, &compress), "stage");
    printf("%llu frames in %llu batches; compressed %.1f MiB in %.1f ms\n", (unsigned long long)metrics.appends,
           (unsigned long long)metrics.batches, (double)compress.bytes / (1 << 20), (double)compress.time_ns / 1e6);
    check(prewire_flush_destroy(writer), "destroy");

    char path[4096];
    snprintf(path, sizeof path, "%s/zarr.json", folder);
    FILE *document = fopen(path, "rb");
    puts(document != NULL && metrics.appends == FRAMES ? "PASS" : "FAIL");
    return document == NULL || fclose(document) != 0 || metrics.appends != FRAMES;
}
