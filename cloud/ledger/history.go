package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A Past is one entry of an account's ledger as its owner reads it.
type Past struct {
	Entry cardea.Entry

	// On is the device it reaches, By the one it was said on or is about, by
	// name; empty for none. One that was unlinked still has its name.
	On string
	By string

	// Title and Question are of the purpose, or Title of the preference; empty
	// if no catalogue has it any more. Text is what was read, in its language: of a
	// yes the very text it names, of a no what stood on its page; or nothing. Asked
	// is the version that text is of, in the text's words. Language is that of all
	// three.
	Title    string
	Question string
	Language string
	Text     *cardea.Text
	Asked    *cardea.Purpose
}

// History reads up to limit entries below a sequence number, newest first; below
// 0 is from the head. older reports that there are more.
func (l *Ledger) History(ctx context.Context, account cardea.AccountID, language string, below uint64, limit int) (past []Past, older bool, err error) {
	err = l.DB.View(ctx, func(tx *accountdb.Tx) error {
		entries, err := tx.EntriesBelow(account, below, limit+1)
		if err != nil {
			return err
		}
		if older = len(entries) > limit; older {
			entries = entries[:limit]
		}
		names, err := deviceNames(tx, account)
		if err != nil {
			return err
		}
		cat, _ := l.Catalogue.Current()
		for _, e := range entries {
			shown, err := tx.Shown(account, e.Position.Seq)
			if err != nil {
				return err
			}
			past = append(past, pastOf(cat, language, names, e, shown))
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("history: %w", err)
	}
	return past, older, nil
}

// named are the devices of an account, by device and by link.
type named struct {
	devices map[cardea.DeviceID]string
	links   map[cardea.LinkID]string
}

func deviceNames(tx *accountdb.Tx, account cardea.AccountID) (named, error) {
	n := named{map[cardea.DeviceID]string{}, map[cardea.LinkID]string{}}
	links, err := tx.Links(account)
	if err != nil {
		return n, err
	}
	for _, link := range links {
		name, err := tx.LinkName(link)
		if err != nil {
			return n, err
		}
		n.devices[link.Device], n.links[link.ID] = name, name
	}
	return n, nil
}

func pastOf(cat *cardea.Catalogue, language string, names named, e cardea.Entry, shown accountdb.Notice) Past {
	p := Past{Entry: e, On: names.devices[e.Scope.Device], By: names.links[e.Link]}
	if e.Act == cardea.ActPrefer {
		if def, ok := cat.Preference(e.Preference); ok {
			p.Language = languageOf(cat, language)
			p.Title = def.Titles[p.Language]
		}
		return p
	}
	version, notice := max(e.Version, shown.Version), e.Notice
	if notice.IsZero() {
		notice = shown.Hash
	}
	purpose, ok := cat.Purpose(e.Key.Purpose())
	if version != 0 {
		purpose, ok = cat.VersionOf(e.Key.Purpose(), version)
	}
	if !ok {
		return p
	}
	p.Language = languageOf(cat, language)
	text := purpose.Texts[p.Language]
	if read, ok := languageRead(purpose, notice); ok {
		p.Language, text = read, purpose.Texts[read]
		p.Text, p.Asked = &text, new(purpose.Said(text))
	}
	p.Title, p.Question = text.Title, text.Facets[e.Key.Facet()]
	return p
}

func languageOf(cat *cardea.Catalogue, language string) string {
	if slices.Contains(cat.Languages, language) {
		return language
	}
	return cat.Languages[0]
}

// languageRead is the language in which a purpose has this hash.
func languageRead(p cardea.Purpose, notice cardea.Hash) (string, bool) {
	for language := range p.Texts {
		if p.Notice(language) == notice {
			return language, true
		}
	}
	return "", false
}
