// Multiplies two matrices in tiles: cube cores multiply, vector cores add what they leave; the graph between them follows from what each task reads and writes.
#include <prewire.hpp>

#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

namespace {

constexpr std::uint32_t SIZE = 128, TILE = 32, TILES = SIZE / TILE;

// A tile of a matrix.
prewire::Tensor tile(const prewire::Tensor &matrix, std::uint32_t row, std::uint32_t column)
{
    return matrix.view({TILE, TILE}, {row * TILE, column * TILE});
}

// The product of two tiles, for a cube core.
void multiply(prewire::KernelCall &call)
{
    const auto a = call.input<float>(0), b = call.input<float>(1);
    const auto product = call.output<float>(2);
    for (std::uint32_t row = 0; row < TILE; row++) {
        for (std::uint32_t column = 0; column < TILE; column++) {
            float sum = 0;
            for (std::uint32_t i = 0; i < TILE; i++) {
                sum += a(row, i) * b(i, column);
            }
            product(row, column) = sum;
        }
    }
}

// Adds a product to a tile of the result, for a vector core.
void accumulate(prewire::KernelCall &call)
{
    const auto product = call.input<float>(0);
    const auto result = call.output<float>(1);
    for (std::uint32_t row = 0; row < TILE; row++) {
        for (std::uint32_t column = 0; column < TILE; column++) {
            result(row, column) += product(row, column);
        }
    }
}

double value(const std::vector<float> &matrix, std::uint32_t row, std::uint32_t column) { return matrix[row * SIZE + column]; }

int run()
{
    prewire::Config config;
    config.clusters = 8;
    auto runtime = prewire::Runtime::create(config);
    const auto cube = runtime.cube_kernel("multiply", multiply, {true});
    const auto vector = runtime.vector_kernel("accumulate", accumulate, {true});

    std::vector<float> left(SIZE * SIZE), right(SIZE * SIZE);
    for (std::uint32_t i = 0; i < SIZE * SIZE; i++) {
        left[i] = static_cast<float>(i % 7) - 3;
        right[i] = static_cast<float>(i % 5) - 2;
    }
    const auto a_buffer = runtime.buffer_of(left), b_buffer = runtime.buffer_of(right);
    const auto c_buffer = runtime.buffer(SIZE * SIZE * sizeof(float));
    const auto a = a_buffer.tensor<float>({SIZE, SIZE}), b = b_buffer.tensor<float>({SIZE, SIZE}), c = c_buffer.tensor<float>({SIZE, SIZE});

    const auto report = runtime.run([&](prewire::Run &run) {
        for (std::uint32_t row = 0; row < TILES; row++) {
            for (std::uint32_t column = 0; column < TILES; column++) {
                // What the tasks of a scope allocate is given back behind it.
                run.scope([&] {
                    const auto result = tile(c, row, column);
                    for (std::uint32_t i = 0; i < TILES; i++) {
                        const auto from_a = tile(a, row, i), from_b = tile(b, i, column);
                        prewire::Tensor product;
                        run.submit(prewire::Task::cube(cube).input(from_a).input(from_b).output(prewire::NewTensor::of<float>({TILE, TILE}), product));
                        run.submit(prewire::Task::vector(vector).input(product).inout(result));
                    }
                });
            }
        }
    });

    const auto got = c_buffer.read<float>();
    double error = 0;
    for (std::uint32_t row = 0; row < SIZE; row++) {
        for (std::uint32_t column = 0; column < SIZE; column++) {
            double sum = 0;
            for (std::uint32_t i = 0; i < SIZE; i++) {
                sum += value(left, row, i) * value(right, i, column);
            }
            error = std::fmax(error, std::fabs(sum - value(got, row, column)));
        }
    }
    const auto counts = report.counts();
    std::printf("%s: %llu tasks, largest error %g, ring 1 needed %llu bytes of its heap\n", error == 0 ? "PASS" : "FAIL",
                static_cast<unsigned long long>(counts.tasks), error, static_cast<unsigned long long>(counts.rings[1].heap_peak_bytes));
    return error == 0 ? 0 : 1;
}

} // namespace

int main()
{
    try {
        return run();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
