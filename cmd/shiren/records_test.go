package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/operator"
)

// TestRecordCommands walks from a search to a receipt, on the command line.
func TestRecordCommands(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	now := time.Now().UTC()
	in := ""
	// run runs a command as a shell would, and returns what it printed.
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		a := &app{out: &out, err: &out, now: func() time.Time { return now }, rand: rand.Reader}
		root := a.root()
		root.SetArgs(append(args, "--data", data))
		root.SetIn(strings.NewReader(in))
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	ok := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("shiren %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	has := func(what, text string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(text, p) {
				t.Errorf("%s does not say %q:\n%s", what, p, text)
			}
		}
	}

	const number, name = "11010519491231002X", "张三丰"
	a := &app{out: &bytes.Buffer{}, err: &bytes.Buffer{}, now: func() time.Time { return now }, rand: rand.Reader}
	cmd := a.recordSearchCmd() // knows --data
	if err := cmd.ParseFlags([]string{"--data", data}); err != nil {
		t.Fatal(err)
	}
	d, core, err := a.operating(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ses := ekyc.Session{
		Token: "Yz9rWITm4vak16PBAh5x8oG7", App: "1", Plan: ekyc.Plan{ID: "p", Liveness: ekyc.LivenessFlash}, Opened: now, Protocol: "baidu",
		Claim: &ekyc.Claim{Name: name, Number: number},
		Attempts: []ekyc.Attempt{{
			Ordinal: 1, Begun: now, Finished: now, Lease: now, Outcome: ekyc.NonMatched, Code: ekyc.LivenessFailed, LogID: "4711",
			Charges: []ekyc.Charge{{ID: "c", App: "1", Plan: "p", Kind: ekyc.ChargeLive, At: now, LogID: "4711"}},
		}},
	}
	if err := d.Store.CreateSession(t.Context(), ses); err != nil {
		t.Fatal(err)
	}
	if list, err := core.SearchRecords(t.Context(), ekyc.RecordQuery{}); err != nil || len(list) != 1 {
		t.Fatalf("%d records, %v", len(list), err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	id := ses.Token.Digest()

	has("search", ok("record", "search", "--code", "liveness_failed", "--since", now.Format(time.DateOnly)), id, "baidu", "flash")
	in = number + "\n"
	has("search by number", ok("record", "search", "--number", "-"), id)
	in = ""
	if out := ok("record", "search", "--log-id", "4712"); strings.Contains(out, id) {
		t.Errorf("another log id finds the record:\n%s", out)
	}
	if _, err := run("record", "search", "--number", "123"); err == nil || !strings.Contains(err.Error(), "18 characters") {
		t.Errorf("a number that is none: %v", err)
	}
	csv := filepath.Join(t.TempDir(), "records.csv")
	has("csv", ok("record", "search", "--csv", csv), "1 records")
	if b, err := os.ReadFile(csv); err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("the CSV file: %q, %v", b, err)
	}
	shown := ok("record", "show", id)
	has("show", shown, `"code": "liveness_failed"`, `"name": "张**"`)
	if strings.Contains(shown, number) {
		t.Error("show says the number")
	}
	if _, err := run("record", "show", "nobody"); err == nil || !strings.Contains(err.Error(), "no record") {
		t.Errorf("a record that is not there: %v", err)
	}

	if _, err := run("record", "export", id, "--unmasked"); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Errorf("unmasked without a reason: %v", err)
	}
	dir := t.TempDir()
	file, key, receipt := filepath.Join(dir, "record.json"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "receipt.json")
	ok("record", "export", id, "--unmasked", "--images", "--reason", "a court asked", "-o", file)
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v; want mode 0600", st.Mode(), err)
	}
	has("verify", ok("record", "verify", file), "good        shiren-record")
	has("payload", ok("record", "verify", file, "--payload"), number, name)
	if err := os.WriteFile(key, []byte(ok("record", "key", "--pem")), 0o600); err != nil {
		t.Fatal(err)
	}
	has("verify with a key", ok("record", "verify", file, "--key", key), "good")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte(`"payload":"`)) + 200
	b[i] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run("record", "verify", file); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("a changed file: %v", err)
	}

	for _, args := range [][]string{{"record", "erase"}, {"record", "erase", id, "--number", number}, {"record", "erase", id}} {
		if _, err := run(args...); err == nil {
			t.Errorf("shiren %s erased something", strings.Join(args, " "))
		}
	}
	has("erase", ok("record", "erase", "--number", number, "--reason", "the person asked", "--receipt", receipt), "sessions    1")
	said := ok("record", "verify", receipt, "--payload")
	has("the receipt", said, id, `"sessions":1`)
	if strings.Contains(said, number) || strings.Contains(said, name) {
		t.Errorf("the receipt says who: %s", said)
	}
	if out := ok("record", "search"); strings.Contains(out, id) {
		t.Errorf("the erased record is found:\n%s", out)
	}

	if d, _, err = a.operating(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	entries, err := d.Operators.Entries(t.Context(), operator.EntryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range entries { // newest first
		actions = append(actions, e.Action)
		if text := e.Object + e.Detail + e.Reason; strings.Contains(text, number) || strings.Contains(text, name) || e.Name != "command line" {
			t.Errorf("the journal says %+v", e)
		}
	}
	if got := strings.Join(actions, " "); got != "person.erased person.erase record.export" {
		t.Errorf("the journal has %q", got)
	}
}
