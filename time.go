package cardea

import "time"

// Millis is an instant on the cloud's clock in milliseconds since 1970-01-01
// UTC. Zero means "no instant".
type Millis int64

// MillisOf converts an instant, dropping what is finer than a millisecond.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time converts back.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Add returns the instant d later.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }

// Sub returns how much later m is than o.
func (m Millis) Sub(o Millis) time.Duration { return time.Duration(m-o) * time.Millisecond }

// Now is what a device knows of the time: the cloud's time at the last answer
// to a nonce of this boot plus the boot clock since that nonce was sent. While
// no such answer came the clock is not synced and Time means nothing. The wall
// clock of a device never enters.
type Now struct {
	Time   Millis
	Synced bool
}
