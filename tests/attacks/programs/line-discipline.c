/* Loads a line discipline, and its module, into the kernel. */
#include "attack.h"

int main(void) {
  int plain = 0;
  return verdict(ioctl(own_terminal(), 0x5423 /* TIOCSETD */, &plain));
}
