/* Changes the limits of the process that keeps the meter. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct rlimit limit;
  getrlimit(RLIMIT_NICE, &limit);
  return verdict(prlimit(atoi(argv[1]), RLIMIT_NICE, &limit, 0));
}
