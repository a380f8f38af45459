#define _GNU_SOURCE
#include "cardea.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The page, as agent/page/layout.go has it: 32-bit words, an image in force and
 * one that is being written. */
enum {
	PAGE_BYTES = 4096, MAGIC = 0x31445243,
	OWNER = 0x3fffffff, /* the agent's thread: FUTEX_TID_MASK */
	W_MAGIC = 0, W_SEQUENCE = 1, W_BEAT = 2, W_SEED = 3, W_OWNER = 5, W_IMAGES = 16,
	IMAGE_WORDS = (PAGE_BYTES / 4 - W_IMAGES) / 2,
	I_FLAGS = 2, I_COUNT = 3, I_BAR = 4, I_ENTRIES = 8,
	ENTRY_WORDS = 4, E_HASH = 0, E_UNTIL = 2, E_ANSWERS = 3,
	CAPACITY = (IMAGE_WORDS - I_ENTRIES) / ENTRY_WORDS,
	FLAG_OVERFLOW = 1 << 2, REASONS = 8,
	ALIVE = 10, /* seconds that a yes outlives the agent's last heartbeat */
	TRIES = 8, WAIT = 2 /* seconds for the socket */
};
#define ANSWER_ASK (UINT32_C(1) << 31)
#define SECOND UINT64_C(1000000000)

static const char *const reasons[] = {
	"", "granted", "not_asked", "refused", "withdrawn", "expired", "notice", "conflict", "stale", "clock",
	"signature", "rollback", "forked", "guest", "guardian", "unknown", "store", "no_agent"
};
enum { LAST_REASON = sizeof reasons / sizeof *reasons - 1 };

static const char *const uses[] = { "collect", "local", "egress" };
static const char *const verdicts[] = { "deny", "allow", "allow_local", "hold" };

const char *cardea_reason_text(cardea_reason reason)
{
	return reason >= CARDEA_GRANTED && (int)reason <= LAST_REASON ? reasons[reason] : "unknown";
}

static cardea_answer deny(cardea_reason reason) { return (cardea_answer){ CARDEA_DENY, reason, 0 }; }

static int known(cardea_use use) { return (int)use >= CARDEA_COLLECT && use <= CARDEA_EGRESS; }

/* Words are read in the order of the program: each load sees what was stored
 * before the word it found. */
static uint32_t load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

/* hash finds the entry of a key; a handle remembers it for the page's seed. */
static uint64_t hash(const uint32_t *page, cardea_key *key)
{
	uint64_t seed = (uint64_t)load(page + W_SEED + 1) << 32 | load(page + W_SEED);
	if (key->hash == 0 || key->seed != seed) {
		key->seed = seed;
		key->hash = seed ^ UINT64_C(14695981039346656037);
		for (const char *s = key->name; *s; s++)
			key->hash = (key->hash ^ (unsigned char)*s) * UINT64_C(1099511628211);
	}
	return key->hash;
}

static int is(const uint32_t *entry, uint64_t h)
{
	return load(entry + E_HASH) == (uint32_t)h && load(entry + E_HASH + 1) == (uint32_t)(h >> 32);
}

/* find is the key's entry in an image, or NULL. It is looked for where it was
 * last time first. */
static const uint32_t *find(const uint32_t *image, cardea_key *key, uint64_t h)
{
	uint32_t count = load(image + I_COUNT);
	const uint32_t *entries = image + I_ENTRIES;
	if (count > CAPACITY)
		count = CAPACITY;
	if (key->slot < count && is(entries + key->slot * ENTRY_WORDS, h))
		return entries + key->slot * ENTRY_WORDS;
	for (uint32_t i = 0; i < count; i++)
		if (is(entries + i * ENTRY_WORDS, h)) {
			key->slot = i;
			return entries + i * ENTRY_WORDS;
		}
	return NULL;
}

/* judge reads an entry. 0: ask. */
static int judge(uint32_t answers, uint32_t until, cardea_use use, uint32_t now, cardea_answer *out)
{
	out->verdict = (cardea_verdict)(answers >> (2 * use) & 3);
	out->reason = (cardea_reason)(answers >> (REASONS + 5 * use) & 31);
	if (out->reason < CARDEA_GRANTED || (int)out->reason > LAST_REASON)
		out->reason = CARDEA_UNKNOWN;
	return out->verdict == CARDEA_DENY || out->verdict == CARDEA_HOLD || (!(answers & ANSWER_ASK) && now < until);
}

/* alive tells whether the page's agent lives, by the kernel's word and its own. */
static int alive(const uint32_t *page, uint32_t now)
{
	uint32_t beat = load(page + W_BEAT);
	return load(page + W_MAGIC) == MAGIC && (load(page + W_OWNER) & OWNER) != 0 && now >= beat && now - beat < ALIVE;
}

/* once answers from the image in force. 0: ask, -1: it was replaced meanwhile. */
static int once(const uint32_t *page, cardea_key *key, cardea_use use, uint32_t now, cardea_answer *out)
{
	uint32_t sequence = load(page + W_SEQUENCE), bar;
	const uint32_t *image = page + W_IMAGES + (sequence & 1) * IMAGE_WORDS, *entry;
	int told = 1;
	if (!alive(page, now))
		return 0;
	*out = deny(CARDEA_UNKNOWN);
	if ((bar = load(image + I_BAR)) != 0)
		out->reason = bar <= LAST_REASON ? (cardea_reason)bar : CARDEA_UNKNOWN;
	else if (known(use) && (entry = find(image, key, hash(page, key))) != NULL)
		told = judge(load(entry + E_ANSWERS), load(entry + E_UNTIL), use, now, out);
	else if (known(use))
		told = !(load(image + I_FLAGS) & FLAG_OVERFLOW);
	/* Nothing above may be read after this. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(page + W_SEQUENCE, __ATOMIC_RELAXED) == sequence ? told : -1;
}

int cardea_read(const uint32_t *page, cardea_key *key, cardea_use use, uint32_t now, cardea_answer *out)
{
	int told = -1;
	for (int i = 0; told < 0 && i < TRIES; i++)
		told = once(page, key, use, now, out);
	return told > 0;
}

/* dial connects to the agent, with bounded waits. */
static int dial(const cardea *c)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = WAIT };
	const char *path = c->socket ? c->socket : CARDEA_SOCKET;
	int s = strlen(path) < sizeof to.sun_path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
	if (s < 0)
		return -1;
	strcpy(to.sun_path, path);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	if (connect(s, (struct sockaddr *)&to, sizeof to) == 0)
		return s;
	close(s);
	return -1;
}

/* receive reads an answer until the agent closes, and a file that comes with it. */
static int receive(int s, char *text, size_t size, int *file)
{
	size_t have = 0;
	for (;;) {
		union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
		struct iovec part = { text + have, size - 1 - have };
		struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
		ssize_t n = recvmsg(s, &m, MSG_CMSG_CLOEXEC);
		struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
		if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)) && *file < 0)
			memcpy(file, CMSG_DATA(h), sizeof *file);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || have + (size_t)n >= size - 1) {
			text[have + (n > 0 ? (size_t)n : 0)] = 0;
			return n == 0 ? 0 : -1;
		}
		have += (size_t)n;
	}
}

/* call sends a request and reads the answer to its end. */
static int call(const cardea *c, const char *request, size_t length, char *text, size_t size, int *file)
{
	int s = dial(c), err = -1;
	*file = -1;
	if (s < 0)
		return -1;
	if (send(s, request, length, MSG_NOSIGNAL) == (ssize_t)length)
		err = receive(s, text, size, file);
	close(s);
	return err == 0 && strncmp(text, "HTTP/1.1 200 ", 13) == 0 ? 0 : -1;
}

/* map takes a page that can not shrink under its reader, and nothing else. */
static const uint32_t *map(int file)
{
	struct stat st;
	int seals = fcntl(file, F_GET_SEALS);
	void *page;
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(file, &st) != 0 || st.st_size < PAGE_BYTES)
		return NULL;
	page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, file, 0);
	return page == MAP_FAILED ? NULL : page;
}

void cardea_open(cardea *c, const char *socket_path) { *c = (cardea){ .socket = socket_path }; }

void cardea_close(cardea *c)
{
	if (c->page)
		munmap((void *)(uintptr_t)c->page, PAGE_BYTES);
	c->page = NULL;
}

/* refresh asks for a page. */
static void refresh(cardea *c, uint32_t now)
{
	static const char request[] = "GET /v1/page HTTP/1.1\r\nHost: cardea\r\nConnection: close\r\n\r\n";
	char text[1024];
	int file;
	cardea_close(c);
	c->retry = now + 1;
	if (call(c, request, sizeof request - 1, text, sizeof text, &file) == 0 && file >= 0)
		c->page = map(file);
	if (file >= 0)
		close(file);
}

/* word finds the value of a name in the agent's JSON, which has it in this form,
 * once, and no name within a value. */
static int word(const char *text, const char *name, const char *const *words, int count)
{
	char quoted[64];
	const char *body = strstr(text, "\r\n\r\n");
	for (int i = 0; body && i < count; i++) {
		snprintf(quoted, sizeof quoted, "\"%s\":\"%s\"", name, words[i]);
		if (strstr(body, quoted))
			return i;
	}
	return -1;
}

/* ask puts the question to the socket. */
static cardea_answer ask(const cardea *c, const cardea_key *key, cardea_use use)
{
	char request[512], body[256], text[2048];
	int file, verdict, reason, n, m;
	cardea_answer a = { CARDEA_DENY, CARDEA_NO_AGENT, 1 };
	n = snprintf(body, sizeof body, "{\"key\":\"%s\",\"use\":\"%s\"}", key->name, uses[use]);
	m = snprintf(request, sizeof request, "POST /v1/decide HTTP/1.1\r\nHost: cardea\r\nConnection: close\r\n"
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
	if (n >= (int)sizeof body || m >= (int)sizeof request || key->name[strspn(key->name, "abcdefghijklmnopqrstuvwxyz0123456789_./-")] != 0)
		return a.reason = CARDEA_UNKNOWN, a;
	if (call(c, request, (size_t)m, text, sizeof text, &file) == 0) {
		verdict = word(text, "verdict", verdicts, sizeof verdicts / sizeof *verdicts);
		reason = word(text, "reason", reasons, LAST_REASON + 1);
		if (verdict >= 0 && reason > 0)
			a.verdict = (cardea_verdict)verdict, a.reason = (cardea_reason)reason;
	}
	if (file >= 0)
		close(file);
	return a;
}

/* coarse reads clocks that cost next to nothing: the monotonic one, and how far the
 * wall clock is from it, which changes with a suspend and with a clock that is set. */
static int coarse(uint64_t *mono, uint64_t *apart)
{
	struct timespec w, m;
	if (clock_gettime(CLOCK_REALTIME_COARSE, &w) != 0 || clock_gettime(CLOCK_MONOTONIC_COARSE, &m) != 0)
		return 0;
	*mono = (uint64_t)m.tv_sec * SECOND + (uint64_t)m.tv_nsec;
	*apart = (uint64_t)w.tv_sec * SECOND + (uint64_t)w.tv_nsec - *mono;
	return 1;
}

/* boot reads the boot clock, after the coarse ones: a suspend meanwhile shows the
 * next time. For a second it will not be past latest, even if those lag by another. */
static int boot(cardea *c, uint32_t *now)
{
	struct timespec t = { 0, 0 };
	int noted = coarse(&c->since, &c->apart), told = clock_gettime(CLOCK_BOOTTIME, &t) == 0;
	*now = (uint32_t)t.tv_sec;
	c->latest = noted && told ? *now + 2 : 0;
	return told;
}

/* fresh tells whether latest holds. */
static int fresh(const cardea *c)
{
	uint64_t mono, apart;
	return c->latest != 0 && coarse(&mono, &apart) && apart == c->apart && mono - c->since < SECOND;
}

cardea_answer cardea_decide(cardea *c, cardea_key *key, cardea_use use)
{
	uint32_t now;
	cardea_answer a;
	if (c->page && fresh(c) && cardea_read(c->page, key, use, c->latest, &a))
		return a;
	if (!known(use) || !boot(c, &now))
		return deny(CARDEA_UNKNOWN);
	for (;; refresh(c, now)) {
		if (c->page && cardea_read(c->page, key, use, now, &a))
			return a;
		if ((c->page && alive(c->page, now)) || now < c->retry)
			return ask(c, key, use);
	}
}

int cardea_may(cardea *c, cardea_key *key, cardea_use use)
{
	cardea_verdict v = cardea_decide(c, key, use).verdict;
	return v == CARDEA_ALLOW || (v == CARDEA_ALLOW_LOCAL && use != CARDEA_EGRESS);
}
