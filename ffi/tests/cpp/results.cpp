// The C++ layer without exceptions: every call that can fail returns a value or the failure.
#include <prewire.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#ifndef PREWIRE_NO_EXCEPTIONS
#error "this program is built with -fno-exceptions"
#endif

#define HOLDS(condition)                                                                                                                             \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                                                       \
            std::exit(1);                                                                                                                            \
        }                                                                                                                                            \
    } while (0)

int main()
{
    prewire::Config config;
    config.clusters = 50000;
    auto none = prewire::Runtime::create(config);
    HOLDS(!none && none.error().status() == PREWIRE_STATUS_INVALID_SETTING && none.error().text.find("50000") != std::string::npos);
    config.clusters = 1;
    auto created = prewire::Runtime::create(config);
    HOLDS(created);
    prewire::Runtime runtime = std::move(created).value();

    auto add = runtime.vector_kernel("add", [](prewire::KernelCall &call) -> prewire::Result<void> {
        auto values = call.output<std::int32_t>(0);
        if (!values) {
            return values.error();
        }
        auto by = call.scalar<std::int32_t>(0);
        if (!by) {
            return call.fail(5, "no scalar");
        }
        for (auto &value : *values) {
            value += *by;
        }
        return {};
    });
    HOLDS(add);
    auto buffer = runtime.buffer_of(std::vector<std::int32_t>{1, 2, 3});
    HOLDS(buffer);
    auto tensor = buffer->tensor<std::int32_t>({3});
    HOLDS(tensor);
    auto report = runtime.run([&](prewire::Run &run) -> prewire::Result<void> {
        for (int i = 0; i < 3; i++) {
            auto submitted = run.submit(prewire::Task::vector(*add).inout(*tensor).scalar(std::int32_t{10}));
            if (!submitted) {
                return submitted.error();
            }
        }
        return {};
    });
    HOLDS(report && report->counts()->tasks == 3);
    auto read = buffer->read<std::int32_t>();
    HOLDS(read && (*read == std::vector<std::int32_t>{31, 32, 33}));

    auto failed = runtime.run([&](prewire::Run &run) -> prewire::Result<void> {
        auto submitted = run.submit(prewire::Task::vector(*add).inout(*tensor));
        return submitted ? prewire::Result<void>() : prewire::Result<void>(submitted.error());
    });
    HOLDS(!failed && failed.error().status() == PREWIRE_STATUS_KERNEL_FAILED && failed.error().text.find("no scalar") != std::string::npos);
    auto submission = runtime.submit([&](prewire::Run &run) -> prewire::Result<void> {
        auto submitted = run.submit(prewire::Task::vector(*add).inout(*tensor));
        return submitted ? prewire::Result<void>() : prewire::Result<void>(submitted.error());
    });
    HOLDS(submission && submission->cancel("late or not"));
    auto ended = submission->wait();
    HOLDS(!ended && (ended.error().status() == PREWIRE_STATUS_KERNEL_FAILED || ended.error().status() == PREWIRE_STATUS_EXPLICIT_FATAL));
    HOLDS(!submission->wait_for(0));
    const auto given_up = runtime.submit([&](prewire::Run &) -> prewire::Result<void> { return prewire::Failure{78, "my own"}; });
    HOLDS(!given_up && given_up.error().code == 78);
    prewire::Report last;
    const auto failure = runtime.run([&](prewire::Run &) -> prewire::Result<void> { return prewire::Failure{77, "my own"}; }, last);
    HOLDS(failure && failure->code == 77 && failure->text == "my own" && last.status() == PREWIRE_STATUS_INVALID_ARGUMENTS);
    return 0;
}
