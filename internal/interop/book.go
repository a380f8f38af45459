package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
)

// A book is a device that speaks by the book (docs/protocol.md) and has no agent:
// it makes and reads the messages and leaves it to others to carry them.
type book struct {
	id     cardea.DeviceID
	signer crypto.Signer
	joined hub.Joined
	trust  wire.Trust
	token  pairing.Secret // its own, for the broker
	access pairing.Secret // of its owner's account
	log    cardea.Log
	boot   cardea.Nonce
	have   cardea.Have
}

// newBook pairs a device with the account of the phone.
func newBook(ctx context.Context, s *stage.Stage, phone *owner.Owner, name string) (*book, error) {
	key := jose.GenerateKey()
	b := &book{signer: key.Signer(), id: cardea.DeviceID(jose.Thumbprint(key.Public())), log: cardea.NewLog()}
	rand.Read(b.boot[:])
	c := &pairing.Client{Issuer: s.URL, ClientID: "cardea-agent", Signer: b.signer, HTTP: &http.Client{Transport: s.Transport()}}
	tokens, err := b.pair(ctx, c, phone, name)
	if err != nil {
		return nil, err
	}
	b.access = tokens.AccessToken
	if err := b.join(ctx, c, tokens, json.RawMessage(jose.JWK(key.Public()))); err != nil {
		return nil, err
	}
	own, err := c.DeviceToken(ctx)
	b.token = own.AccessToken
	return b, err
}

func (b *book) pair(ctx context.Context, c *pairing.Client, phone *owner.Owner, name string) (pairing.Tokens, error) {
	a, err := c.Start(ctx, pairing.Device{Kind: "speaker"})
	if err != nil {
		return pairing.Tokens{}, err
	}
	if err := phone.Open(ctx, a.VerificationURIComplete); err != nil {
		return pairing.Tokens{}, err
	}
	phone.Fill("name", name)
	if err := phone.Press(ctx, "Approve", ""); err != nil {
		return pairing.Tokens{}, err
	}
	return c.Wait(ctx, a)
}

func (b *book) join(ctx context.Context, c *pairing.Client, t pairing.Tokens, jwk json.RawMessage) error {
	body, err := json.Marshal(map[string]json.RawMessage{"public_key": jwk})
	if err != nil {
		return err
	}
	status, answer, err := c.Call(ctx, t, http.MethodPost, c.Issuer+"/v1/links", "application/json", body)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("join: status %d, %s: %w", status, answer, err)
	}
	if err := json.Unmarshal(answer, &b.joined); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	root, err := jose.ParseJWK(b.joined.Root)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	signed, err := base64.RawURLEncoding.DecodeString(b.joined.Keys)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	keys, err := wire.OpenKeyList(signed, root)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	b.trust = keys.Trust()
	first, err := base64.RawURLEncoding.DecodeString(b.joined.Down)
	if err == nil {
		_, err = b.open(first)
	}
	return err
}

// report makes a report and the nonce by which its answer is known.
func (b *book) report() ([]byte, cardea.Nonce, error) {
	var nonce cardea.Nonce
	rand.Read(nonce[:])
	sealed, err := wire.SealUp(cardea.Up{
		V: cardea.Version, Device: b.id, Links: []cardea.LinkID{b.joined.Link}, Link: b.joined.Link,
		Log: b.log.ID, Boot: b.boot, Nonce: nonce, Have: b.have, Clock: cardea.ClockSynced,
	}, b.signer, b.joined.LinkKey)
	return sealed, nonce, err
}

// open reads a message of the cloud, and holds the statement in it if it has one.
func (b *book) open(sealed []byte) (cardea.Down, error) {
	d, _, err := wire.OpenDown(sealed, b.id, b.joined.Link, b.joined.LinkKey, b.trust)
	if err == nil && !d.Renewal() && d.Revision > b.have.Revision {
		b.have = cardea.Have{Revision: d.Revision, BodyHash: d.BodyHash}
	}
	return d, err
}

// allows reads in a statement whether it allows a key.
func allows(d cardea.Down, key cardea.Key) bool {
	if d.Renewal() {
		return false
	}
	body, err := wire.DecodeBody(d.Body)
	if err != nil {
		return false
	}
	for _, c := range body.Consents {
		if c.Key == key && c.Given() {
			return true
		}
	}
	return false
}
