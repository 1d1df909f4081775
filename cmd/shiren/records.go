package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/cnid"
	"shiren/internal/dossier"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/internal/server"
)

// recordCmd looks after records of sessions and direct calls, as the console does.
func (a *app) recordCmd() *cobra.Command {
	return group("record", "Search, show, export and erase records of sessions and direct calls",
		a.recordSearchCmd(), a.recordShowCmd(), a.recordExportCmd(), a.recordEraseCmd(), a.recordVerifyCmd(), a.recordKeyCmd())
}

// operating opens what is kept and the core that operators work with. The caller closes it.
func (a *app) operating(ctx context.Context) (*server.Data, *ekyc.Service, error) {
	d, err := a.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	return d, d.Operating(a.quiet(d.Config)), nil
}

func (a *app) recordSearchCmd() *cobra.Command {
	var q ekyc.RecordQuery
	var since, before, file string
	var sandbox, realOnly bool
	keys := map[ekyc.RecordField]*string{}
	cmd := &cobra.Command{
		Use: "search", Short: "List records, newest first, without personal data", Args: cobra.NoArgs,
		Long: `List records, newest first. All that is given must fit. What stands on a command line can be
seen by every user of the machine: give - for one of name, number, mobile and token, and write
it to standard input.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Since, err = momentFlag("--since", since); err != nil {
				return err
			}
			if q.Before, err = momentFlag("--before", before); err != nil {
				return err
			}
			if sandbox || realOnly {
				q.Sandbox = &sandbox
			}
			for _, f := range []ekyc.RecordField{ekyc.FieldName, ekyc.FieldNumber, ekyc.FieldMobile, ekyc.FieldToken, ekyc.FieldLogID} {
				v, err := private(cmd, *keys[f])
				if err != nil {
					return err
				}
				if v != "" {
					q.Keys = append(q.Keys, ekyc.RecordKey{Field: f, Value: v})
				}
			}
			d, core, err := a.operating(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			if done, err := core.RecordsComplete(cmd.Context()); err != nil {
				return err
			} else if !done {
				fmt.Fprintln(a.err, "shiren: records of an older release are still being made searchable; some may be missing")
			}
			if file != "" {
				return a.recordsCSV(cmd.Context(), core, q, file)
			}
			list, err := core.SearchRecords(cmd.Context(), q)
			if err != nil {
				return refused(err)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "AT\tPROTOCOL\tAPP\tPLAN\tKIND\tOUTCOME\tCODE\tATTEMPTS\tSCORE\tID")
			for _, r := range list {
				score := "-"
				if r.Compared {
					score = fmt.Sprintf("%.4f", float64(r.Score))
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.At.UTC().Format(time.RFC3339), dash(r.Protocol), r.App, dash(string(r.Plan)),
					r.Kind, dash(string(r.Outcome)), dash(string(r.Code)), r.Attempts, score, r.ID)
			}
			return w.Flush()
		},
	}
	a.setData(cmd)
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "from this `moment` on, as 2026-03-01 or 2026-03-01T08:00:00Z")
	f.StringVar(&before, "before", "", "before this `moment`")
	f.StringVar((*string)(&q.App), "app", "", "of the app with this `id`")
	f.StringVar((*string)(&q.Plan), "plan", "", "of the plan with this `id`")
	f.StringVar(&q.Protocol, "protocol", "", "that came in by: baidu, juhe or huawei")
	f.StringVar(&q.Kind, "kind", "", "`kind` of liveness, or of a direct call: match, verify, ocr, elements")
	f.StringVar((*string)(&q.Outcome), "outcome", "", "match, non_match, no_record or failed")
	f.BoolVar(&q.Undecided, "undecided", false, "that have no outcome")
	f.StringVar((*string)(&q.Code), "code", "", "with this `code`, as in liveness_failed")
	f.BoolVar(&sandbox, "sandbox", false, "of apps in test mode only")
	f.BoolVar(&realOnly, "real", false, "not of apps in test mode")
	for field, usage := range map[ekyc.RecordField]string{
		ekyc.FieldName: "of the person with this `name`", ekyc.FieldNumber: "of the person with this identity `number`",
		ekyc.FieldMobile: "of a direct call about this mobile `number`", ekyc.FieldToken: "of the session with this `token`",
		ekyc.FieldLogID: "with this log `id`, receipt or order id",
	} {
		keys[field] = f.String(strings.ReplaceAll(string(field), "_", "-"), "", usage)
	}
	f.IntVar(&q.Limit, "limit", 0, "at most so `many` (default 50)")
	f.StringVar(&file, "csv", "", fmt.Sprintf("write a CSV `file` of at most %d rows instead; - is standard output", dossier.MaxRows))
	cmd.MarkFlagsMutuallyExclusive("sandbox", "real")
	return cmd
}

// refused makes a refusal of the core a sentence.
func refused(err error) error {
	if text := ekyc.DetailOf(err); text != "" && ekyc.CodeOf(err) != ekyc.Internal {
		return errors.New(text)
	}
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func momentFlag(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: want a day or a moment, as 2026-03-01 or 2026-03-01T08:00:00+08:00", name)
}

func (a *app) recordsCSV(ctx context.Context, core *ekyc.Service, q ekyc.RecordQuery, file string) error {
	return a.write(file, func(w io.Writer) error {
		rows, err := dossier.CSV(ctx, w, core.SearchRecords, q, nil)
		if err == nil && file != "-" {
			fmt.Fprintf(a.out, "%d records are in %s\n", rows, file)
		}
		if rows == dossier.MaxRows {
			fmt.Fprintf(a.err, "shiren: the file is full; narrow the search by time for the rest\n")
		}
		return refused(err)
	})
}

// write makes a file of mode 0600, or writes to standard output where its name is "-".
func (a *app) write(name string, f func(io.Writer) error) (err error) {
	if name == "-" {
		return f(a.out)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return f(file)
}

func absentRecord(err error) error {
	if errors.Is(err, ekyc.ErrAbsent) {
		return errors.New("there is no record with this id: it was never made here, or it was erased; `shiren record search` lists ids")
	}
	return refused(err)
}

func (a *app) recordShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show all that is kept of a record as JSON, masked", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, core, err := a.operating(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			f, err := core.ReadRecord(cmd.Context(), args[0])
			if err != nil {
				return absentRecord(err)
			}
			e := json.NewEncoder(a.out)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(dossier.Of(f, true, a.now()))
		},
	}
	a.setData(cmd)
	return cmd
}

// journalled writes into the console's journal what the command line is about to do.
func (a *app) journalled(ctx context.Context, d *server.Data, action, object, reason, detail string) error {
	if err := d.Operators.Note(ctx, operator.Entry{Name: "command line", Action: action, Object: object, Reason: reason, Detail: detail}); err != nil {
		return fmt.Errorf("nothing was done, since the journal cannot be written: %w", err)
	}
	return nil
}

func (a *app) recordExportCmd() *cobra.Command {
	var file, reason string
	var open, images bool
	cmd := &cobra.Command{
		Use: "export ID", Short: "Write all that is kept of a record into a signed file", Args: cobra.ExactArgs(1),
		Long: `Write all that is kept of a record into a signed file: a JSON Web Signature, whose payload is
JSON. Names, numbers and what documents say are masked, and images are named by their SHA-256
only, unless --unmasked and --images say otherwise; both need a --reason, which the console's
journal keeps. shiren record verify checks such a file.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			why := strings.TrimSpace(reason)
			if open || images {
				var err error
				if why, err = operator.CheckReason(reason); err != nil {
					return fmt.Errorf("--unmasked and --images need a --reason: %w", err)
				}
			}
			d, core, err := a.operating(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			f, err := core.ReadRecord(cmd.Context(), args[0])
			if err != nil {
				return absentRecord(err)
			}
			detail := "masked"
			if open {
				detail = "unmasked"
			}
			if images {
				detail += ", with images"
			}
			if err := a.journalled(cmd.Context(), d, "record.export", args[0], why, detail); err != nil {
				return err
			}
			out := dossier.Of(f, !open, a.now())
			if images {
				if err := out.Attach(func(ref string) ([]byte, error) {
					data, _, err := core.RecordEvidence(cmd.Context(), args[0], ref)
					return data, err
				}); err != nil {
					return err
				}
			}
			signed, err := dossier.NewSigner(d.Sealer).Sign(dossier.TypeRecord, dossier.FileOf(out, a.now()))
			if err != nil {
				return err
			}
			return a.write(file, func(w io.Writer) error { _, err := w.Write(signed); return err })
		},
	}
	a.setData(cmd)
	cmd.Flags().StringVarP(&file, "out", "o", "-", "the `file`; - is standard output")
	cmd.Flags().BoolVar(&open, "unmasked", false, "with names, numbers and what documents say")
	cmd.Flags().BoolVar(&images, "images", false, "with the images and videos")
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the journal")
	return cmd
}

func (a *app) recordEraseCmd() *cobra.Command {
	var number, name, reason, file string
	cmd := &cobra.Command{
		Use: "erase [ID]", Short: "Erase a record, or all that is kept of a person, before it is due", Args: cobra.MaximumNArgs(1),
		Long: `Erase a record, or with --number all that is kept of a person: sessions of every app with
that number (and --name), with their images; what is known of apps' users who were verified with
it; and what direct calls are found by. Charges stay, they hold no personal data. The registry is
another matter: shiren registry remove.

A signed receipt says what was erased; it holds no personal data. The journal keeps the --reason.
It may be repeated, and done while a server runs.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (number != "") {
				return errors.New("say what to erase: either the ID of a record, or a person's --number")
			}
			reason, err := operator.CheckReason(reason)
			if err != nil {
				return fmt.Errorf("--reason: %w", err)
			}
			var e ekyc.Erasure
			var failed error
			if number != "" {
				n, d, err := a.person(cmd, number)
				if err != nil {
					return err
				}
				defer d.Close()
				core, who := d.Operating(a.quiet(d.Config)), cnid.Name("")
				if name != "" {
					if who, err = cnid.ParseName(name); err != nil {
						return err
					}
				}
				if err := a.journalled(cmd.Context(), d, "person.erase", "person "+core.PersonDigest(n), reason, ""); err != nil {
					return err
				}
				e, failed = core.ErasePerson(cmd.Context(), who, n)
				return a.erased(cmd.Context(), d, "person.erased", "person "+e.Person, "", file, e, failed)
			}
			d, core, err := a.operating(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			if err := a.journalled(cmd.Context(), d, "record.erase", args[0], reason, ""); err != nil {
				return err
			}
			e, failed = core.EraseRecord(cmd.Context(), args[0])
			return a.erased(cmd.Context(), d, "record.erased", args[0], args[0], file, e, failed)
		},
	}
	a.setData(cmd)
	f := cmd.Flags()
	f.StringVar(&number, "number", "", "the person's identity `number`; - reads it from standard input")
	f.StringVar(&name, "name", "", "only what has this `name` too")
	f.StringVar(&reason, "reason", "", "`why`, for the journal")
	f.StringVar(&file, "receipt", "", "write the signed receipt into a `file`")
	return cmd
}

// erased prints and writes what an erasure came to, also one that failed on its way.
func (a *app) erased(ctx context.Context, d *server.Data, action, object, record, file string, e ekyc.Erasure, failed error) error {
	if failed != nil {
		failed = absentRecord(failed)
	}
	fmt.Fprintf(a.out, "sessions    %d\nimages      %d\nsubjects    %d\ncalls       %d\nundeleted   %d\n", e.Sessions, e.Evidence, e.Subjects, e.Calls, e.Noise)
	err := errors.Join(failed, a.journalled(context.WithoutCancel(ctx), d, action, object, "", e.Summary()))
	if file == "" || failed != nil {
		return err
	}
	signed, serr := dossier.NewSigner(d.Sealer).Sign(dossier.TypeErasure, dossier.ReceiptOf(e, record))
	if serr != nil {
		return errors.Join(err, serr)
	}
	return errors.Join(err, a.write(file, func(w io.Writer) error { _, err := w.Write(signed); return err }))
}

func (a *app) recordVerifyCmd() *cobra.Command {
	var keyFile string
	var payload bool
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check an exported record or a receipt", Args: cobra.ExactArgs(1),
		Long: `Check that an exported record or a receipt of an erasure is as this server signed it. With --key
it is checked against a public key in a file, as shiren record key prints it, and needs no data.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readBounded(args[0], dossier.MaxFile)
			if err != nil {
				return err
			}
			var c dossier.Checked
			if keyFile != "" {
				k, err := readBounded(keyFile, 64<<10)
				if err != nil {
					return err
				}
				key, err := dossier.ParseKey(string(k))
				if err != nil {
					return fmt.Errorf("%s: %w", keyFile, err)
				}
				c, err = dossier.Verify(text, key)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			} else {
				d, err := a.open(cmd.Context())
				if err != nil {
					return err
				}
				defer d.Close()
				if c, err = dossier.Verify(text, dossier.NewSigner(d.Sealer).Public()); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			}
			if payload {
				_, err := fmt.Fprintf(a.out, "%s\n", c.Payload)
				return err
			}
			fmt.Fprintf(a.out, "good        %s\nkey         %s\n", c.Type, dossier.KeyID(c.Key))
			return nil
		},
	}
	a.setData(cmd)
	cmd.Flags().StringVar(&keyFile, "key", "", "public key `file`, JSON Web Key or PEM (default: this server's)")
	cmd.Flags().BoolVar(&payload, "payload", false, "print what the file says, as JSON")
	return cmd
}

// readBounded reads a file that is not longer than most.
func readBounded(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return b, err
}

func (a *app) recordKeyCmd() *cobra.Command {
	var pem bool
	cmd := &cobra.Command{
		Use: "key", Short: "Print the public key that exported records and receipts are checked with", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			k := dossier.NewSigner(d.Sealer).Public()
			if pem {
				fmt.Fprint(a.out, dossier.PEM(k))
				return nil
			}
			fmt.Fprintln(a.out, dossier.JWK(k))
			return nil
		},
	}
	a.setData(cmd)
	cmd.Flags().BoolVar(&pem, "pem", false, "as PEM (default: JSON Web Key)")
	return cmd
}
