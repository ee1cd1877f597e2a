/* Takes memory that even the kernel cannot look into. */
#include "attack.h"

int main(void) {
  return verdict(syscall(447 /* memfd_secret */, 0));
}
