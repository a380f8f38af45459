package words_test

import (
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/portal/words"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 30 * time.Second: "30 seconds", 90 * time.Second: "90 seconds", time.Minute: "1 minute", time.Hour: "1 hour",
		24 * time.Hour: "24 hours", 36 * time.Hour: "36 hours", 72 * time.Hour: "3 days", 30 * 24 * time.Hour: "30 days",
		8760 * time.Hour: "1 year", 17520 * time.Hour: "2 years",
	} {
		if got := words.Span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
