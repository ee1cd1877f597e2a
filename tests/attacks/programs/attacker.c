/*
 * Runs attacks one after the other, each in a process of its own: `attacker PLAN NODE`. A line of the plan is name, program
 * and argument, separated by tabs. Prints `@ name escaped`, `@ name stopped` or `@ name broken` for each, on a line of its own.
 */
#include "attack.h"

enum { PATIENCE_SECONDS = 20 };

static int ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static void become(char *program, char *argument, char *node) {
  char *plain[] = {program, argument, 0}, *script[] = {node, program, argument, 0};
  char *python[] = {"/usr/bin/python3", "-Bs", program, argument, 0};
  alarm(PATIENCE_SECONDS);
  dup2(1, 2);
  dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 1);
  if (ends_with(program, ".py")) execv(python[0], python);
  else if (ends_with(program, ".mjs")) execv(node, script);
  else execv(program, plain);
  _exit(127);
}

static const char *verdict_of(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "escaped";
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1) return "stopped";
  /* By the system-call filter, or because it took too much memory. */
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGKILL) ? "stopped" : "broken";
}

int main(int argc, char **argv) {
  char line[4096];
  FILE *plan = argc == 3 ? fopen(argv[1], "re") : 0;
  if (!plan) return 2;
  while (fgets(line, sizeof line, plan)) {
    char *rest = line, *name = strsep(&rest, "\t"), *program = strsep(&rest, "\t"), *argument = strsep(&rest, "\n");
    int status = -1;
    if (!argument) return 2;
    pid_t pid = fork();
    if (pid == 0) become(program, *argument ? argument : 0, argv[2]);
    waitpid(pid, &status, 0);
    printf("@ %s %s %x\n", name, verdict_of(status), status);
    fflush(stdout);
  }
  return 0;
}
