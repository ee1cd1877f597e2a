/* Traces another process. */
#include "attack.h"
#include <sys/ptrace.h>

int main(void) {
  pid_t pid = victim();
  return verdict_over(pid, ptrace(PTRACE_SEIZE, pid, 0, 0));
}
