/* Handles page faults of the kernel in a program. */
#include "attack.h"

int main(void) {
  return verdict(syscall(SYS_userfaultfd, 1 /* user mode only */));
}
