/* Makes an io_uring, whose calls no filter sees. */
#include "attack.h"

static char parameters[256];

int main(void) {
  return verdict(syscall(SYS_io_uring_setup, 1, parameters));
}
