/* Claims FLUSH-156 (the C11 half; flush_writer_cpp.cpp is the other): 96 values in 5 calls, and the shard that Rust writes. */
#include "expect.h"

int main(int count, char **arguments)
{
    HOLDS(count == 2);
    const prewire_flush_dimension dimensions[] = {
        {.name = "z", .size = 4, .chunk = 2},
        {.name = "y", .size = 4, .chunk = 2},
        {.name = "x", .size = 6, .chunk = 3},
    };
    prewire_flush_array array;
    prewire_flush_writer *writer;
    OK(prewire_flush_array_init(&array));
    array.data_type = PREWIRE_FLUSH_TYPE_U16;
    array.dimensions = dimensions;
    array.dimension_count = 3;
    OK(prewire_flush_create_folder(&array, 1, NULL, arguments[1], &writer));

    uint16_t values[96];
    for (uint16_t i = 0; i < 96; i++) {
        values[i] = i;
    }
    const size_t slices[] = {1, 7, 32, 40, 16};
    size_t at = 0;
    for (int i = 0; i < 5; i++) {
        size_t consumed = 0;
        uint64_t elements = 0;
        OK(prewire_flush_append(writer, 0, &values[at], slices[i] * 2, &consumed));
        HOLDS(consumed == slices[i] * 2);
        at += slices[i];
        OK(prewire_flush_cursor(writer, 0, &elements));
        HOLDS(elements == at);
    }
    OK(prewire_flush_flush(writer));
    OK(prewire_flush_close(writer));
    OK(prewire_flush_destroy(writer));

    char path[4096];
    unsigned char shard[400];
    HOLDS(snprintf(path, sizeof path, "%s/c/0/0/0", arguments[1]) < (int)sizeof path);
    FILE *file = fopen(path, "rb");
    HOLDS(file != NULL);
    HOLDS(fread(shard, 1, sizeof shard, file) == 324);
    HOLDS(fclose(file) == 0);
    const unsigned char checksum[] = {0xBE, 0x4D, 0x1A, 0x77};
    HOLDS(memcmp(&shard[320], checksum, 4) == 0);
    return 0;
}
