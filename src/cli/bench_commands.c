/* The noun bench: its rows in the table of commands. */
#include "cli/bench_commands.h"

const struct cli_command bench_commands[] = {
    {.noun = "bench",
     .verb = "publish",
     .arguments = "",
     .text = "Measures publishing, against raw loopback TCP and raw disk writes",
     .more =
         "Makes topics of its own and deletes them. Bytes of messages count when acknowledged\n"
         "(at acks 0: when handed to the system). Options that take a LIST, as in\n"
         "--order 0,5 --acks 1,2, make a measure of every combination. The limits take turns\n"
         "with the rounds: TCP into a region of the same size, and with replicas synced writes\n"
         "divided by them; the ratio is to the lower one. With --json: an object a line.",
     .example = "embarcadero bench publish --order 0,5 --acks 1,2 --limit-dir /var/lib/embarcadero",
     .options = bench_publish_rows,
     .option_count = BENCH_PUBLISH_ROWS,
     .value_bytes = sizeof(struct bench_publish_values),
     .run = bench_publish_run},
    {.noun = "bench",
     .verb = "consume",
     .arguments = "",
     .text = "Measures reading a backlog, against raw sendfile from a region",
     .more = "Publishes the backlog to a topic of its own, reads it again and again, and deletes\n"
             "the topic. With --json: one object.",
     .example = "embarcadero bench consume --backlog-bytes 512MiB",
     .options = bench_consume_rows,
     .option_count = BENCH_CONSUME_ROWS,
     .value_bytes = sizeof(struct bench_consume_values),
     .run = bench_consume_run},
    {.noun = "bench",
     .verb = "latency",
     .arguments = "",
     .text = "Measures publish to acknowledgement, against a round trip or a synced write",
     .more = "First the peak of one publisher, then open loads of so many percent of it and a\n"
             "closed load. An open load sends at times fixed beforehand, and a latency runs from\n"
             "the time at which its message was to be sent. The limit is a TCP round trip with\n"
             "both sides polling; at acks 2 one synced write of 4 KiB.",
     .example = "embarcadero bench latency --acks 1 --load closed,10,50 --message-bytes 100",
     .options = bench_latency_rows,
     .option_count = BENCH_LATENCY_ROWS,
     .value_bytes = sizeof(struct bench_latency_values),
     .run = bench_latency_run},
    {.noun = "bench",
     .verb = "limits",
     .arguments = "",
     .text = "Measures this machine without a rack",
     .more = "TCP into a cold region and sendfile from one, copying memory, copying 64 + 64 bytes\n"
             "for each batch, a cache line to another CPU and back, a TCP round trip with both\n"
             "sides polling, raw synced writes, one synced write of 4 KiB.",
     .example = "embarcadero bench limits --limit-dir /var/lib/embarcadero",
     .options = bench_limits_rows,
     .option_count = BENCH_LIMITS_ROWS,
     .value_bytes = sizeof(struct bench_limits_values),
     .run = bench_limits_run},
    {.noun = "bench",
     .verb = "idle",
     .arguments = "",
     .text = "Measures the CPU and the memory of a rack that nobody uses",
     .more =
         "Of the processes that the brokers' status names, which must be on this host. Whoever\n"
         "else uses the rack meanwhile is measured, too.",
     .example = "embarcadero bench idle --round-time 5s",
     .options = bench_idle_rows,
     .option_count = BENCH_IDLE_ROWS,
     .value_bytes = sizeof(struct bench_idle_values),
     .run = bench_idle_run},
    {.noun = "bench",
     .verb = "start",
     .arguments = "-- PROGRAM [ARGUMENT...]",
     .arguments_min = 1,
     .arguments_max = -1,
     .text = "Measures from starting a rack to its first acknowledgement",
     .more = "Runs the command once a round, publishes one message to a new topic with the\n"
             "library's defaults (two replicas, durable) and stops it with SIGTERM. The command\n"
             "must begin anew each time.",
     .example = "embarcadero bench start --ports-file /tmp/ports -- \\\n"
                "    embarcaderod --dev --port 0 --ports-file /tmp/ports --data /var/tmp/start",
     .options = bench_start_rows,
     .option_count = BENCH_START_ROWS,
     .value_bytes = sizeof(struct bench_start_values),
     .run = bench_start_run},
    {.noun = "bench",
     .verb = "table",
     .arguments = "[FILE...]",
     .arguments_max = -1,
     .text = "Draws one table of what benches printed with --json",
     .more = "Reads standard input without a FILE, or for \"-\". No rack is needed.",
     .example = "embarcadero bench publish --json | embarcadero bench table",
     .options = bench_table_rows,
     .option_count = BENCH_TABLE_ROWS,
     .value_bytes = sizeof(struct bench_table_values),
     .run = bench_table_run},
    {0},
};
