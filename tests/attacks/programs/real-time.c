/* Takes a processor for itself until it gives it back. */
#include "attack.h"

int main(void) {
  struct sched_param first = {1};
  return verdict(sched_setscheduler(0, SCHED_FIFO, &first));
}
