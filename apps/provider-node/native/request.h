/* What the node asks PID 1 to run; `HelperRequest` of src/sandbox/channel.ts. */
#ifndef ORIEN_REQUEST_H
#define ORIEN_REQUEST_H

#include "frames.h"

enum { CHANNEL = 3, FRAME_RUN = 1, MAX_ARGUMENTS = 4096, REQUEST_BYTES = 2097152 };

struct request {
  u64 limit_ns, deadline_ns, output_bytes, processes, open_files, file_bytes, memory_bytes, has_input, argc, envc;
  char strings[];
};

static u8 request_bytes[REQUEST_BYTES + 1];
static const struct request *const request = (const struct request *)request_bytes;
static char *arguments[MAX_ARGUMENTS + 1], *environment[MAX_ARGUMENTS + 1];

/* By poll: whoever sleeps in a read is woken as well, for nothing, by each frame that the node has taken. */
static void await_node(void) {
  struct pollfd channel = {CHANNEL, POLLIN, 0};
  while (sys5(__NR_ppoll, &channel, 1, 0, 0, 0) < 0) {}
}

/* Waits as long as it takes, and ends the process where the node is gone. @returns 0, or what is wrong with the request */
static i64 receive_request(void) {
  struct header header;
  await_node();
  if (!receive(CHANNEL, &header, sizeof header)) quit(0);
  if (header.kind != FRAME_RUN || header.bytes < sizeof(struct request) || header.bytes > REQUEST_BYTES) return -EINVAL;
  if (!receive(CHANNEL, request_bytes, header.bytes)) quit(0);
  if (request->argc < 1 || request->argc > MAX_ARGUMENTS || request->envc > MAX_ARGUMENTS) return -E2BIG;
  char *at = (char *)request_bytes + sizeof(struct request), *end = (char *)request_bytes + header.bytes;
  for (u64 i = 0; i < request->argc + request->envc; i++) {
    if (at >= end) return -EINVAL;
    if (i < request->argc) arguments[i] = at;
    else environment[i - request->argc] = at;
    while (at < end && *at) at++;
    at++;
  }
  arguments[request->argc] = environment[request->envc] = 0;
  return 0;
}

#endif
