// Package web holds the pages that browsers load, built by Vite from the TypeScript
// beside this file and embedded into the binary.
//
// dist/README.md is committed, so that the package compiles on a fresh clone; the
// built pages are not. A binary made without them says so when it starts.
package web

import (
	"embed"
	"errors"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// ErrNotBuilt says that the binary was built before the pages were.
var ErrNotBuilt = errors.New("the pages are not built: run `make web`, then build the binary again")

// Capture returns the capture page: index.html, and under assets/ files whose names
// hold a hash of their content. The error is ErrNotBuilt.
func Capture() (fs.FS, error) { return page(dist, "capture") }

// Console returns the console's page; see Capture.
func Console() (fs.FS, error) { return page(dist, "console") }

func page(built fs.FS, name string) (fs.FS, error) {
	sub, err := fs.Sub(built, "dist/"+name)
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(sub, "index.html"); err != nil {
		return nil, ErrNotBuilt
	}
	return sub, nil
}
