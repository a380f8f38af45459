/* A car: it navigates with its position, and sends the position to its maker only
 * while the person who drives allows that.
 *
 *     cc -std=c99 -I.. -o car car.c ../cardea.c
 *     ./car [socket] <positions
 *
 * Each line is a position. Before data leaves the car the question is asked with
 * CARDEA_EGRESS. "Hold" is neither yes nor no: what was collected stays here, and
 * leaves when there is a yes, or is thrown away when there is a no. */
#include "cardea.h"

#include <stdio.h>
#include <string.h>

enum { WAITING = 32, LINE = 64 };

/* What waits to be sent: the newest positions, the oldest make room. */
static char waiting[WAITING][LINE];
static unsigned held, oldest;

static void hold(const char *position)
{
	snprintf(waiting[(oldest + held) % WAITING], LINE, "%s", position);
	if (held < WAITING)
		held++;
	else
		oldest = (oldest + 1) % WAITING;
}

static void send_all(void)
{
	for (; held > 0; held--, oldest = (oldest + 1) % WAITING)
		printf("sends %s\n", waiting[oldest]);
}

static void forget_all(cardea_reason why)
{
	printf("forgets %u: %s\n", held, cardea_reason_text(why));
	memset(waiting, 0, sizeof waiting);
	held = 0;
}

static void navigate(const char *position) { printf("is at %s\n", position); }

int main(int argc, char **argv)
{
	static cardea agent;
	static cardea_key location = CARDEA_KEY("precise_location/use");
	char position[LINE];
	cardea_open(&agent, argc > 1 ? argv[1] : NULL);
	while (fgets(position, sizeof position, stdin)) {
		cardea_answer answer = cardea_decide(&agent, &location, CARDEA_EGRESS);
		position[strcspn(position, "\n")] = 0;
		navigate(position);
		if (answer.verdict == CARDEA_ALLOW || answer.verdict == CARDEA_HOLD)
			hold(position);
		else
			forget_all(answer.reason);
		if (answer.verdict == CARDEA_ALLOW)
			send_all();
		fflush(stdout);
	}
	cardea_close(&agent);
	return 0;
}
