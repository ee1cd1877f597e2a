/* Uses a call that is newer than the filter. */
#include "attack.h"

int main(void) {
  return verdict(syscall(465 /* listxattrat */, AT_FDCWD, "/", 0, 0, 0));
}
