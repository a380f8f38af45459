package wire_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/internal/wire/vectors"
)

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got %v, want %v", err, target)
	}
}

func TestDownOpensAsSealed(t *testing.T) {
	c := newCast(t)
	for name, d := range map[string]cardea.Down{"statement": c.statement(), "renewal": c.renewal(), "closed": c.closed()} {
		sealed, signed, err := wire.SealDown(d, c.cloud, c.key)
		if err != nil {
			t.Fatal(name, err)
		}
		got, inner, err := wire.OpenDown(sealed, c.id, c.link, c.key, c.trust)
		if err != nil || !reflect.DeepEqual(got, d) || !bytes.Equal(inner, signed) {
			t.Errorf("%s: opened %+v, %v", name, got, err)
		}
		if got, err = wire.VerifyDown(signed, c.id, c.link, c.trust); err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%s: held bytes verify as %+v, %v", name, got, err)
		}
	}
}

func TestUpOpensAsSealed(t *testing.T) {
	c := newCast(t)
	u := c.report()
	sealed, err := wire.SealUp(u, c.device, c.key)
	if err != nil {
		t.Fatal(err)
	}
	if link, err := wire.PeekUp(sealed); err != nil || link != c.link {
		t.Errorf("peeked %s, %v", link, err)
	}
	got, err := wire.OpenUp(sealed, c.id, c.link, c.key, &c.device.PublicKey)
	if err != nil || !reflect.DeepEqual(got, u) {
		t.Errorf("opened %+v, %v", got, err)
	}
}

// What is sealed is what RFC 9052 says, read by another hand.
func TestEnvelopeIsTheStandards(t *testing.T) {
	c := newCast(t)
	down, _, err := wire.SealDown(c.renewal(), c.cloud, c.key)
	if err != nil {
		t.Fatal(err)
	}
	up, err := wire.SealUp(c.report(), c.device, c.key)
	if err != nil {
		t.Fatal(err)
	}
	check := func(sealed, aad []byte, signer *ecdsa.PublicKey, typ string, payload any) {
		t.Helper()
		signed, err := open0(sealed, c.key, aad)
		if err != nil {
			t.Fatal(typ, err)
		}
		header, got, err := open1(signed, signer, aad)
		if err != nil {
			t.Fatal(typ, err)
		}
		if len(header) != 3 || header[uint64(16)] != typ || header[uint64(1)] != int64(-7) {
			t.Errorf("header %v", header)
		}
		if !bytes.Equal(got, encode(payload)) {
			t.Errorf("%s: payload\n%x, want\n%x", typ, got, encode(payload))
		}
		if extra := len(sealed) - len(got); extra > 256 {
			t.Errorf("%s: sealing adds %d bytes", typ, extra)
		}
	}
	check(down, c.downAAD(), &c.cloud.PublicKey, typRenewal, c.renewal())
	check(up, c.upAAD(), &c.device.PublicKey, typReport, c.report())
}

// Whatever happens to a message on its way, it opens whole or not at all.
func TestNoDamagedMessageOpens(t *testing.T) {
	c := newCast(t)
	sealed, signed, err := wire.SealDown(c.statement(), c.cloud, c.key)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, at int, err error) {
		if vectors.ErrorName(err) == "" || vectors.ErrorName(err) == "other" {
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
	for bit := range 8 * len(sealed) {
		b := bytes.Clone(sealed)
		b[bit/8] ^= 1 << (bit % 8)
		_, _, err := wire.OpenDown(b, c.id, c.link, c.key, c.trust)
		refused("a bit flipped", bit, err)
	}
	for bit := range 8 * len(signed) {
		b := bytes.Clone(signed)
		b[bit/8] ^= 1 << (bit % 8)
		_, err := wire.VerifyDown(b, c.id, c.link, c.trust)
		refused("a bit flipped under the seal", bit, err)
	}
	for n := range sealed {
		_, _, err := wire.OpenDown(sealed[:n], c.id, c.link, c.key, c.trust)
		refused("cut", n, err)
	}
}

func TestSealingRefusesWhatOpeningWould(t *testing.T) {
	c := newCast(t)
	for _, tt := range []struct {
		why    string
		spoil  func(d *cardea.Down)
		target error
	}{
		{"the hash is another body's", func(d *cardea.Down) { d.BodyHash[0]++ }, wire.ErrMalformed},
		{"no link", func(d *cardea.Down) { d.Link = cardea.LinkID{} }, wire.ErrMalformed},
		{"the device is no thumbprint", func(d *cardea.Down) { d.Device = "speaker" }, wire.ErrMalformed},
		{"too many rejections", func(d *cardea.Down) {
			for range wire.MaxRejected {
				d.Rejected = append(d.Rejected, d.Rejected[0])
			}
		}, wire.ErrTooBig},
	} {
		d := c.statement()
		tt.spoil(&d)
		sealed, signed, err := wire.SealDown(d, c.cloud, c.key)
		if want(t, err, tt.target); sealed != nil || signed != nil {
			t.Errorf("%s: bytes came with the error", tt.why)
		}
	}
	u := c.report()
	u.Clock = "wrist watch"
	_, err := wire.SealUp(u, c.device, c.key)
	want(t, err, wire.ErrMalformed)
	_, err = wire.SealUp(c.report(), c.stranger, c.key)
	want(t, err, wire.ErrForeign)
}

// The limits are made so that a body that was accepted always travels, with
// every entry of the report it answers rejected.
func TestLargestStatementFits(t *testing.T) {
	c := newCast(t)
	d := c.statement()
	body := c.body()
	pad := func(n int) []byte {
		body.Preferences = body.Preferences[:0]
		for i := 0; n > 0; i++ {
			size := min(n, 1000)
			body.Preferences = append(body.Preferences, cardea.Preference{
				Key: cardea.PreferenceKey(fmt.Sprintf("p%02d", i)), Value: cardea.Value(`"` + strings.Repeat("x", size) + `"`),
			})
			n -= size
		}
		b, _ := wire.EncodeBody(body)
		return b
	}
	n := wire.MaxBodyBytes
	for d.Body = nil; d.Body == nil; n-- {
		d.Body = pad(n)
	}
	if len(d.Body) < wire.MaxBodyBytes-16 {
		t.Fatalf("the body has only %d bytes", len(d.Body))
	}
	d.BodyHash, d.Rejected = wire.BodyHash(d.Body), nil
	d.Revision, d.Head.Seq, d.Seen.N = 1<<53-1, 1<<53-1, 1<<53-1
	for range wire.MaxRejected {
		d.Rejected = append(d.Rejected, cardea.Rejection{Event: event("r"), Reason: cardea.RejectedConflict})
	}
	sealed, _, err := wire.SealDown(d, c.cloud, c.key)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d bytes", len(sealed), cardea.MaxMessageBytes)
	for i := range d.Rejected {
		d.Rejected[i].Reason = "a_long_word_no_cloud_says_today"
	}
	sealed, signed, err := wire.SealDown(d, c.cloud, c.key)
	if want(t, err, wire.ErrTooBig); sealed != nil || signed != nil {
		t.Error("bytes came with the error")
	}
}

func TestFitKeepsTheOldestEntries(t *testing.T) {
	c := newCast(t)
	for _, size := range []int{0, 10, 300, cardea.MaxValueBytes} {
		u := c.report()
		u.Links = make([]cardea.LinkID, wire.MaxLinks)
		for i := range u.Links {
			u.Links[i] = c.link
		}
		log := cardea.NewLog()
		for range 200 {
			log = log.Append(cardea.LogEntry{Event: event("e"), Act: cardea.ActPrefer, Preference: "p", Value: cardea.Value(strings.Repeat("x", size))})
		}
		u.Entries = log.Entries
		fit := wire.Fit(u)
		if n := len(fit.Entries); n == 0 || fit.Entries[0].N != 1 || fit.Entries[n-1].N != uint64(n) {
			t.Fatalf("values of %d bytes: %d entries", size, n)
		}
		sealed, err := wire.SealUp(fit, c.device, c.key)
		if err != nil {
			t.Fatalf("values of %d bytes: %v", size, err)
		}
		t.Logf("values of %d bytes: %d entries in %d bytes", size, len(fit.Entries), len(sealed))
		if room := cardea.MaxReportBytes - len(sealed); len(fit.Entries) < wire.MaxEntries && room > size+400 {
			t.Errorf("values of %d bytes: %d bytes are left", size, room)
		}
	}
	u := c.report()
	u.Held = make([]byte, cardea.MaxMessageBytes)
	if fit := wire.Fit(u); len(fit.Entries) != len(u.Entries) {
		t.Errorf("beside the longest statement there is room for %d entries", len(fit.Entries))
	}
	if got := wire.Fit(c.report()); !reflect.DeepEqual(got, c.report()) {
		t.Error("a small report was changed")
	}
}

func TestBodyHasOneEncoding(t *testing.T) {
	c := newCast(t)
	body := c.body()
	first, err := wire.EncodeBody(body)
	if err != nil {
		t.Fatal(err)
	}
	body.Consents[0], body.Consents[2] = body.Consents[2], body.Consents[0]
	order := body.Consents[0].Key
	second, err := wire.EncodeBody(body)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("another order, other bytes: %v", err)
	}
	if body.Consents[0].Key != order {
		t.Error("the caller's slice was sorted")
	}
	empty, err := wire.EncodeBody(cardea.Body{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.DecodeBody(empty); err != nil {
		t.Errorf("the empty body, which gives nothing: %v", err)
	}
	body.Consents = append(body.Consents, body.Consents[0])
	_, err = wire.EncodeBody(body)
	want(t, err, wire.ErrMalformed)
}

func TestUnknownReasonIsNotGiven(t *testing.T) {
	c := newCast(t)
	body := c.body()
	body.Consents[0].Reason = "of_a_newer_cloud"
	b, err := wire.EncodeBody(body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeBody(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range got.Consents {
		if k.Reason == "of_a_newer_cloud" && k.Given() {
			t.Error("an unknown reason gave")
		}
	}
}

func TestKeyListOpensAsSigned(t *testing.T) {
	c := newCast(t)
	list := c.keyList()
	b, err := wire.SignKeyList(list, c.root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.OpenKeyList(b, &c.root.PublicKey)
	if err != nil || !got.Keys[0].Equal(list.Keys[0]) {
		t.Fatalf("opened %+v, %v", got, err)
	}
	got.Keys = list.Keys
	if !reflect.DeepEqual(got, list) {
		t.Errorf("opened %+v", got)
	}
	if pub, ok := got.Trust()(thumbprint(&c.cloud.PublicKey)); !ok || !pub.Equal(&c.cloud.PublicKey) {
		t.Error("the cloud's key is not trusted")
	}
	if _, ok := got.Trust()(thumbprint(&c.root.PublicKey)); ok {
		t.Error("the root may sign lists, and nothing else")
	}
	_, err = wire.OpenKeyList(b, nil)
	want(t, err, wire.ErrSignature)
	list.Keys = nil
	_, err = wire.SignKeyList(list, c.root)
	want(t, err, wire.ErrMalformed)
}

func TestUnknownAnswersOneReport(t *testing.T) {
	c := newCast(t)
	b, err := wire.SignUnknown([]byte("a report"), c.link, c.cloud)
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.OpenUnknown(b, []byte("a report"), c.link, c.trust); err != nil {
		t.Error(err)
	}
	want(t, wire.OpenUnknown(b, []byte("the next report"), c.link, c.trust), wire.ErrForeign)
}

// Only P-256 keys sign or verify, whatever a caller passes.
func TestOtherCurvesAreRefused(t *testing.T) {
	c := newCast(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := wire.SealDown(c.renewal(), p384, c.key); err == nil {
		t.Error("signed with P-384")
	}
	sealed, _, err := wire.SealDown(c.renewal(), c.cloud, c.key)
	if err != nil {
		t.Fatal(err)
	}
	trust := func(string) (*ecdsa.PublicKey, bool) { return &p384.PublicKey, true }
	_, _, err = wire.OpenDown(sealed, c.id, c.link, c.key, trust)
	want(t, err, wire.ErrSignature)
	_, _, err = wire.OpenDown(sealed, c.id, c.link, c.key, func(string) (*ecdsa.PublicKey, bool) { return nil, true })
	want(t, err, wire.ErrSignature)
}

// A key in hardware is a crypto.Signer that wants to be told the hash.
func TestForeignSigner(t *testing.T) {
	c := newCast(t)
	sealed, err := wire.SealUp(c.report(), picky{c.device}, c.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.OpenUp(sealed, c.id, c.link, c.key, &c.device.PublicKey); err != nil {
		t.Error(err)
	}
}

type picky struct{ crypto.Signer }

func (p picky) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 {
		return nil, errors.New("which hash?")
	}
	return p.Signer.Sign(r, digest, opts)
}

func TestTopics(t *testing.T) {
	c := newCast(t)
	if got := wire.DownTopic(c.id); got != "cardea/1/"+string(c.id)+"/down" || len(got) > 128 {
		t.Errorf("down topic %q", got)
	}
	if id, err := wire.ParseUpTopic(wire.UpTopic(c.id)); err != nil || id != c.id {
		t.Errorf("parsed %q, %v", id, err)
	}
	_, err := wire.ParseUpTopic(wire.DownTopic(c.id))
	want(t, err, wire.ErrMalformed)
}

func TestLinkKeyIsNeverShown(t *testing.T) {
	key := wire.NewLinkKey()
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("joined", "key", key)
	slog.New(slog.NewTextHandler(&log, nil)).Info("joined", "key", key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+"\n", key)
		fmt.Fprintf(&log, verb+"\n", struct{ K wire.LinkKey }{key})
	}
	for _, leak := range []string{string(text), fmt.Sprintf("%x", key[:]), fmt.Sprintf("%d", key[:4])[1:8]} {
		if strings.Contains(log.String(), leak) {
			t.Errorf("printed:\n%s", log.String())
		}
	}
	var back wire.LinkKey
	if err := json.Unmarshal([]byte(`"`+string(text)+`"`), &back); err != nil || back != key {
		t.Errorf("the text form does not read back: %v", err)
	}
	for _, bad := range []string{"", string(text[:42]), string(text) + "A", string(text[:42]) + "*", string(text) + "\n"} {
		if err := back.UnmarshalText([]byte(bad)); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// RFC 9449, Section 4.1 and 6.1 give a key and its thumbprint.
func TestThumbprintIsRFC7638(t *testing.T) {
	raw := []byte{4}
	for _, s := range []string{"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"} {
		var h wire.LinkKey // 32 bytes of base64url, like a coordinate
		if err := h.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		raw = append(raw, h[:]...)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	if _, ok := (wire.KeyList{Keys: []*ecdsa.PublicKey{pub}}).Trust()(jkt); !ok || thumbprint(pub) != jkt {
		t.Error("another thumbprint")
	}
}
