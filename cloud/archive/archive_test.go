package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/archive"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A world is an owner with a device and a history.
type world struct {
	*archive.Writer
	t       testing.TB
	account cardea.AccountID
	link    accountdb.Link
}

const (
	email  = "ada@example.com"
	hostil = `<script>alert("x")</script> عليه` + "\u202e"
)

func newWorld(t testing.TB) *world {
	t.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	must(t, err)
	cat, err := catalogue.Parse(text)
	must(t, err)
	db := accountdbtest.Open(t)
	w := &world{t: t, Writer: &archive.Writer{DB: db, Ledger: &ledger.Ledger{DB: db, Catalogue: catalogue.New(cat)}, Brand: "Hearth"}}
	w.account, err = db.Register(t.Context(), email, "argon2 hash")
	must(t, err)
	w.link = accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: w.account, Device: cardea.DeviceID(strings.Repeat("d", 43)), Grant: "g1"}
	must(t, db.Update(t.Context(), func(tx *accountdb.Tx) error {
		must(t, tx.SetName(w.account, "Ada "+hostil))
		must(t, tx.PutDevice(accountdb.Device{ID: w.link.Device, PublicKey: []byte("{}"), Kind: "speaker", Model: "Mini", Serial: "4F2A"}))
		must(t, tx.CreateLink(w.link, [32]byte{1, 2, 3}, "Kitchen "+hostil))
		body, err := wire.EncodeBody(cardea.Body{
			Identity: cardea.Identity{Subject: "s", Name: "Ada"},
			Consents: []cardea.Consent{{Key: "recommendations/use", Version: 1, Reason: cardea.ReasonGranted, Class: cardea.ClassC, Staleness: 60}},
		})
		must(t, err)
		must(t, tx.PutStatement(w.link.ID, accountdb.Statement{Revision: 1, Body: body, BodyHash: wire.BodyHash(body)}))
		return tx.SetBuilt(w.link.ID, 1, cardea.Position{}, cardea.Hash{})
	}))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// decide is the owner on the page of choices.
func (w *world) decide(act cardea.Act, key cardea.Key, value cardea.Value) {
	w.t.Helper()
	page, err := w.Ledger.Page(w.t.Context(), w.account, "en")
	must(w.t, err)
	d := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: act, Base: page.Head, Value: value}
	if act == cardea.ActPrefer {
		d.Preference = cardea.PreferenceKey(key)
	} else {
		d.Key = key
	}
	if act == cardea.ActGrant {
		cat, _ := w.Ledger.Catalogue.Current()
		p, _ := cat.Purpose(key.Purpose())
		d.Version, d.Notice = p.Version, p.Notice("en")
	}
	_, err = w.Ledger.Decide(w.t.Context(), w.account, cardea.ChannelPortal, cardea.Scope{}, d)
	must(w.t, err)
}

func (w *world) write(tag string) map[string][]byte {
	w.t.Helper()
	speaks, _ := language.Of(tag)
	var out bytes.Buffer
	must(w.t, w.Write(w.t.Context(), &out, w.account, speaks))
	return unzip(w.t, out.Bytes())
}

func unzip(t testing.TB, b []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		files[f.Name], err = io.ReadAll(r) // checks the sum too
		must(t, err)
	}
	return files
}

// A receipter makes receipts of nothing but the number.
type receipter struct{}

func (receipter) Make(_ context.Context, _ cardea.AccountID, seq uint64) (r receipt.Receipt, v ledger.Evidence, err error) {
	if seq == 1 {
		return r, v, fmt.Errorf("receipt: %w", ledger.ErrNoConsent)
	}
	return r, v, nil
}

// TestEverythingIsInIt reads an archive as a machine does.
func TestEverythingIsInIt(t *testing.T) {
	w := newWorld(t)
	w.Receipts = receipter{}
	w.decide(cardea.ActDeny, "voice_clips/use", "")
	w.decide(cardea.ActGrant, "recommendations/use", "")
	w.decide(cardea.ActPrefer, "voice_speed", "120")
	w.decide(cardea.ActDeny, "recommendations/use", "")
	files := w.write("en")
	for _, name := range []string{
		"index.html", "about.json", "account.json", "sessions.json", "devices.json", "preferences.json", "decisions.json", "events.json",
		"receipts/2.json", "receipts/4.json",
	} {
		if len(files[name]) == 0 {
			t.Errorf("no %s", name)
		}
		delete(files, name)
	}
	for name := range files {
		t.Errorf("also %s", name)
	}
	files = w.write("en")
	var account struct {
		Name, Email string
		Ways        struct{ Password bool } `json:"signs_in_with"`
	}
	read(t, files["account.json"], &account)
	if account.Name != "Ada "+hostil || account.Email != email || !account.Ways.Password {
		t.Errorf("account %+v", account)
	}
	var devices []struct {
		Name, Kind, State string
		Told              cardea.Body
	}
	read(t, files["devices.json"], &devices)
	if len(devices) != 1 || devices[0].Name != "Kitchen "+hostil || devices[0].Told.Identity.Name != "Ada" || len(devices[0].Told.Consents) != 1 {
		t.Errorf("devices %+v", devices)
	}
	var decisions []struct {
		Seq   uint64
		Act   cardea.Act
		Value string
		Read  *cardea.Text
		Entry cardea.Entry
	}
	read(t, files["decisions.json"], &decisions)
	if len(decisions) != 4 || decisions[0].Seq != 4 || decisions[1].Value != "120" || decisions[2].Read == nil || decisions[2].Read.Why == "" {
		t.Fatalf("decisions %+v", decisions)
	}
	var entries []cardea.Entry
	for i := range decisions {
		entries = append(entries, decisions[len(decisions)-1-i].Entry)
	}
	var about struct{ Head cardea.Position }
	read(t, files["about.json"], &about)
	if head, err := cardea.VerifyChain(cardea.Position{}, entries); err != nil || head != about.Head {
		t.Errorf("the chain in the archive: %v, head %v, want %v", err, head, about.Head)
	}
}

func read(t testing.TB, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// The page stands alone in every language, with names that are markup or turn the
// text around them shown as text.
func TestPage(t *testing.T) {
	w := newWorld(t)
	w.decide(cardea.ActGrant, "recommendations/use", "")
	for _, l := range language.All() {
		page := string(w.write(l.Tag())["index.html"])
		for _, part := range []string{
			`<html lang="` + l.Tag() + `">`, l.Text("archive.title"), l.Text("archive.did.grant"), "&lt;script&gt;", "<bdi>Kitchen ", email, "</html>",
		} {
			if !strings.Contains(page, part) {
				t.Errorf("%s: %q is not on the page", l.Tag(), part)
			}
		}
		for _, part := range []string{"<script", "http://", "https://", "url(", "src=", "archive."} {
			if strings.Contains(page, part) {
				t.Errorf("%s: %q is on the page", l.Tag(), part)
			}
		}
	}
}

// What was read of a decision says who got the data, on the page and for machines,
// in the words of its language, whatever language the page is in.
func TestTermsOfADecision(t *testing.T) {
	w := newWorld(t)
	cat, _ := w.Ledger.Catalogue.Current()
	p, _ := cat.Purpose("recommendations")
	w.grant(p, "de")
	files := w.write("ja")
	for _, part := range []string{"Musikdienst", "フィンランド", "12 Monate", "was Sie abspielen und überspringen", "Einwilligung"} {
		if !strings.Contains(string(files["index.html"]), part) {
			t.Errorf("%q is not on the page", part)
		}
	}
	var decisions []struct {
		Terms struct {
			Version    uint32
			Data       []string
			Recipients []cardea.Recipient
			Retention  string
		}
	}
	read(t, files["decisions.json"], &decisions)
	if terms := decisions[0].Terms; terms.Version != 1 || terms.Data[1] != "wann" || terms.Recipients[1].Name != "Musikdienst" || terms.Retention != "12 Monate" {
		t.Errorf("%+v", terms)
	}
}

// grant says yes to the use for a purpose that was read in a language.
func (w *world) grant(p cardea.Purpose, language string) {
	w.t.Helper()
	page, err := w.Ledger.Page(w.t.Context(), w.account, language)
	must(w.t, err)
	_, err = w.Ledger.Decide(w.t.Context(), w.account, cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActGrant, Base: page.Head,
		Key: cardea.KeyOf(p.ID, cardea.FacetUse), Version: p.Version, Notice: p.Notice(language),
	})
	must(w.t, err)
}

// No secret is in any file.
func TestNoSecrets(t *testing.T) {
	w := newWorld(t)
	hash := cardea.Hash{7, 7, 7}
	must(t, w.DB.StartSession(t.Context(), hash, w.account, time.Hour))
	for name, text := range w.write("de") {
		for _, secret := range []string{"argon2 hash", hash.String(), w.account.String(), "AQID"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s has %q", name, secret)
			}
		}
	}
}

func TestEmptyLedger(t *testing.T) {
	files := newWorld(t).write("en")
	var decisions []any
	read(t, files["decisions.json"], &decisions)
	if len(decisions) != 0 {
		t.Errorf("decisions %v", decisions)
	}
}

// An erased account has nothing to export.
func TestErasedAccount(t *testing.T) {
	w := newWorld(t)
	must(t, w.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
		return tx.Erase(w.account, cardea.Hash{1}, tx.Millis(), cardea.ChannelPortal)
	}))
	if err := w.Write(t.Context(), io.Discard, w.account, language.All()[0]); !errors.Is(err, accountdb.ErrErased) {
		t.Errorf("written with %v", err)
	}
}

// A long history is written in the memory of a short one.
func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t)
	const many = 3000
	for range many / 500 {
		must(t, w.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
			for range 500 {
				e := cardea.Entry{By: cardea.Owner, Channel: cardea.ChannelPortal, Decision: cardea.Decision{
					Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "recommendations/use",
				}}
				if _, err := tx.Append(w.account, e); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	out := &measure{}
	must(t, w.Write(t.Context(), out, w.account, language.All()[0]))
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	out = &measure{base: before.HeapAlloc}
	must(t, w.Write(t.Context(), out, w.account, language.All()[0]))
	t.Logf("%d entries: %d bytes written, at most %d bytes more held", many, out.written, out.most)
	if most := uint64(4 << 20); out.most > most {
		t.Errorf("%d bytes are held while %d are written", out.most, out.written)
	}
}

// A measure is where an archive goes, and looks how much is held meanwhile.
type measure struct {
	base, most uint64
	written    int
}

func (m *measure) Write(b []byte) (int, error) {
	m.written += len(b)
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	if m.base > 0 && now.HeapAlloc > m.base {
		m.most = max(m.most, now.HeapAlloc-m.base)
	}
	return len(b), nil
}
