/* Makes the process that keeps the meter the first to die when memory is short. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", atoi(argv[1]));
  int fd = open(path, O_WRONLY);
  return verdict(fd < 0 ? fd : write(fd, "1000", 4));
}
