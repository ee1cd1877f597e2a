/* Makes a FIFO in the workspace, on which a reader outside would hang. */
#include "attack.h"

int main(void) {
  int result = mknod("./orien-attack-pipe-node", S_IFIFO | 0600, 0), error = errno;
  unlink("./orien-attack-pipe-node");
  errno = error;
  return verdict(result);
}
