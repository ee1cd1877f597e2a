/* Gives a file of the workspace the right of its owner by open. */
#include "attack.h"

int main(void) {
  const char *path = "./orien-attack-set-id-open";
  int result = open(path, O_CREAT | O_WRONLY, 04755), error = errno;
  remove(path);
  errno = error;
  return verdict(result);
}
