/* Prewire for C and C++.
 *
 * Every function that can fail returns a prewire_status; prewire_last_error() then says in one sentence what was wrong, where, the value, and what
 * would be right. Handles (prewire_runtime and the other types without a body) are numbers in the shape of pointers: a handle that is NULL, of another
 * kind, or of an object that was destroyed is PREWIRE_STATUS_BAD_HANDLE, not a crash. Structures without a handle are plain data of the caller's.
 * Each function says who owns what, and which thread may call it; where it says nothing else, an object is used by one call at a time, and a second one is
 * PREWIRE_STATUS_BUSY. No function unwinds, and no function that is called back may.
 *
 * include/prewire.hpp has the same for C++17. */


#ifndef PREWIRE_H
#define PREWIRE_H

/* Made by cargo xtask header from the sources of the crate ffi; changes belong there. */

#include <stddef.h>
#include <stdint.h>

/** The version of the library that this header is from. */
#define PREWIRE_VERSION_MAJOR 0
#define PREWIRE_VERSION_MINOR 1
#define PREWIRE_VERSION_PATCH 0
#define PREWIRE_VERSION "0.1.0"


/**
 * The rings of a runtime: a task uses the ring of its scope's depth, and those of depth 3 and more share the last.
 */
#define PREWIRE_RING_COUNT 4

/**
 * Keeps what every core did and when, for prewire_report_write_trace.
 */
#define PREWIRE_RECORD_TRACE 1

/**
 * Keeps every task and dependency, which gives a trace its arrows.
 */
#define PREWIRE_RECORD_GRAPH 2

/**
 * The first scheduler gets no thread: whoever calls a run drives it while it waits.
 */
#define PREWIRE_CALLER_DRIVES 4

/**
 * No scheduler has a thread: the caller plays them all while it waits.
 */
#define PREWIRE_SINGLE_THREAD 8

/**
 * The kernel uses no barrier and no pipe, so that its blocks and parts need not run at the same time.
 */
#define PREWIRE_KERNEL_NEVER_WAITS 1

/**
 * Kernels of a replay take as long as the recording says; in virtual time, those of which it says nothing take what their arguments make likely.
 */
#define PREWIRE_REPLAY_RECORDED UINT64_MAX

/**
 * No limit to a wait.
 */
#define PREWIRE_WAIT_FOREVER UINT64_MAX

/**
 * No kernel in this place; or, where a kernel is registered, at the first free id.
 */
#define PREWIRE_NO_KERNEL UINT32_MAX

/**
 * Blocks run on any core of the right kind.
 */
#define PREWIRE_ANY_CORE -1

/**
 * All blocks of the task start together, or none does.
 */
#define PREWIRE_TASK_SYNC_START 1

/**
 * The parts of one block talk to each other, so they must run at the same time.
 */
#define PREWIRE_TASK_COMMUNICATES 2

/**
 * A dependency that waits for its producer and does not use its memory.
 */
#define PREWIRE_DEPENDENCY_WAIT_ONLY 1

/**
 * The most dimensions that a tensor has.
 */
#define PREWIRE_MAX_DIMENSIONS 5

/**
 * The number of the binary interface. A program that was compiled against one number runs with every library that returns the same one.
 */
#define PREWIRE_ABI_VERSION 1

/**
 * What a call returns: 0, or what went wrong. The numbers below 200 are the runtime's own error codes, the same in every language; numbers never change their
 * meaning.
 */
enum prewire_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Everything is as it should be.
     */
    PREWIRE_STATUS_OK = 0,
    /**
     * One scope holds more tasks with outputs than its ring has slots.
     */
    PREWIRE_STATUS_SCOPE_DEADLOCK = 1,
    /**
     * The ring's heap cannot make room for the outputs.
     */
    PREWIRE_STATUS_HEAP_DEADLOCK = 2,
    /**
     * The ring's task window cannot advance.
     */
    PREWIRE_STATUS_WINDOW_DEADLOCK = 3,
    /**
     * The ring's edge pool cannot make room for the dependencies.
     */
    PREWIRE_STATUS_EDGE_POOL_OVERFLOW = 4,
    /**
     * A call was refused for its arguments, a NULL among them: nothing was done.
     */
    PREWIRE_STATUS_INVALID_ARGUMENTS = 5,
    /**
     * A gang needs more cores than the chip has.
     */
    PREWIRE_STATUS_GANG_TOO_LARGE = 7,
    /**
     * A data access waited longer than its budget.
     */
    PREWIRE_STATUS_DATA_WAIT_TIMEOUT = 8,
    /**
     * The orchestration ended the run.
     */
    PREWIRE_STATUS_EXPLICIT_FATAL = 9,
    /**
     * The dependency index cannot make room.
     */
    PREWIRE_STATUS_INDEX_OVERFLOW = 11,
    /**
     * The watchdog found that the run makes no progress.
     */
    PREWIRE_STATUS_SCHEDULER_TIMEOUT = 100,
    /**
     * A kernel registered a condition that cannot be watched.
     */
    PREWIRE_STATUS_DEFERRED_INVALID = 101,
    /**
     * A kernel registered more conditions than one dispatch may.
     */
    PREWIRE_STATUS_DEFERRED_OVERFLOW = 102,
    /**
     * A kernel's registration of conditions is malformed.
     */
    PREWIRE_STATUS_DEFERRED_MALFORMED = 103,
    /**
     * A kernel failed; the rest of the graph completed. The report has the kernel's own code and text.
     */
    PREWIRE_STATUS_KERNEL_FAILED = 200,
    /**
     * The data asked for was to be written by a task that failed.
     */
    PREWIRE_STATUS_DATA_LOST = 201,
    /**
     * The run did not begin: a core does not answer, or is still inside a kernel of an earlier run.
     */
    PREWIRE_STATUS_NOT_STARTED = 202,
    /**
     * Memory cannot be had.
     */
    PREWIRE_STATUS_OUT_OF_MEMORY = 203,
    /**
     * A setting, of the configuration or of the environment, has a value that it cannot have.
     */
    PREWIRE_STATUS_INVALID_SETTING = 204,
    /**
     * A kernel, or the library it is in, cannot be registered.
     */
    PREWIRE_STATUS_REGISTRATION_FAILED = 205,
    /**
     * A file cannot be read or written, or is not what it should be.
     */
    PREWIRE_STATUS_FILE_FAILED = 206,
    /**
     * The chip did not come up, or a thread could not be started.
     */
    PREWIRE_STATUS_BUILD_FAILED = 207,
    /**
     * The object has nothing of what was asked for, such as a trace that was not recorded.
     */
    PREWIRE_STATUS_NOT_AVAILABLE = 208,
    /**
     * The handle is NULL, of another kind, or of an object that was destroyed.
     */
    PREWIRE_STATUS_BAD_HANDLE = 300,
    /**
     * The object belongs to another thread.
     */
    PREWIRE_STATUS_WRONG_THREAD = 301,
    /**
     * Another call, on this thread or another, is using the object.
     */
    PREWIRE_STATUS_BUSY = 302,
    /**
     * The library panicked. The object may be used again, but please report it.
     */
    PREWIRE_STATUS_PANIC = 303,
    /**
     * A writer's configuration cannot be built. Nothing was allocated and no file was made.
     */
    PREWIRE_STATUS_FLUSH_INVALID_CONFIG = 400,
    /**
     * The data or a value given to a writer cannot be used. Nothing was consumed.
     */
    PREWIRE_STATUS_FLUSH_INVALID_INPUT = 401,
    /**
     * The storage refused or lost a write.
     */
    PREWIRE_STATUS_FLUSH_SINK_FAILED = 402,
    /**
     * An earlier failure latched the array; nothing more is accepted.
     */
    PREWIRE_STATUS_FLUSH_BROKEN = 403,
    /**
     * The device failed an operation.
     */
    PREWIRE_STATUS_FLUSH_DEVICE_FAILED = 404,
    /**
     * The device asked for is not there.
     */
    PREWIRE_STATUS_FLUSH_DEVICE_UNAVAILABLE = 405,
    /**
     * The codec asked for is not there.
     */
    PREWIRE_STATUS_FLUSH_CODEC_UNAVAILABLE = 406,
    /**
     * The codec cannot compress at the level asked for on this device.
     */
    PREWIRE_STATUS_FLUSH_LEVEL_UNSUPPORTED = 407,
    /**
     * Another array was chosen in the middle of an epoch.
     */
    PREWIRE_STATUS_FLUSH_NOT_FLUSHABLE = 408,
    /**
     * There is a store already.
     */
    PREWIRE_STATUS_FLUSH_ALREADY_EXISTS = 409,
    /**
     * The memory budget does not hold the smallest pipeline, or an allocation failed.
     */
    PREWIRE_STATUS_FLUSH_OUT_OF_MEMORY = 410,
    /**
     * Not an error: the array is full, or was flushed, and took only as many bytes as the call reports.
     */
    PREWIRE_STATUS_FLUSH_FINISHED = 450,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_status prewire_status;
#else
typedef uint32_t prewire_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A chip that is simulated.
 */
enum prewire_chip
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * 24 clusters: 24 cube and 48 vector cores.
     */
    PREWIRE_CHIP_A2A3 = 0,
    /**
     * 36 clusters on two dies: 36 cube and 72 vector cores.
     */
    PREWIRE_CHIP_A5 = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_chip prewire_chip;
#else
typedef uint32_t prewire_chip;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How kernels are run.
 */
enum prewire_engine
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The thread that dispatches a block runs it; blocks that may wait for one another get threads of their own.
     */
    PREWIRE_ENGINE_INLINE = 0,
    /**
     * Every core's kernels run on a pool of threads, as on a chip.
     */
    PREWIRE_ENGINE_THREADS = 1,
    /**
     * Everything runs in virtual time, in an order that seed decides.
     */
    PREWIRE_ENGINE_VIRTUAL = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_engine prewire_engine;
#else
typedef uint32_t prewire_engine;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Which dependencies are inferred.
 */
enum prewire_hazards
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * All: a run means what its tasks mean one after the other.
     */
    PREWIRE_HAZARDS_ALL = 0,
    /**
     * Only reads after writes; whoever overwrites what others read must order it by explicit dependencies.
     */
    PREWIRE_HAZARDS_READ_AFTER_WRITE = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_hazards prewire_hazards;
#else
typedef uint32_t prewire_hazards;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The type of a tensor's elements.
 */
enum prewire_data_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * IEEE 754 binary32.
     */
    PREWIRE_DATA_TYPE_F32 = 0,
    /**
     * IEEE 754 binary16.
     */
    PREWIRE_DATA_TYPE_F16 = 1,
    /**
     * Signed 32-bit integer.
     */
    PREWIRE_DATA_TYPE_I32 = 2,
    /**
     * Signed 16-bit integer.
     */
    PREWIRE_DATA_TYPE_I16 = 3,
    /**
     * Signed 8-bit integer.
     */
    PREWIRE_DATA_TYPE_I8 = 4,
    /**
     * Unsigned 8-bit integer.
     */
    PREWIRE_DATA_TYPE_U8 = 5,
    /**
     * The upper half of an IEEE 754 binary32.
     */
    PREWIRE_DATA_TYPE_BF16 = 6,
    /**
     * Signed 64-bit integer.
     */
    PREWIRE_DATA_TYPE_I64 = 7,
    /**
     * Unsigned 64-bit integer.
     */
    PREWIRE_DATA_TYPE_U64 = 8,
    /**
     * Unsigned 16-bit integer.
     */
    PREWIRE_DATA_TYPE_U16 = 9,
    /**
     * Unsigned 32-bit integer.
     */
    PREWIRE_DATA_TYPE_U32 = 10,
    /**
     * A truth value in one byte.
     */
    PREWIRE_DATA_TYPE_BOOL = 11,
    /**
     * 8-bit float: 4 exponent bits, 3 mantissa bits, no infinities.
     */
    PREWIRE_DATA_TYPE_FP8_E4M3FN = 12,
    /**
     * 8-bit exponent-only scale.
     */
    PREWIRE_DATA_TYPE_FP8_E8M0 = 13,
    /**
     * 4-bit float, stored one to a byte.
     */
    PREWIRE_DATA_TYPE_FP4_E2M1 = 14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_data_type prewire_data_type;
#else
typedef uint32_t prewire_data_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a task is.
 */
enum prewire_task_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * One cube core for each block; kernels[0] is its kernel.
     */
    PREWIRE_TASK_KIND_CUBE = 1,
    /**
     * One vector core for each block; kernels[0] is its kernel.
     */
    PREWIRE_TASK_KIND_VECTOR = 2,
    /**
     * The named cores of one cluster for each block: kernels are those of the cube core, the first and the second vector core.
     */
    PREWIRE_TASK_KIND_CLUSTER = 3,
    /**
     * Dependencies and no kernel.
     */
    PREWIRE_TASK_KIND_DUMMY = 4,
    /**
     * Memory and no kernel: all arguments are outputs. Done when the submit returns.
     */
    PREWIRE_TASK_KIND_ALLOCATION = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_task_kind prewire_task_kind;
#else
typedef uint32_t prewire_task_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a task does with a tensor.
 */
enum prewire_argument_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It reads the tensor.
     */
    PREWIRE_ARGUMENT_KIND_INPUT = 0,
    /**
     * The runtime allocates the tensor, as allocation says, and the task writes it.
     */
    PREWIRE_ARGUMENT_KIND_OUTPUT = 1,
    /**
     * It reads and writes the tensor, or writes parts of it.
     */
    PREWIRE_ARGUMENT_KIND_INOUT = 2,
    /**
     * It overwrites all of a tensor that exists.
     */
    PREWIRE_ARGUMENT_KIND_OUTPUT_EXISTING = 3,
    /**
     * It uses the tensor and the user orders it: only its allocation is waited for and kept.
     */
    PREWIRE_ARGUMENT_KIND_NO_DEPENDENCY = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_argument_kind prewire_argument_kind;
#else
typedef uint32_t prewire_argument_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How the operand of a predicate is compared with its target.
 */
enum prewire_comparison
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Operand = target.
     */
    PREWIRE_COMPARISON_EQUAL = 1,
    /**
     * Operand ≠ target.
     */
    PREWIRE_COMPARISON_NOT_EQUAL = 2,
    /**
     * Operand > target.
     */
    PREWIRE_COMPARISON_GREATER = 3,
    /**
     * Operand < target.
     */
    PREWIRE_COMPARISON_LESS = 4,
    /**
     * Operand ≥ target.
     */
    PREWIRE_COMPARISON_GREATER_OR_EQUAL = 5,
    /**
     * Operand ≤ target.
     */
    PREWIRE_COMPARISON_LESS_OR_EQUAL = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_comparison prewire_comparison;
#else
typedef uint32_t prewire_comparison;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A kind of scope.
 */
enum prewire_scope_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Dependencies are inferred.
     */
    PREWIRE_SCOPE_KIND_AUTOMATIC = 0,
    /**
     * Nothing is inferred: the user orders tasks that touch common bytes by explicit dependencies, or their kernels race.
     */
    PREWIRE_SCOPE_KIND_MANUAL = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_scope_kind prewire_scope_kind;
#else
typedef uint32_t prewire_scope_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of core that a kernel runs on.
 */
enum prewire_core_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Either.
     */
    PREWIRE_CORE_KIND_ANY = 0,
    /**
     * Cube cores (AIC).
     */
    PREWIRE_CORE_KIND_CUBE = 1,
    /**
     * Vector cores (AIV).
     */
    PREWIRE_CORE_KIND_VECTOR = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_core_kind prewire_core_kind;
#else
typedef uint32_t prewire_core_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a kernel does with a tensor argument.
 */
enum prewire_access
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It only reads.
     */
    PREWIRE_ACCESS_READ = 0,
    /**
     * It writes, and may read.
     */
    PREWIRE_ACCESS_WRITE = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_access prewire_access;
#else
typedef uint32_t prewire_access;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How important a message is.
 */
enum prewire_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Something is wrong that no call returns.
     */
    PREWIRE_LOG_LEVEL_ERROR = 1,
    /**
     * Something may be wrong.
     */
    PREWIRE_LOG_LEVEL_WARNING = 2,
    /**
     * What was chosen, and why.
     */
    PREWIRE_LOG_LEVEL_INFO = 3,
    /**
     * Steps on the way.
     */
    PREWIRE_LOG_LEVEL_DEBUG = 4,
    /**
     * Everything.
     */
    PREWIRE_LOG_LEVEL_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_log_level prewire_log_level;
#else
typedef uint32_t prewire_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What kind of standstill a run ended in.
 */
enum prewire_stall_class
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A task runs on a core and shows no sign of life.
     */
    PREWIRE_STALL_CLASS_RUNNING_STALLED = 1,
    /**
     * A task is ready and nobody dispatches it.
     */
    PREWIRE_STALL_CLASS_READY_IDLE = 3,
    /**
     * Tasks wait and nothing that they wait for runs.
     */
    PREWIRE_STALL_CLASS_DEPENDENCY_DEADLOCK = 4,
    /**
     * Everything submitted is done and the orchestration does not go on.
     */
    PREWIRE_STALL_CLASS_ORCHESTRATOR_STARVATION = 5,
    /**
     * None of these.
     */
    PREWIRE_STALL_CLASS_UNKNOWN = 99,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_stall_class prewire_stall_class;
#else
typedef uint32_t prewire_stall_class;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The type of the elements of a stored array.
 */
enum prewire_flush_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Unsigned, 8 bits.
     */
    PREWIRE_FLUSH_TYPE_U8 = 0,
    /**
     * Unsigned, 16 bits.
     */
    PREWIRE_FLUSH_TYPE_U16 = 1,
    /**
     * Unsigned, 32 bits.
     */
    PREWIRE_FLUSH_TYPE_U32 = 2,
    /**
     * Unsigned, 64 bits.
     */
    PREWIRE_FLUSH_TYPE_U64 = 3,
    /**
     * Signed, 8 bits.
     */
    PREWIRE_FLUSH_TYPE_I8 = 4,
    /**
     * Signed, 16 bits.
     */
    PREWIRE_FLUSH_TYPE_I16 = 5,
    /**
     * Signed, 32 bits.
     */
    PREWIRE_FLUSH_TYPE_I32 = 6,
    /**
     * Signed, 64 bits.
     */
    PREWIRE_FLUSH_TYPE_I64 = 7,
    /**
     * IEEE 754 binary16.
     */
    PREWIRE_FLUSH_TYPE_F16 = 8,
    /**
     * IEEE 754 binary32.
     */
    PREWIRE_FLUSH_TYPE_F32 = 9,
    /**
     * IEEE 754 binary64.
     */
    PREWIRE_FLUSH_TYPE_F64 = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_type prewire_flush_type;
#else
typedef uint32_t prewire_flush_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of an axis.
 */
enum prewire_flush_axis
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * What the name makes likely: t and time are time, c and channel are channels, all else is space.
     */
    PREWIRE_FLUSH_AXIS_OF_NAME = 0,
    /**
     * Position in space.
     */
    PREWIRE_FLUSH_AXIS_SPACE = 1,
    /**
     * Time.
     */
    PREWIRE_FLUSH_AXIS_TIME = 2,
    /**
     * A channel.
     */
    PREWIRE_FLUSH_AXIS_CHANNEL = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_axis prewire_flush_axis;
#else
typedef uint32_t prewire_flush_axis;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What compresses the chunks.
 */
enum prewire_flush_codec
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Nothing.
     */
    PREWIRE_FLUSH_CODEC_NONE = 0,
    /**
     * Zstandard, level -7 to 22; 0 is the library's default.
     */
    PREWIRE_FLUSH_CODEC_ZSTD = 1,
    /**
     * LZ4 as numcodecs writes it, level 1 to 12.
     */
    PREWIRE_FLUSH_CODEC_LZ4 = 2,
    /**
     * Blosc with LZ4, level 0 to 9.
     */
    PREWIRE_FLUSH_CODEC_BLOSC_LZ4 = 3,
    /**
     * Blosc with Zstandard, level 0 to 9.
     */
    PREWIRE_FLUSH_CODEC_BLOSC_ZSTD = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_codec prewire_flush_codec;
#else
typedef uint32_t prewire_flush_codec;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How Blosc reorders bytes before it compresses.
 */
enum prewire_flush_shuffle
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Not at all.
     */
    PREWIRE_FLUSH_SHUFFLE_NONE = 0,
    /**
     * By bytes.
     */
    PREWIRE_FLUSH_SHUFFLE_BYTE = 1,
    /**
     * By bits.
     */
    PREWIRE_FLUSH_SHUFFLE_BIT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_shuffle prewire_flush_shuffle;
#else
typedef uint32_t prewire_flush_shuffle;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How several elements become one in the pyramid.
 */
enum prewire_flush_reduce
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The mean.
     */
    PREWIRE_FLUSH_REDUCE_MEAN = 0,
    /**
     * The smallest.
     */
    PREWIRE_FLUSH_REDUCE_MIN = 1,
    /**
     * The largest.
     */
    PREWIRE_FLUSH_REDUCE_MAX = 2,
    /**
     * The middle of the sorted window.
     */
    PREWIRE_FLUSH_REDUCE_MEDIAN = 3,
    /**
     * The second largest.
     */
    PREWIRE_FLUSH_REDUCE_MAX_SUPPRESSED = 4,
    /**
     * The second smallest.
     */
    PREWIRE_FLUSH_REDUCE_MIN_SUPPRESSED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_reduce prewire_flush_reduce;
#else
typedef uint32_t prewire_flush_reduce;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What readers see where no chunk was written.
 */
enum prewire_flush_fill
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Zero.
     */
    PREWIRE_FLUSH_FILL_ZERO = 0,
    /**
     * fill_integer.
     */
    PREWIRE_FLUSH_FILL_INTEGER = 1,
    /**
     * fill_float.
     */
    PREWIRE_FLUSH_FILL_FLOAT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_fill prewire_flush_fill;
#else
typedef uint32_t prewire_flush_fill;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Which device carries the data.
 */
enum prewire_flush_device
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The host's cores.
     */
    PREWIRE_FLUSH_DEVICE_CPU = 0,
    /**
     * A CUDA device.
     */
    PREWIRE_FLUSH_DEVICE_CUDA = 1,
    /**
     * CUDA where it is available, else the host.
     */
    PREWIRE_FLUSH_DEVICE_AUTO = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_device prewire_flush_device;
#else
typedef uint32_t prewire_flush_device;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A step of the pipeline.
 */
enum prewire_flush_stage
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The host's copy into staging.
     */
    PREWIRE_FLUSH_STAGE_MEMCPY = 0,
    /**
     * Staging to the device.
     */
    PREWIRE_FLUSH_STAGE_HOST_TO_DEVICE = 1,
    /**
     * Input to chunks.
     */
    PREWIRE_FLUSH_STAGE_SCATTER = 2,
    /**
     * Level 0 to chunks.
     */
    PREWIRE_FLUSH_STAGE_LOD_GATHER = 3,
    /**
     * Level to level.
     */
    PREWIRE_FLUSH_STAGE_LOD_REDUCE = 4,
    /**
     * Folding along the append dimension.
     */
    PREWIRE_FLUSH_STAGE_LOD_FOLD = 5,
    /**
     * Levels to chunks.
     */
    PREWIRE_FLUSH_STAGE_LOD_SCATTER = 6,
    /**
     * Compression.
     */
    PREWIRE_FLUSH_STAGE_COMPRESS = 7,
    /**
     * Packing by shard.
     */
    PREWIRE_FLUSH_STAGE_AGGREGATE = 8,
    /**
     * Index and payload to the host.
     */
    PREWIRE_FLUSH_STAGE_DEVICE_TO_HOST = 9,
    /**
     * Delivery to the sink.
     */
    PREWIRE_FLUSH_STAGE_SINK = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum prewire_flush_stage prewire_flush_stage;
#else
typedef uint32_t prewire_flush_stage;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A piece of device memory. Made by prewire_buffer_create; tensors are views of it.
 */
typedef struct prewire_buffer prewire_buffer;

/**
 * Streams arrays to a sink, in memory fixed at creation. Made by prewire_flush_create_folder or prewire_flush_create.
 */
typedef struct prewire_flush_writer prewire_flush_writer;

/**
 * What a run did, whether it succeeded or not. Made by a run; given back to prewire_report_destroy.
 */
typedef struct prewire_report prewire_report;

/**
 * A run while its orchestration builds it. Good until the orchestration returns, on the thread that called prewire_runtime_run or
 * prewire_runtime_submit, and nowhere else.
 */
typedef struct prewire_run prewire_run;

/**
 * A chip and everything that runs graphs on it. Made by prewire_runtime_create; runs one graph at a time, any number of times.
 */
typedef struct prewire_runtime prewire_runtime;

/**
 * A run that was submitted. Made by prewire_runtime_submit, given back to prewire_submission_destroy, which does nothing to the run.
 */
typedef struct prewire_submission prewire_submission;

/**
 * A strided box of elements in a buffer. Plain data: copy it as you like; it owns nothing and needs no destroying.
 *
 * Only the library's functions write into one. One that nobody wrote, or that was changed, is refused.
 */
typedef struct prewire_tensor {
    /**
     * The library's.
     */
    uint64_t opaque[12];
    /**
     * The library's.
     */
    uint64_t seal;
} prewire_tensor;

/**
 * Called with a message: a prewire_log_level, the part of the library, and one line of text, both the library's and valid during the call. It is called on the thread
 * that called the library, before the library's call returns. It must not unwind, and may call the library, but not with the object whose call is on.
 */
typedef void (*prewire_log_function)(uint32_t level, const char *target, const char *message, void *context);

/**
 * What a runtime is made with. Begin with prewire_config_init; what is left 0 is decided by its environment variable, or else by its default.
 */
typedef struct prewire_config {
    /**
     * sizeof(prewire_config), as prewire_config_init writes it.
     */
    size_t size;
    /**
     * A prewire_chip.
     */
    uint32_t chip;
    /**
     * A prewire_engine.
     */
    uint32_t engine;
    /**
     * What decides the order of things in virtual time.
     */
    uint64_t seed;
    /**
     * Clusters of the chip to use; 0 takes all.
     */
    uint32_t clusters;
    /**
     * Threads of a run, one orchestrator and the rest schedulers; 0 takes the chip's default, or the number of processors if that is less.
     */
    uint32_t threads;
    /**
     * PREWIRE_RECORD_TRACE and the flags beside it, joined by |.
     */
    uint32_t flags;
    /**
     * A prewire_hazards.
     */
    uint32_t hazards;
    /**
     * Tasks alive at once, per ring; the first alone stands for all rings.
     */
    uint64_t ring_task_window[PREWIRE_RING_COUNT];
    /**
     * Bytes for task outputs, per ring; the first alone stands for all rings.
     */
    uint64_t ring_heap[PREWIRE_RING_COUNT];
    /**
     * Dependency edges alive at once, per ring; the first alone stands for all rings.
     */
    uint64_t ring_dep_pool[PREWIRE_RING_COUNT];
    /**
     * Entries of the dependency index.
     */
    uint64_t index_entries;
    /**
     * How long one task may keep a core without a sign of life, in milliseconds.
     */
    uint64_t watchdog_ms;
    /**
     * How long a submit waits for room while nothing moves, in milliseconds.
     */
    uint64_t no_progress_ms;
    /**
     * How long a data access waits for the tasks it depends on, in milliseconds.
     */
    uint64_t data_wait_ms;
    /**
     * Called with what the library has to say; NULL for silence. See prewire_log_function.
     */
    prewire_log_function log;
    /**
     * Handed to log.
     */
    void *log_context;
    /**
     * The least important prewire_log_level that log is called for.
     */
    uint32_t log_level;
    /**
     * 0.
     */
    uint32_t reserved;
} prewire_config;

/**
 * One dimension in acquisition order, slowest first. All zero but name, size and chunk is good.
 */
typedef struct prewire_flush_dimension {
    /**
     * The name.
     */
    const char *name;
    /**
     * Extent in elements; 0 means unbounded and is allowed for the first dimension only.
     */
    uint64_t size;
    /**
     * Chunk extent in elements.
     */
    uint64_t chunk;
    /**
     * Chunks of a shard along this dimension; 0 means all of them.
     */
    uint64_t chunks_per_shard;
    /**
     * 1 if the pyramid halves this dimension, else 0.
     */
    uint32_t downsample;
    /**
     * A prewire_flush_axis.
     */
    uint32_t axis;
    /**
     * The unit of one step, such as "micrometer"; NULL for none.
     */
    const char *unit;
    /**
     * The length of one step at full resolution, in units; 0 stands for 1.
     */
    double scale;
} prewire_flush_dimension;

/**
 * What an array is. Begin with prewire_flush_array_init.
 */
typedef struct prewire_flush_array {
    /**
     * sizeof(prewire_flush_array).
     */
    size_t size;
    /**
     * The path of the array's node inside the store; NULL or empty is the root.
     */
    const char *name;
    /**
     * A prewire_flush_type.
     */
    uint32_t data_type;
    /**
     * A prewire_flush_codec.
     */
    uint32_t codec;
    /**
     * The codec's level.
     */
    int32_t level;
    /**
     * A prewire_flush_shuffle, for Blosc.
     */
    uint32_t shuffle;
    /**
     * The dimensions in acquisition order, slowest first.
     */
    const struct prewire_flush_dimension *dimensions;
    /**
     * How many dimensions there are.
     */
    size_t dimension_count;
    /**
     * For each dimension its position in the store, 0 slowest; NULL for the acquisition order.
     */
    const size_t *storage_positions;
    /**
     * The most pyramid levels, full resolution included; 0 leaves it to the sizes.
     */
    uint32_t levels_max;
    /**
     * A prewire_flush_reduce for inner dimensions.
     */
    uint32_t reduce;
    /**
     * A prewire_flush_reduce for the append dimension.
     */
    uint32_t append_reduce;
    /**
     * 1 if levels stop as soon as one dimension fits one chunk, else 0.
     */
    uint32_t preserve_aspect_ratio;
    /**
     * A prewire_flush_fill.
     */
    uint32_t fill;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Where fill says so.
     */
    int64_t fill_integer;
    /**
     * Where fill says so.
     */
    double fill_float;
} prewire_flush_array;

/**
 * What a writer did so far, for one array. Times in nanoseconds.
 */
typedef struct prewire_flush_metrics {
    /**
     * sizeof(prewire_flush_metrics); set it before the call.
     */
    size_t size;
    /**
     * Append calls.
     */
    uint64_t appends;
    /**
     * The longest append.
     */
    uint64_t append_longest_ns;
    /**
     * What 99 of 100 appends stayed below.
     */
    uint64_t append_p99_ns;
    /**
     * The most bytes that were pending in the sink.
     */
    uint64_t pending_bytes_peak;
    /**
     * Batches compressed.
     */
    uint64_t batches;
    /**
     * Writes that the sink took by reference.
     */
    uint64_t stable_writes;
    /**
     * Writes that the sink copied.
     */
    uint64_t copied_writes;
    /**
     * Time that the caller was blocked: for a staging slot, for the compressed data, for the sink's reading, for the sink's backlog, in drains.
     */
    uint64_t blocked_staging_ns;
    /**
     * See blocked_staging_ns.
     */
    uint64_t blocked_data_ns;
    /**
     * See blocked_staging_ns.
     */
    uint64_t blocked_sink_ns;
    /**
     * See blocked_staging_ns.
     */
    uint64_t blocked_back_pressure_ns;
    /**
     * See blocked_staging_ns.
     */
    uint64_t blocked_flush_ns;
} prewire_flush_metrics;

/**
 * What one stage did.
 */
typedef struct prewire_flush_stage_metrics {
    /**
     * Runs.
     */
    uint64_t count;
    /**
     * Time in nanoseconds, without waits.
     */
    uint64_t time_ns;
    /**
     * Bytes that went in.
     */
    uint64_t bytes;
} prewire_flush_stage_metrics;

/**
 * How a writer works. Begin with prewire_flush_settings_init.
 */
typedef struct prewire_flush_settings {
    /**
     * sizeof(prewire_flush_settings).
     */
    size_t size;
    /**
     * Bytes of one of the two staging slots.
     */
    size_t staging_bytes;
    /**
     * The size a batch aims at where epochs_per_batch is 0.
     */
    uint64_t target_batch_bytes;
    /**
     * Time between rewrites of the array documents; 0 rewrites after every delivery that changed the extent.
     */
    uint64_t metadata_update_interval_ms;
    /**
     * Pending sink bytes above which an append waits; 0 never waits.
     */
    uint64_t backpressure_bytes;
    /**
     * The longest such wait.
     */
    uint64_t backpressure_wait_max_ms;
    /**
     * The memory that all buffers together may take; 0 does not limit it.
     */
    uint64_t memory_budget_bytes;
    /**
     * Epochs compressed together; 0 derives it from target_batch_bytes.
     */
    uint32_t epochs_per_batch;
    /**
     * Worker threads; 0 takes the cores that the process is allowed.
     */
    uint32_t threads_max;
    /**
     * A prewire_flush_device.
     */
    uint32_t device;
    /**
     * 1 if the schedule is chosen as if the device could not wait for a value, else 0.
     */
    uint32_t force_gate_off;
    /**
     * 1 if the writer may replace what the store holds already, else 0.
     */
    uint32_t overwrite;
    /**
     * The least important prewire_log_level that log is called for.
     */
    uint32_t log_level;
    /**
     * Called with what the writer has to say; NULL for silence. See prewire_log_function.
     */
    prewire_log_function log;
    /**
     * Handed to log.
     */
    void *log_context;
} prewire_flush_settings;

/**
 * The memory that a writer of one array will take.
 */
typedef struct prewire_flush_estimate {
    /**
     * Bytes of all buffers together.
     */
    uint64_t total_bytes;
    /**
     * Bytes of the kind of buffer that takes the most.
     */
    uint64_t largest_bytes;
    /**
     * Epochs compressed together.
     */
    uint32_t epochs_per_batch;
    /**
     * 0.
     */
    uint32_t reserved;
} prewire_flush_estimate;

/**
 * Where shards and documents go, as callbacks. Each gets context, and returns 0 or a code of its own, which fails the array with
 * PREWIRE_STATUS_FLUSH_SINK_FAILED and stands in the message. What is NULL is not offered; open, write and finalize must be there. They may be called on any
 * thread, several at once, but one at a time for one file; none is called once prewire_flush_destroy has returned. None may unwind or call the writer.
 */
typedef struct prewire_flush_sink {
    /**
     * sizeof(prewire_flush_sink).
     */
    size_t size;
    /**
     * Handed to every callback. It stays the caller's, who keeps it until the writer is destroyed.
     */
    void *context;
    /**
     * The page size that every write of a shard but its last is aligned to; 0 for none.
     */
    size_t page_bytes;
    /**
     * Opens a new shard and leaves what the other callbacks know it by in *file. key is valid during the call.
     */
    int32_t (*open)(void *context, const char *key, void **file);
    /**
     * Writes bytes, which are valid during the call.
     */
    int32_t (*write)(void *context, void *file, uint64_t offset, const void *data, size_t bytes);
    /**
     * Writes bytes that stay unchanged until a fence that was recorded later has been waited for. NULL: write is called.
     */
    int32_t (*write_direct)(void *context, void *file, uint64_t offset, const void *data, size_t bytes);
    /**
     * Cuts a shard to its length; only asked of sinks with pages.
     */
    int32_t (*truncate)(void *context, void *file, uint64_t bytes);
    /**
     * Ends a shard, which becomes visible. file is not used again.
     */
    int32_t (*finalize)(void *context, void *file);
    /**
     * Gives up a shard that was not ended. file is not used again.
     */
    void (*abandon)(void *context, void *file);
    /**
     * Replaces a document, such as zarr.json. NULL: documents are dropped.
     */
    int32_t (*put)(void *context, const char *key, const void *data, size_t bytes);
    /**
     * Marks the end of the writes queued so far, by a number. NULL: writes are done when they return.
     */
    uint64_t (*record_fence)(void *context);
    /**
     * Waits until all writes before a fence have ended, and says whether they succeeded.
     */
    int32_t (*wait_fence)(void *context, uint64_t fence);
    /**
     * Bytes that are queued.
     */
    uint64_t (*pending_bytes)(void *context);
    /**
     * Makes everything as durable as the sink can.
     */
    int32_t (*flush)(void *context);
} prewire_flush_sink;

/**
 * A tensor as a kernel gets it.
 */
typedef struct prewire_tensor_argument {
    /**
     * The address of its buffer's first byte.
     */
    uint64_t address;
    /**
     * Its first element, counted in elements from the buffer's first byte.
     */
    uint64_t start;
    /**
     * The length of each dimension.
     */
    uint32_t shape[PREWIRE_MAX_DIMENSIONS];
    /**
     * The distance between neighbours along each dimension, in elements.
     */
    uint32_t strides[PREWIRE_MAX_DIMENSIONS];
    /**
     * A prewire_data_type.
     */
    uint8_t data_type;
    /**
     * How many dimensions it has.
     */
    uint8_t dimensions;
    /**
     * The library's.
     */
    uint16_t reserved;
    /**
     * A prewire_argument_kind.
     */
    uint8_t kind;
    /**
     * The library's.
     */
    uint8_t flags;
    /**
     * The library's.
     */
    uint16_t spare;
} prewire_tensor_argument;

/**
 * What a kernel is called with. Everything is the library's, valid until the kernel returns, and for the kernel's own thread.
 */
typedef struct prewire_kernel_call {
    /**
     * The tensor arguments, in the order of the submit.
     */
    const struct prewire_tensor_argument *tensors;
    /**
     * How many tensor arguments there are.
     */
    size_t tensor_count;
    /**
     * The scalar arguments.
     */
    const uint64_t *scalars;
    /**
     * How many scalar arguments there are.
     */
    size_t scalar_count;
    /**
     * This block's index, from 0.
     */
    uint32_t block_index;
    /**
     * How many blocks the task has.
     */
    uint32_t block_count;
    /**
     * This core's part of its cluster: 0 cube, 1 and 2 vector.
     */
    uint32_t part;
    /**
     * What was given at registration.
     */
    void *context;
    /**
     * Where a failing kernel may write a text with a NUL at its end; prewire_kernel_fail does.
     */
    char *text;
    /**
     * The room for the text.
     */
    size_t text_bytes;
} prewire_kernel_call;

/**
 * Where a kernel finds the elements of a tensor argument: the one at indices i, j, ... is data[i * strides[0] + j * strides[1] + ...].
 */
typedef struct prewire_view {
    /**
     * The first element.
     */
    void *data;
    /**
     * The number of elements.
     */
    uint64_t elements;
    /**
     * The length of each dimension.
     */
    uint32_t shape[PREWIRE_MAX_DIMENSIONS];
    /**
     * The distance between neighbours along each dimension, in elements.
     */
    uint32_t strides[PREWIRE_MAX_DIMENSIONS];
    /**
     * How many dimensions there are.
     */
    uint32_t dimensions;
    /**
     * 1 if the elements lie one behind the other in row-major order, else 0.
     */
    uint32_t is_contiguous;
} prewire_view;

/**
 * A kernel: 0 for success, else a code of its own. Many may run at once, on any threads. It must not unwind: no exception may leave it.
 */
typedef int32_t (*prewire_kernel_function)(struct prewire_kernel_call *call);

/**
 * A kernel to register. Begin with PREWIRE_KERNEL_INIT.
 */
typedef struct prewire_kernel {
    /**
     * sizeof(prewire_kernel).
     */
    size_t size;
    /**
     * What reports call it; copied.
     */
    const char *name;
    /**
     * A prewire_core_kind.
     */
    uint32_t core_kind;
    /**
     * PREWIRE_KERNEL_NEVER_WAITS or 0.
     */
    uint32_t flags;
    /**
     * What it does; NULL where it is a symbol of a library.
     */
    prewire_kernel_function function;
    /**
     * Handed to every call. It stays the caller's, who keeps it until the kernel was unregistered, or its runtime destroyed, and no run is on.
     */
    void *context;
    /**
     * How long each block takes in virtual time, in nanoseconds; 0 for what its arguments make likely.
     */
    uint64_t lasts_ns;
    /**
     * The id to register it at, from 0 to 1023; PREWIRE_NO_KERNEL for the first free one.
     */
    uint32_t id;
    /**
     * 0.
     */
    uint32_t reserved;
} prewire_kernel;

/**
 * What one ring needed: the most in use at once, and how much there is.
 */
typedef struct prewire_ring_peaks {
    /**
     * Slots in use at once.
     */
    uint64_t window_peak;
    /**
     * Slots there are.
     */
    uint64_t window;
    /**
     * Heap bytes in use at once.
     */
    uint64_t heap_peak_bytes;
    /**
     * Heap bytes there are.
     */
    uint64_t heap_bytes;
    /**
     * Edges in use at once.
     */
    uint64_t edges_peak;
    /**
     * Edges there are.
     */
    uint64_t edges;
} prewire_ring_peaks;

/**
 * The numbers of a report.
 */
typedef struct prewire_report_counts {
    /**
     * sizeof(prewire_report_counts); set it before the call.
     */
    size_t size;
    /**
     * The run's number within its runtime, from 1.
     */
    uint32_t run;
    /**
     * Scopes that the orchestration left open and the runtime closed.
     */
    uint32_t scopes_left_open;
    /**
     * Tasks submitted, allocations among them.
     */
    uint64_t tasks;
    /**
     * Of these, allocations.
     */
    uint64_t allocations;
    /**
     * Tasks completed, of whatever kind and ending.
     */
    uint64_t completed;
    /**
     * Tasks whose kernels failed.
     */
    uint64_t failed;
    /**
     * Tasks retired unrun because of another's failure.
     */
    uint64_t unrun;
    /**
     * From the first submit's chance to the last completion, in nanoseconds.
     */
    uint64_t elapsed_ns;
    /**
     * Entries of the dependency index in use at once.
     */
    uint64_t index_peak;
    /**
     * Entries of the dependency index there are.
     */
    uint64_t index_entries;
    /**
     * The watchdog's budget that was in force, in nanoseconds.
     */
    uint64_t watchdog_ns;
    /**
     * How many notes there are for prewire_report_note.
     */
    uint64_t notes;
    /**
     * What each ring needed.
     */
    struct prewire_ring_peaks rings[PREWIRE_RING_COUNT];
} prewire_report_counts;

/**
 * The first failed kernel of a run.
 */
typedef struct prewire_kernel_failure {
    /**
     * The task's id, as the submit gave it.
     */
    uint64_t task;
    /**
     * The kernel's id.
     */
    uint32_t kernel;
    /**
     * The block that failed first, as far as was seen.
     */
    uint32_t block;
    /**
     * The kernel's own code.
     */
    int32_t code;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The kernel's own text. It belongs to the report.
     */
    const char *text;
} prewire_kernel_failure;

/**
 * What a run that stood still looked like. The run's error text names the cores and kernels.
 */
typedef struct prewire_stall {
    /**
     * A prewire_stall_class.
     */
    uint32_t stall_class;
    /**
     * Whether the orchestration had finished: 1 or 0.
     */
    uint32_t orchestration_done;
    /**
     * The budget that was exceeded, in milliseconds.
     */
    uint64_t budget_ms;
    /**
     * Tasks submitted.
     */
    uint64_t submitted;
    /**
     * Tasks completed.
     */
    uint64_t completed;
    /**
     * Tasks on cores.
     */
    uint64_t running;
    /**
     * Tasks that were ready.
     */
    uint64_t ready;
    /**
     * Tasks that waited.
     */
    uint64_t waiting;
    /**
     * The id of the task that is stuck on a core; all ones if there is none.
     */
    uint64_t stuck_task;
    /**
     * How long it has been there without a sign of life, in milliseconds.
     */
    uint64_t stuck_ms;
} prewire_stall;

/**
 * A tensor that the runtime is to allocate.
 */
typedef struct prewire_new_tensor {
    /**
     * The length of each dimension.
     */
    uint32_t shape[PREWIRE_MAX_DIMENSIONS];
    /**
     * How many dimensions it has.
     */
    uint32_t dimensions;
    /**
     * A prewire_data_type.
     */
    uint32_t data_type;
    /**
     * 1 if every element starts with initial; 0 if nothing is promised about what it starts with.
     */
    uint32_t is_filled;
    /**
     * The bits of the value that every element starts with, in the low bytes.
     */
    uint64_t initial;
} prewire_new_tensor;

/**
 * One tensor argument.
 */
typedef struct prewire_argument {
    /**
     * A prewire_argument_kind.
     */
    uint32_t kind;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The tensor, unless it is an output.
     */
    const struct prewire_tensor *tensor;
    /**
     * What an output looks like; NULL for the others.
     */
    const struct prewire_new_tensor *allocation;
    /**
     * Where an output's tensor is written to when the task was submitted; NULL if nobody wants it. It dies with the scope.
     */
    struct prewire_tensor *allocated;
} prewire_argument;

/**
 * An explicit dependency.
 */
typedef struct prewire_dependency {
    /**
     * The producer's id.
     */
    uint64_t task;
    /**
     * 0, or PREWIRE_DEPENDENCY_WAIT_ONLY.
     */
    uint32_t flags;
    /**
     * 0.
     */
    uint32_t reserved;
} prewire_dependency;

/**
 * Runs a task only if an element compares so with a target when the task becomes ready.
 */
typedef struct prewire_predicate {
    /**
     * The tensor that the operand is in, which is waited for like an input.
     */
    const struct prewire_tensor *operand;
    /**
     * The element's indices.
     */
    const uint32_t *indices;
    /**
     * How many indices there are.
     */
    size_t index_count;
    /**
     * A prewire_comparison.
     */
    uint32_t comparison;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * What it is compared with.
     */
    int64_t target;
} prewire_predicate;

/**
 * A task to submit. Begin with PREWIRE_TASK_INIT; nothing in it is kept once the submit has returned.
 */
typedef struct prewire_task {
    /**
     * sizeof(prewire_task).
     */
    size_t size;
    /**
     * A prewire_task_kind.
     */
    uint32_t kind;
    /**
     * PREWIRE_TASK_SYNC_START, PREWIRE_TASK_COMMUNICATES, both joined by |, or 0.
     */
    uint32_t flags;
    /**
     * The kernels' ids, as kind says; PREWIRE_NO_KERNEL where there is none.
     */
    uint32_t kernels[3];
    /**
     * The core that all blocks run on, or PREWIRE_ANY_CORE. Cube cores come first, then vector cores.
     */
    int32_t core;
    /**
     * How many blocks run the kernels, from 1 to 2^24.
     */
    int64_t blocks;
    /**
     * The tensor arguments, at most 32.
     */
    const struct prewire_argument *arguments;
    /**
     * How many tensor arguments there are.
     */
    size_t argument_count;
    /**
     * The scalar arguments, at most 16: the values' bits in the low bytes of each.
     */
    const uint64_t *scalars;
    /**
     * How many scalar arguments there are.
     */
    size_t scalar_count;
    /**
     * Producers besides those that the arguments imply.
     */
    const struct prewire_dependency *dependencies;
    /**
     * How many producers are named.
     */
    size_t dependency_count;
    /**
     * Runs the task only if the predicate holds; NULL for always.
     */
    const struct prewire_predicate *predicate;
    /**
     * A watchdog budget of the task's own, in nanoseconds; 0 for the runtime's.
     */
    uint64_t budget_ns;
} prewire_task;

/**
 * What the chip of a runtime is.
 */
typedef struct prewire_chip_info {
    /**
     * Clusters: the most blocks of a gang of cube or cluster tasks.
     */
    uint32_t clusters;
    /**
     * Cube cores.
     */
    uint32_t cube_cores;
    /**
     * Vector cores: the most blocks of a gang of vector tasks.
     */
    uint32_t vector_cores;
    /**
     * 1 if runs take place in virtual time, else 0.
     */
    uint32_t is_virtual;
} prewire_chip_info;

/**
 * Builds a graph: called once by prewire_runtime_run or prewire_runtime_submit, with the run and the context given there. It returns 0, or any other number to fail the run. It must not
 * unwind: no exception may leave it.
 */
typedef uint32_t (*prewire_orchestration)(struct prewire_run *run, void *context);

/**
 * What a tensor looks like.
 */
typedef struct prewire_tensor_info {
    /**
     * The address of its first element in device memory.
     */
    uint64_t address;
    /**
     * The number of its elements.
     */
    uint64_t elements;
    /**
     * The length of each dimension; 1 beyond dimensions.
     */
    uint32_t shape[PREWIRE_MAX_DIMENSIONS];
    /**
     * The distance between neighbours along each dimension, in elements.
     */
    uint32_t strides[PREWIRE_MAX_DIMENSIONS];
    /**
     * How many dimensions it has.
     */
    uint32_t dimensions;
    /**
     * A prewire_data_type.
     */
    uint32_t data_type;
} prewire_tensor_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a buffer of bytes bytes, all 0.
 *
 * On success *buffer is the caller's, who gives it back to prewire_buffer_destroy; on failure it is NULL. Any thread may call it while no run is on.
 *
 * @par Contract
 * buffer is NULL or may be written.
 */
prewire_status prewire_buffer_create(struct prewire_runtime *runtime,
                                     uint64_t bytes,
                                     struct prewire_buffer **buffer);

/**
 * Gives a buffer back. Its tensors name nothing from then on: a submit refuses them. The handle is no longer the caller's. Any thread may call it.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a buffer is an error.
 */
prewire_status prewire_buffer_destroy(struct prewire_buffer *buffer);

/**
 * How many bytes a buffer has. Any thread may call it.
 *
 * @par Contract
 * bytes is NULL or may be written.
 */
prewire_status prewire_buffer_bytes(const struct prewire_buffer *buffer, uint64_t *bytes);

/**
 * Overwrites all of a buffer with bytes bytes from data, which must be as many as it has. data stays the caller's and is not kept. Any thread may call it
 * while no run is on.
 *
 * @par Contract
 * data is NULL or points to bytes bytes.
 */
prewire_status prewire_buffer_write(struct prewire_runtime *runtime,
                                    const struct prewire_buffer *buffer,
                                    const void *data,
                                    uint64_t bytes);

/**
 * Copies all of a buffer to data, which must have room for exactly as many bytes. data stays the caller's. Any thread may call it while no run is on.
 *
 * @par Contract
 * data is NULL or points to bytes bytes that may be written.
 */
prewire_status prewire_buffer_read(const struct prewire_runtime *runtime,
                                   const struct prewire_buffer *buffer,
                                   void *data,
                                   uint64_t bytes);

/**
 * Part of a buffer, from byte offset_bytes on, as a row-major tensor of dimensions extents, which are in shape.
 *
 * *tensor is plain data and the caller's; it needs no destroying and names nothing once the buffer is destroyed. Any thread may call it, also while a run is on.
 *
 * @par Contract
 * shape is NULL or points to dimensions numbers; tensor is NULL or may be written.
 */
prewire_status prewire_buffer_tensor(const struct prewire_buffer *buffer,
                                     uint64_t offset_bytes,
                                     uint32_t data_type,
                                     const uint32_t *shape,
                                     size_t dimensions,
                                     struct prewire_tensor *tensor);

/**
 * Writes the defaults into a configuration: the A2/A3 chip, the inline engine, everything else left to the environment.
 *
 * config stays the caller's. Any thread may call it.
 *
 * @par Contract
 * config is NULL or points to a prewire_config that may be written.
 */
prewire_status prewire_config_init(struct prewire_config *config);

/**
 * The text of the last call on this thread that failed: what was wrong, where, the value, and what would be right. Empty if none has. Calls that succeed leave it
 * as it is. The text belongs to the library and is valid until the next call on this thread that fails, or the thread's end. Any thread may call it.
 */
const char *prewire_last_error(void);

/**
 * Writes the defaults into the description of an array: no dimensions, unsigned bytes, no compression. array stays the caller's. Any thread may call it.
 *
 * @par Contract
 * array is NULL or points to a prewire_flush_array that may be written.
 */
prewire_status prewire_flush_array_init(struct prewire_flush_array *array);

/**
 * What a writer did so far for one array; the blocked times are those of the whole writer. metrics stays the caller's, who has set its size. Any thread may call it, one at
 * a time for one writer.
 *
 * @par Contract
 * metrics is NULL or points to a prewire_flush_metrics whose size was set and which may be written.
 */
prewire_status prewire_flush_get_metrics(const struct prewire_flush_writer *writer,
                                         size_t array,
                                         struct prewire_flush_metrics *metrics);

/**
 * What one stage (a prewire_flush_stage) of a writer did for one array. metrics stays the caller's. Any thread may call it, one at a time for one writer.
 *
 * @par Contract
 * metrics is NULL or may be written.
 */
prewire_status prewire_flush_get_stage(const struct prewire_flush_writer *writer,
                                       size_t array,
                                       uint32_t stage,
                                       struct prewire_flush_stage_metrics *metrics);

/**
 * Writes the defaults into the settings of a writer. settings stays the caller's. Any thread may call it.
 *
 * @par Contract
 * settings is NULL or points to a prewire_flush_settings that may be written.
 */
prewire_status prewire_flush_settings_init(struct prewire_flush_settings *settings);

/**
 * The memory that a writer of array will take, computed without taking any. settings may be NULL for the defaults; page_bytes is the sink's page size, 0 for none.
 * All stay the caller's. Any thread may call it.
 *
 * @par Contract
 * array is NULL or points to a prewire_flush_array whose pointers are NULL or point to as much as it says; settings is NULL or points to a
 * prewire_flush_settings; estimate is NULL or may be written.
 */
prewire_status prewire_flush_memory(const struct prewire_flush_array *array,
                                    const struct prewire_flush_settings *settings,
                                    size_t page_bytes,
                                    struct prewire_flush_estimate *estimate);

/**
 * Makes a writer of array_count arrays to a Zarr store in a folder, which is made when the first key is. Several arrays share one engine and have names of their own.
 *
 * settings may be NULL for the defaults. On success *writer is the caller's, who gives it back to prewire_flush_destroy; on failure it is NULL, nothing is left
 * allocated, and no file was made. Everything else stays the caller's and is not kept. Any thread may call it.
 *
 * @par Contract
 * arrays is NULL or points to array_count arrays whose pointers are NULL or point to as much as they say; settings is NULL or points to a
 * prewire_flush_settings; folder is NULL or a text with a NUL at its end; writer is NULL or may be written.
 */
prewire_status prewire_flush_create_folder(const struct prewire_flush_array *arrays,
                                           size_t array_count,
                                           const struct prewire_flush_settings *settings,
                                           const char *folder,
                                           struct prewire_flush_writer **writer);

/**
 * As prewire_flush_create_folder, to a sink of the caller's own, whose table is copied.
 *
 * @par Contract
 * As for prewire_flush_create_folder; sink is NULL or points to a prewire_flush_sink whose callbacks may be called as it says.
 */
prewire_status prewire_flush_create(const struct prewire_flush_array *arrays,
                                    size_t array_count,
                                    const struct prewire_flush_settings *settings,
                                    const struct prewire_flush_sink *sink,
                                    struct prewire_flush_writer **writer);

/**
 * Appends bytes bytes of whole elements to an array (0 where there is one), in acquisition order, little-endian, unpadded. data stays the caller's and is not kept.
 *
 * Unless consumed is NULL, *consumed is how many bytes were taken: all of them with PREWIRE_STATUS_OK; with PREWIRE_STATUS_FLUSH_FINISHED, which a full
 * array and any array after a flush return, those that had room; none with an error. Any thread may call it, one at a time for one writer.
 *
 * @par Contract
 * data is NULL or points to bytes bytes; consumed is NULL or may be written.
 */
prewire_status prewire_flush_append(struct prewire_flush_writer *writer,
                                    size_t array,
                                    const void *data,
                                    size_t bytes,
                                    size_t *consumed);

/**
 * Ends the input of every array: started chunks are padded with zeros, shards closed. Returns when the last write is queued. Later flushes repeat the result. Any thread may
 * call it, one at a time for one writer.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a writer is an error.
 */
prewire_status prewire_flush_flush(struct prewire_flush_writer *writer);

/**
 * Flushes, waits until every write is durable, and publishes the final extents. Later closes repeat the result. Any thread may call it, one at a time for one writer.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a writer is an error.
 */
prewire_status prewire_flush_close(struct prewire_flush_writer *writer);

/**
 * Gives a writer back. One that was not closed is closed, and what goes wrong then is only logged: prewire_flush_close returns it. The handle is no longer the caller's, and no
 * callback is called any more. Any thread may call it.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a writer is an error.
 */
prewire_status prewire_flush_destroy(struct prewire_flush_writer *writer);

/**
 * How many elements an array has taken. Any thread may call it, one at a time for one writer.
 *
 * @par Contract
 * elements is NULL or may be written.
 */
prewire_status prewire_flush_cursor(const struct prewire_flush_writer *writer, size_t array, uint64_t *elements);

/**
 * Sets an attribute of the node at path (empty for the root) of a writer with one array, from JSON text. All texts stay the caller's. Any thread may call it, one at a time for
 * one writer.
 *
 * @par Contract
 * path, key and json are NULL or texts with a NUL at their ends.
 */
prewire_status prewire_flush_set_attribute(struct prewire_flush_writer *writer,
                                           const char *path,
                                           const char *key,
                                           const char *json);

/**
 * Typed access to a tensor argument: where its elements are, if it holds data_type (a prewire_data_type) and may be used so (access is a
 * prewire_access; an input cannot be written). Two arguments over common bytes give views of common bytes; the kernel must heed that. Only inside the kernel, on its thread.
 *
 * @par Contract
 * view is NULL or may be written. What the view shows is used only until the kernel returns.
 */
prewire_status prewire_kernel_tensor(const struct prewire_kernel_call *call,
                                     size_t index,
                                     uint32_t data_type,
                                     uint32_t access,
                                     struct prewire_view *view);

/**
 * A scalar argument: the value's bits in the low bytes of *value. Only inside the kernel, on its thread.
 *
 * @par Contract
 * value is NULL or may be written.
 */
prewire_status prewire_kernel_scalar(const struct prewire_kernel_call *call, size_t index, uint64_t *value);

/**
 * Leaves text, cut to what there is room for, and returns code, or -1 if that is 0: return prewire_kernel_fail(call, 7, "negative input");. text stays the
 * caller's and may be NULL. Only inside the kernel, on its thread; a call that is none gives code back and leaves nothing.
 *
 * @par Contract
 * text is NULL or points to a text with a NUL at its end.
 */
int32_t prewire_kernel_fail(struct prewire_kernel_call *call,
                            int32_t code,
                            const char *text);

/**
 * Whether the run has ended, so that the kernel should return as soon as it can: 1 or 0; 1 if the call is none. Only inside the kernel, on its thread.
 *
 * @par Contract
 * Any value may be given; one that is not the call of a running kernel is told apart.
 */
uint32_t prewire_kernel_is_cancelled(const struct prewire_kernel_call *call);

/**
 * A sign of life: the watchdog's clock of this core starts anew. Only inside the kernel, on its thread.
 *
 * @par Contract
 * Any value may be given; one that is not the call of a running kernel is an error.
 */
prewire_status prewire_kernel_alive(const struct prewire_kernel_call *call);

/**
 * Gives up the processor for a moment; for kernels that poll. Only inside the kernel, on its thread.
 *
 * @par Contract
 * Any value may be given; one that is not the call of a running kernel is an error.
 */
prewire_status prewire_kernel_relax(const struct prewire_kernel_call *call);

/**
 * Waits for all blocks and parts of the task; fails with PREWIRE_STATUS_KERNEL_FAILED if one of them failed or the run ended. Only inside the kernel, on its thread.
 *
 * @par Contract
 * Any value may be given; one that is not the call of a running kernel is an error.
 */
prewire_status prewire_kernel_barrier(const struct prewire_kernel_call *call);

/**
 * Sends a value to another part of the same block, waiting for room; fails as prewire_kernel_barrier does. Only inside the kernel, on its thread.
 *
 * @par Contract
 * Any value may be given; one that is not the call of a running kernel is an error.
 */
prewire_status prewire_kernel_send(const struct prewire_kernel_call *call, uint32_t to_part, uint64_t value);

/**
 * Receives the oldest value that another part of the same block sent to this one, waiting for it; fails as prewire_kernel_barrier does. Only inside the kernel, on its thread.
 *
 * @par Contract
 * value is NULL or may be written.
 */
prewire_status prewire_kernel_receive(const struct prewire_kernel_call *call,
                                      uint32_t from_part,
                                      uint64_t *value);

/**
 * Makes the task's completion wait until the 32-bit counter at counter, an address in device memory, has reached expected. Only inside the kernel, on its thread.
 *
 * @par Contract
 * counter is the address of a 32-bit number in memory of the runtime that stays until then; another address ends the run with an error.
 */
prewire_status prewire_kernel_complete_when(const struct prewire_kernel_call *call,
                                            uint64_t counter,
                                            uint32_t expected);

/**
 * Registers a C function as a kernel; *id is its id. kernel stays the caller's. Any thread may call it while no run is on.
 *
 * @par Contract
 * kernel is NULL or points to a prewire_kernel whose function may be called by any thread, by several at once, with its context, and touches only what its
 * calls describe; id is NULL or may be written.
 */
prewire_status prewire_runtime_register(struct prewire_runtime *runtime,
                                        const struct prewire_kernel *kernel,
                                        uint32_t *id);

/**
 * Registers a function of a shared library as a kernel; *id is its id. library is a path, or a name where the system looks for libraries; symbol is a function with
 * the form of prewire_kernel_function. The library stays loaded while the kernel is registered or runs. All texts stay the caller's. Any thread may call it while no run is on.
 *
 * @par Contract
 * As for prewire_runtime_register, with the symbol as the function; loading the library runs its initialisers.
 */
prewire_status prewire_runtime_register_symbol(struct prewire_runtime *runtime,
                                               const struct prewire_kernel *kernel,
                                               const char *library,
                                               const char *symbol,
                                               uint32_t *id);

/**
 * Takes a kernel out; its id is free again. Any thread may call it while no run is on.
 *
 * @par Contract
 * Any value may be given; one that is no kernel is an error.
 */
prewire_status prewire_runtime_unregister(struct prewire_runtime *runtime, uint32_t id);

/**
 * Runs a recorded graph: the same scopes, tasks, tensors and named dependencies, with kernels that touch nothing and take kernel_ns nanoseconds each, 0 for none
 * at all, or PREWIRE_REPLAY_RECORDED. Statuses and report are as for prewire_runtime_run. The kernels that it registers are taken out again behind it. path
 * stays the caller's. Any thread may call it while no run is on.
 *
 * @par Contract
 * path is NULL or points to a text with a NUL at its end; report is NULL or may be written.
 */
prewire_status prewire_runtime_replay(struct prewire_runtime *runtime,
                                      const char *path,
                                      uint64_t kernel_ns,
                                      struct prewire_report **report);

/**
 * Gives a report and its texts back. The handle is no longer the caller's. Any thread may call it.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a report is an error. No text of the report may be used afterwards.
 */
prewire_status prewire_report_destroy(struct prewire_report *report);

/**
 * The numbers of a report. counts stays the caller's, who has set its size. Any thread may call it.
 *
 * @par Contract
 * counts is NULL or points to a prewire_report_counts whose size was set and which may be written.
 */
prewire_status prewire_report_get_counts(const struct prewire_report *report, struct prewire_report_counts *counts);

/**
 * The status that the run ended with, and its cause. The same as the run's call returned; PREWIRE_STATUS_BAD_HANDLE if the report is none. Any thread may call it.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a report is an error.
 */
prewire_status prewire_report_status(const struct prewire_report *report);

/**
 * Why the run failed, in one sentence with what would help; empty if it did not fail, NULL if the report is none. The text belongs to the report. Any thread may call it.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a report is an error.
 */
const char *prewire_report_error(const struct prewire_report *report);

/**
 * A note: a cause that came after the first fatal one, or a warning. NULL if there is none of this number, or the report is none. The text belongs to the report. Any
 * thread may call it.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a report is an error.
 */
const char *prewire_report_note(const struct prewire_report *report,
                                size_t index);

/**
 * The first submitted task whose kernel failed, if the run failed for it; else PREWIRE_STATUS_NOT_AVAILABLE. Any thread may call it.
 *
 * @par Contract
 * failure is NULL or may be written.
 */
prewire_status prewire_report_kernel_failure(const struct prewire_report *report, struct prewire_kernel_failure *failure);

/**
 * What the run looked like when the watchdog ended it; else PREWIRE_STATUS_NOT_AVAILABLE. Any thread may call it.
 *
 * @par Contract
 * stall is NULL or may be written.
 */
prewire_status prewire_report_stall(const struct prewire_report *report, struct prewire_stall *stall);

/**
 * Submits a task. Waits while there is no room for it; when it returns the task is wired and, if nothing is to be waited for, ready.
 *
 * Unless id is NULL, *id is the task's id, and the tensors of outputs are written where the arguments say. A refused call has done nothing and the run goes
 * on; but the first refused one is the run's error, if nothing worse happens. Only inside the orchestration, on its thread. Everything that task points to
 * stays the caller's and is not kept.
 *
 * @par Contract
 * task is NULL or points to a prewire_task whose pointers are NULL or point to as much as it says; id is NULL or may be written.
 */
prewire_status prewire_run_submit(struct prewire_run *run,
                                  const struct prewire_task *task,
                                  uint64_t *id);

/**
 * Opens a scope: what its tasks own is given back after prewire_run_close_scope, when the last user is done. kind is a prewire_scope_kind. Scopes that are open
 * when the orchestration returns are closed with a note in the report. Only inside the orchestration, on its thread.
 *
 * @par Contract
 * In a manual scope, tasks that touch common bytes are ordered by explicit dependencies.
 */
prewire_status prewire_run_open_scope(struct prewire_run *run,
                                      uint32_t kind);

/**
 * Closes the scope that was opened last. The scope that every run begins in is not closed so. Only inside the orchestration, on its thread.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a run is an error.
 */
prewire_status prewire_run_close_scope(struct prewire_run *run);

/**
 * Reads one element of a tensor, as it is after every task submitted so far that writes it; waits for these. data_type must be the tensor's, and value have room
 * for an element. Only inside the orchestration, on its thread.
 *
 * @par Contract
 * tensor is NULL or points to a prewire_tensor; indices is NULL or points to index_count numbers; value is NULL or an element may be written to it.
 */
prewire_status prewire_run_get(struct prewire_run *run,
                               const struct prewire_tensor *tensor,
                               const uint32_t *indices,
                               size_t index_count,
                               uint32_t data_type,
                               void *value);

/**
 * Overwrites one element of a tensor, behind every task submitted so far that uses it and before every later one. data_type must be the tensor's, and value point to an
 * element. Only inside the orchestration, on its thread.
 *
 * @par Contract
 * tensor is NULL or points to a prewire_tensor; indices is NULL or points to index_count numbers; value is NULL or points to an element.
 */
prewire_status prewire_run_set(struct prewire_run *run,
                               const struct prewire_tensor *tensor,
                               const uint32_t *indices,
                               size_t index_count,
                               uint32_t data_type,
                               const void *value);

/**
 * Ends the run with code 9 and the caller's text; it returns PREWIRE_STATUS_EXPLICIT_FATAL, as every later call of the run does. text stays the caller's. Only inside the
 * orchestration, on its thread.
 *
 * @par Contract
 * text is NULL or points to a text with a NUL at its end.
 */
prewire_status prewire_run_fail(struct prewire_run *run,
                                const char *text);

/**
 * How long the run has gone on, in nanoseconds, by the clock of the platform. Only inside the orchestration, on its thread.
 *
 * @par Contract
 * elapsed_ns is NULL or may be written.
 */
prewire_status prewire_run_elapsed(struct prewire_run *run, uint64_t *elapsed_ns);

/**
 * Makes a runtime: its chip, its memory and its threads.
 *
 * config may be NULL for the defaults, and is not kept. On success *runtime is the caller's, who gives it back to prewire_runtime_destroy; on failure it is
 * NULL. Any thread may call it.
 *
 * @par Contract
 * config is NULL or points to a prewire_config; runtime is NULL or may be written.
 */
prewire_status prewire_runtime_create(const struct prewire_config *config,
                                      struct prewire_runtime **runtime);

/**
 * Ends a runtime: its threads stop and its memory is given back. Buffers made from it stay good for nothing but to be destroyed.
 *
 * The handle is no longer the caller's; using or destroying it again is PREWIRE_STATUS_BAD_HANDLE. While a run is on it is PREWIRE_STATUS_BUSY and
 * nothing happens. Any thread may call it.
 *
 * @par Contract
 * No kernel's context may be freed before this returns, unless its kernel was unregistered and no run is on.
 */
prewire_status prewire_runtime_destroy(struct prewire_runtime *runtime);

/**
 * What the chip of a runtime is. *info stays the caller's. Any thread may call it while no run is on.
 *
 * @par Contract
 * info is NULL or may be written.
 */
prewire_status prewire_runtime_chip(const struct prewire_runtime *runtime, struct prewire_chip_info *info);

/**
 * Runs the graph that orchestration builds, and returns when no thread touches it any more.
 *
 * orchestration is called once, on the calling thread, with a run that is good until it returns, and with context. What it returns: 0, or any other number to
 * say that it gives up, which fails the run. Where a run fails, the status and the thread's last error are the cause: a fatal one that ended the run, else
 * the first refused call, else the first submitted task whose kernel failed.
 *
 * Unless report is NULL, *report is afterwards the report of what was done, also of a run that failed, and the caller's, who gives it back to
 * prewire_report_destroy; it is NULL if nothing was run. Any thread may call it, one at a time for one runtime.
 *
 * @par Contract
 * orchestration is NULL or a function that may be called so with context, and does not unwind; report is NULL or may be written.
 */
prewire_status prewire_runtime_run(struct prewire_runtime *runtime,
                                   prewire_orchestration orchestration,
                                   void *context,
                                   struct prewire_report **report);

/**
 * The name of a status, such as "PREWIRE_STATUS_BAD_HANDLE"; "unknown status" for any other number. The text is static and belongs to the library. Any thread
 * may call it.
 */
const char *prewire_status_name(uint32_t status);

/**
 * Has orchestration build a graph, and returns while it runs. A run that is submitted behind others is built while they run, and its tasks start when they are
 * over. With as many runs in flight as the runtime takes (two) the call waits.
 *
 * orchestration and context are as for prewire_runtime_run: called once, on the calling thread, before this returns. If it gives up, or a call in it is the end of
 * the run, the status says so, *submission is NULL, and what of the run had begun is over. Otherwise *submission is the caller's, who gives it back to
 * prewire_submission_destroy. In virtual time the run is over when the call returns. Any thread may call it, one at a time for one runtime.
 *
 * While runs are in flight, buffers cannot be read or written by prewire_buffer_read and prewire_buffer_write; prewire_runtime_destroy waits for all of them.
 *
 * @par Contract
 * orchestration is NULL or a function that may be called so with context, and does not unwind; submission is NULL or may be written.
 */
prewire_status prewire_runtime_submit(struct prewire_runtime *runtime,
                                      prewire_orchestration orchestration,
                                      void *context,
                                      struct prewire_submission **submission);

/**
 * Waits until a run is over, or for timeout_ms milliseconds, or without a limit for PREWIRE_WAIT_FOREVER.
 *
 * *is_over is afterwards 1 if the run is over, and 0 if the time was too short, which loses nothing. Of a run that is over the status, the last error and *report are
 * those of prewire_runtime_run, each time and for everybody who waits; otherwise *report is NULL. Any thread may call it, several at once for one run.
 *
 * @par Contract
 * is_over and report are NULL or may be written.
 */
prewire_status prewire_submission_wait(struct prewire_submission *submission,
                                       uint64_t timeout_ms,
                                       uint32_t *is_over,
                                       struct prewire_report **report);

/**
 * Ends a run with code 9 and the caller's reason, unless it is over or has been ended: what runs is told to return, and nothing else of it is started. No other run is
 * touched. reason stays the caller's. Any thread may call it.
 *
 * @par Contract
 * reason is NULL or points to a text with a NUL at its end.
 */
prewire_status prewire_submission_cancel(struct prewire_submission *submission,
                                         const char *reason);

/**
 * Gives a submission back. The run goes on. The handle is no longer the caller's; using or destroying it again is PREWIRE_STATUS_BAD_HANDLE. Any thread may call it.
 *
 * @par Contract
 * Any value may be given; one that is no handle of a submission is an error.
 */
prewire_status prewire_submission_destroy(struct prewire_submission *submission);

/**
 * What a tensor looks like. Both stay the caller's. Any thread may call it.
 *
 * @par Contract
 * tensor is NULL or points to a prewire_tensor; info is NULL or may be written.
 */
prewire_status prewire_tensor_describe(const struct prewire_tensor *tensor, struct prewire_tensor_info *info);

/**
 * Every step-th index from start up to but not including end of one dimension, all of the others. view may be tensor itself. Any thread may call it.
 *
 * @par Contract
 * tensor is NULL or points to a prewire_tensor; view is NULL or may be written.
 */
prewire_status prewire_tensor_slice(const struct prewire_tensor *tensor,
                                    size_t dimension,
                                    uint32_t start,
                                    uint32_t end,
                                    uint32_t step,
                                    struct prewire_tensor *view);

/**
 * The box of shape elements whose corner lies at offsets; both have one number for each of the tensor's dimensions. Any thread may call it.
 *
 * @par Contract
 * tensor is NULL or points to a prewire_tensor; shape and offsets are NULL or point to dimensions numbers; view is NULL or may be written.
 */
prewire_status prewire_tensor_view(const struct prewire_tensor *tensor,
                                   const uint32_t *shape,
                                   const uint32_t *offsets,
                                   size_t dimensions,
                                   struct prewire_tensor *view);

/**
 * The tensor with two dimensions exchanged. Any thread may call it.
 *
 * @par Contract
 * tensor is NULL or points to a prewire_tensor; view is NULL or may be written.
 */
prewire_status prewire_tensor_transpose(const struct prewire_tensor *tensor, size_t first, size_t second, struct prewire_tensor *view);

/**
 * The elements of a contiguous tensor in another row-major shape. Any thread may call it.
 *
 * @par Contract
 * tensor is NULL or points to a prewire_tensor; shape is NULL or points to dimensions numbers; view is NULL or may be written.
 */
prewire_status prewire_tensor_reshape(const struct prewire_tensor *tensor, const uint32_t *shape, size_t dimensions, struct prewire_tensor *view);

/**
 * Writes what every core did and when to a file that Perfetto and Chrome open. The runtime must have been made with PREWIRE_RECORD_TRACE; with
 * PREWIRE_RECORD_GRAPH there are arrows for dependencies. path stays the caller's. Any thread may call it.
 *
 * @par Contract
 * path is NULL or points to a text with a NUL at its end.
 */
prewire_status prewire_report_write_trace(const struct prewire_report *report, const char *path);

/**
 * The number of the library's binary interface. Compare it with PREWIRE_ABI_VERSION of the header when the library is loaded at run time. Any thread may call it.
 */
uint32_t prewire_abi_version(void);

/**
 * The library's version, such as "0.1.0". The text is static and belongs to the library. Any thread may call it.
 */
const char *prewire_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PREWIRE_H */

/** A task of one kind with nothing else said: one block, any core, no kernel. */
#define PREWIRE_TASK_INIT(task_kind)                                                                                                                 \
    {                                                                                                                                                \
        sizeof(prewire_task), (uint32_t)(task_kind), 0, {PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL, PREWIRE_NO_KERNEL}, PREWIRE_ANY_CORE, 1, NULL, 0,      \
            NULL, 0, NULL, 0, NULL, 0                                                                                                                \
    }

/** A kernel with a name, a prewire_core_kind and a function, without a context, at the first free id. */
#define PREWIRE_KERNEL_INIT(kernel_name, kernel_core_kind, kernel_function)                                                                          \
    {                                                                                                                                                \
        sizeof(prewire_kernel), (kernel_name), (uint32_t)(kernel_core_kind), 0, (kernel_function), NULL, 0, PREWIRE_NO_KERNEL, 0                     \
    }

/** An argument that is a tensor that exists; argument_kind is any prewire_argument_kind but that of an output. */
#define PREWIRE_ARGUMENT(argument_kind, argument_tensor)                                                                                             \
    {                                                                                                                                                \
        (uint32_t)(argument_kind), 0, (argument_tensor), NULL, NULL                                                                                  \
    }

/** An argument that the runtime allocates: what it looks like, and where its tensor is written to, or NULL. */
#define PREWIRE_ARGUMENT_OUTPUT(argument_allocation, argument_allocated)                                                                             \
    {                                                                                                                                                \
        (uint32_t)PREWIRE_ARGUMENT_KIND_OUTPUT, 0, NULL, (argument_allocation), (argument_allocated)                                                 \
    }

#if defined(__cplusplus)
#define PREWIRE_STATIC_ASSERT(condition) static_assert(condition, #condition)
#else
#define PREWIRE_STATIC_ASSERT(condition) _Static_assert(condition, #condition)
#endif

/* The library asserts the same of its own types. */
PREWIRE_STATIC_ASSERT(sizeof(void *) == 8);
PREWIRE_STATIC_ASSERT(sizeof(prewire_config) == 192);
PREWIRE_STATIC_ASSERT(sizeof(prewire_tensor) == 104);
PREWIRE_STATIC_ASSERT(sizeof(prewire_tensor_argument) == 64);
PREWIRE_STATIC_ASSERT(sizeof(prewire_kernel_call) == 72);
PREWIRE_STATIC_ASSERT(sizeof(prewire_kernel) == 56);
PREWIRE_STATIC_ASSERT(sizeof(prewire_view) == 64);
PREWIRE_STATIC_ASSERT(sizeof(prewire_new_tensor) == 40);
PREWIRE_STATIC_ASSERT(sizeof(prewire_argument) == 32);
PREWIRE_STATIC_ASSERT(sizeof(prewire_dependency) == 16);
PREWIRE_STATIC_ASSERT(sizeof(prewire_predicate) == 40);
PREWIRE_STATIC_ASSERT(sizeof(prewire_task) == 104);
PREWIRE_STATIC_ASSERT(sizeof(prewire_report_counts) == 288);
PREWIRE_STATIC_ASSERT(sizeof(prewire_flush_dimension) == 56);
PREWIRE_STATIC_ASSERT(sizeof(prewire_flush_array) == 96);
PREWIRE_STATIC_ASSERT(sizeof(prewire_flush_settings) == 96);
PREWIRE_STATIC_ASSERT(sizeof(prewire_flush_sink) == 112);
PREWIRE_STATIC_ASSERT(sizeof(prewire_flush_metrics) == 104);
