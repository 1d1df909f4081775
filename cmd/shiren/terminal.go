package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminal reports whether people watch what is written to w.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
