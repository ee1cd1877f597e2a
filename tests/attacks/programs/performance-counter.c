/* Counts events of the processor. */
#include "attack.h"
#include <linux/perf_event.h>

static struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .exclude_kernel = 1};

int main(void) {
  return verdict(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
}
