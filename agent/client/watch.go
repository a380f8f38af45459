package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
)

// Watch yields the state the program may see, then again after every change;
// each event is whole. since is the generation the caller has already, 0 for
// none. A caller too slow for the changes gets the newest state, never an old
// one late. The sequence ends with ctx, or with one error: ErrNoAgent when the
// agent went away, an *Error when it refuses.
func (c *Client) Watch(ctx context.Context, since uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			again, err := c.watch(ctx, since, yield)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				yield(Event{}, err)
				return
			case !again:
				return
			}
			since = 0 // told to resync: the whole state anew
		}
	}
}

// watch reads one stream. again means that the agent wants a new one; it is
// false when the caller has enough.
func (c *Client) watch(ctx context.Context, since uint64, yield func(Event, error) bool) (again bool, err error) {
	res, err := c.open(ctx, http.MethodGet, "/v1/watch?since="+strconv.FormatUint(since, 10), nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return false, fmt.Errorf("%w: a line breaks off: %w", ErrNoAgent, err)
		}
		if e.Resync {
			return true, nil
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	return false, fmt.Errorf("%w: the stream ended", ErrNoAgent)
}
