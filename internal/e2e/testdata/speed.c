/* Times what a program in C pays for an answer: the boot clock, the two coarse ones
 * that are read in its place, the page alone, and the whole question, in turns, so that whatever else the machine does falls on
 * all of them. Prints the median of the rounds in nanoseconds. */
#define _GNU_SOURCE
#include "cardea.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 1001, CALLS = 2000, THINGS = 4 }; /* a round is shorter than a time slice */

static cardea agent;
static cardea_key key = CARDEA_KEY("recommendations/use");

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double boot_clock(void)
{
	struct timespec t;
	double began = now();
	for (int i = 0; i < CALLS; i++)
		clock_gettime(CLOCK_BOOTTIME, &t);
	return now() - began;
}

static double coarse_clocks(void)
{
	struct timespec t;
	double began = now();
	for (int i = 0; i < CALLS; i++) {
		clock_gettime(CLOCK_REALTIME_COARSE, &t);
		clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	}
	return now() - began;
}

static double page_alone(void)
{
	struct timespec t;
	cardea_answer a;
	double began;
	clock_gettime(CLOCK_BOOTTIME, &t);
	began = now();
	for (int i = 0; i < CALLS; i++)
		if (!cardea_read(agent.page, &key, CARDEA_COLLECT, (uint32_t)t.tv_sec, &a) || a.verdict != CARDEA_ALLOW)
			exit(1);
	return now() - began;
}

static double question(void)
{
	double began = now();
	for (int i = 0; i < CALLS; i++)
		if (!cardea_may(&agent, &key, CARDEA_COLLECT))
			exit(1);
	return now() - began;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double (*const things[THINGS])(void) = { boot_clock, coarse_clocks, page_alone, question };
	static const char *const names[THINGS] = { "boot", "coarse", "page", "question" };
	static double took[THINGS][ROUNDS];
	if (argc != 2)
		return 2;
	cardea_open(&agent, argv[1]);
	if (!cardea_may(&agent, &key, CARDEA_COLLECT) || !agent.page)
		return 1;
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < THINGS; i++)
			took[i][round] = things[i]() / CALLS;
	for (int i = 0; i < THINGS; i++) {
		qsort(took[i], ROUNDS, sizeof **took, order);
		printf("%s %.2f\n", names[i], took[i][ROUNDS / 2]);
	}
	cardea_close(&agent);
	return 0;
}
