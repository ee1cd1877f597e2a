/* Reads the memory of the process that keeps the meter: arguments and input of every run go through it. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char path[64], line[256] = {0}, byte;
  snprintf(path, sizeof path, "/proc/%d/maps", atoi(argv[1]));
  FILE *maps = fopen(path, "r");
  if (!maps || !fgets(line, sizeof line, maps)) return stopped("its map is closed");
  snprintf(path, sizeof path, "/proc/%d/mem", atoi(argv[1]));
  int fd = open(path, O_RDONLY);
  return verdict(fd < 0 ? fd : pread(fd, &byte, 1, (off_t)strtoul(line, 0, 16)) == 1 ? 0 : -1);
}
