/* Types into a terminal. */
#include "attack.h"

int main(void) {
  return verdict(ioctl(own_terminal(), 0x5412 /* TIOCSTI */, "x"));
}
