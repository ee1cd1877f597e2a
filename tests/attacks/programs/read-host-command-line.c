/* Reads the command line of a process of the machine. Argument: its number and a word in it. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char path[64], text[4096] = {0}, *word = strchr(argv[1], ':');
  if (!word) return 2;
  snprintf(path, sizeof path, "/proc/%d/cmdline", atoi(argv[1]));
  int fd = open(path, O_RDONLY);
  ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  return n > 0 && memmem(text, (size_t)n, word + 1, strlen(word + 1)) ? 0 : stopped("no such process here");
}
