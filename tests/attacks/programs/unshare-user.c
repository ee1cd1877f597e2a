/* Makes a user namespace by unshare, to be root in it. */
#include "attack.h"

int main(void) {
  return verdict(unshare(CLONE_NEWUSER));
}
