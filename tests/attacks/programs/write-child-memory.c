/* Writes to the memory of another process. */
#include "attack.h"
#include <sys/uio.h>

int main(void) {
  static char here[8], there[8];
  struct iovec own = {here, 8}, other = {there, 8};
  pid_t pid = victim();
  return verdict_over(pid, process_vm_writev(pid, &own, 1, &other, 1, 0));
}
