package injection

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
)

// TestAdhoc is for looking.
func TestAdhoc(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	if n == 0 {
		t.Skip()
	}
	wired, _ := strconv.Atoi(os.Getenv("WIRED"))
	var kinds []ekyc.LivenessKind
	for _, k := range strings.Split(os.Getenv("KINDS"), ",") {
		kinds = append(kinds, ekyc.LivenessKind(k))
	}
	r, err := Run(context.Background(), Options{Engine: enginetest.Engine(t), Models: enginetest.Dir(t), Sessions: n, Wired: wired, Kinds: kinds, Seed: 1, Now: time.Now, Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	r.Write(os.Stdout)
	b, _ := json.MarshalIndent(r, "", " ")
	os.WriteFile("/tmp/inj/out.json", b, 0o644)
}
