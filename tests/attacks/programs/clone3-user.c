/* Makes a user namespace by clone3, whose flags no filter sees. */
#include "attack.h"
#include <linux/sched.h>

int main(void) {
  struct clone_args how = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  long pid = syscall(SYS_clone3, &how, sizeof how);
  if (pid == 0) _exit(0);
  return verdict(pid);
}
