// The C++ layer with exceptions: objects, views, lambdas, and what is thrown.
#include <prewire.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#define HOLDS(condition)                                                                                                                             \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                                                       \
            std::exit(1);                                                                                                                            \
        }                                                                                                                                            \
    } while (0)

namespace {

// What the call throws, which must be an Error with this status.
template <typename Call>
std::string thrown(prewire_status status, Call call)
{
    try {
        call();
    } catch (const prewire::Error &error) {
        HOLDS(error.status() == status);
        return error.what();
    }
    HOLDS(!"nothing was thrown");
    return "";
}

prewire::Config small()
{
    prewire::Config config;
    config.clusters = 2;
    return config;
}

void graphs()
{
    auto runtime = prewire::Runtime::create(small());
    HOLDS(runtime.chip().clusters == 2 && runtime.chip().vector_cores == 4);
    int calls = 0;
    const auto scale = runtime.vector_kernel("scale", [](prewire::KernelCall &call) {
        const auto from = call.input<float>(0);
        auto to = call.output<float>(1);
        const auto factor = call.scalar<float>(0);
        for (std::size_t i = 0; i < from.size(); i++) {
            to[i] = factor * from[i];
        }
    });
    const auto count = runtime.kernel("count", [&calls](prewire::KernelCall &call) { calls += call.block_count() == 1; });
    const auto failing = runtime.vector_kernel("failing", [](prewire::KernelCall &call) { call.fail(7, "seven"); });
    const auto throwing = runtime.vector_kernel("throwing", [](prewire::KernelCall &) { throw std::runtime_error("thrown"); });
    const auto prying = runtime.vector_kernel("prying", [](prewire::KernelCall &call) { call.input<std::int8_t>(0); });

    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    const auto input = runtime.buffer_of(values);
    auto output = runtime.buffer(values.size() * sizeof(float));
    const auto x = input.tensor<float>({2, 3}), y = output.tensor<float>({2, 3});

    // A chain through a tensor that the runtime allocates; the second row alone is doubled again.
    auto report = runtime.run([&](prewire::Run &run) {
        run.scope([&] {
            prewire::Tensor between;
            const auto first = run.submit(prewire::Task::vector(scale).input(x).output(prewire::NewTensor::of<float>({2, 3}), between).scalar(2.0F));
            run.submit(prewire::Task::vector(scale).input(between).output_existing(y).scalar(10.0F).after(first));
        });
        HOLDS(run.get<float>(y, {1, 2}) == 120.0F);
        run.set(y, {0, 0}, -1.0F);
        run.submit(prewire::Task::cube(count).only_if(x.reshape({6}), {0}, PREWIRE_COMPARISON_EQUAL, 1).inout(y).after_only(prewire::TaskId{}));
    }, *std::make_unique<prewire::Report>());
    // The predicate is over floats, and the dependency is on no task: refused, and said.
    HOLDS(report.has_value() && report->status() == PREWIRE_STATUS_INVALID_ARGUMENTS);
    HOLDS((output.read<float>() == std::vector<float>{-1, 40, 60, 80, 100, 120}));
    HOLDS(calls == 0);

    const auto done = runtime.run([&](prewire::Run &run) { run.submit(prewire::Task::cube(count)); });
    HOLDS(calls == 1 && done.counts().tasks == 1 && done.status() == PREWIRE_STATUS_OK && done.error().empty());
    HOLDS(!done.kernel_failure() && !done.stall() && done.notes().empty());

    // What leaves a kernel.
    const auto fails = [&](prewire::Kernel kernel) {
        try {
            runtime.run([&](prewire::Run &run) { run.submit(prewire::Task::vector(kernel).input(x)); });
        } catch (const prewire::RunFailed &failed) {
            HOLDS(failed.status() == PREWIRE_STATUS_KERNEL_FAILED);
            const auto failure = failed.report().kernel_failure();
            HOLDS(failure.has_value());
            return std::to_string(failure->code) + ": " + failure->text;
        }
        HOLDS(!"nothing was thrown");
        return std::string();
    };
    HOLDS(fails(failing) == "7: seven");
    HOLDS(fails(throwing) == "-1: thrown");
    HOLDS(fails(prying).find("f32") != std::string::npos);

    // What leaves an orchestration.
    const auto broken = [&] { runtime.run([](prewire::Run &) { throw std::logic_error("mine"); }); };
    try {
        broken();
        HOLDS(!"nothing was thrown");
    } catch (const std::logic_error &error) {
        HOLDS(std::string(error.what()) == "mine");
    }
    HOLDS(thrown(PREWIRE_STATUS_EXPLICIT_FATAL, [&] { runtime.run([](prewire::Run &run) { run.fail("enough"); }); }).find("enough") != std::string::npos);
    prewire::Report last;
    const auto failure = runtime.run([&](prewire::Run &run) { run.submit(prewire::Task::vector(failing)); }, last);
    HOLDS(failure && failure->status() == PREWIRE_STATUS_KERNEL_FAILED && last.counts().failed == 1);

    // Views of strided tensors, in place.
    const auto transposed = x.transpose(0, 1);
    HOLDS(transposed.describe().shape[0] == 3 && transposed.describe().strides[0] == 1);
    HOLDS(x.view({1, 2}, {1, 1}).describe().elements == 2);
    HOLDS(thrown(PREWIRE_STATUS_INVALID_ARGUMENTS, [&] { x.slice(0, 0, 3); }).find("2") != std::string::npos);
    const auto sum_columns = runtime.vector_kernel("sum", [](prewire::KernelCall &call) {
        const auto matrix = call.input<float>(0);
        auto sums = call.output<float>(1);
        HOLDS(!matrix.is_contiguous() && matrix.shape(0) == 3);
        for (std::uint32_t i = 0; i < matrix.shape(0); i++) {
            sums[i] = matrix(i, 0) + matrix(i, 1);
        }
    });
    auto sums = runtime.buffer(12);
    const auto s = sums.tensor<float>({3});
    runtime.run([&](prewire::Run &run) { run.submit(prewire::Task::vector(sum_columns).input(transposed).output_existing(s)); });
    HOLDS((sums.read<float>() == std::vector<float>{5, 7, 9}));

    // Runs that are waited for later.
    const auto submission = runtime.submit([&](prewire::Run &run) { run.submit(prewire::Task::cube(count)); });
    HOLDS(submission.wait().counts().completed == 1);
    HOLDS(submission.wait_for(0)->counts().completed == 1);
    submission.cancel("too late to matter");
    HOLDS(calls == 2);
    try {
        runtime.submit([](prewire::Run &) { throw std::runtime_error("gives up"); });
        HOLDS(false);
    } catch (const std::runtime_error &error) {
        HOLDS(std::string(error.what()) == "gives up");
    }

    // Moved-from objects are empty, and say so.
    auto moved = std::move(runtime);
    HOLDS(thrown(PREWIRE_STATUS_BAD_HANDLE, [&] { runtime.chip(); }).find("NULL") != std::string::npos);
    moved.run([&](prewire::Run &run) { run.submit(prewire::Task::cube(count)); });
    HOLDS(calls == 3);
    moved.unregister(count);
    HOLDS(thrown(PREWIRE_STATUS_INVALID_ARGUMENTS, [&] { moved.unregister(count); }).find("not registered") != std::string::npos);
    prewire::Task task = prewire::Task::dummy();
    for (int i = 0; i < 40; i++) {
        task.input(x);
    }
    const auto crowded = [&] { moved.run([&](prewire::Run &run) { run.submit(task); }); };
    HOLDS(thrown(PREWIRE_STATUS_INVALID_ARGUMENTS, crowded).find("40 tensor arguments") != std::string::npos);
}

} // namespace

int main()
{
    graphs();
    prewire::Config config;
    config.threads = 1000;
    HOLDS(thrown(PREWIRE_STATUS_INVALID_ARGUMENTS, [&] { prewire::Runtime::create(config); }).find("1000") != std::string::npos);
    return 0;
}
