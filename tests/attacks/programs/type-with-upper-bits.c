/* Types into a terminal by a request with upper bits set, which the kernel ignores. */
#include "attack.h"

int main(void) {
  return verdict(syscall(SYS_ioctl, own_terminal(), 0x5412 | (1UL << 32), "x"));
}
