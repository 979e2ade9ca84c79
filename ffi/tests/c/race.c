/* Many threads at the same handles: each call gets a status, one destroy of each object succeeds, and nothing is used behind it. */
#include "expect.h"
#include <pthread.h>

enum { THREADS = 4, ROUNDS = 200 };

struct shared {
    prewire_runtime *runtime;
    prewire_buffer *buffer;
    pthread_barrier_t begin, end;
    int destroyed;
};

static uint32_t nothing(prewire_run *run, void *context)
{
    (void)run;
    (void)context;
    return 0;
}

/* What a call may say while others use the same object, or have destroyed it. */
static int expected(prewire_status status)
{
    HOLDS(status == PREWIRE_STATUS_OK || status == PREWIRE_STATUS_BUSY || status == PREWIRE_STATUS_BAD_HANDLE);
    return status == PREWIRE_STATUS_OK;
}

static void *worker(void *context)
{
    struct shared *shared = context;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&shared->begin);
        uint64_t bytes = 0;
        char data[64];
        const uint32_t shape = 16;
        prewire_tensor tensor;
        if (expected(prewire_buffer_bytes(shared->buffer, &bytes))) {
            HOLDS(bytes == 64);
        }
        expected(prewire_buffer_tensor(shared->buffer, 0, PREWIRE_DATA_TYPE_F32, &shape, 1, &tensor));
        expected(prewire_buffer_read(shared->runtime, shared->buffer, data, sizeof data));
        if (round % 50 == 0) {
            expected(prewire_runtime_run(shared->runtime, nothing, NULL, NULL));
        }
        if (expected(prewire_buffer_destroy(shared->buffer))) {
            __atomic_fetch_add(&shared->destroyed, 1, __ATOMIC_RELAXED);
        }
        pthread_barrier_wait(&shared->end);
    }
    return NULL;
}

int main(void)
{
    struct shared shared;
    memset(&shared, 0, sizeof shared);
    pthread_t threads[THREADS];
    prewire_config config;
    OK(prewire_config_init(&config));
    config.clusters = 1;
    OK(prewire_runtime_create(&config, &shared.runtime));
    HOLDS(pthread_barrier_init(&shared.begin, NULL, THREADS + 1) == 0 && pthread_barrier_init(&shared.end, NULL, THREADS + 1) == 0);
    for (int i = 0; i < THREADS; i++) {
        HOLDS(pthread_create(&threads[i], NULL, worker, &shared) == 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        OK(prewire_buffer_create(shared.runtime, 64, &shared.buffer));
        shared.destroyed = 0;
        pthread_barrier_wait(&shared.begin);
        pthread_barrier_wait(&shared.end);
        /* Where each destroy met somebody who used the buffer, it is there yet. */
        shared.destroyed += expected(prewire_buffer_destroy(shared.buffer));
        HOLDS(shared.destroyed == 1);
    }
    for (int i = 0; i < THREADS; i++) {
        HOLDS(pthread_join(threads[i], NULL) == 0);
    }
    OK(prewire_runtime_run(shared.runtime, nothing, NULL, NULL));
    pthread_barrier_destroy(&shared.begin);
    pthread_barrier_destroy(&shared.end);
    OK(prewire_runtime_destroy(shared.runtime));
    return 0;
}
