/* Prewire for C++17: what prewire.h declares, with objects that give themselves back, views, and kernels and orchestrations as lambdas.
 *
 * A call that fails throws prewire::Error. Where exceptions are off (-fno-exceptions, or PREWIRE_NO_EXCEPTIONS is defined) it returns a prewire::Result instead, which is
 * either the value or the failure: prewire::Outcome<T> stands for T in the one case and for Result<T> in the other. Objects are moved, not copied; a moved-from
 * one is empty, and a call on it fails with PREWIRE_STATUS_BAD_HANDLE. Which thread may call what stands in prewire.h. */
#ifndef PREWIRE_HPP
#define PREWIRE_HPP

#include "prewire.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if !defined(PREWIRE_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define PREWIRE_NO_EXCEPTIONS
#endif

#ifdef PREWIRE_NO_EXCEPTIONS
#include <cstdlib>
#else
#include <exception>
#include <stdexcept>
#endif

namespace prewire {

/** What went wrong: a prewire_status, or a kernel's own code, and the text. */
struct Failure {
    std::int32_t code = 0;
    std::string text;

    prewire_status status() const { return static_cast<prewire_status>(code); }
};

#ifdef PREWIRE_NO_EXCEPTIONS

/** A value, or the failure that there is in its place. */
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::move(value)) {}
    Result(Failure failure) : failure_(std::move(failure)) {}

    explicit operator bool() const { return value_.has_value(); }
    bool has_value() const { return value_.has_value(); }
    /** The value; the program ends if there is none. */
    T &value() &
    {
        if (!value_) {
            std::abort();
        }
        return *value_;
    }
    T &&value() && { return std::move(value()); }
    T &operator*() & { return value(); }
    T *operator->() { return &value(); }
    /** The failure, if there is one. */
    const Failure &error() const { return failure_; }

private:
    std::optional<T> value_;
    Failure failure_;
};

/** Nothing, or the failure that there is in its place. */
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Failure failure) : failure_(std::move(failure)) {}

    explicit operator bool() const { return !failure_; }
    bool has_value() const { return !failure_; }
    const Failure &error() const { return *failure_; }

private:
    std::optional<Failure> failure_;
};

/** What a call that may fail returns. */
template <typename T>
using Outcome = Result<T>;

#else

/** A call that failed. */
class Error : public std::runtime_error {
public:
    explicit Error(Failure failure) : std::runtime_error(failure.text), failure_(std::move(failure)) {}

    prewire_status status() const { return failure_.status(); }
    std::int32_t code() const { return failure_.code; }

private:
    Failure failure_;
};

/** What a call that may fail returns. */
template <typename T>
using Outcome = T;

#endif

namespace detail {

inline Failure last_failure(std::uint32_t status) { return Failure{static_cast<std::int32_t>(status), prewire_last_error()}; }

template <typename T>
Outcome<T> failed(Failure failure)
{
#ifdef PREWIRE_NO_EXCEPTIONS
    return Result<T>(std::move(failure));
#else
    throw Error(std::move(failure));
#endif
}

/** The value if the call succeeded. */
template <typename T>
Outcome<T> outcome(std::uint32_t status, T &&value)
{
    if (status != PREWIRE_STATUS_OK) {
        return failed<T>(last_failure(status));
    }
    return std::move(value);
}

inline Outcome<void> outcome(std::uint32_t status)
{
    if (status != PREWIRE_STATUS_OK) {
        return failed<void>(last_failure(status));
    }
    return Outcome<void>();
}

/** Owns a handle. */
template <typename Handle, prewire_status (*destroy)(Handle *)>
class Owned {
public:
    Owned() = default;
    explicit Owned(Handle *handle) : handle_(handle) {}
    Owned(Owned &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Owned &operator=(Owned &&other) noexcept
    {
        if (this != &other) {
            reset();
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    Owned(const Owned &) = delete;
    Owned &operator=(const Owned &) = delete;
    ~Owned() { reset(); }

    Handle *get() const { return handle_; }
    void reset()
    {
        if (handle_ != nullptr) {
            destroy(std::exchange(handle_, nullptr));
        }
    }

private:
    Handle *handle_ = nullptr;
};

template <typename T>
struct AlwaysFalse : std::false_type {};

} // namespace detail

/** The number of an element type. */
template <typename T>
constexpr std::uint32_t data_type_of()
{
    if constexpr (std::is_same_v<T, float>) {
        return PREWIRE_DATA_TYPE_F32;
    } else if constexpr (std::is_same_v<T, bool>) {
        return PREWIRE_DATA_TYPE_BOOL;
    } else if constexpr (std::is_integral_v<T> && sizeof(T) == 1) {
        return std::is_signed_v<T> ? PREWIRE_DATA_TYPE_I8 : PREWIRE_DATA_TYPE_U8;
    } else if constexpr (std::is_integral_v<T> && sizeof(T) == 2) {
        return std::is_signed_v<T> ? PREWIRE_DATA_TYPE_I16 : PREWIRE_DATA_TYPE_U16;
    } else if constexpr (std::is_integral_v<T> && sizeof(T) == 4) {
        return std::is_signed_v<T> ? PREWIRE_DATA_TYPE_I32 : PREWIRE_DATA_TYPE_U32;
    } else if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
        return std::is_signed_v<T> ? PREWIRE_DATA_TYPE_I64 : PREWIRE_DATA_TYPE_U64;
    } else {
        static_assert(detail::AlwaysFalse<T>::value, "tensors hold no elements of this type; name a prewire_data_type");
    }
}

/** The bits of a value in a 64-bit cell, as scalar arguments and initial values are given. */
template <typename T>
std::uint64_t cell_of(T value)
{
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "a scalar is a plain value of at most 8 bytes");
    std::uint64_t cell = 0;
    std::memcpy(&cell, &value, sizeof value);
    return cell;
}

/** Elements one behind the other, somebody else's. */
template <typename T>
class Span {
public:
    constexpr Span() = default;
    constexpr Span(T *data, std::size_t size) : data_(data), size_(size) {}
    template <std::size_t N>
    constexpr Span(T (&array)[N]) : data_(array), size_(N) {}
    /** Whatever has data() and size(). */
    template <typename Container, typename = std::enable_if_t<std::is_convertible_v<decltype(std::declval<Container &>().data()), T *>>>
    constexpr Span(Container &container) : data_(container.data()), size_(container.size())
    {
    }

    constexpr T *data() const { return data_; }
    constexpr std::size_t size() const { return size_; }
    constexpr T *begin() const { return data_; }
    constexpr T *end() const { return data_ + size_; }
    constexpr T &operator[](std::size_t index) const { return data_[index]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

using Shape = std::initializer_list<std::uint32_t>;

/** A strided box of elements in a buffer: a description that owns nothing. */
class Tensor {
public:
    Tensor() : raw_{} {}
    explicit Tensor(const prewire_tensor &raw) : raw_(raw) {}

    /** Every step-th index from start up to but not including end of one dimension, all of the others. */
    Outcome<Tensor> slice(std::size_t dimension, std::uint32_t start, std::uint32_t end, std::uint32_t step = 1) const
    {
        Tensor view;
        const auto status = prewire_tensor_slice(&raw_, dimension, start, end, step, &view.raw_);
        return detail::outcome(status, std::move(view));
    }

    /** The box of shape elements whose corner lies at offsets. */
    Outcome<Tensor> view(Shape shape, Shape offsets) const
    {
        Tensor view;
        if (shape.size() != offsets.size()) {
            return detail::failed<Tensor>({PREWIRE_STATUS_INVALID_ARGUMENTS, "a view has as many lengths as offsets"});
        }
        const auto status = prewire_tensor_view(&raw_, shape.begin(), offsets.begin(), shape.size(), &view.raw_);
        return detail::outcome(status, std::move(view));
    }

    /** The tensor with two dimensions exchanged. */
    Outcome<Tensor> transpose(std::size_t first, std::size_t second) const
    {
        Tensor view;
        const auto status = prewire_tensor_transpose(&raw_, first, second, &view.raw_);
        return detail::outcome(status, std::move(view));
    }

    /** The elements of a contiguous tensor in another shape. */
    Outcome<Tensor> reshape(Shape shape) const
    {
        Tensor view;
        const auto status = prewire_tensor_reshape(&raw_, shape.begin(), shape.size(), &view.raw_);
        return detail::outcome(status, std::move(view));
    }

    Outcome<prewire_tensor_info> describe() const
    {
        prewire_tensor_info info{};
        const auto status = prewire_tensor_describe(&raw_, &info);
        return detail::outcome(status, std::move(info));
    }

    const prewire_tensor *raw() const { return &raw_; }
    prewire_tensor *raw() { return &raw_; }

private:
    prewire_tensor raw_;
};

/** The elements of a tensor argument inside a kernel. T is const where the kernel only reads. */
template <typename T>
class View {
public:
    explicit View(const prewire_view &raw) : raw_(raw) {}

    T *data() const { return static_cast<T *>(raw_.data); }
    std::size_t size() const { return static_cast<std::size_t>(raw_.elements); }
    std::uint32_t dimensions() const { return raw_.dimensions; }
    std::uint32_t shape(std::size_t dimension) const { return raw_.shape[dimension]; }
    std::uint32_t stride(std::size_t dimension) const { return raw_.strides[dimension]; }
    bool is_contiguous() const { return raw_.is_contiguous != 0; }

    /** The element at these indices, of which there are as many as dimensions. */
    template <typename... Index>
    T &operator()(Index... indices) const
    {
        static_assert(sizeof...(indices) <= PREWIRE_MAX_DIMENSIONS, "a tensor has at most five dimensions");
        std::size_t offset = 0, dimension = 0;
        ((offset += static_cast<std::size_t>(indices) * raw_.strides[dimension++]), ...);
        return data()[offset];
    }

    /** All elements of a contiguous view, one behind the other. */
    T *begin() const { return data(); }
    T *end() const { return data() + size(); }
    T &operator[](std::size_t index) const { return data()[index]; }

private:
    prewire_view raw_;
};

/** What a kernel is called with; good until it returns, on its own thread. */
class KernelCall {
public:
    explicit KernelCall(prewire_kernel_call *raw) : raw_(raw) {}

    /** Read access to a tensor argument. */
    template <typename T>
    Outcome<View<const T>> input(std::size_t index) const
    {
        prewire_view view{};
        const auto status = prewire_kernel_tensor(raw_, index, data_type_of<T>(), PREWIRE_ACCESS_READ, &view);
        return detail::outcome(status, View<const T>(view));
    }

    /** Write access to a tensor argument. */
    template <typename T>
    Outcome<View<T>> output(std::size_t index) const
    {
        prewire_view view{};
        const auto status = prewire_kernel_tensor(raw_, index, data_type_of<T>(), PREWIRE_ACCESS_WRITE, &view);
        return detail::outcome(status, View<T>(view));
    }

    /** A scalar argument, in the type that it was given in. */
    template <typename T>
    Outcome<T> scalar(std::size_t index) const
    {
        std::uint64_t cell = 0;
        T value{};
        const auto status = prewire_kernel_scalar(raw_, index, &cell);
        std::memcpy(&value, &cell, sizeof value);
        return detail::outcome(status, std::move(value));
    }

    std::uint32_t block_index() const { return raw_->block_index; }
    std::uint32_t block_count() const { return raw_->block_count; }
    /** This core's part of its cluster: 0 cube, 1 and 2 vector. */
    std::uint32_t part() const { return raw_->part; }
    bool is_cancelled() const { return prewire_kernel_is_cancelled(raw_) != 0; }
    void alive() const { prewire_kernel_alive(raw_); }
    void relax() const { prewire_kernel_relax(raw_); }
    Outcome<void> barrier() const { return detail::outcome(prewire_kernel_barrier(raw_)); }
    Outcome<void> send(std::uint32_t to_part, std::uint64_t value) const { return detail::outcome(prewire_kernel_send(raw_, to_part, value)); }
    Outcome<std::uint64_t> receive(std::uint32_t from_part) const
    {
        std::uint64_t value = 0;
        const auto status = prewire_kernel_receive(raw_, from_part, &value);
        return detail::outcome(status, std::move(value));
    }

    /** Fails the kernel with a code of its own: `return call.fail(7, "negative input");`. */
    Outcome<void> fail(std::int32_t code, std::string text) const { return detail::failed<void>({code, std::move(text)}); }

    prewire_kernel_call *raw() const { return raw_; }

private:
    prewire_kernel_call *raw_;
};

/** What a kernel does. A failure, or an exception, that leaves it becomes the kernel's. */
using KernelFunction = std::function<Outcome<void>(KernelCall &)>;

namespace detail {

inline std::int32_t call_kernel(prewire_kernel_call *raw)
{
    KernelCall call(raw);
    const auto &function = *static_cast<const KernelFunction *>(raw->context);
#ifdef PREWIRE_NO_EXCEPTIONS
    const auto result = function(call);
    return result ? 0 : prewire_kernel_fail(raw, result.error().code, result.error().text.c_str());
#else
    try {
        function(call);
        return 0;
    } catch (const Error &error) {
        return prewire_kernel_fail(raw, error.code(), error.what());
    } catch (const std::exception &error) {
        return prewire_kernel_fail(raw, -1, error.what());
    } catch (...) {
        return prewire_kernel_fail(raw, -1, "the kernel threw something that is no std::exception");
    }
#endif
}

extern "C" inline std::int32_t prewire_hpp_call_kernel(prewire_kernel_call *raw) { return call_kernel(raw); }

} // namespace detail

/** A registered kernel. */
struct Kernel {
    std::uint32_t id = PREWIRE_NO_KERNEL;
};

/** A task that was submitted. */
struct TaskId {
    std::uint64_t bits = UINT64_MAX;
};

/** What a tensor looks like that the runtime is to allocate. */
class NewTensor {
public:
    template <typename T>
    static NewTensor of(Shape shape)
    {
        NewTensor made;
        made.raw_.dimensions = static_cast<std::uint32_t>(shape.size());
        made.raw_.data_type = data_type_of<T>();
        std::size_t dimension = 0;
        for (const auto length : shape) {
            if (dimension < PREWIRE_MAX_DIMENSIONS) {
                made.raw_.shape[dimension++] = length;
            }
        }
        return made;
    }

    /** Every element starts with a value of the tensor's own type. */
    template <typename T>
    NewTensor filled(T value) const
    {
        NewTensor made = *this;
        made.raw_.is_filled = 1;
        made.raw_.initial = cell_of(value);
        return made;
    }

    const prewire_new_tensor &raw() const { return raw_; }

private:
    NewTensor() : raw_{} {}
    prewire_new_tensor raw_;
};

/** A task to submit. Tensors are referred to, not copied: they must live until the submit. Building never fails; what is wrong is said at the submit. */
class Task {
public:
    static Task cube(Kernel kernel) { return Task(PREWIRE_TASK_KIND_CUBE, kernel.id, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL); }
    static Task vector(Kernel kernel) { return Task(PREWIRE_TASK_KIND_VECTOR, kernel.id, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL); }
    /** The named cores of one cluster: the cube core, the first and the second vector core. */
    static Task cluster(Kernel cube, Kernel vector_0, Kernel vector_1) { return Task(PREWIRE_TASK_KIND_CLUSTER, cube.id, vector_0.id, vector_1.id); }
    static Task dummy() { return Task(PREWIRE_TASK_KIND_DUMMY, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL); }
    static Task allocation() { return Task(PREWIRE_TASK_KIND_ALLOCATION, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL); }

    Task &input(const Tensor &tensor) { return existing(PREWIRE_ARGUMENT_KIND_INPUT, tensor); }
    Task &inout(const Tensor &tensor) { return existing(PREWIRE_ARGUMENT_KIND_INOUT, tensor); }
    Task &output_existing(const Tensor &tensor) { return existing(PREWIRE_ARGUMENT_KIND_OUTPUT_EXISTING, tensor); }
    Task &no_dependency(const Tensor &tensor) { return existing(PREWIRE_ARGUMENT_KIND_NO_DEPENDENCY, tensor); }
    /** The runtime allocates the tensor and leaves it in `made` at the submit. */
    Task &output(const NewTensor &shape, Tensor &made)
    {
        if (raw_.argument_count < arguments_.size()) {
            new_[raw_.argument_count] = shape.raw();
            arguments_[raw_.argument_count] = {PREWIRE_ARGUMENT_KIND_OUTPUT, 0, nullptr, nullptr, made.raw()};
        }
        raw_.argument_count++;
        return *this;
    }
    template <typename T>
    Task &scalar(T value)
    {
        if (raw_.scalar_count < scalars_.size()) {
            scalars_[raw_.scalar_count] = cell_of(value);
        }
        raw_.scalar_count++;
        return *this;
    }
    /** Waits for a task and keeps its outputs. */
    Task &after(TaskId task) { return depends(task, 0); }
    /** Waits for a task whose memory is not used. */
    Task &after_only(TaskId task) { return depends(task, PREWIRE_DEPENDENCY_WAIT_ONLY); }
    Task &blocks(std::int64_t blocks)
    {
        raw_.blocks = blocks;
        return *this;
    }
    Task &sync_start()
    {
        raw_.flags |= PREWIRE_TASK_SYNC_START;
        return *this;
    }
    Task &communicates()
    {
        raw_.flags |= PREWIRE_TASK_COMMUNICATES;
        return *this;
    }
    Task &on_core(std::int32_t core)
    {
        raw_.core = core;
        return *this;
    }
    Task &budget_ns(std::uint64_t budget)
    {
        raw_.budget_ns = budget;
        return *this;
    }
    /** Runs the task only if an element compares so with a target when the task becomes ready. */
    Task &only_if(const Tensor &operand, Shape indices, prewire_comparison comparison, std::int64_t target)
    {
        std::size_t count = 0;
        for (const auto index : indices) {
            if (count < indices_.size()) {
                indices_[count] = index;
            }
            count++;
        }
        predicate_ = {operand.raw(), nullptr, count, static_cast<std::uint32_t>(comparison), 0, target};
        predicated_ = true;
        return *this;
    }

    /** The task as C says it; it refers to this object. */
    const prewire_task &raw()
    {
        for (std::size_t i = 0; i < raw_.argument_count && i < arguments_.size(); i++) {
            if (arguments_[i].kind == PREWIRE_ARGUMENT_KIND_OUTPUT) {
                arguments_[i].allocation = &new_[i];
            }
        }
        raw_.arguments = arguments_.data();
        raw_.scalars = scalars_.data();
        raw_.dependencies = dependencies_.data();
        raw_.dependency_count = dependencies_.size();
        predicate_.indices = indices_.data();
        raw_.predicate = predicated_ ? &predicate_ : nullptr;
        return raw_;
    }

private:
    Task(prewire_task_kind kind, std::uint32_t first, std::uint32_t second, std::uint32_t third) : raw_(PREWIRE_TASK_INIT(kind))
    {
        raw_.kernels[0] = first;
        raw_.kernels[1] = second;
        raw_.kernels[2] = third;
    }
    Task &existing(prewire_argument_kind kind, const Tensor &tensor)
    {
        if (raw_.argument_count < arguments_.size()) {
            arguments_[raw_.argument_count] = {static_cast<std::uint32_t>(kind), 0, tensor.raw(), nullptr, nullptr};
        }
        raw_.argument_count++;
        return *this;
    }
    Task &depends(TaskId task, std::uint32_t flags)
    {
        dependencies_.push_back({task.bits, flags, 0});
        return *this;
    }

    prewire_task raw_;
    bool predicated_ = false;
    prewire_predicate predicate_{};
    std::array<std::uint32_t, PREWIRE_MAX_DIMENSIONS> indices_{};
    std::array<prewire_argument, 32> arguments_{};
    std::array<prewire_new_tensor, 32> new_{};
    std::array<std::uint64_t, 16> scalars_{};
    std::vector<prewire_dependency> dependencies_;
};

/** A run while its orchestration builds it. */
class Run {
public:
    explicit Run(prewire_run *raw) : raw_(raw) {}

    Outcome<TaskId> submit(Task &task)
    {
        TaskId id;
        const auto status = prewire_run_submit(raw_, &task.raw(), &id.bits);
        return detail::outcome(status, std::move(id));
    }
    Outcome<TaskId> submit(Task &&task) { return submit(task); }

    /** Runs body in a scope, which is closed on every way out. */
    template <typename Body>
    Outcome<void> scope(Body &&body)
    {
        return scoped(PREWIRE_SCOPE_KIND_AUTOMATIC, std::forward<Body>(body));
    }
    /** Runs body in a scope in which only explicit dependencies count. */
    template <typename Body>
    Outcome<void> manual_scope(Body &&body)
    {
        return scoped(PREWIRE_SCOPE_KIND_MANUAL, std::forward<Body>(body));
    }

    /** One element, as it is after every task submitted so far that writes it. */
    template <typename T>
    Outcome<T> get(const Tensor &tensor, Shape indices)
    {
        T value{};
        const auto status = prewire_run_get(raw_, tensor.raw(), indices.begin(), indices.size(), data_type_of<T>(), &value);
        return detail::outcome(status, std::move(value));
    }
    /** Overwrites one element, behind every task submitted so far that uses it. */
    template <typename T>
    Outcome<void> set(const Tensor &tensor, Shape indices, T value)
    {
        return detail::outcome(prewire_run_set(raw_, tensor.raw(), indices.begin(), indices.size(), data_type_of<T>(), &value));
    }

    /** Ends the run with code 9 and this text. */
    Outcome<void> fail(const std::string &text) { return detail::outcome(prewire_run_fail(raw_, text.c_str())); }

    prewire_run *raw() const { return raw_; }

private:
    template <typename Body>
    Outcome<void> scoped(prewire_scope_kind kind, Body &&body)
    {
        const auto opened = prewire_run_open_scope(raw_, kind);
        if (opened != PREWIRE_STATUS_OK) {
            return detail::failed<void>(detail::last_failure(opened));
        }
        struct Close {
            prewire_run *run;
            ~Close() { prewire_run_close_scope(run); }
        } close{raw_};
        return body();
    }

    prewire_run *raw_;
};

/** What a run did, whether it succeeded or not. */
class Report {
public:
    Report() = default;
    explicit Report(prewire_report *raw) : handle_(raw) {}

    Outcome<prewire_report_counts> counts() const
    {
        prewire_report_counts counts{};
        counts.size = sizeof counts;
        const auto status = prewire_report_get_counts(handle_.get(), &counts);
        return detail::outcome(status, std::move(counts));
    }
    prewire_status status() const { return prewire_report_status(handle_.get()); }
    /** Why the run failed; empty if it did not. */
    std::string error() const
    {
        const char *text = prewire_report_error(handle_.get());
        return text == nullptr ? std::string() : std::string(text);
    }
    std::vector<std::string> notes() const
    {
        std::vector<std::string> notes;
        prewire_report_counts counts{};
        counts.size = sizeof counts;
        if (prewire_report_get_counts(handle_.get(), &counts) == PREWIRE_STATUS_OK) {
            for (std::size_t i = 0; i < counts.notes; i++) {
                notes.emplace_back(prewire_report_note(handle_.get(), i));
            }
        }
        return notes;
    }
    /** The first failed kernel, if the run failed for one. */
    std::optional<prewire_kernel_failure> kernel_failure() const
    {
        prewire_kernel_failure failure{};
        if (prewire_report_kernel_failure(handle_.get(), &failure) != PREWIRE_STATUS_OK) {
            return std::nullopt;
        }
        return failure;
    }
    /** What the run looked like, if the watchdog ended it. */
    std::optional<prewire_stall> stall() const
    {
        prewire_stall stall{};
        if (prewire_report_stall(handle_.get(), &stall) != PREWIRE_STATUS_OK) {
            return std::nullopt;
        }
        return stall;
    }
    Outcome<void> write_trace(const std::string &path) const { return detail::outcome(prewire_report_write_trace(handle_.get(), path.c_str())); }

    const prewire_report *raw() const { return handle_.get(); }

private:
    detail::Owned<prewire_report, prewire_report_destroy> handle_;
};

#ifndef PREWIRE_NO_EXCEPTIONS
/** A run that failed, and what it did until then. */
class RunFailed : public Error {
public:
    RunFailed(Failure failure, Report report) : Error(std::move(failure)), report_(std::make_shared<Report>(std::move(report))) {}

    const Report &report() const { return *report_; }

private:
    std::shared_ptr<Report> report_;
};
#endif

/** A piece of device memory. */
class Buffer {
public:
    Buffer() = default;

    /** The buffer, or the part of it from offset_bytes on, as a row-major tensor. */
    template <typename T>
    Outcome<Tensor> tensor(Shape shape, std::uint64_t offset_bytes = 0) const
    {
        Tensor made;
        const auto status = prewire_buffer_tensor(handle_.get(), offset_bytes, data_type_of<T>(), shape.begin(), shape.size(), made.raw());
        return detail::outcome(status, std::move(made));
    }
    /** Overwrites all of it. */
    template <typename T>
    Outcome<void> write(Span<const T> values)
    {
        return detail::outcome(prewire_buffer_write(runtime_, handle_.get(), values.data(), values.size() * sizeof(T)));
    }
    template <typename T>
    Outcome<void> write(const std::vector<T> &values)
    {
        return write(Span<const T>(values));
    }
    /** Copies all of it out. */
    template <typename T>
    Outcome<void> read(Span<T> values) const
    {
        return detail::outcome(prewire_buffer_read(runtime_, handle_.get(), values.data(), values.size() * sizeof(T)));
    }
    template <typename T>
    Outcome<std::vector<T>> read() const
    {
        std::uint64_t bytes = 0;
        auto status = prewire_buffer_bytes(handle_.get(), &bytes);
        std::vector<T> values(static_cast<std::size_t>(bytes / sizeof(T)));
        if (status == PREWIRE_STATUS_OK) {
            status = prewire_buffer_read(runtime_, handle_.get(), values.data(), values.size() * sizeof(T));
        }
        return detail::outcome(status, std::move(values));
    }

    const prewire_buffer *raw() const { return handle_.get(); }

private:
    friend class Runtime;
    Buffer(prewire_runtime *runtime, prewire_buffer *buffer) : runtime_(runtime), handle_(buffer) {}

    prewire_runtime *runtime_ = nullptr;
    detail::Owned<prewire_buffer, prewire_buffer_destroy> handle_;
};

/** What a runtime is made with: prewire_config, with its defaults written. */
struct Config : prewire_config {
    Config() : prewire_config{} { prewire_config_init(this); }
};

/** What is known of a kernel besides its function. */
struct KernelOptions {
    bool never_waits = false;
    std::uint64_t lasts_ns = 0;
};

/** A run that was submitted. It may be waited for by several threads, and goes on if this object is destroyed. */
class Submission {
public:
    Submission() = default;
    explicit Submission(prewire_submission *raw) : handle_(raw) {}

    /** Waits until the run is over. A failure comes out as that of Runtime::run does. */
    Outcome<Report> wait() const
    {
        auto ended = wait_until(PREWIRE_WAIT_FOREVER);
#ifdef PREWIRE_NO_EXCEPTIONS
        if (!ended) {
            return Result<Report>(ended.error());
        }
        return Outcome<Report>(std::move(**ended));
#else
        return std::move(*ended);
#endif
    }
    /** Waits until the run is over, or for so many milliseconds: nothing then, and nothing is lost. */
    Outcome<std::optional<Report>> wait_for(std::uint64_t timeout_ms) const { return wait_until(timeout_ms); }
    /** Ends the run, unless it is over. No other run is touched. */
    Outcome<void> cancel(const std::string &reason) const
    {
        return detail::outcome(prewire_submission_cancel(handle_.get(), reason.c_str()));
    }

    prewire_submission *raw() const { return handle_.get(); }

private:
    Outcome<std::optional<Report>> wait_until(std::uint64_t timeout_ms) const
    {
        std::uint32_t is_over = 0;
        prewire_report *raw = nullptr;
        const auto status = prewire_submission_wait(handle_.get(), timeout_ms, &is_over, &raw);
        auto failure = detail::last_failure(status);
        Report report(raw);
        if (status == PREWIRE_STATUS_OK) {
            return is_over ? std::optional<Report>(std::move(report)) : std::optional<Report>();
        }
#ifdef PREWIRE_NO_EXCEPTIONS
        return Result<std::optional<Report>>(std::move(failure));
#else
        throw RunFailed(std::move(failure), std::move(report));
#endif
    }

    detail::Owned<prewire_submission, prewire_submission_destroy> handle_;
};

/** A chip and everything that runs graphs on it. */
class Runtime {
public:
    static Outcome<Runtime> create(const Config &config = Config())
    {
        prewire_runtime *raw = nullptr;
        const auto status = prewire_runtime_create(&config, &raw);
        Runtime made;
        made.handle_ = Owned(raw);
        return detail::outcome(status, std::move(made));
    }

    Runtime() = default;
    Runtime(Runtime &&) = default;
    Runtime &operator=(Runtime &&other) noexcept
    {
        // The kernels' functions go behind the runtime that calls them.
        handle_ = std::move(other.handle_);
        functions_ = std::move(other.functions_);
        return *this;
    }

    Outcome<prewire_chip_info> chip() const
    {
        prewire_chip_info info{};
        const auto status = prewire_runtime_chip(handle_.get(), &info);
        return detail::outcome(status, std::move(info));
    }

    Outcome<Kernel> cube_kernel(const std::string &name, KernelFunction function, KernelOptions options = {})
    {
        return add(PREWIRE_CORE_KIND_CUBE, name, std::move(function), options);
    }
    Outcome<Kernel> vector_kernel(const std::string &name, KernelFunction function, KernelOptions options = {})
    {
        return add(PREWIRE_CORE_KIND_VECTOR, name, std::move(function), options);
    }
    /** A kernel for either kind of core. */
    Outcome<Kernel> kernel(const std::string &name, KernelFunction function, KernelOptions options = {})
    {
        return add(PREWIRE_CORE_KIND_ANY, name, std::move(function), options);
    }
    /** A function of a shared library. */
    Outcome<Kernel> library_kernel(prewire_core_kind kind, const std::string &name, const std::string &library, const std::string &symbol)
    {
        prewire_kernel raw = PREWIRE_KERNEL_INIT(name.c_str(), kind, nullptr);
        Kernel made;
        const auto status = prewire_runtime_register_symbol(handle_.get(), &raw, library.c_str(), symbol.c_str(), &made.id);
        return detail::outcome(status, std::move(made));
    }
    Outcome<void> unregister(Kernel kernel) { return detail::outcome(prewire_runtime_unregister(handle_.get(), kernel.id)); }

    /** A buffer of zero bytes. */
    Outcome<Buffer> buffer(std::uint64_t bytes)
    {
        prewire_buffer *raw = nullptr;
        const auto status = prewire_buffer_create(handle_.get(), bytes, &raw);
        return detail::outcome(status, Buffer(handle_.get(), raw));
    }
    /** A buffer that holds a copy of values. */
    template <typename T>
    Outcome<Buffer> buffer_of(const std::vector<T> &values)
    {
        prewire_buffer *raw = nullptr;
        const std::uint64_t bytes = values.size() * sizeof(T);
        auto status = prewire_buffer_create(handle_.get(), bytes, &raw);
        Buffer made(handle_.get(), raw);
        if (status == PREWIRE_STATUS_OK) {
            status = prewire_buffer_write(handle_.get(), raw, values.data(), bytes);
        }
        return detail::outcome(status, std::move(made));
    }

    /** Runs the graph that orchestration(Run &) builds. What the orchestration throws, or the failure that it returns, ends the run and comes out here. */
    template <typename Orchestration>
    Outcome<Report> run(Orchestration &&orchestration)
    {
        Report report;
        auto failure = run_into(orchestration, report);
        if (!failure) {
            return Outcome<Report>(std::move(report));
        }
#ifdef PREWIRE_NO_EXCEPTIONS
        return Result<Report>(std::move(*failure));
#else
        throw RunFailed(std::move(*failure), std::move(report));
#endif
    }
    /** The same; `report` says what was done, also where the run fails, and the failure is returned and not thrown. */
    template <typename Orchestration>
    std::optional<Failure> run(Orchestration &&orchestration, Report &report)
    {
        return run_into(orchestration, report);
    }

    /** Builds a graph as run does, and returns while it runs, maybe behind one that was submitted before. The orchestration is called before this returns. */
    template <typename Orchestration>
    Outcome<Submission> submit(Orchestration &&orchestration)
    {
        prewire_submission *raw = nullptr;
        auto failure = build(orchestration, [&](prewire_orchestration function, void *context) {
            return prewire_runtime_submit(handle_.get(), function, context, &raw);
        });
        if (failure) {
            return detail::failed<Submission>(std::move(*failure));
        }
        return Submission(raw);
    }

    /** Runs a recorded graph. */
    Outcome<Report> replay(const std::string &path, std::uint64_t kernel_ns = PREWIRE_REPLAY_RECORDED)
    {
        prewire_report *raw = nullptr;
        const auto status = prewire_runtime_replay(handle_.get(), path.c_str(), kernel_ns, &raw);
        return detail::outcome(status, Report(raw));
    }

    prewire_runtime *raw() const { return handle_.get(); }

private:
    using Owned = detail::Owned<prewire_runtime, prewire_runtime_destroy>;

    Outcome<Kernel> add(prewire_core_kind kind, const std::string &name, KernelFunction function, KernelOptions options)
    {
        auto kept = std::make_unique<KernelFunction>(std::move(function));
        prewire_kernel raw = PREWIRE_KERNEL_INIT(name.c_str(), kind, detail::prewire_hpp_call_kernel);
        raw.context = kept.get();
        raw.flags = options.never_waits ? PREWIRE_KERNEL_NEVER_WAITS : 0;
        raw.lasts_ns = options.lasts_ns;
        Kernel made;
        const auto status = prewire_runtime_register(handle_.get(), &raw, &made.id);
        if (status == PREWIRE_STATUS_OK) {
            functions_.push_back(std::move(kept));
        }
        return detail::outcome(status, std::move(made));
    }

    template <typename Orchestration>
    struct Context {
        Orchestration &orchestration;
        Failure failure;
#ifndef PREWIRE_NO_EXCEPTIONS
        std::exception_ptr thrown;
#endif
    };

    template <typename Orchestration>
    static std::uint32_t orchestrate(prewire_run *raw, void *context)
    {
        auto &called = *static_cast<Context<Orchestration> *>(context);
        Run run(raw);
#ifdef PREWIRE_NO_EXCEPTIONS
        Result<void> result = called.orchestration(run);
        if (result) {
            return 0;
        }
        called.failure = result.error();
        return 1;
#else
        try {
            called.orchestration(run);
            return 0;
        } catch (const Error &error) {
            called.failure = {error.code(), error.what()};
        } catch (...) {
            called.thrown = std::current_exception();
        }
        return 1;
#endif
    }

    template <typename Orchestration>
    std::optional<Failure> run_into(Orchestration &orchestration, Report &report)
    {
        return build(orchestration, [&](prewire_orchestration function, void *context) {
            prewire_report *raw = nullptr;
            const auto status = prewire_runtime_run(handle_.get(), function, context, &raw);
            report = Report(raw);
            return status;
        });
    }

    /** Makes a call that calls an orchestration. */
    template <typename Orchestration, typename Call>
    std::optional<Failure> build(Orchestration &orchestration, Call &&call)
    {
        Context<Orchestration> context{orchestration, {}
#ifndef PREWIRE_NO_EXCEPTIONS
                                       ,
                                       nullptr
#endif
        };
        const auto status = call(&Runtime::orchestrate<Orchestration>, &context);
        auto failure = detail::last_failure(status);
#ifndef PREWIRE_NO_EXCEPTIONS
        if (context.thrown) {
            std::rethrow_exception(context.thrown);
        }
#endif
        if (status == PREWIRE_STATUS_OK) {
            return std::nullopt;
        }
        // Where the run failed only because the orchestration gave up, its own words say more.
        const bool gave_up = status == PREWIRE_STATUS_INVALID_ARGUMENTS && context.failure.code != 0;
        return gave_up ? std::move(context.failure) : std::move(failure);
    }

    /** Declared first, so that they are destroyed last. */
    std::vector<std::unique_ptr<KernelFunction>> functions_;
    Owned handle_;
};

namespace flush {

/** One dimension of an array. The name is referred to, not copied: it must live until the writer was made. */
inline prewire_flush_dimension dimension(const char *name, std::uint64_t size, std::uint64_t chunk, std::uint64_t chunks_per_shard = 0, bool downsample = false)
{
    return {name, size, chunk, chunks_per_shard, downsample ? 1U : 0U, PREWIRE_FLUSH_AXIS_OF_NAME, nullptr, 0.0};
}

/** What an array is: prewire_flush_array, with its defaults written and dimensions of its own. */
struct Array : prewire_flush_array {
    Array(prewire_flush_type type, std::vector<prewire_flush_dimension> given) : prewire_flush_array{}, kept(std::move(given))
    {
        prewire_flush_array_init(this);
        data_type = type;
    }

    /** As the library takes it; it refers to this object. */
    const prewire_flush_array &raw()
    {
        dimensions = kept.data();
        dimension_count = kept.size();
        return *this;
    }

    std::vector<prewire_flush_dimension> kept;
};

/** How a writer works: prewire_flush_settings, with its defaults written. */
struct Settings : prewire_flush_settings {
    Settings() : prewire_flush_settings{} { prewire_flush_settings_init(this); }
};

/** What an append took. */
struct Appended {
    std::size_t consumed = 0;
    /** The array is full, or was flushed. */
    bool finished = false;
};

/** Streams one array to a Zarr store. */
class Writer {
public:
    static Outcome<Writer> to_folder(Array &array, const std::string &folder, const Settings &settings = Settings())
    {
        prewire_flush_writer *raw = nullptr;
        const auto status = prewire_flush_create_folder(&array.raw(), 1, &settings, folder.c_str(), &raw);
        return detail::outcome(status, Writer(raw));
    }
    static Outcome<Writer> to_sink(Array &array, const prewire_flush_sink &sink, const Settings &settings = Settings())
    {
        prewire_flush_writer *raw = nullptr;
        const auto status = prewire_flush_create(&array.raw(), 1, &settings, &sink, &raw);
        return detail::outcome(status, Writer(raw));
    }

    /** Takes whole elements in acquisition order. */
    template <typename T>
    Outcome<Appended> append(Span<const T> values)
    {
        Appended appended;
        auto status = prewire_flush_append(handle_.get(), 0, values.data(), values.size() * sizeof(T), &appended.consumed);
        if (status == PREWIRE_STATUS_FLUSH_FINISHED) {
            appended.finished = true;
            status = PREWIRE_STATUS_OK;
        }
        return detail::outcome(status, std::move(appended));
    }
    template <typename T>
    Outcome<Appended> append(const std::vector<T> &values)
    {
        return append(Span<const T>(values));
    }
    Outcome<void> flush() { return detail::outcome(prewire_flush_flush(handle_.get())); }
    /** Waits until everything is durable. One that is not called is called by the destructor, which cannot say what went wrong. */
    Outcome<void> close() { return detail::outcome(prewire_flush_close(handle_.get())); }
    Outcome<prewire_flush_metrics> metrics() const
    {
        prewire_flush_metrics metrics{};
        metrics.size = sizeof metrics;
        const auto status = prewire_flush_get_metrics(handle_.get(), 0, &metrics);
        return detail::outcome(status, std::move(metrics));
    }
    Outcome<void> set_attribute(const std::string &path, const std::string &key, const std::string &json)
    {
        return detail::outcome(prewire_flush_set_attribute(handle_.get(), path.c_str(), key.c_str(), json.c_str()));
    }

    prewire_flush_writer *raw() const { return handle_.get(); }

private:
    explicit Writer(prewire_flush_writer *raw) : handle_(raw) {}

    detail::Owned<prewire_flush_writer, prewire_flush_destroy> handle_;
};

/** The memory that a writer of an array will take. */
inline Outcome<prewire_flush_estimate> memory(Array &array, const Settings &settings = Settings())
{
    prewire_flush_estimate estimate{};
    const auto status = prewire_flush_memory(&array.raw(), &settings, 0, &estimate);
    return detail::outcome(status, std::move(estimate));
}

} // namespace flush

} // namespace prewire

#endif
