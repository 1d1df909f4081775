package server

import (
	"slices"
	"testing"

	"shiren/internal/config"
	"shiren/internal/source/upstream"
)

// TestConfigKnowsAllSources keeps the configuration's words and the sources' together.
func TestConfigKnowsAllSources(t *testing.T) {
	t.Parallel()
	if got, want := config.SourceKinds, upstream.Kinds(); !slices.Equal(got, want) {
		t.Errorf("the configuration knows %v, the sources are %v", got, want)
	}
	for _, kind := range config.SourceKinds {
		_, err := upstream.Open(upstream.Config{Name: "x", Kind: kind, Answers: config.SourceAnswers})
		if err != nil && kind != upstream.BaiduMatchV4 { // which wants portraits
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestOneOfSeveralSources has questions that name no source go where the configured order says.
func TestOneOfSeveralSources(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                           string
		order                          []string
		identity, portrait, face, call bool
	}{
		{"the registry", nil, true, true, false, true},
		{"the registry first", []string{"registry", "baidu"}, true, true, false, true},
		{"a vendor alone", []string{"baidu"}, false, false, true, false},
		{"two vendors", []string{"baidu", "numbers"}, false, false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config.Default()
			c.Data, c.SourceOrder = t.TempDir(), tt.order
			c.Sources = []config.Source{
				{Name: "baidu", Kind: upstream.BaiduV4, Key: "k", Secret: "s"}, {Name: "numbers", Kind: upstream.JuheMobile, Key: "k"},
			}
			d, err := Open(t.Context(), Options{Config: c})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			s := d.core(Options{})
			got := []bool{s.Identity != nil, s.Portrait != nil, s.Face != nil, s.Mobile != nil}
			if want := []bool{tt.identity, tt.portrait, tt.face, tt.call}; !slices.Equal(got, want) {
				t.Errorf("identity, portrait, face, mobile: got %v, want %v", got, want)
			}
			if len(s.Sources) != 3 || len(s.Order) == 0 {
				t.Errorf("got %d sources in order %v, want 3", len(s.Sources), s.Order)
			}
		})
	}
}
