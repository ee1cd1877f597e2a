/* Makes a device: the machine's memory. */
#include "attack.h"
#include <sys/sysmacros.h>

int main(void) {
  int result = mknod("./orien-attack-device-node", S_IFCHR | 0600, makedev(1, 1)), error = errno;
  unlink("./orien-attack-device-node");
  errno = error;
  return verdict(result);
}
