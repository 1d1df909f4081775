package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"shiren/internal/ekyc"
	"shiren/internal/operator"
)

// someone is a demo session with pictures that matches what is wanted.
func (o *office) someone(t *testing.T, want func(s ekyc.Session) bool) (id string, s ekyc.Session) {
	t.Helper()
	list, err := o.Store.Search(t.Context(), ekyc.RecordQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Direct {
			continue
		}
		s, err := o.Store.SessionByID(t.Context(), r.ID)
		if err != nil { // another test erased it meanwhile
			continue
		}
		if want(s) {
			return r.ID, s
		}
	}
	t.Fatal("no demo session is like that")
	return "", s
}

// person is what must not be seen of a session before it is revealed.
func person(s ekyc.Session) []string {
	var list []string
	if s.Claim != nil {
		list = append(list, string(s.Claim.Name), string(s.Claim.Number))
	}
	return append(list, string(s.Token))
}

// TestConsoleRecords: a support agent finds somebody, sees why they were refused, reveals who it is
// with a reason, and erases it all with a receipt; the journal has each step.
func TestConsoleRecords(t *testing.T) {
	t.Parallel()
	o := theOffice(t)
	d := consoleTabOf(t, o.account(t, "records.agent", operator.Operations))
	rid, s := o.someone(t, func(s ekyc.Session) bool {
		return s.Claim != nil && len(s.Evidence) > 0 && len(s.Attempts) > 0 && s.Attempts[len(s.Attempts)-1].Response != nil
	})
	hidden := func(where string) {
		t.Helper()
		for _, secret := range person(s) {
			if d.holds(secret) {
				t.Errorf("%s: the page holds %.6s… unmasked", where, secret)
			}
		}
	}

	d.visit("/records")
	rows := `document.querySelectorAll('tbody tr').length`
	do(t, d.ctx, "see records", poll(rows+` === 50`))
	hidden("the list")
	d.check("records")
	d.click(id("next"))
	do(t, d.ctx, "see more", poll(rows+` > 50`))
	d.choose("outcome", "未通过")
	d.click(id("search"))
	do(t, d.ctx, "see the refused only", poll(rows+` > 0 && [...document.querySelectorAll('tbody [data-outcome]')].every((e) => e.dataset.outcome === 'non_match')`))
	do(t, d.ctx, "keep the conditions in the address", poll(`location.search.includes('outcome=non_match')`))
	d.click(id("reset"))
	do(t, d.ctx, "see all again", poll(rows+` === 50 && !location.search.includes('outcome')`))

	// By number: it goes into no address, and comes back with the list.
	d.choose("find-field", "证件号码")
	d.fill(id("find-value")+` input, input`+id("find-value"), string(s.Claim.Number))
	d.click(id("search"))
	find := fmt.Sprintf(`tbody tr[data-key=%q] a`, rid)
	do(t, d.ctx, "find the person", poll(`document.querySelectorAll('tbody tr').length < 10`), chromedp.WaitVisible(find))
	if where := get(t, d.ctx, "look at the address", chromedp.Location()); strings.Contains(where, string(s.Claim.Number)) {
		t.Errorf("the address holds the number: %s", where)
	}
	d.click(find)
	do(t, d.ctx, "see the record", chromedp.WaitVisible(id("claim")))
	d.settled()
	hidden("the record")
	d.check("record")

	// Revealing needs a reason, and brings the pictures.
	d.click(id("reveal"))
	d.click(id("ask-yes"))
	do(t, d.ctx, "be asked for a reason", poll(`document.querySelector('#ask-note')?.classList.contains('wrong')`))
	axe(t, d.ctx, "reveal")
	d.picture("reveal")
	d.fill(`textarea`, "客诉 4711：本人询问为何未通过")
	d.click(id("ask-yes"))
	do(t, d.ctx, "see who it is", poll(fmt.Sprintf(`document.querySelector('[data-testid="claim"]')?.textContent.includes(%q)`, string(s.Claim.Number))))
	if d.holds(string(s.Token)) {
		t.Error("the token is a key, and is shown to nobody")
	}
	d.click(id("pictures"))
	do(t, d.ctx, "see the pictures", poll(fmt.Sprintf(`[...document.querySelectorAll('[data-testid="picture"]')].filter((i) => i.complete && i.naturalWidth > 0).length >= %d`, pictures(s))))
	d.check("record-revealed")
	d.click(id("mask"))
	do(t, d.ctx, "mask it again", poll(fmt.Sprintf(`!document.documentElement.outerHTML.includes(%q) && !document.querySelector('[data-testid="picture"]')`, string(s.Claim.Number))))

	d.click(id("erase"))
	d.fill(`textarea`, "本人要求删除")
	d.click(id("ask-yes"))
	do(t, d.ctx, "be asked for the word", chromedp.WaitVisible(id("ask-type")))
	d.fill(id("ask-type")+` input, input`+id("ask-type"), "清除")
	d.click(id("ask-yes"))
	d.see(id("receipt"))
	d.check("erased")
	if _, err := o.Store.SessionByID(t.Context(), rid); err == nil {
		t.Error("the session is still there")
	}
	d.visit("/records/" + rid)
	do(t, d.ctx, "find nothing", poll(`document.querySelector('[data-testid="state"]')?.dataset.state === 'error'`))
	d.whole("records")

	list, err := o.Operators.Entries(t.Context(), operator.EntryQuery{Object: rid, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, e := range list {
		told[e.Action]++
		for _, secret := range person(s) {
			if strings.Contains(e.Detail+e.Object+e.Reason, secret) {
				t.Errorf("the journal's %s holds personal data", e.Action)
			}
		}
	}
	if told["record.reveal"] != 1 || told["record.picture"] != len(s.Evidence) || told["record.erase"] != 1 || told["record.erased"] != 1 {
		t.Errorf("the journal tells of %v; want a reveal, %d pictures, and an erasure", told, len(s.Evidence))
	}
	if strings.Contains(o.Logs.String(), string(s.Claim.Number)) {
		t.Error("the log holds the number")
	}
}

// TestConsoleErasePerson: all that is kept of a person is erased by their number, with a receipt that
// can be kept, and a search finds nothing of them.
func TestConsoleErasePerson(t *testing.T) {
	t.Parallel()
	o := theOffice(t)
	d := consoleTabOf(t, o.account(t, "erasing.agent", operator.Operations))
	// Nobody that another test looks at: those are of the newest records, or are counted in the sandbox.
	list, err := o.Store.Search(t.Context(), ekyc.RecordQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var who ekyc.Claim
	for _, r := range list {
		if r.Direct || r.Sandbox {
			continue
		}
		s, err := o.Store.SessionByID(t.Context(), r.ID)
		if err != nil { // erased by another test meanwhile
			continue
		}
		if s.Claim != nil && len(s.Attempts) > 0 && s.Document == nil && len(s.Evidence) > 0 {
			who = *s.Claim // the oldest in the end
		}
	}
	if who.Number == "" {
		t.Fatal("no demo session names a person")
	}
	number := string(who.Number)

	d.visit("/records")
	d.choose("find-field", "证件号码")
	d.fill(id("find-value")+` input, input`+id("find-value"), number)
	d.click(id("search"))
	rows := `document.querySelectorAll('tbody tr').length`
	do(t, d.ctx, "find the person", poll(rows+` > 0 && `+rows+` < 10`))
	d.settled()
	found := get(t, d.ctx, "count the records", chromedp.Evaluate[int](rows))

	d.click(id("to-erase-person"))
	do(t, d.ctx, "have the number at hand", poll(fmt.Sprintf(`document.querySelector(%q)?.value === %q`, id("erase-number"), number)))
	d.fill(id("erase-number"), number[:17])
	d.click(id("erase-person"))
	do(t, d.ctx, "be told what is wrong", poll(`document.querySelector('#number-note')?.classList.contains('wrong')`))
	d.check("erase-person")
	// A number with a wrong check character is refused before anything is asked.
	other := "0"
	if strings.HasSuffix(number, other) {
		other = "1"
	}
	d.fill(id("erase-number"), number[:17]+other)
	d.click(id("erase-person"))
	d.see(id("erase-fault"))
	d.fill(id("erase-number"), number)
	d.click(id("erase-person"))
	d.fill(`textarea`, "本人要求删除")
	d.fill(id("ask-type")+` input, input`+id("ask-type"), "清除")
	if text := d.see(id("ask")); !strings.Contains(text, number) || !strings.Contains(text, fmt.Sprintf("现在查到 %d 条记录", found)) {
		t.Errorf("before %d records are erased the page says %q", found, text)
	}
	axe(t, d.ctx, "the confirmation")
	d.picture("erase-person-confirm")
	d.click(id("ask-yes"))
	d.see(id("receipt"))
	d.check("erased-person")
	counted := func(what string) (n int) {
		t.Helper()
		if _, err := fmt.Sscan(d.see(id("receipt-"+what)), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := counted("sessions") + counted("calls"); got < found {
		t.Errorf("the receipt tells of %d records, the search found %d", got, found)
	}
	do(t, d.ctx, "see the number no more", poll(fmt.Sprintf(`!document.documentElement.outerHTML.includes(%q)`, number)))
	file := get(t, d.ctx, "save the receipt", chromedp.Evaluate[string](`(async () => {
		const kept = URL.createObjectURL, click = HTMLAnchorElement.prototype.click
		let blob, name
		URL.createObjectURL = (b) => { blob = b; return kept.call(URL, b) }
		HTMLAnchorElement.prototype.click = function () { name = this.download }
		document.querySelector('[data-testid="receipt-save"]').click()
		HTMLAnchorElement.prototype.click = click
		URL.createObjectURL = kept
		return name + ' ' + (await blob.text())
	})()`, chromedp.EvalAwaitPromise))
	name, signed, _ := strings.Cut(file, " ")
	if !strings.HasPrefix(name, "erasure-person-") || !strings.HasSuffix(name, ".json") || !strings.Contains(signed, `"signature"`) || strings.Contains(signed, number) {
		t.Errorf("saved %q with %.80q", name, signed)
	}

	// The search still has the number, and finds nobody.
	d.click(`[data-testid="receipt"] a`)
	do(t, d.ctx, "find nobody", poll(`document.querySelector('[data-testid="state"]')?.dataset.state === 'empty'`))
	d.whole("erase a person")
	left, err := o.Store.Search(t.Context(), ekyc.RecordQuery{Keys: []ekyc.RecordKey{{Field: ekyc.FieldNumber, Value: number}}, Limit: 10})
	if err != nil || len(left) > 0 {
		t.Errorf("the person has %d records left, err %v", len(left), err)
	}
	entries, err := o.Operators.Entries(t.Context(), operator.EntryQuery{Action: "person.", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, e := range entries {
		told[e.Action]++
		if strings.Contains(e.Detail+e.Object+e.Reason, number) || strings.Contains(e.Detail+e.Object+e.Reason, string(who.Name)) {
			t.Errorf("the journal's %s holds personal data", e.Action)
		}
	}
	if told["person.erase"] != 1 || told["person.erased"] != 1 {
		t.Errorf("the journal tells of %v; want an erasure and what came of it", told)
	}
	if strings.Contains(o.Logs.String(), number) {
		t.Error("the log holds the number")
	}
}

func pictures(s ekyc.Session) (n int) {
	for _, e := range s.Evidence {
		if strings.HasPrefix(e.Type, "image/") {
			n++
		}
	}
	return n
}

// TestConsoleRecordKinds: records of each protocol and kind can be read, and none shows who it is of.
func TestConsoleRecordKinds(t *testing.T) {
	t.Parallel()
	o := theOffice(t)
	d := consoleTab(t)
	for _, k := range []struct {
		name string
		want func(s ekyc.Session) bool
	}{
		{"flash", func(s ekyc.Session) bool { return answered(s, ekyc.LivenessFlash) }},
		{"action", func(s ekyc.Session) bool { return answered(s, ekyc.LivenessAction) }},
		{"document", func(s ekyc.Session) bool { return s.Document != nil && s.Claim != nil }},
	} {
		rid, s := o.someone(t, k.want)
		d.visit("/records/" + rid)
		do(t, d.ctx, "see the course", poll(`document.querySelector('[data-testid="attempt-1"]') || document.querySelector('#course')`))
		d.settled()
		for _, secret := range person(s) {
			if d.holds(secret) {
				t.Errorf("%s: the page holds %.6s… unmasked", k.name, secret)
			}
		}
		d.check("record-" + k.name)
	}
	list, err := o.Store.Search(t.Context(), ekyc.RecordQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Direct && r.Kind == string(ekyc.ChargeElements) {
			d.visit("/records/" + r.ID)
			do(t, d.ctx, "see the call", chromedp.WaitVisible(`#call`))
			d.check("record-direct")
			break
		}
	}
	d.whole("records")
}

func answered(s ekyc.Session, kind ekyc.LivenessKind) bool {
	for _, a := range s.Attempts {
		if a.Kind == kind && a.Response != nil && len(a.Response.Cues) > 0 {
			return true
		}
	}
	return false
}

// TestConsoleStatistics: charts are drawn, tell the same as their tables, and can be downloaded.
func TestConsoleStatistics(t *testing.T) {
	t.Parallel()
	o := theOffice(t)
	d := consoleTab(t)
	d.visit("/")
	do(t, d.ctx, "see today", chromedp.WaitVisible(id("today")))
	d.check("overview")
	d.visit("/statistics?time=week")
	do(t, d.ctx, "see charts", poll(`document.querySelectorAll('figure [data-drawn="true"]').length >= 10`))
	d.check("statistics")
	// Other walks open sessions meanwhile: what was counted before and after bounds what is shown.
	counted := func() (n int64) {
		list, err := o.Store.Counts(t.Context(), ekyc.CountQuery{Measures: []ekyc.Measure{ekyc.CountOpened}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			n += c.N
		}
		return n
	}
	sums := get(t, d.ctx, "read a chart's words", chromedp.Text(id("chart-volume")+` .chart-summary`))
	var shown int64
	if _, err := fmt.Sscanf(sums, "发起 %d 次", &shown); err != nil || shown < int64(seeded-sandboxed(t, o)) || shown > counted() {
		t.Errorf("the volume says %q, want %d to %d sessions: %v", sums, seeded-sandboxed(t, o), counted(), err)
	}
	d.click(id("chart-funnel") + ` button[aria-pressed]`)
	do(t, d.ctx, "read the table", poll(`document.querySelectorAll('[data-testid="chart-funnel"] tbody tr').length === 5`))
	axe(t, d.ctx, "a chart as a table")
	got := get(t, d.ctx, "download both kinds", chromedp.Evaluate[string](`(async () => {
		const names = [], kept = URL.createObjectURL
		const click = HTMLAnchorElement.prototype.click
		let blob
		URL.createObjectURL = (b) => { blob = b; return kept.call(URL, b) }
		HTMLAnchorElement.prototype.click = function () { names.push(this.download + ' ' + blob.type + ' ' + (blob.size > 100)) }
		const button = (chart, text) => [...document.querySelectorAll('[data-testid="' + chart + '"] button')].find((b) => b.textContent.trim() === text)
		button('chart-volume', 'PNG').click()
		button('chart-volume', 'CSV').click()
		HTMLAnchorElement.prototype.click = click
		URL.createObjectURL = kept
		return names.join(', ')
	})()`, chromedp.EvalAwaitPromise))
	if got != "shiren-volume.png image/png true, shiren-volume.csv text/csv;charset=utf-8 true" {
		t.Errorf("downloaded %q", got)
	}
	d.click(id("theme"))
	do(t, d.ctx, "go dark", poll(`document.documentElement.classList.contains('dark')`))
	d.whole("statistics")
}

// sandboxed counts the demo sessions of the app in test mode, which statistics leave out.
func sandboxed(t *testing.T, o *office) (n int) {
	t.Helper()
	yes := true
	list, err := o.Store.Search(t.Context(), ekyc.RecordQuery{Sandbox: &yes, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if !r.Direct {
			n++
		}
	}
	return n
}

// TestConsoleFirstLoad: signing in and the list of records after it cost at most 450 kB. How long
// that takes says as much of what else the machine does, so it is told and not judged.
func TestConsoleFirstLoad(t *testing.T) {
	t.Parallel()
	d := consoleTab(t)
	d.visit("/records")
	do(t, d.ctx, "see records", poll(`document.querySelectorAll('tbody tr').length > 0`))
	const loaded = `performance.getEntries().filter((e) => e.transferSize !== undefined && !e.name.includes('/api/')).reduce((n, e) => n + e.transferSize, 0)`
	bytes := get(t, d.ctx, "sum what was loaded", chromedp.Evaluate[int](loaded))
	if bytes < 50_000 || bytes > 450_000 {
		t.Errorf("%d bytes were loaded, want at most 450000 and not next to nothing", bytes)
	}
	t.Logf("first load of the records: %d bytes with headers; %d ms to the list", bytes, get(t, d.ctx, "read the clock", chromedp.Evaluate[int](`Math.round(performance.now())`)))
}
