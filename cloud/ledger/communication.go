package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// What MaySend can not be asked.
var (
	ErrNoMedium = errors.New("the catalogue has no such channel")
	ErrNoTopic  = errors.New("the catalogue has no such topic")
)

// A CommunicationPage is what the owner may be written, and wants to be, at one
// moment. Head goes with every answer. Without topics the brand writes to nobody.
type CommunicationPage struct {
	Head   cardea.Position
	Topics []TopicChoice
	Quiet  PreferenceChoice
	Zone   PreferenceChoice
}

// A TopicChoice is one topic. Purpose and Question are of the consent without
// which the wishes have no effect, and Standing is what stands of it.
type TopicChoice struct {
	Topic    cardea.Topic
	Title    string
	Language string // of the title and the question
	Purpose  string
	Question string
	Standing cardea.Consent
	Wishes   []WishChoice
}

// A WishChoice is what is wanted of a topic by one medium.
type WishChoice struct {
	PreferenceChoice
	Medium cardea.Medium
}

// Communication reads what the owner of the account wants to be written, in a
// language of the catalogue or else in its first.
func (l *Ledger) Communication(ctx context.Context, account cardea.AccountID, language string) (page CommunicationPage, err error) {
	err = l.DB.View(ctx, func(tx *accountdb.Tx) error {
		page, err = l.communication(tx, account, language)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("communication page: %w", err)
	}
	return page, nil
}

func (l *Ledger) communication(tx *accountdb.Tx, account cardea.AccountID, language string) (page CommunicationPage, err error) {
	cat, _ := l.Catalogue.Current()
	language = languageOf(cat, language)
	a, err := tx.Account(account)
	if err != nil {
		return page, err
	}
	page.Head = a.Head
	section := cat.Communication
	if len(section.Topics) == 0 {
		return page, nil
	}
	for _, t := range section.Topics {
		c, err := l.topicChoice(tx, cat, account, t, language)
		if err != nil {
			return page, err
		}
		page.Topics = append(page.Topics, c)
	}
	if page.Quiet, err = titledChoice(tx, account, section.QuietHours(), language); err != nil {
		return page, err
	}
	page.Zone, err = titledChoice(tx, account, section.QuietZone(), language)
	return page, err
}

func (l *Ledger) topicChoice(tx *accountdb.Tx, cat *cardea.Catalogue, account cardea.AccountID, t cardea.Topic, language string) (c TopicChoice, err error) {
	purpose, _ := cat.Purpose(t.Consent.Purpose())
	text := purpose.Texts[language]
	c = TopicChoice{Topic: t, Title: t.Titles[language], Language: language, Purpose: text.Title, Question: text.Facets[t.Consent.Facet()]}
	if c.Standing, err = l.anywhere(tx, cat, account, t.Consent); err != nil {
		return c, err
	}
	for _, m := range cat.Communication.Media {
		w, err := titledChoice(tx, account, cat.Communication.Wish(m, t), language)
		if err != nil {
			return c, err
		}
		w.Title, w.Language = m.Titles[language], language
		c.Wishes = append(c.Wishes, WishChoice{w, m})
	}
	return c, nil
}

func titledChoice(tx *accountdb.Tx, account cardea.AccountID, def cardea.PreferenceDef, language string) (PreferenceChoice, error) {
	c, err := preferenceChoice(tx, account, def, nil)
	c.Title, c.Language = def.Titles[language], language
	return c, err
}

// anywhere is what stands of a key on the whole account.
func (l *Ledger) anywhere(tx *accountdb.Tx, cat *cardea.Catalogue, account cardea.AccountID, key cardea.Key) (c cardea.Consent, err error) {
	terms, ok := cat.Terms(key)
	if !ok {
		return cardea.Consent{Key: key, Reason: cardea.ReasonUnknown}, nil
	}
	err = l.fold(tx, account, func(fold *cardea.Consents) { c = fold.Anywhere(key, terms) })
	return c, err
}

// A SendQuestion is "may I write to this customer?". A zero At is now, and so is
// one that has passed; a zero Last is no message before.
type SendQuestion struct {
	Medium, Topic string
	At, Last      cardea.Millis
}

// MaySend answers by what stands at this moment: of a message that is planned, ask
// again before it is sent. Frequency is the one that counts. Errors: ErrNoMedium,
// ErrNoTopic, accountdb.ErrNotFound.
func (l *Ledger) MaySend(ctx context.Context, subject string, q SendQuestion) (s cardea.Sending, f cardea.Frequency, err error) {
	err = l.DB.View(ctx, func(tx *accountdb.Tx) error {
		a, err := tx.AccountBySubject(subject)
		if err != nil {
			return err
		}
		s, f, err = l.maySend(tx, a.ID, q)
		return err
	})
	if err != nil {
		return s, f, fmt.Errorf("may send: %w", err)
	}
	return s, f, nil
}

func (l *Ledger) maySend(tx *accountdb.Tx, account cardea.AccountID, q SendQuestion) (cardea.Sending, cardea.Frequency, error) {
	cat, _ := l.Catalogue.Current()
	m, ok := cat.Communication.Medium(q.Medium)
	if !ok {
		return cardea.Sending{}, "", ErrNoMedium
	}
	t, ok := cat.Communication.Topic(q.Topic)
	if !ok {
		return cardea.Sending{}, "", ErrNoTopic
	}
	consent, err := l.anywhere(tx, cat, account, t.Consent)
	if err != nil {
		return cardea.Sending{}, "", err
	}
	w, err := wishes(tx, cat.Communication, account, m, t)
	if err != nil {
		return cardea.Sending{}, "", err
	}
	var last time.Time
	if q.Last != 0 {
		last = q.Last.Time()
	}
	return m.MaySend(consent, w, max(q.At, tx.Millis()).Time(), last), w.Frequency, nil
}

// wishes reads what a customer wants.
func wishes(tx *accountdb.Tx, section cardea.Communication, account cardea.AccountID, m cardea.Medium, t cardea.Topic) (w cardea.Wishes, err error) {
	var values [3]string
	for i, def := range []cardea.PreferenceDef{section.Wish(m, t), section.QuietHours(), section.QuietZone()} {
		set, err := tx.Setting(account, def.Key, cardea.Scope{})
		if err != nil {
			return w, err
		}
		values[i] = def.Resolve(tx.Millis(), set, nil).Value.Text()
	}
	w.Frequency = cardea.Frequency(values[0])
	if w.Quiet, err = cardea.ParseHours(values[1]); err != nil {
		return w, err
	}
	w.Zone, err = time.LoadLocation(values[2])
	return w, err
}
