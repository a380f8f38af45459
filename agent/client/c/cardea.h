/* The C client of a Cardea agent: may I?
 *
 *     static cardea agent;
 *     static cardea_key listen = CARDEA_KEY("recommendations/use");
 *     cardea_open(&agent, NULL);
 *     ...
 *     if (cardea_may(&agent, &listen, CARDEA_COLLECT)) keep(sample);
 *
 * A decision is read from memory the agent shares with this program: no system
 * call but the clocks, no lock, no allocation. Where the memory can not tell, the
 * agent is asked on its socket; where nobody answers, the answer is no. Ask
 * again before each use, at least every 5 seconds in continuous use.
 *
 * C99 and Linux, libc alone. One cardea belongs to one thread at a time; it
 * takes no memory beside itself. SPDX-License-Identifier: see the repository. */
#ifndef CARDEA_H
#define CARDEA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CARDEA_SOCKET "/run/cardea/agent.sock"

/* What the program is about to do with the data. */
typedef enum { CARDEA_COLLECT, CARDEA_LOCAL, CARDEA_EGRESS } cardea_use;

/* The answer: no; yes; yes if the data stays on the device; do not send now, but
 * keep what was collected. */
typedef enum { CARDEA_DENY, CARDEA_ALLOW, CARDEA_ALLOW_LOCAL, CARDEA_HOLD } cardea_verdict;

/* Why. The words are cardea_reason_text's. */
typedef enum {
	CARDEA_GRANTED = 1, CARDEA_NOT_ASKED, CARDEA_REFUSED, CARDEA_WITHDRAWN, CARDEA_EXPIRED, CARDEA_NOTICE,
	CARDEA_CONFLICT, CARDEA_STALE, CARDEA_CLOCK, CARDEA_SIGNATURE, CARDEA_ROLLBACK, CARDEA_FORKED,
	CARDEA_GUEST, CARDEA_GUARDIAN, CARDEA_UNKNOWN, CARDEA_STORE, CARDEA_NO_AGENT
} cardea_reason;

typedef struct {
	cardea_verdict verdict;
	cardea_reason reason;
	int asked; /* 1: on the socket, 0: read from the page */
} cardea_answer;

/* What is asked about: a purpose and a facet. The rest is the client's. */
typedef struct {
	const char *name;
	uint64_t hash, seed;
	uint32_t slot;
} cardea_key;

#define CARDEA_KEY(name) { (name), 0, 0, 0 }

typedef struct {
	const char *socket;
	const uint32_t *page;  /* NULL: none */
	uint32_t retry;        /* when to ask for a page again, in seconds */
	uint32_t latest;       /* the boot clock's second is not later while the rest holds */
	uint64_t since, apart; /* what the coarse clocks were, in ns */
} cardea;

/* cardea_open makes c ready. It does not fail: an agent that is not there yet is
 * looked for again at most once a second. socket NULL is CARDEA_SOCKET; the text
 * must stay. cardea_close gives back what c holds. */
void cardea_open(cardea *c, const char *socket);
void cardea_close(cardea *c);

/* cardea_decide answers for whoever uses the device now. It waits for the socket
 * for 2 seconds at most. */
cardea_answer cardea_decide(cardea *c, cardea_key *key, cardea_use use);

/* cardea_may is 1 if the data may be used so, where it stays on the device or is
 * only collected; before data leaves ask with CARDEA_EGRESS. */
int cardea_may(cardea *c, cardea_key *key, cardea_use use);

/* cardea_reason_text is the word the agent's API has for a reason. */
const char *cardea_reason_text(cardea_reason reason);

/* cardea_read answers from a page alone, as of a second of CLOCK_BOOTTIME. It
 * returns 0 where the page can not tell. For tests and other clients. */
int cardea_read(const uint32_t *page, cardea_key *key, cardea_use use, uint32_t now, cardea_answer *out);

#ifdef __cplusplus
}
#endif
#endif
