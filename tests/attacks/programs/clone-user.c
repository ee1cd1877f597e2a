/* Makes a user namespace by clone. */
#include "attack.h"

int main(void) {
  long pid = syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  return verdict(pid);
}
