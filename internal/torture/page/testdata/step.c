/* Runs a writer under ptrace, one instruction at a time while it publishes, and
 * reads the page after each: usage: step writer args...
 *
 * The writer hands its page over on file 3. It raises SIGUSR1 before and SIGUSR2
 * after each publish, and turns "a" and "b" about: one is given, one refused. */
#define _GNU_SOURCE
#include "cardea.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static cardea_key a = CARDEA_KEY("a/use"), b = CARDEA_KEY("b/use");
static long steps, wrong, flips, publishes;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static const uint32_t *receive(int s)
{
	char byte;
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
	int file;
	void *page;
	if (recvmsg(s, &m, 0) != 1 || CMSG_FIRSTHDR(&m) == NULL)
		fail("receive the page");
	memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof file);
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
	if (page == MAP_FAILED)
		fail("mmap");
	return page;
}

/* state is which of the two is given: 1 a, 2 b, 0 if the page can not tell or
 * says both or neither. It is asked as of the last heartbeat: a writer that is
 * stopped after each instruction has no time for another one. */
static int state(const uint32_t *page)
{
	cardea_answer x, y;
	uint32_t now = page[2];
	if (!cardea_read(page, &a, CARDEA_COLLECT, now, &x) || !cardea_read(page, &b, CARDEA_COLLECT, now, &y))
		return 0;
	if ((x.verdict == CARDEA_ALLOW) == (y.verdict == CARDEA_ALLOW))
		return 0;
	return x.verdict == CARDEA_ALLOW ? 1 : 2;
}

/* publish steps through one publish: the page says the old until it says the
 * new, and nothing else. Returns the signal that ended it, or -1. */
static int publish(pid_t writer, const uint32_t *page)
{
	int before = state(page), after = 3 - before, seen = before, status, deliver = 0;
	publishes++;
	for (;;) {
		int now;
		if (ptrace(PTRACE_SINGLESTEP, writer, 0, deliver) != 0 || waitpid(writer, &status, 0) != writer || !WIFSTOPPED(status))
			return -1;
		deliver = 0;
		if (WSTOPSIG(status) == SIGUSR2)
			break;
		if (WSTOPSIG(status) != SIGTRAP)
			deliver = WSTOPSIG(status);
		steps++;
		now = state(page);
		if (now == after && seen == before) {
			seen = after;
			flips++;
		} else if (now != seen) {
			wrong++;
		}
	}
	if (seen != after)
		wrong++;
	return SIGUSR2;
}

int main(int argc, char **argv)
{
	int pair[2], status;
	pid_t writer;
	const uint32_t *page = NULL;
	if (argc < 2 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return fprintf(stderr, "usage: step writer args...\n"), 2;
	writer = fork();
	if (writer == 0) {
		if (dup2(pair[1], 3) != 3 || ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
			fail("writer");
		execv(argv[1], argv + 1);
		fail(argv[1]);
	}
	if (waitpid(writer, &status, 0) != writer || !WIFSTOPPED(status))
		fail("start");
	for (int deliver = 0;;) {
		if (ptrace(PTRACE_CONT, writer, 0, deliver) != 0 || waitpid(writer, &status, 0) != writer)
			fail("continue");
		if (!WIFSTOPPED(status))
			break;
		deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		if (deliver == SIGUSR2)
			deliver = 0;
		if (deliver == SIGUSR1) {
			if (page == NULL)
				page = receive(pair[0]);
			deliver = 0;
			if (publish(writer, page) < 0)
				break;
		}
	}
	printf("publishes=%ld instructions=%ld flips=%ld wrong=%ld\n", publishes, steps, flips, wrong);
	return wrong != 0 || publishes == 0 || flips != publishes || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}
