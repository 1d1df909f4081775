package dossier

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// MaxRows bounds the rows of one CSV file. Our choice: a spreadsheet takes a million; this many
// are read in some seconds.
const MaxRows = 100_000

// pageRows is how many records are read at a time. Our choice.
const pageRows = 500

// Columns are the heads of a CSV file of records. None holds personal data.
var Columns = []string{"id", "at", "protocol", "app", "plan", "kind", "outcome", "code", "attempts", "score", "took_ms", "sandbox", "until"}

// Search lists records; ekyc.Service.SearchRecords is one.
type Search func(ctx context.Context, q ekyc.RecordQuery) ([]ekyc.Record, error)

// CSV writes the records that a search finds, newest first, at most MaxRows, as they are read,
// and counts them. flush, where it is given, is called after each page.
func CSV(ctx context.Context, w io.Writer, search Search, q ekyc.RecordQuery, flush func()) (int, error) {
	out := csv.NewWriter(w)
	if err := out.Write(Columns); err != nil {
		return 0, err
	}
	rows := 0
	for q.Limit = pageRows; rows < MaxRows; {
		list, err := search(ctx, q)
		if err != nil {
			out.Flush()
			return rows, err
		}
		for _, r := range list[:min(len(list), MaxRows-rows)] {
			if err := out.Write(row(r)); err != nil {
				return rows, fmt.Errorf("write CSV: %w", err)
			}
			rows++
		}
		if out.Flush(); out.Error() != nil {
			return rows, fmt.Errorf("write CSV: %w", out.Error())
		}
		if flush != nil {
			flush()
		}
		if len(list) < pageRows {
			break
		}
		q.After = &list[len(list)-1]
	}
	out.Flush()
	return rows, out.Error()
}

func row(r ekyc.Record) []string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	score := ""
	if r.Compared {
		score = strconv.FormatFloat(float64(r.Score), 'f', 4, 64)
	}
	cells := []string{
		r.ID, at(r.At), r.Protocol, string(r.App), string(r.Plan), r.Kind, string(r.Outcome), string(r.Code), strconv.Itoa(r.Attempts),
		score, strconv.FormatInt(r.Took.Milliseconds(), 10), strconv.FormatBool(r.Sandbox), at(r.Until),
	}
	for i := range cells {
		cells[i] = Cell(cells[i])
	}
	return cells
}

// Cell makes a text harmless for programs that take the cells of a CSV file for formulas: what
// could begin one gets an apostrophe before it, as spreadsheets write text. OWASP, "CSV Injection".
func Cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
