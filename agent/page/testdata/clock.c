/* Plays with the clocks under the client, which reads these instead of the
 * machine's: they run, tick, are suspended and set between any two readings. Whatever
 * happens, a yes is given exactly until its second.
 *
 *     clock key beat until
 *
 * On file 3 is a page with a yes to key until that second, of an agent whose heart
 * beat last in the other. */
#define _GNU_SOURCE
#include "cardea.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { LIVES = 1000, BEAT = 2, ALIVE = 10 };
#define SECOND INT64_C(1000000000)
#define MS INT64_C(1000000)

static int64_t mono, slept, apart, ticked; /* in ns: boot is mono + slept, wall mono + apart */
static int wild, lazy = 3; /* how rarely something happens, and the coarse clocks tick */
static int coarse_fails, boot_fails;
static unsigned boots; /* how often the boot clock was read */
static uint64_t seed = 88172645463325252;

static int64_t upto(int64_t n)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (int64_t)(seed % (uint64_t)n);
}

static int64_t boot(void) { return mono + slept; }

/* pass lets time pass. The coarse clocks lag, by less than a second. */
static void pass(int64_t ns)
{
	mono += ns;
	if (mono - ticked > 900 * MS || upto(lazy) == 0)
		ticked = mono;
}

static void suspend(int64_t ns)
{
	slept += ns;
	apart += ns;
	ticked = mono;
}

static void happen(void)
{
	switch (upto(wild)) {
	case 0: pass(upto(300 * MS)); break;
	case 1: pass(upto(3000)); break;
	case 2: suspend(upto(upto(2) ? 5 * SECOND : 20 * MS)); break;
	case 3: apart += upto(2 * SECOND) - SECOND; break;
	}
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t ns;
	if (wild)
		happen();
	ns = id == CLOCK_BOOTTIME ? boot() : id == CLOCK_MONOTONIC_COARSE ? ticked : ticked + apart;
	boots += id == CLOCK_BOOTTIME;
	if (id == CLOCK_BOOTTIME ? boot_fails : coarse_fails)
		return errno = EINVAL, -1;
	t->tv_sec = (time_t)(ns / SECOND);
	t->tv_nsec = (long)(ns % SECOND);
	return 0;
}

static cardea agent;
static cardea_key key;
static uint32_t *page;
static int64_t until;

static void fail(const char *what)
{
	printf("%s: boot %" PRId64 ", beat %" PRIu32 ", until %" PRId64 "\n", what, boot(), page[BEAT], until);
	exit(1);
}

/* map gives the client the page of file 3 as it was. */
static void map(void)
{
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, 3, 0);
	if (page == MAP_FAILED)
		perror("mmap"), exit(1);
	agent.page = page;
}

/* begin starts the clocks at a second. */
static void begin(int64_t second)
{
	mono = upto(100 * SECOND);
	slept = second * SECOND + upto(SECOND) - mono;
	apart = 1800000000 * SECOND + upto(SECOND);
	ticked = mono;
	coarse_fails = boot_fails = wild = 0;
	cardea_close(&agent);
	cardea_open(&agent, "/nobody/is/there");
	map();
}

static cardea_answer ask(void)
{
	cardea_answer a = cardea_decide(&agent, &key, CARDEA_COLLECT);
	if (!agent.page) /* it was let go of, and there is no agent to give another */
		map();
	return a;
}

static int yes(void) { return ask().verdict == CARDEA_ALLOW; }

/* live asks until the yes has long ended. */
static void live(int64_t second)
{
	uint32_t beat;
	begin(second);
	wild = 4 << upto(8);
	lazy = 1 << upto(6);
	while (boot() < (until + 5) * SECOND) {
		int64_t began, ended;
		int said;
		pass(upto(60 * MS));
		beat = page[BEAT];
		if (upto(4) == 0)
			beat = (uint32_t)(boot() / SECOND);
		page[BEAT] = beat;
		began = boot() / SECOND, said = yes(), ended = boot() / SECOND;
		page[BEAT] = beat;
		if (said && (began >= until || began >= (int64_t)beat + ALIVE))
			fail("a yes that has ended");
		if (!said && ended < until && ended < (int64_t)beat + ALIVE)
			fail("a no before the yes has ended");
	}
}

/* calm: the boot clock is read once a second. */
static void calm(int64_t second)
{
	begin(second);
	for (int i = boots = 0; i < 3000; i++, pass(MS))
		if (!yes())
			fail("a no in between");
	if (boots < 3 || boots > 5)
		fail("the boot clock was not read once a second");
}

static void failing(int64_t second)
{
	begin(second), coarse_fails = 1, boots = 0;
	if (!yes() || !yes() || boots != 2)
		fail("no coarse clocks");
	boot_fails = 1;
	if (ask().reason != CARDEA_UNKNOWN || yes())
		fail("a yes without any clock");
	begin(second), coarse_fails = 0;
	if (!yes() || (boot_fails = 1, !yes()))
		fail("the boot clock was read just now, and it is needed again");
	suspend(1);
	if (yes())
		fail("a yes after a suspend, and no clock");
}

int main(int argc, char **argv)
{
	int64_t beat;
	if (argc != 4)
		return 2;
	key = (cardea_key)CARDEA_KEY(argv[1]);
	beat = atoll(argv[2]), until = atoll(argv[3]);
	calm(beat), failing(beat);
	for (int i = 0; i < LIVES; i++)
		live(beat);
	puts("a yes ends at its second");
	return 0;
}
