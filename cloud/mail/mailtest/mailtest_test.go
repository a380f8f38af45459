package mailtest_test

import (
	"net/smtp"
	"testing"

	"github.com/cardea-id/cardea/cloud/mail/mailtest"
)

// Another client than ours is understood too.
func TestServerTakesLetters(t *testing.T) {
	s := mailtest.Start(t)
	letter := "From: a@example.com\r\nTo: b@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nYour code is 123 456.\r\n..\r\n"
	if err := smtp.SendMail(s.Addr(), nil, "a@example.com", []string{"b@example.com"}, []byte(letter)); err != nil {
		t.Fatal(err)
	}
	got := s.To(t, "b@example.com")
	if got.Subject != "Grüße" || got.Code() != "123456" || got.Text != "Your code is 123 456.\n..\n" {
		t.Errorf("took %+v", got)
	}
	s.Refuse("550 5.1.1 no such mailbox")
	if err := smtp.SendMail(s.Addr(), nil, "a@example.com", []string{"b@example.com"}, []byte(letter)); err == nil {
		t.Error("refused, and nobody was told")
	}
	s.Down()
	if err := smtp.SendMail(s.Addr(), nil, "a@example.com", []string{"b@example.com"}, []byte(letter)); err == nil {
		t.Error("away, and nobody was told")
	}
	if n := len(s.Letters()); n != 1 {
		t.Errorf("%d letters, want 1", n)
	}
}
