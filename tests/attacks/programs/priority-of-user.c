/* Lowers the priority of every process of its user, the one that keeps the meter included. */
#include "attack.h"

int main(void) {
  /* Outside, a user without processes stands for the tool's: root has all of the machine's. */
  if (getuid() == 0 && setuid(1900070000) < 0) return 2;
  return verdict(setpriority(PRIO_USER, 0, getpriority(PRIO_PROCESS, 0)));
}
