/* Replays a recorded graph in virtual time and writes a trace for Perfetto: recorded_graph GRAPH TRACE. */
#include <prewire.h>
#include <stdio.h>
#include <stdlib.h>

static void check(prewire_status status, const char *what)
{
    if (status != PREWIRE_STATUS_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, prewire_status_name(status), prewire_last_error());
        exit(1);
    }
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: recorded_graph GRAPH TRACE\n");
        return 2;
    }
    prewire_config config;
    prewire_runtime *runtime;
    prewire_report *report;
    prewire_report_counts counts = {.size = sizeof counts};
    check(prewire_config_init(&config), "configuration");
    config.engine = PREWIRE_ENGINE_VIRTUAL;
    config.seed = 7;
    config.flags = PREWIRE_RECORD_TRACE | PREWIRE_RECORD_GRAPH;
    check(prewire_runtime_create(&config, &runtime), "runtime");
    check(prewire_runtime_replay(runtime, arguments[1], PREWIRE_REPLAY_RECORDED, &report), "replay");
    check(prewire_report_get_counts(report, &counts), "counts");
    check(prewire_report_write_trace(report, arguments[2]), "trace");
    printf("PASS: %llu tasks in %.1f us of the chip's time; ring 0 needed %llu slots\n", (unsigned long long)counts.tasks,
           (double)counts.elapsed_ns / 1e3, (unsigned long long)counts.rings[0].window_peak);
    check(prewire_report_destroy(report), "report");
    check(prewire_runtime_destroy(runtime), "runtime");
    return counts.tasks == counts.completed ? 0 : 1;
}
