package metrics_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/metrics"
)

// still is an engine that panics where it is asked to examine.
type still struct{ ekyc.Engine }

func (still) Examine(context.Context, []byte, ekyc.Want) (ekyc.Examination, error) {
	panic("a fault of the engine")
}

type small struct{ still }

func (small) Miniature(context.Context, []byte) (ekyc.Miniature, error) {
	return ekyc.Miniature{}, ekyc.Errorf(ekyc.ImageDamaged, "cut off")
}

// TestEngineKeepsItsAbilities has the core find an engine's further abilities behind the
// counting, and none that it does not have.
func TestEngineKeepsItsAbilities(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.Unix(0, 0) }
	m := metrics.New()
	if _, ok := m.Engine(still{}, now).(ekyc.Miniaturist); ok {
		t.Error("an engine without miniatures seems to make them")
	}
	e, ok := m.Engine(small{}, now).(ekyc.Miniaturist)
	if !ok {
		t.Fatal("an engine that makes miniatures seems not to")
	}
	if _, err := e.Miniature(t.Context(), nil); ekyc.CodeOf(err) != ekyc.ImageDamaged {
		t.Errorf("a miniature: got %v, want %s", err, ekyc.ImageDamaged)
	}
	if m.Cards(nil, now) != nil {
		t.Error("no reader became one")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the engine's panic was kept from the core")
			}
		}()
		_, _ = m.Engine(still{}, now).Examine(t.Context(), nil, 0)
	}()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`shiren_engine_errors_total{code="image_damaged",doing="miniature"} 1`, `shiren_engine_errors_total{code="internal",doing="examine"} 1`,
		`shiren_engine_in_flight{doing="examine"} 0`, `shiren_engine_seconds_count{doing="miniature"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("missing from the scrape: %s", want)
		}
	}
}
