// Claims FLUSH-156 (the C++17 half; flush_writer.c is the other), using prewire.h alone; and writes the same shard once more through prewire.hpp.
#include <prewire.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#define HOLDS(condition)                                                                                                                             \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            std::fprintf(stderr, "%s:%d: %s does not hold: %s\n", __FILE__, __LINE__, #condition, prewire_last_error());                             \
            std::exit(1);                                                                                                                            \
        }                                                                                                                                            \
    } while (0)

namespace {

const std::array<prewire_flush_dimension, 3> DIMENSIONS{{
    {"z", 4, 2, 0, 0, PREWIRE_FLUSH_AXIS_OF_NAME, nullptr, 0},
    {"y", 4, 2, 0, 0, PREWIRE_FLUSH_AXIS_OF_NAME, nullptr, 0},
    {"x", 6, 3, 0, 0, PREWIRE_FLUSH_AXIS_OF_NAME, nullptr, 0},
}};

std::vector<unsigned char> shard_in(const std::string &folder)
{
    std::vector<unsigned char> shard(400);
    std::FILE *file = std::fopen((folder + "/c/0/0/0").c_str(), "rb");
    HOLDS(file != nullptr);
    shard.resize(std::fread(shard.data(), 1, shard.size(), file));
    std::fclose(file);
    return shard;
}

} // namespace

// What prewire.hpp writes; it is included below, so that what comes before it uses prewire.h alone.
static void with_the_layer(const std::string &folder, const std::vector<std::uint16_t> &values);

int main(int count, char **arguments)
{
    HOLDS(count == 2);
    const std::string folder = arguments[1];
    std::vector<std::uint16_t> values(96);
    for (std::size_t i = 0; i < values.size(); i++) {
        values[i] = static_cast<std::uint16_t>(i);
    }
    prewire_flush_array array;
    prewire_flush_writer *writer = nullptr;
    HOLDS(prewire_flush_array_init(&array) == PREWIRE_STATUS_OK);
    array.data_type = PREWIRE_FLUSH_TYPE_U16;
    array.dimensions = DIMENSIONS.data();
    array.dimension_count = DIMENSIONS.size();
    HOLDS(prewire_flush_create_folder(&array, 1, nullptr, folder.c_str(), &writer) == PREWIRE_STATUS_OK);
    std::size_t at = 0;
    for (const std::size_t slice : {30, 2, 31, 32, 1}) {
        std::size_t consumed = 0;
        HOLDS(prewire_flush_append(writer, 0, &values[at], slice * 2, &consumed) == PREWIRE_STATUS_OK && consumed == slice * 2);
        at += slice;
    }
    HOLDS(at == values.size());
    HOLDS(prewire_flush_flush(writer) == PREWIRE_STATUS_OK);
    HOLDS(prewire_flush_close(writer) == PREWIRE_STATUS_OK);
    HOLDS(prewire_flush_destroy(writer) == PREWIRE_STATUS_OK);
    const auto shard = shard_in(folder);
    HOLDS(shard.size() == 324);
    HOLDS(shard[320] == 0xBE && shard[321] == 0x4D && shard[322] == 0x1A && shard[323] == 0x77);

    with_the_layer(folder + "-layer", values);
    HOLDS(shard_in(folder + "-layer") == shard);
    return 0;
}

#include <prewire.hpp>

static void with_the_layer(const std::string &folder, const std::vector<std::uint16_t> &values)
{
    prewire::flush::Array array(PREWIRE_FLUSH_TYPE_U16, {DIMENSIONS.begin(), DIMENSIONS.end()});
    HOLDS(prewire::flush::memory(array).total_bytes > 0);
    auto writer = prewire::flush::Writer::to_folder(array, folder);
    const auto appended = writer.append(values);
    HOLDS(appended.consumed == 192 && !appended.finished);
    HOLDS(writer.append(values).finished);
    writer.set_attribute("", "made_by", "\"the layer\"");
    writer.close();
    HOLDS(writer.metrics().appends == 2);
}
