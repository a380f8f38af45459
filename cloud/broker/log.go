package broker

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// A serverLog passes on what the NATS server says. Lines about one connection
// carry its network address, which is personal, and a client id, which anybody
// may choose: they go to the debug level, without the address.
type serverLog struct {
	log   *slog.Logger
	fatal chan string // the first reason not to start
}

var address = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.%]+\]):\d+`)

func (l *serverLog) say(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, " - mid:") {
		level, text = slog.LevelDebug, address.ReplaceAllString(text, "-")
	}
	l.log.Log(context.Background(), level, "broker says", "text", text)
}

func (l *serverLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  {}
func (l *serverLog) Tracef(format string, v ...any)  {}

// Fatalf notes why the server can not go on. New returns it as its error.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.say(slog.LevelError, format, v)
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
