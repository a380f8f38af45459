// Package archive writes everything that is held of an account for its owner: one
// zip with a page for people, index.html, and JSON for machines. It has what the
// account is called and which roles the brand gave it, how its owner signs in and
// where, its devices with what each was last told and says that it holds, what they
// sent and is still on its way to the brand's systems, every decision with the
// words that were read, a receipt for each yes and no, and the preferences.
//
// Devices in reach are asked when an archive is made; each is named with the
// instant as of which its word counts, and those that did not answer are named
// first (docs/decisions/0031-what-devices-hold.md). Of what a device has collected
// and not sent the archive has how much and of what kind, not the content.
//
// It has no secret: what would let somebody in is of no use to its owner, who has
// it, and of much to whoever finds the file.
//
// The archive is written as it is read, a piece of the ledger at a time, so that
// a long history takes no more memory than a short one. The ledger only grows: it
// is read from one head downwards, so what is decided meanwhile is left out
// whole.
package archive

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Version is of the JSON files: it changes when they do in a way that a reader
// could misunderstand.
const Version = 1

// chunk is how much of a ledger is read at once.
const chunk = 100

// A Receipter makes the receipt of a yes or no: *receipt.Maker.
type Receipter interface {
	Make(ctx context.Context, account cardea.AccountID, seq uint64) (receipt.Receipt, ledger.Evidence, error)
}

// A Writer writes archives. It is safe for concurrent use.
type Writer struct {
	DB     *accountdb.DB
	Ledger *ledger.Ledger
	// Brand is the name the page speaks under.
	Brand string
	// Receipts makes receipts. Nil: the archive has none.
	Receipts Receipter
	// Devices are asked how they stand. Nil: they are not asked, and the archive has
	// what each said last.
	Devices Asker
}

// Name is what the file is called: nothing in it says whose it is.
func Name(now time.Time) string { return "cardea-" + now.UTC().Format(time.DateOnly) + ".zip" }

// An archive is one that is being written.
type archive struct {
	*Writer
	zip     *zip.Writer
	account cardea.AccountID
	speaks  *language.Language
	asked   time.Time // since when devices that answered were seen; zero: none was asked
	now     time.Time
	facts   facts
}

// Write writes the archive of an account, its page in a language;
// accountdb.ErrErased if there is nothing any more. After an error
// what was written is of no use: a zip has its directory at the end.
func (w *Writer) Write(ctx context.Context, out io.Writer, account cardea.AccountID, speaks *language.Language) error {
	a := &archive{Writer: w, zip: zip.NewWriter(out), account: account, speaks: speaks}
	if err := a.ask(ctx); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if err := a.gather(ctx); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	for _, part := range []func(context.Context) error{a.page, a.plainFiles, a.events, a.decisions, a.receipts} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
	}
	if err := a.zip.Close(); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

// ask has devices in reach say how they stand.
func (a *archive) ask(ctx context.Context) (err error) {
	if a.Writer.Devices != nil {
		a.asked, err = a.Writer.Devices.Ask(ctx, a.account)
	}
	return err
}

// file begins the next file of the archive.
func (a *archive) file(name string) (io.Writer, error) {
	return a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: a.now})
}

// plainFiles are those that are small.
func (a *archive) plainFiles(context.Context) error {
	for _, f := range []struct {
		name string
		what any
	}{
		{"about.json", a.facts.About}, {"account.json", a.facts.Account}, {"sessions.json", a.facts.Sessions},
		{"devices.json", a.facts.Devices}, {"preferences.json", a.facts.Preferences},
	} {
		out, err := a.file(f.name)
		if err != nil {
			return err
		}
		if err := write(out, f.what); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func write(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// each calls f with every entry up to the head of the archive, newest first.
func (a *archive) each(ctx context.Context, f func(decision) error) error {
	for below := a.facts.About.Head.Seq + 1; below > 1; {
		past, older, err := a.Ledger.History(ctx, a.account, a.speaks.Tag(), below, chunk)
		if err != nil {
			return err
		}
		values, err := a.values(ctx, past)
		if err != nil {
			return err
		}
		for i, p := range past {
			if err := f(decisionOf(p, values[i])); err != nil {
				return err
			}
		}
		if !older || len(past) == 0 {
			return nil
		}
		below = past[len(past)-1].Entry.Position.Seq
	}
	return nil
}

// values opens what was set.
func (a *archive) values(ctx context.Context, past []ledger.Past) (values []cardea.Value, err error) {
	err = a.DB.View(ctx, func(tx *accountdb.Tx) error {
		values = make([]cardea.Value, len(past))
		for i, p := range past {
			if values[i], err = tx.Value(a.account, p.Entry); err != nil {
				return err
			}
		}
		return nil
	})
	return values, err
}

// decisions writes the ledger, one entry after the other.
func (a *archive) decisions(ctx context.Context) error {
	out, err := a.file("decisions.json")
	if err != nil {
		return err
	}
	before := "[\n"
	err = a.each(ctx, func(d decision) error {
		if _, err := io.WriteString(out, before); err != nil {
			return err
		}
		before = ",\n"
		return write(out, d)
	})
	if err != nil {
		return fmt.Errorf("decisions.json: %w", err)
	}
	if before == "[\n" {
		_, err = io.WriteString(out, "[]\n")
	} else {
		_, err = io.WriteString(out, "]\n")
	}
	return err
}

// receipts writes one file for each yes and no that has one.
func (a *archive) receipts(ctx context.Context) error {
	if a.Receipts == nil {
		return nil
	}
	return a.each(ctx, func(d decision) error {
		if d.Act != cardea.ActGrant && d.Act != cardea.ActDeny {
			return nil
		}
		r, _, err := a.Receipts.Make(ctx, a.account, d.Seq)
		if errors.Is(err, ledger.ErrNoConsent) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := r.JSON()
		if err != nil {
			return err
		}
		out, err := a.file(fmt.Sprintf("receipts/%d.json", d.Seq))
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	})
}
