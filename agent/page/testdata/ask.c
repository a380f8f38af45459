/* Answers lines "key use [second]" with "verdict reason asked": from the page on
 * file 3 as of that second, or, given a socket, from the agent. */
#include "cardea.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static const char *const verdicts[] = { "deny", "allow", "allow_local", "hold" };

int main(int argc, char **argv)
{
	static cardea agent;
	const uint32_t *page = NULL;
	char name[256];
	int use;
	uint32_t now;
	if (argc > 1)
		cardea_open(&agent, argv[1]);
	else if ((page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0)) == MAP_FAILED)
		return perror("mmap"), 1;
	while (scanf("%255s %d %" SCNu32, name, &use, &now) == 3) {
		cardea_key key = CARDEA_KEY(name);
		cardea_answer a = { CARDEA_DENY, CARDEA_NO_AGENT, 1 };
		if (argc > 1)
			a = cardea_decide(&agent, &key, (cardea_use)use);
		else if (cardea_read(page, &key, (cardea_use)use, now, &a))
			a.asked = 0;
		else
			a = (cardea_answer){ CARDEA_DENY, CARDEA_NO_AGENT, 1 };
		printf("%s %s %d\n", verdicts[a.verdict], cardea_reason_text(a.reason), a.asked);
		fflush(stdout);
	}
	cardea_close(&agent);
	return 0;
}
