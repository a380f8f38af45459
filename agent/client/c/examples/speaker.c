/* A speaker: it plays whatever it is told to, and remembers what was played only
 * while the person who uses it allows that.
 *
 *     cc -std=c99 -I.. -o speaker speaker.c ../cardea.c
 *     printf 'Blue Train\nGiant Steps\n' | ./speaker [socket]
 *
 * Each line is a title. The question stands where the data would be kept, and is
 * asked for every title: it costs less than the line it guards. */
#include "cardea.h"

#include <stdio.h>
#include <string.h>

static void play(const char *title) { printf("plays %s\n", title); }

static void remember(const char *title) { printf("remembers %s\n", title); }

int main(int argc, char **argv)
{
	static cardea agent;
	static cardea_key recommend = CARDEA_KEY("recommendations/use");
	char title[128];
	cardea_open(&agent, argc > 1 ? argv[1] : NULL); /* the agent may come later */
	while (fgets(title, sizeof title, stdin)) {
		title[strcspn(title, "\n")] = 0;
		play(title);
		if (cardea_may(&agent, &recommend, CARDEA_COLLECT))
			remember(title);
		fflush(stdout);
	}
	cardea_close(&agent);
	return 0;
}
