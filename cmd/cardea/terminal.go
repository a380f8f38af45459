package main

import (
	"bytes"
	"io"
)

// carriage returns the carriage at the end of every line, which a terminal in
// raw mode does not do by itself.
type carriage struct{ io.Writer }

func (c carriage) Write(b []byte) (int, error) {
	_, err := c.Writer.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), err
}
