/* Watches every file access of a mount. */
#include "attack.h"

int main(void) {
  return verdict(syscall(SYS_fanotify_init, 0x200 /* FID */, 0));
}
