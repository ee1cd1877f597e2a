/* Asks whether two processes share a descriptor: kernel addresses show in the answers. */
#include "attack.h"

int main(void) {
  pid_t pid = victim();
  return verdict_over(pid, syscall(SYS_kcmp, getpid(), pid, 0 /* KCMP_FILE */, 1, 1));
}
