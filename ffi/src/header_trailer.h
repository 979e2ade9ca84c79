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
