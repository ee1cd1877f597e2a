/* Makes a POSIX message queue, which outlives its maker. */
#include "attack.h"

int main(void) {
  long fd = syscall(SYS_mq_open, "orien-attack", O_RDWR | O_CREAT, 0600, 0);
  int error = errno;
  if (fd >= 0) syscall(SYS_mq_unlink, "orien-attack");
  errno = error;
  return verdict(fd);
}
