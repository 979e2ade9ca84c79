// Adds two vectors in tiles, and writes what the cores did for Perfetto if a file is named: vector_add [TRACE].
#include <prewire.hpp>

#include <cstdio>
#include <exception>
#include <vector>

int main(int count, char **arguments)
{
    constexpr std::uint32_t ELEMENTS = 1 << 16, TILES = 16, TILE = ELEMENTS / TILES;
    try {
        prewire::Config config;
        config.clusters = 8;
        config.flags = PREWIRE_RECORD_TRACE | PREWIRE_RECORD_GRAPH;
        auto runtime = prewire::Runtime::create(config);
        const auto add = runtime.vector_kernel("add", [](prewire::KernelCall &call) {
            const auto a = call.input<float>(0), b = call.input<float>(1);
            const auto sum = call.output<float>(2);
            for (std::size_t i = 0; i < sum.size(); i++) {
                sum[i] = a[i] + b[i];
            }
        });

        std::vector<float> values(ELEMENTS);
        for (std::uint32_t i = 0; i < ELEMENTS; i++) {
            values[i] = static_cast<float>(i);
        }
        const auto a_buffer = runtime.buffer_of(values), b_buffer = runtime.buffer_of(values);
        const auto sum_buffer = runtime.buffer(ELEMENTS * sizeof(float));
        const auto a = a_buffer.tensor<float>({ELEMENTS}), b = b_buffer.tensor<float>({ELEMENTS}), sum = sum_buffer.tensor<float>({ELEMENTS});
        const auto report = runtime.run([&](prewire::Run &run) {
            for (std::uint32_t tile = 0; tile < TILES; tile++) {
                const auto part = [&](const prewire::Tensor &whole) { return whole.slice(0, tile * TILE, (tile + 1) * TILE); };
                const auto from_a = part(a), from_b = part(b), to = part(sum);
                run.submit(prewire::Task::vector(add).input(from_a).input(from_b).output_existing(to));
            }
        });
        if (count > 1) {
            report.write_trace(arguments[1]);
        }

        const auto sums = sum_buffer.read<float>();
        std::uint32_t wrong = 0;
        for (std::uint32_t i = 0; i < ELEMENTS; i++) {
            wrong += sums[i] != 2 * values[i];
        }
        std::printf("%s: %llu tasks, %u of %u sums are wrong\n", wrong == 0 ? "PASS" : "FAIL", static_cast<unsigned long long>(report.counts().tasks), wrong, ELEMENTS);
        return wrong == 0 ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
