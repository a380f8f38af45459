package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/internal/wire/vectors"
)

var update = flag.Bool("update", false, "write testdata/wire again")

// TestVectors checks that the committed files say what this test would write.
// Signatures and IVs are random, so sealed messages are compared by what they
// open to; bodies and digests byte by byte.
func TestVectors(t *testing.T) {
	if *update {
		cryptotest.SetGlobalRandom(t, 1) // unchanged vectors stay unchanged
		makeVectors(t).Save(t)
	}
	set, fresh := vectors.Load(t), makeVectors(t)
	for _, v := range slices.Concat(set.Good, set.Bad) {
		got, err := set.Keys.Open(t, v)
		if vectors.ErrorName(err) != v.Error {
			t.Errorf("%s %q: got %v, want %s", v.Kind, v.Name, err, v.Error)
		}
		if v.Error == "" && !sameJSON(t, asJSON(t, got), v.Opens) {
			t.Errorf("%s %q opens to\n%s\nwant\n%s", v.Kind, v.Name, asJSON(t, got), v.Opens)
		}
	}
	t.Logf("%d open, %d do not", len(set.Good), len(set.Bad))
	compare(t, set.Good, fresh.Good)
	compare(t, set.Bad, fresh.Bad)
	if !slices.EqualFunc(set.Digests, fresh.Digests, sameDigest) {
		t.Error("digests.json is not what the code computes")
	}
	set.Keys.List, fresh.Keys.List = nil, nil
	if !reflect.DeepEqual(set.Keys, fresh.Keys) {
		t.Error("keys.json is not what the code writes")
	}
}

func compare(t *testing.T, committed, fresh []vectors.Vector) {
	t.Helper()
	if len(committed) != len(fresh) {
		t.Fatalf("%d vectors are committed, the code makes %d", len(committed), len(fresh))
	}
	for i, v := range committed {
		w := fresh[i]
		if v.Kind != w.Kind || v.Name != w.Name || v.Error != w.Error || v.Device != w.Device || v.Link != w.Link || !sameJSON(t, v.Opens, w.Opens) {
			t.Errorf("%s %q is committed, the code makes %s %q", v.Kind, v.Name, w.Kind, w.Name)
		}
		if (v.Kind == "body" || v.Kind == "topic") && !bytes.Equal(v.Bytes, w.Bytes) {
			t.Errorf("%s %q has other bytes", v.Kind, v.Name)
		}
	}
}

func sameDigest(a, b vectors.Digest) bool {
	return a.Name == b.Name && a.Hash == b.Hash && bytes.Equal(a.CBOR, b.CBOR)
}

func asJSON(t testing.TB, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sameJSON(t testing.TB, a, b json.RawMessage) bool {
	t.Helper()
	var x, y any
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

func makeVectors(t testing.TB) *vectors.Set {
	t.Helper()
	c := newCast(t)
	bad := badVectors(t, c)
	slices.SortFunc(bad, func(a, b vectors.Vector) int {
		return strings.Compare(a.Kind+" "+a.Name, b.Kind+" "+b.Name)
	})
	keys := vectors.Keys{
		Cloud: fill(32, "cloud"), Root: fill(32, "root"), Dev: fill(32, "device"),
		Device: c.id, Link: c.link, LinkKey: c.key, List: signKeyList(t, c),
	}
	return &vectors.Set{Keys: keys, Good: goodVectors(t, c, keys), Bad: bad, Digests: digests(t, c)}
}

func signKeyList(t testing.TB, c cast) []byte {
	b, err := wire.SignKeyList(c.keyList(), c.root)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goodVectors(t testing.TB, c cast, keys vectors.Keys) []vectors.Vector {
	t.Helper()
	push := c.statement()
	push.Nonce, push.Rejected, push.Seen = cardea.Nonce{}, nil, cardea.Seen{}
	first := c.report()
	first.Entries, first.Have, first.Clock = nil, cardea.Have{}, cardea.ClockUntrusted
	_, held, err := wire.SealDown(c.statement(), c.cloud, c.key)
	if err != nil {
		t.Fatal(err)
	}
	recover, asked := c.renewal(), c.report()
	recover.Recover, asked.Held = true, fill(32, "the statement, which is its receiver's to verify")
	told, confirmed := c.report(), c.renewal()
	told.Loss, confirmed.Confirmed = cardea.LossID(fill(16, "loss")), cardea.LossID(fill(16, "loss"))
	did, ordered := c.report(), c.body()
	did.Done = []cardea.OrderID{cardea.OrderID(fill(16, "identify"))}
	ordered.Orders = []cardea.Order{
		{ID: cardea.OrderID(fill(16, "order")), Kind: cardea.OrderUnlink}, {ID: cardea.OrderID(fill(16, "erase")), Kind: cardea.OrderErase},
		{ID: cardea.OrderID(fill(16, "identify")), Kind: cardea.OrderIdentify},
	}
	report := up(t, c, c.report())
	house, shared := c.report(), c.body()
	house.Away, house.Entries = true, cardea.NewLog().Append(
		cardea.LogEntry{Event: event("everyone"), Act: cardea.ActDeny, Reach: cardea.ReachEveryone, Key: "wake_word/use"}).Append(
		cardea.LogEntry{Event: event("lift"), Act: cardea.ActLift, Reach: cardea.ReachEveryone, Key: "wake_word/use"}).Entries
	shared.Consents[1].Reason, shared.Consents[1].Everyone = cardea.ReasonRefused, true
	deleted, collecting := c.report(), c.body()
	deleted.Purged = &cardea.Purged{Queue: c.batch().Queue, N: 3, Keys: []cardea.Kept{{Key: "recommendations/use", Deleted: 12, Held: 1, Dropped: 2}}}
	collecting.Collections = []cardea.Collection{{
		Purpose: "recommendations", Fields: []string{"mood", "skipped", "track"}, Special: []string{"mood"}, Hold: 604800,
		Recipients: []cardea.Destination{{Name: "Händler AG", Facets: []cardea.Facet{cardea.FacetThirdParty, cardea.FacetSale}}},
	}}
	answer, err := wire.SignUnknown(report, c.link, c.cloud)
	if err != nil {
		t.Fatal(err)
	}
	newer := c.body()
	newer.Consents[0].Reason, newer.Consents[1].Class, newer.Orders[0].Kind = "of_a_newer_cloud", "Z", "dance"
	sourced := c.body()
	sourced.Preferences = []cardea.Preference{
		{Key: "comfort.seat", Value: `["heat","massage"]`, Decided: cardea.Point{Era: 1, Seq: 9}, Source: cardea.ChannelPortal, Since: now, Under: "recommendations/use", ValidUntil: now + 1e9},
		{Key: "of.nothing", Value: `[]`, Decided: cardea.Point{Era: 1, Seq: 10}, Source: "of_a_newer_cloud", Since: now},
	}
	roles := c.body()
	roles.Identity.Roles = []string{"driver", "service"}
	all := []vectors.Vector{
		{Name: "answers a report", Kind: "statement", Bytes: down(t, c, c.statement())},
		{Name: "pushed", Kind: "statement", Bytes: down(t, c, push)},
		{Name: "held from before", Kind: "held", Bytes: held},
		{Name: "extends the lease", Kind: "renewal", Bytes: down(t, c, c.renewal())},
		{Name: "closed", Kind: "renewal", Bytes: down(t, c, c.closed())},
		{Name: "asks to recover", Kind: "renewal", Bytes: down(t, c, recover)},
		{Name: "of a loss", Kind: "report", Bytes: up(t, c, told)},
		{Name: "confirms a loss", Kind: "renewal", Bytes: down(t, c, confirmed)},
		{Name: "with the statement held", Kind: "report", Bytes: up(t, c, asked)},
		{Name: "with a log", Kind: "report", Bytes: report},
		{Name: "the first", Kind: "report", Bytes: up(t, c, first)},
		{Name: "of who is away, for everyone", Kind: "report", Bytes: up(t, c, house)},
		{Name: "of an order done", Kind: "report", Bytes: up(t, c, did)},
		{Name: "of what was deleted", Kind: "report", Bytes: up(t, c, deleted)},
		{Name: "of two items", Kind: "batch", Bytes: batch(t, c, c.batch())},
		{Name: "with what may be collected", Kind: "body", Bytes: body(t, collecting)},
		{Name: "no such link", Kind: "unknown", Up: report, Bytes: answer},
		{Name: "one key and two anchors", Kind: "keys", Bytes: signKeyList(t, c)},
		{Name: "typical", Kind: "body", Bytes: body(t, c.body())},
		{Name: "denied for everyone", Kind: "body", Bytes: body(t, shared)},
		{Name: "with every order", Kind: "body", Bytes: body(t, ordered)},
		{Name: "empty", Kind: "body", Bytes: body(t, cardea.Body{})},
		{Name: "of a newer cloud", Kind: "body", Bytes: body(t, newer)},
		{Name: "of who has roles", Kind: "body", Bytes: body(t, roles)},
		{Name: "with where values come from", Kind: "body", Bytes: body(t, sourced)},
		{Name: "of a device", Kind: "topic", Bytes: []byte(wire.UpTopic(c.id))},
	}
	for i, v := range all {
		opened, err := keys.Open(t, v)
		if err != nil {
			t.Fatalf("%s %q: %v", v.Kind, v.Name, err)
		}
		all[i].Opens = asJSON(t, opened)
	}
	return all
}

func down(t testing.TB, c cast, d cardea.Down) []byte {
	t.Helper()
	b, _, err := wire.SealDown(d, c.cloud, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func up(t testing.TB, c cast, u cardea.Up) []byte {
	t.Helper()
	b, err := wire.SealUp(u, c.device, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func batch(t testing.TB, c cast, b cardea.Batch) []byte {
	t.Helper()
	sealed, err := wire.SealBatch(b, c.device, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func body(t testing.TB, body cardea.Body) []byte {
	t.Helper()
	b, err := wire.EncodeBody(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// digests writes the arrays of docs/protocol.md with the CBOR library and
// compares them, by their hash, with the ones the vocabulary writes by hand.
func digests(t testing.TB, c cast) (all []vectors.Digest) {
	t.Helper()
	add := func(name, kind, language string, value any, hash cardea.Hash, items ...any) {
		b := encode(items)
		if hash != sha256.Sum256(b) {
			t.Errorf("%s: the vocabulary hashes something else than %x", name, b)
		}
		all = append(all, vectors.Digest{Name: name, Kind: kind, Language: language, Value: asJSON(t, value), CBOR: b, Hash: hash})
	}
	for _, e := range c.report().Entries {
		add("log "+string(e.Act), "log", "", e, e.Hash(), "cardea log",
			e.N, e.Event, e.Base, e.Act, e.Reach, e.Key, e.Version, e.Notice, e.Preference, e.Value, e.Previous)
	}
	head := cardea.Position{}
	for _, e := range ledger(c) {
		e = e.Chain(1, head)
		head = e.Position
		add("ledger "+string(e.Act), "ledger", "", e, e.Position.Hash, "cardea ledger",
			e.Position.Era, e.Position.Seq, e.Previous, e.Event, e.Act, e.Key, e.Version, e.Notice, e.Preference,
			e.Payload, e.Base, e.Scope.Device, e.By, e.Channel, e.Link, e.Log, e.N, e.Recorded)
	}
	p := purpose()
	for _, language := range []string{"en", "de", "ko"} {
		x := p.Texts[language]
		facets, recipients := [][]any{}, [][]any{}
		for _, f := range p.Facets {
			facets = append(facets, []any{f, x.Facets[f]})
		}
		for _, r := range p.Recipients {
			recipients = append(recipients, []any{r.Name, r.Relation, r.Country, r.Sold})
		}
		items := []any{"cardea notice",
			p.ID, p.Version, language, x.Title, x.What, x.Why, x.Benefit, x.Refusal, p.Retention,
			uint64(p.Validity / time.Second), strings.Join(p.Countries, " "), facets, recipients, p.Data}
		if language == "ko" { // basis, retention, data, recipients
			items = append(items, [][]any{{"consent", "동의"}, {"13 months", "13개월"}, {"listening", "청취"}, {"Brand", "브랜드"}})
		}
		add("notice "+language, "notice", language, p, p.Notice(language), items...)
	}
	return all
}

func ledger(c cast) []cardea.Entry {
	entry := func(d cardea.Decision) cardea.Entry {
		return cardea.Entry{Decision: d, By: cardea.Owner, Channel: cardea.ChannelPortal, Recorded: now}
	}
	link := entry(cardea.Decision{Event: event("link"), Act: cardea.ActLink})
	link.Link, link.Scope.Device = c.link, c.id
	said := entry(cardea.Decision{Event: event("deny"), Act: cardea.ActDeny, Key: "recommendations/use"})
	said.Channel, said.Link, said.Log, said.N = cardea.ChannelDevice, c.link, cardea.LogID(fill(16, "log")), 3
	prefer := entry(cardea.Decision{Event: event("prefer"), Act: cardea.ActPrefer, Preference: "language", Value: `"fr"`})
	prefer.Payload = hash("salted")
	return []cardea.Entry{
		link,
		entry(cardea.Decision{
			Event: event("grant"), Act: cardea.ActGrant, Key: "recommendations/use", Version: 3, Notice: hash("notice"),
			Base: cardea.Position{Era: 1, Seq: 70_000, Hash: hash("base")},
		}),
		said, prefer,
	}
}

func purpose() cardea.Purpose {
	text := func(language string) cardea.Text {
		return cardea.Text{
			Title: "Recommendations " + language, What: "what you play", Why: "to suggest music", Benefit: "new music",
			Refusal: "nothing is suggested", Facets: map[cardea.Facet]string{
				cardea.FacetUse: "May we?", cardea.FacetThirdParty: "May others?",
			},
		}
	}
	inKorean := text("ko") // which has a word for some of the names
	inKorean.Words = map[string]string{"Brand": "브랜드", "listening": "청취", "13 months": "13개월", "consent": "동의"}
	return cardea.Purpose{
		ID: "recommendations", Version: 3, Devices: []cardea.DeviceKind{"speaker"}, Class: cardea.ClassC,
		Validity: 17520 * time.Hour, LegalBasis: "consent", Data: []string{"listening", "ratings"}, Retention: "13 months",
		Recipients: []cardea.Recipient{{Name: "Händler AG", Relation: cardea.RelationThirdParty, Country: "CH", Sold: true}, {Name: "Brand", Relation: cardea.RelationOwn, Country: "DE"}},
		Countries:  []string{"DE", "CH"}, Facets: []cardea.Facet{cardea.FacetUse, cardea.FacetThirdParty},
		Texts: map[string]cardea.Text{"en": text("en"), "de": text("de"), "ko": inKorean},
	}
}
