/* Makes a directory in the workspace that hands its group down. */
#include "attack.h"

int main(void) {
  const char *path = "./orien-attack-set-id-directory";
  int result = mkdir(path, 02755), error = errno;
  remove(path);
  errno = error;
  return verdict(result);
}
