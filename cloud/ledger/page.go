package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A Page is what the owner is asked and has answered, at one moment. Head goes
// with every answer: it is what the owner had seen when they gave it.
type Page struct {
	Head        cardea.Position
	Choices     []Choice
	Preferences []PreferenceChoice
}

// A Choice is one purpose.
type Choice struct {
	Purpose cardea.Purpose
	Text    cardea.Text
	Notice  cardea.Hash // of the text, in the language shown
	Facets  []FacetChoice

	// Language is that of Text, Names that of what the purpose names where the text
	// has no words for it: the catalogue's first.
	Language, Names string

	// Former is the version that the owner said yes to, if it is an earlier one,
	// FormerText what they read then, and FormerEnds the end that the changes
	// since have set to that yes; zero: it goes on.
	Former     *cardea.Purpose
	FormerText cardea.Text
	FormerEnds cardea.Millis
}

// A FacetChoice is one question and what stands for it on the whole account.
// OffOn are the devices on which it was stopped apart, OnlyOn those on which it
// was allowed apart while it is not allowed everywhere, DeniedOn those whose
// owner, somebody else, denies it for all who use them.
type FacetChoice struct {
	Key      cardea.Key
	Question string
	Standing cardea.Consent
	OffOn    []Place
	OnlyOn   []Place
	DeniedOn []Place
	Signal   *Signalled // nil: a browser's signal is not about it
}

// A Place is a device of the account on which something stands apart.
type Place struct {
	Device   cardea.DeviceID
	Name     string
	Kind     cardea.DeviceKind
	Standing cardea.Consent
}

// Page reads what the owner of the account is asked, in a language of the
// catalogue or else in its first: what concerns the kinds of devices they have,
// or everything while they have none.
func (l *Ledger) Page(ctx context.Context, account cardea.AccountID, language string) (Page, error) {
	var page Page
	err := l.DB.View(ctx, func(tx *accountdb.Tx) (err error) {
		page, err = l.page(tx, account, language)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("consents page: %w", err)
	}
	return page, nil
}

func (l *Ledger) page(tx *accountdb.Tx, account cardea.AccountID, language string) (Page, error) {
	cat, _ := l.Catalogue.Current()
	if !slices.Contains(cat.Languages, language) {
		language = cat.Languages[0]
	}
	a, err := tx.Account(account)
	if err != nil {
		return Page{}, err
	}
	places, kinds, err := places(tx, account)
	if err != nil {
		return Page{}, err
	}
	denied, err := deniedByOthers(tx, account)
	if err != nil {
		return Page{}, err
	}
	page := Page{Head: a.Head}
	given := map[cardea.Key]bool{}
	err = l.fold(tx, account, func(fold *cardea.Consents) {
		for _, p := range cat.Purposes {
			for _, key := range p.Keys() {
				terms, _ := cat.Terms(key)
				given[key] = fold.Anywhere(key, terms).Given()
			}
			if len(kinds) == 0 || slices.ContainsFunc(kinds, p.On) {
				page.Choices = append(page.Choices, choice(cat, fold, p, language, places, denied))
			}
		}
	})
	if err == nil {
		err = page.signals(tx, account)
	}
	if err != nil {
		return Page{}, err
	}
	for _, def := range cat.Preferences {
		if len(kinds) > 0 && !slices.ContainsFunc(kinds, def.On) {
			continue
		}
		c, err := preferenceChoice(tx, account, def, places)
		if err != nil {
			return Page{}, err
		}
		c.Title, c.Language, c.Idle = def.Titles[language], language, def.Purpose != "" && !given[def.Under()]
		page.Preferences = append(page.Preferences, c)
	}
	return page, nil
}

// Purpose is a version of a purpose, the current one or a former.
func (l *Ledger) Purpose(id cardea.PurposeID, version uint32) (cardea.Purpose, bool) {
	cat, _ := l.Catalogue.Current()
	return cat.VersionOf(id, version)
}

// Notice is a version of a purpose as it was or is asked, in one language; ok is
// false if there never was such a text.
func (l *Ledger) Notice(purpose cardea.PurposeID, version uint32, language string) (c Choice, ok bool) {
	cat, _ := l.Catalogue.Current()
	p, ok := cat.VersionOf(purpose, version)
	if !ok {
		return c, false
	}
	text, ok := p.Texts[language]
	c = Choice{Purpose: p, Text: text, Notice: p.Notice(language), Language: language, Names: cat.Languages[0]}
	for _, key := range p.Keys() {
		c.Facets = append(c.Facets, FacetChoice{Key: key, Question: text.Facets[key.Facet()]})
	}
	return c, ok
}

// signals says of the keys that a browser's signal is about how they stand to it.
func (p *Page) signals(tx *accountdb.Tx, account cardea.AccountID) error {
	for _, c := range p.Choices {
		sold := c.Purpose.Sells()
		for i, f := range c.Facets {
			if !slices.Contains(sold, f.Key) {
				continue
			}
			s, err := signalled(tx, account, f.Key)
			if err != nil {
				return err
			}
			c.Facets[i].Signal = &s
		}
	}
	return nil
}

func choice(cat *cardea.Catalogue, fold *cardea.Consents, p cardea.Purpose, language string, places []Place, denied map[denial]bool) Choice {
	c := Choice{Purpose: p, Text: p.Texts[language], Notice: p.Notice(language), Language: language, Names: cat.Languages[0]}
	for _, key := range p.Keys() {
		terms, _ := cat.Terms(key)
		f := FacetChoice{Key: key, Question: c.Text.Facets[key.Facet()], Standing: fold.Anywhere(key, terms)}
		off := fold.OffOn(key, terms)
		for _, place := range places {
			place.Standing = fold.On(place.Device, key, terms)
			switch {
			case denied[denial{place.Device, key}]:
				f.DeniedOn = append(f.DeniedOn, place)
			case slices.Contains(off, place.Device):
				f.OffOn = append(f.OffOn, place)
			case place.Standing.Given() && !f.Standing.Given():
				f.OnlyOn = append(f.OnlyOn, place)
			}
		}
		c.Facets = append(c.Facets, f)
		if f.Standing.Given() && f.Standing.Version != p.Version {
			c.former(cat, terms, f.Standing.Version, language)
		}
	}
	return c
}

// former notes an earlier version that a yes still stands for; of several the
// earliest, from which most has changed.
func (c *Choice) former(cat *cardea.Catalogue, terms cardea.Terms, version uint32, language string) {
	p, ok := cat.VersionOf(c.Purpose.ID, version)
	if !ok || c.Former != nil && c.Former.Version <= p.Version {
		return
	}
	c.Former, c.FormerText = &p, p.Texts[language]
	for _, f := range terms.Former {
		if f.Version == version {
			c.FormerEnds = f.Until
		}
	}
}

// A denial is a key on a device.
type denial struct {
	device cardea.DeviceID
	key    cardea.Key
}

// deniedByOthers is what the owners of the account's devices deny there for all,
// where that is somebody else's word.
func deniedByOthers(tx *accountdb.Tx, account cardea.AccountID) (map[denial]bool, error) {
	links, err := tx.Links(account)
	if err != nil {
		return nil, err
	}
	denied := map[denial]bool{}
	for _, link := range links {
		if link.State != accountdb.LinkLive {
			continue
		}
		denials, err := tx.DeviceDenials(link.Device)
		if err != nil {
			return nil, err
		}
		for _, d := range denials {
			if d.Link != link.ID {
				denied[denial{link.Device, d.Key}] = true
			}
		}
	}
	return denied, nil
}

// places lists the account's live devices by name, and their kinds.
func places(tx *accountdb.Tx, account cardea.AccountID) ([]Place, []cardea.DeviceKind, error) {
	links, err := tx.Links(account)
	if err != nil {
		return nil, nil, err
	}
	var places []Place
	var kinds []cardea.DeviceKind
	for _, link := range links {
		if link.State != accountdb.LinkLive {
			continue
		}
		name, err := tx.LinkName(link)
		if err != nil {
			return nil, nil, err
		}
		device, err := tx.Device(link.Device)
		if err != nil {
			return nil, nil, err
		}
		places = append(places, Place{Device: link.Device, Name: name, Kind: device.Kind})
		kinds = append(kinds, device.Kind)
	}
	return places, kinds, nil
}

// Standing is what stands of a key on the whole account and the cloud's time,
// for the brand's own servers. The key of no purpose is cardea.ReasonUnknown.
func (l *Ledger) Standing(ctx context.Context, subject string, key cardea.Key) (c cardea.Consent, now cardea.Millis, err error) {
	err = l.DB.View(ctx, func(tx *accountdb.Tx) error {
		a, err := tx.AccountBySubject(subject)
		if err != nil {
			return err
		}
		now = tx.Millis()
		cat, _ := l.Catalogue.Current()
		c, err = l.anywhere(tx, cat, a.ID, key)
		return err
	})
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		err = fmt.Errorf("standing: %w", err)
	}
	return c, now, err
}
