/* Makes a socket in the workspace by mknod. */
#include "attack.h"

int main(void) {
  int result = mknod("./orien-attack-socket-node", S_IFSOCK | 0600, 0), error = errno;
  unlink("./orien-attack-socket-node");
  errno = error;
  return verdict(result);
}
