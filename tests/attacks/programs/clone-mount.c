/* Copies a tree of mounts. */
#include "attack.h"

int main(void) {
  return verdict(syscall(428 /* open_tree */, AT_FDCWD, "/", 1 /* CLONE */));
}
