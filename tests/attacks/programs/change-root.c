/* Changes the root directory. */
#include "attack.h"

int main(void) {
  return verdict(chroot("/"));
}
