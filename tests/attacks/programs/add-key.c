/* Keeps a key: keys are counted for each user of the machine. */
#include "attack.h"

int main(void) {
  return verdict(syscall(SYS_add_key, "user", "orien-attack", "x", 1, -2 /* process */));
}
