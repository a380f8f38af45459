package syncer

import "time"

// clocks are the device's own clocks at one moment.
type clocks struct {
	wall    time.Duration // since 1970; anybody may set it
	running time.Duration // stands still in suspend
	boot    time.Duration // goes on in suspend, or should
	resumes uint64        // see gate.Config
	rtc     time.Duration // goes on in a virtual machine that is paused; see Config
}

// jump is what a wall clock has gone by if it was not only drift.
const jump = 5 * time.Second

func (s *Syncer) clocks(began time.Time) clocks {
	now := time.Now()
	c := clocks{
		wall:    time.Duration(now.UnixNano()),
		running: now.Sub(began),
		boot:    s.cfg.Gate.Boot(),
		resumes: s.cfg.Gate.Resumes(),
	}
	if s.cfg.RTC != nil {
		c.rtc = s.cfg.RTC()
	}
	return c
}

// look is how often the RTC is compared with the boot clock: a machine that was
// paused wakes its programs as if nothing had been.
const look = 5 * time.Second

// nap is how long the loop may wait for something to happen.
func (s *Syncer) nap() time.Duration {
	if s.cfg.RTC != nil {
		return min(look, s.sendDue())
	}
	return s.sendDue()
}

// since compares the clocks with how they stood before. A suspend is what the
// boot clock has over the running one, or what the kernel counts. What the wall
// clock has over the boot clock may have been a time in which that stood still
// as well, as on a virtual machine that was paused. One that was set back is
// told as less than nothing.
func (c clocks) since(last clocks) (suspended bool, ahead time.Duration) {
	boot := c.boot - last.boot
	suspended = boot-(c.running-last.running) > suspend || c.resumes != last.resumes
	if ahead = c.wall - last.wall - boot; ahead.Abs() <= jump {
		ahead = 0
	}
	if paused := c.rtc - last.rtc - boot; paused > max(ahead, jump) {
		ahead = paused
	}
	return suspended, ahead
}

// watchClocks asks the clouds anew after a suspend, and has everything end
// sooner by what the wall clock went ahead, until they have answered. It returns
// what to compare with next: a clock set back moves nothing, but must not hide a
// later step ahead.
func (s *Syncer) watchClocks(last, now clocks) clocks {
	suspended, ahead := now.since(last)
	if ahead > 0 {
		s.cfg.Log.Warn("the wall clock went ahead: everything ends sooner until the cloud answers", "by", ahead)
		s.cfg.Gate.Shorten(ahead)
	}
	if suspended || ahead > 0 {
		s.resumed()
	}
	if suspended || ahead != 0 {
		return now
	}
	return last
}
