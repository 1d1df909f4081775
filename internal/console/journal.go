package console

import (
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"time"

	"shiren/internal/dossier"
	"shiren/internal/operator"
)

// The journal, for those with operator.ReadJournal.
//
//	GET  /journal         ?since=&before=&account=&action=&object=&after=&limit= → {items: [entry], next}
//	GET  /journal.csv     the same filters → a file; the journal notes that it was made
//	POST /journal/verify  {marks: ["NUMBER:SUM"]} → {whole, entries, mark, broken_at, what}
//
// since and before are RFC 3339; action is one, or those that begin with it where it ends in ".".

type entry struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Action  string    `json:"action"`
	Object  string    `json:"object"`
	Reason  string    `json:"reason"`
	Detail  string    `json:"detail"`
	Damaged bool      `json:"damaged"` // cannot be opened: somebody changed it where it is kept
}

// maxRows bounds a CSV file's rows. Our choice.
const maxRows = 100_000

// entryQuery reads the filters.
func entryQuery(r *http.Request) (q operator.EntryQuery, err error) {
	v := r.URL.Query()
	moment := func(name string) (t time.Time) {
		if text := v.Get(name); text != "" {
			var perr error
			if t, perr = time.Parse(time.RFC3339, text); perr != nil {
				err = invalid(name + " is no time like 2026-03-02T10:00:00Z")
			}
		}
		return t
	}
	number := func(name string) (n int64) {
		if text := v.Get(name); text != "" {
			var perr error
			if n, perr = strconv.ParseInt(text, 10, 64); perr != nil || n < 1 {
				err = invalid(name + " is no number from 1 on")
			}
		}
		return n
	}
	q = operator.EntryQuery{
		Since: moment("since"), Before: moment("before"), After: number("after"), Limit: int(min(number("limit"), 1000)),
		Account: v.Get("account"), Action: v.Get("action"), Object: v.Get("object"),
	}
	return q, err
}

func (h *Handler) journalRoutes() {
	ops := h.cfg.Operators
	h.read("GET /journal", operator.ReadJournal, func(c *call) (any, error) {
		q, err := entryQuery(c.Request)
		if err != nil {
			return nil, err
		}
		if q.Limit == 0 {
			q.Limit = 50
		}
		list, err := ops.Entries(c.Context(), q)
		if err != nil {
			return nil, err
		}
		out := struct {
			Items []entry `json:"items"`
			Next  string  `json:"next"`
		}{Items: []entry{}}
		for _, e := range list {
			out.Items = append(out.Items, entry{e.ID, e.At, e.Account, e.Name, e.Address, e.Action, e.Object, e.Reason, e.Detail, e.Damaged})
		}
		if len(list) == q.Limit {
			out.Next = list[len(list)-1].ID
		}
		return out, nil
	})
	h.read("GET /journal.csv", operator.ReadJournal, func(c *call) (any, error) {
		q, err := entryQuery(c.Request)
		if err != nil {
			return nil, err
		}
		if err := c.note("journal.export", "", "", ""); err != nil {
			return nil, err
		}
		q.Limit, q.After = 1000, 0
		list, err := ops.Entries(c.Context(), q)
		if err != nil {
			return nil, err
		}
		head := c.ResponseWriter.Header()
		head.Set("Content-Type", "text/csv; charset=utf-8")
		head.Set("Content-Disposition", `attachment; filename="journal.csv"`)
		w := csv.NewWriter(c.ResponseWriter)
		w.Write([]string{"id", "at", "account", "name", "address", "action", "object", "reason", "detail", "damaged"})
		for rows := 0; len(list) > 0 && rows < maxRows; {
			for _, e := range list {
				row := []string{e.ID, e.At.Format(time.RFC3339Nano), e.Account, e.Name, e.Address, e.Action, e.Object, e.Reason, e.Detail, strconv.FormatBool(e.Damaged)}
				for i := range row {
					row[i] = dossier.Cell(row[i])
				}
				w.Write(row)
			}
			rows += len(list)
			if len(list) < q.Limit {
				break
			}
			q.After = list[len(list)-1].Seq
			if list, err = ops.Entries(c.Context(), q); err != nil {
				// The header is gone: a cut connection is how the client learns of it.
				h.log.ErrorContext(c.Context(), "the journal's export was cut off", "err", err)
				panic(http.ErrAbortHandler)
			}
		}
		w.Flush()
		return sent{}, nil // the client is gone if writing failed
	})
	one := make(chan struct{}, 1) // reads all of the journal
	h.read("POST /journal/verify", operator.ReadJournal, func(c *call) (any, error) {
		var in struct {
			Marks []string `json:"marks"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		if len(in.Marks) > 100 {
			return nil, invalid("at most 100 marks can be given")
		}
		var marks []operator.Chain
		for _, text := range in.Marks {
			m, err := operator.ParseMark(text)
			if err != nil {
				return nil, err
			}
			marks = append(marks, m)
		}
		select {
		case one <- struct{}{}:
			defer func() { <-one }()
		default:
			return nil, &Error{http.StatusServiceUnavailable, string(operator.Busy), "the journal is being verified already; wait for that"}
		}
		var out struct {
			Whole    bool   `json:"whole"`
			Entries  int64  `json:"entries"`
			Mark     string `json:"mark"`      // to be noted elsewhere
			BrokenAt int64  `json:"broken_at"` // 0: nowhere
			What     string `json:"what"`
		}
		chain, err := ops.Verify(c.Context(), marks...)
		var broken *operator.BrokenError
		switch {
		case errors.As(err, &broken):
			out.BrokenAt, out.What = broken.Seq, broken.What
		case err != nil:
			return nil, err
		default:
			out.Whole, out.Entries, out.Mark = true, chain.Last, chain.Mark()
		}
		return out, nil
	})
}
