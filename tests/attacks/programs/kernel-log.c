/* Reads how much is in the log of the kernel. */
#include "attack.h"

int main(void) {
  return verdict(syscall(SYS_syslog, 10 /* SIZE_BUFFER */, 0, 0));
}
