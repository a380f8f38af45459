package localapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A Machine looks at what the agent runs on: its files and its socket.
type Machine interface {
	Check(context.Context) []client.Finding
}

// check looks at all the agent depends on. What tells of people needs the
// entitlement "admin"; no finding has a name, a token or a code in it.
func (s *Server) check(c *call) error {
	found := []client.Finding{s.checkPrograms(c.caller.program)}
	if s.Machine != nil {
		found = append(found, s.Machine.Check(c.r.Context())...)
	}
	st := s.Decider.Status()
	links, err := s.DB.Links()
	if err != nil {
		found = append(found, act("links", "what the device keeps can not be read", "pair the device again"))
	}
	found = append(found, s.checkClock(len(links)), checkBroker(st, len(links)))
	private := []struct {
		name string
		look func() client.Finding
	}{
		{"token", func() client.Finding { return s.checkToken() }},
		{"leases", func() client.Finding { return s.checkLeases() }},
		{"journal", func() client.Finding { return s.checkJournal(st) }},
		{"links", func() client.Finding { return s.checkLinks(links) }},
	}
	for _, p := range private {
		f := client.Finding{Check: p.name, State: client.FindHidden, Found: "not for this program"}
		if c.caller.program.May(programs.MayAdmin) {
			f = p.look()
		} else {
			f.Remedy = fmt.Sprintf("add \"admin\" to entitlements in %s to see it", c.caller.program.File())
		}
		found = append(found, f)
	}
	return c.answer(client.Checkup{Findings: found})
}

func ok(check, found string) client.Finding {
	return client.Finding{Check: check, State: client.FindOK, Found: found}
}

func waits(check, found, remedy string) client.Finding {
	return client.Finding{Check: check, State: client.FindWaits, Found: found, Remedy: remedy}
}

func act(check, found, remedy string) client.Finding {
	return client.Finding{Check: check, State: client.FindAct, Found: found, Remedy: remedy}
}

// checkPrograms looks at the files of the programs, and at the caller's.
func (s *Server) checkPrograms(p *programs.Program) client.Finding {
	if faults := s.Registry.Faults(); len(faults) > 0 {
		var texts []string
		for _, err := range faults {
			texts = append(texts, err.Error())
		}
		f := act("programs", "left out: "+strings.Join(texts, "; "), "put the file right and restart the agent")
		f.Figures = map[string]int64{"left_out_files": int64(len(faults))}
		return f
	}
	f := ok("programs", fmt.Sprintf("you are %q by %s", p.Name, p.File()))
	f.Figures = map[string]int64{"known_programs": int64(s.Registry.Len())}
	return f
}

// checkClock: the time is only known from a cloud's answer in this boot.
func (s *Server) checkClock(links int) client.Finding {
	switch {
	case s.Gate.Clock().Synced:
		return ok("clock", "known, from the cloud's answer in this boot")
	case links == 0:
		return ok("clock", "not known, and nothing needs it before somebody is linked")
	}
	return waits("clock", "not known since the device started: all but class L is denied", "let the device reach the cloud once; the wall clock does not count")
}

func checkBroker(st syncer.Status, links int) client.Finding {
	refused := uint64(0)
	var reasons []string
	for why, n := range st.Refused {
		refused += n
		reasons = append(reasons, fmt.Sprintf("%s %d", why, n))
	}
	slices.Sort(reasons)
	f := ok("broker", "connected")
	switch {
	case !st.Connected && links == 0:
		f = ok("broker", "not connected: nobody is linked")
	case !st.Connected:
		f = waits("broker", "not connected: changes come late, and go over HTTPS", "see whether the network lets the device out to the broker's port")
	case refused > 0:
		f.Found += "; messages that were refused: " + strings.Join(reasons, ", ")
	}
	f.Figures = map[string]int64{"refused_messages": int64(refused)}
	return f
}

// checkToken tells how old the access token is that the agent has at hand.
func (s *Server) checkToken() client.Finding {
	link, _, active := s.Gate.Active()
	if !active {
		return ok("token", "none: nobody uses the device")
	}
	age, left, held := s.Pairer.TokenAge(link)
	if !held {
		return ok("token", "none at hand: one is fetched when it is asked for")
	}
	f := ok("token", fmt.Sprintf("fetched %s ago, counts %s more", span(age), span(left)))
	f.Figures = map[string]int64{"age_s": int64(age.Seconds()), "left_s": int64(left.Seconds())}
	return f
}

// checkLeases tells for each class how long its shortest yes counts without the
// cloud.
func (s *Server) checkLeases() client.Finding {
	link, err := s.held()
	if err != nil {
		return ok("leases", "none: nobody uses the device")
	}
	left, lapsed := map[cardea.Class]time.Duration{}, map[cardea.Class]int{}
	for _, c := range link.Body.Consents {
		a := s.Gate.DecideFor(link.ID, cardea.Query{Key: c.Key, Use: cardea.UseCollect})
		switch {
		case c.Class == cardea.ClassN:
		case a.Allowed():
			if before, seen := left[c.Class]; !seen || a.Left < before {
				left[c.Class] = a.Left
			}
		case a.Reason == cardea.ReasonStale || a.Reason == cardea.ReasonClock:
			lapsed[c.Class]++
		}
	}
	return leases(left, lapsed)
}

func leases(left map[cardea.Class]time.Duration, lapsed map[cardea.Class]int) client.Finding {
	var words []string
	figures := map[string]int64{}
	over := false
	for _, class := range []cardea.Class{cardea.ClassA, cardea.ClassB, cardea.ClassC, cardea.ClassL} {
		name := strings.ToLower(string(class))
		if d, ok := left[class]; ok {
			words = append(words, fmt.Sprintf("%s %s", class, span(d)))
			figures["class_"+name+"_left_s"] = int64(d.Seconds())
		}
		if n := lapsed[class]; n > 0 {
			over = true
			words = append(words, fmt.Sprintf("%s over", class))
			figures["class_"+name+"_over_keys"] = int64(n)
		}
	}
	f := ok("leases", strings.Join(words, ", "))
	switch {
	case over:
		f = waits("leases", f.Found, "let the device reach the cloud: what is over counts again with its answer")
	case len(words) == 0:
		f.Found = "none: nothing is allowed"
	}
	f.Figures = figures
	return f
}

// span is a time as a person says it.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

// checkJournal tells whether what is decided here is kept as it should be.
func (s *Server) checkJournal(st syncer.Status) client.Finding {
	figures := map[string]int64{"doubts": int64(len(s.DB.Found())), "lost_links": int64(len(s.DB.Lost())), "farewells": int64(st.Farewells)}
	f := ok("journal", "sound")
	switch {
	case len(s.DB.Lost()) > 0:
		f = waits("journal", "a link was lost with the database and is fetched again", "let the device reach the cloud; if it stays so, replace the storage")
	case len(s.DB.Found()) > 0:
		f = waits("journal", "something was damaged at the start: what is doubtful denies until the cloud has answered", "if it comes back, replace the storage")
	case st.Farewells > 0:
		f = waits("journal", "the last words of an ended link wait for its cloud", "let the device reach the cloud")
	}
	f.Figures = figures
	return f
}

// remedies are for the bars that do not end by themselves.
var remedies = map[cardea.Reason]string{
	cardea.ReasonForked:    "its person has to confirm this device on their page of devices",
	cardea.ReasonSignature: "configure the cloud's root_pin, or pair again",
	cardea.ReasonStore:     "replace the storage, or pair again",
}

func (s *Server) checkLinks(links []devicedb.Link) client.Finding {
	pending := 0
	f := ok("links", "nobody is linked")
	if len(links) > 0 {
		f.Found = fmt.Sprintf("%d, all in force", len(links))
	}
	for _, l := range links {
		pending += len(l.Log.Entries)
		bar := l.Barred()
		remedy, person := remedies[bar]
		switch {
		case person && (bar != cardea.ReasonStore || l.Key == wire.LinkKey{}): // readable, it waits for the cloud
			f = act("links", fmt.Sprintf("a link is barred (%s): everything of it is denied", bar), remedy)
		case bar != "" && f.State == client.FindOK:
			f = waits("links", fmt.Sprintf("a link is barred (%s): everything of it is denied", bar), "let the device reach the cloud; at a server that knows no consent it stays so")
		}
	}
	f.Figures = map[string]int64{"links": int64(len(links)), "waiting_decisions": int64(pending)}
	return f
}
