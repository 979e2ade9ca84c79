// Streams frames into a sharded, compressed Zarr store: flush_to_zarr FOLDER.
#include <prewire.hpp>

#include <cstdio>
#include <exception>
#include <vector>

int main(int count, char **arguments)
{
    constexpr std::size_t HEIGHT = 128, WIDTH = 192, FRAMES = 20;
    try {
        using prewire::flush::dimension;
        prewire::flush::Array array(PREWIRE_FLUSH_TYPE_U16, {dimension("t", 0, 1, 8), dimension("y", HEIGHT, 64), dimension("x", WIDTH, 64)});
        array.codec = PREWIRE_FLUSH_CODEC_BLOSC_ZSTD;
        array.level = 5;
        array.shuffle = PREWIRE_FLUSH_SHUFFLE_BYTE;
        prewire::flush::Settings settings;
        settings.overwrite = 1;
        settings.staging_bytes = 1 << 20;
        settings.target_batch_bytes = 4 << 20;
        auto writer = prewire::flush::Writer::to_folder(array, count > 1 ? arguments[1] : "movie.zarr", settings);
        std::vector<std::uint16_t> frame(HEIGHT * WIDTH);
        for (std::size_t number = 0; number < FRAMES; number++) {
            for (std::size_t i = 0; i < frame.size(); i++) {
                frame[i] = static_cast<std::uint16_t>(number + i / 16);
            }
            writer.append(frame);
        }
        writer.close();
        const auto metrics = writer.metrics();
        std::printf("%s: %llu frames in %llu batches\n", metrics.appends == FRAMES ? "PASS" : "FAIL", static_cast<unsigned long long>(metrics.appends),
                    static_cast<unsigned long long>(metrics.batches));
        return metrics.appends == FRAMES ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
